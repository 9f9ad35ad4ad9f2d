"""The container image: the SIF of this source and lock, whether it can run the workflow, and which folders it sees.

Standard library only: `python3 scripts/dag/image.py` prints the SIF's name before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("envs/requirements.txt", "envs/torch.txt", "envs/cluster.txt")
INPUTS = ("Dockerfile", "docker/image.sh", "envs/install.sh", *LOCKS)
CODE_STAGE = b"\nFROM packages "
KEYS = ("EXCHANGE_API_KEY", "EXCHANGE_SECRET", "FORECAST_NOTIFY")
# folders that the image has and needs
IMAGE_FOLDERS = ("/opt/forecast", "/usr/bin", "/etc", "/lib", "/bin")
# run by the image's Python: prints what differs from the lock, which is its argument
COMPARE = """
import json, re, sys
if sys.version_info < (3, 11):
    sys.exit(print(json.dumps({"python": sys.version_info[:3], "wrong": {}})))
import importlib.metadata as metadata
installed = metadata.distributions()
found = {re.sub("[-_.]+", "-", entry.metadata["Name"]).lower(): entry.version.split("+")[0] for entry in installed}
wrong = {name: found.get(name) for name, version in json.loads(sys.argv[1]).items() if found.get(name) != version}
print(json.dumps({"python": sys.version_info[:3], "wrong": wrong}))
"""


class ImageError(Exception):
    """The image cannot run the workflow; the message says why and what to do."""


def sif_name(root: Path = ROOT) -> str:
    """forecast-<digest>.sif, by a digest of what it is made of and how: Snakemake goes by an image's name alone.

    Of the Dockerfile, the part before its stage for the code counts: the code is not in the SIF.
    """
    digest = hashlib.sha256()
    for name in INPUTS:
        content = (root / name).read_bytes().split(CODE_STAGE)[0]
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return f"forecast-{digest.hexdigest()[:12]}.sif"


def locked(root: Path = ROOT) -> dict[str, str]:
    """The lock: version by package."""
    text = "\n".join((root / name).read_text() for name in LOCKS)
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ \\\n]+)", text, flags=re.MULTILINE)
    return {re.sub("[-_.]+", "-", name).lower(): version for name, version in found}


def check_image(image: str) -> None:
    """Raise ImageError unless `image`, a SIF, exists and holds Python 3.11 or later and the locked packages.

    Checked outside Snakemake: in a job, a package that the image lacks is imported from the host. A registry's image
    (docker://…) is left to Snakemake, which pulls it first.
    """
    if "://" in image:
        return
    command = "make image" if Path(image).name == sif_name() else f"SIF={shlex.quote(image)} make image"
    build = f"build it with: {command}"
    if " " in image:
        raise ImageError(f"image: {image}: Snakemake takes no image with a blank in its path; move it, or set image")
    engine = shutil.which("apptainer") or shutil.which("singularity")
    if not engine:
        raise ImageError(
            "image: neither apptainer nor singularity is installed; install one, or leave out --use-singularity"
        )
    if not Path(image).is_file():
        raise ImageError(f"image: {image} does not exist; {build}")
    call = [engine, "exec", "--containall", image, "python", "-c", COMPARE, json.dumps(locked())]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no error message"])[-1]
        raise ImageError(f"image: {image} has no python that works ({reason}); {build}") from None
    if tuple(answer["python"]) < (3, 11):
        version = ".".join(map(str, answer["python"]))
        raise ImageError(f"image: {image} has Python {version}, 3.11 or later is needed; {build}")
    for name, version in answer["wrong"].items():
        has = f"{name} {version}" if version else f"no {name}"
        raise ImageError(f"image: {image} has {has}, the lock says {locked()[name]}; {build}")


def open_to_containers(folders: list[str]) -> None:
    """Bind these folders, if outside the working folder, into Apptainer's containers; pass on the exchange's keys.

    Of a missing folder, the nearest parent that exists is bound. Raises ImageError for a folder that cannot be bound.
    """
    outside = set()
    for path in (Path(folder).resolve() for folder in folders):
        if path.is_relative_to(Path.cwd()):
            continue
        # os.path.exists: False, not an error, where one may not look
        part = next(part for part in [path, *path.parents] if os.path.exists(part))
        if set(",:") & set(str(part)):
            raise ImageError(f"paths: {part}: Apptainer binds no folder with , or : in its name; use another")
        if any(Path(needed).is_relative_to(part) or part.is_relative_to(needed) for needed in IMAGE_FOLDERS):
            raise ImageError(
                f"paths: {path}: binding {part} would hide the image's {part}; mkdir -p {path}, or use another"
            )
        outside.add(str(part))
    for engine in ("APPTAINER", "SINGULARITY"):
        binds = [*filter(None, [os.environ.get(f"{engine}_BIND")]), *sorted(outside)]
        if binds:
            os.environ[f"{engine}_BIND"] = ",".join(binds)
        # in a container the working folder is HOME, where matplotlib would put its cache
        os.environ.setdefault(f"{engine}ENV_MPLCONFIGDIR", str(Path.cwd() / ".snakemake" / "matplotlib"))
        for key in KEYS:
            # --cleanenv keeps out all but these
            if key in os.environ:
                os.environ.setdefault(f"{engine}ENV_{key}", os.environ[key])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        try:
            check_image(sys.argv[1])
        except ImageError as error:
            sys.exit(str(error))
    else:
        print(sif_name())
