"""Hook of mkdocs: what pages link to outside docs/ is part of the site.

On GitHub such links lead out of docs/. In the site README, CONTRIBUTING and the like are pages of it, and any other
file is a copy under files/.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
# pages that stand outside docs/, and their names in the site
OUTSIDE = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "config/README.md": "config.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, and every other file outside that a page links to."""
    pages = [ROOT / name for name in OUTSIDE]
    for path in pages:
        files.append(File.generated(config, site_name(path), content=path.read_text()))
    known = [DOCS / file.src_uri for file in files.documentation_pages() if file.generated_by is None]
    for path in sorted({target for page in [*pages, *known] for target in targets(page)}):
        if path.is_file() and files.get_file_from_path(site_name(path)) is None:
            files.append(File.generated(config, site_name(path), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the checkout into those between files of the site."""
    names = {site: ROOT / outside for outside, site in OUTSIDE.items()}
    source = names.get(page.file.src_uri, DOCS / page.file.src_uri)

    def link(found: re.Match[str]) -> str:
        target = (source.parent / found[1]).resolve()
        return os.path.relpath(site_name(target), Path(page.file.src_uri).parent) if target.exists() else found[1]

    return LINK.sub(link, markdown)


def targets(page: Path) -> Iterator[Path]:
    """The files of the checkout that a page links to."""
    return ((page.parent / link).resolve() for link in LINK.findall(page.read_text()))


def site_name(path: Path) -> str:
    """Where a file of the checkout stands in the site's sources."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    inside = path.relative_to(ROOT).as_posix()
    return OUTSIDE.get(inside, f"files/{inside}")
