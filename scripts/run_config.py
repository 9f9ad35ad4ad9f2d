"""Rule run_config: the resolved config, as one file beside the artifacts that it made."""

from typing import Any

import yaml

from common.files import write_text
from common.job import job


def run_config(output: str, settings: dict[str, Any]) -> None:
    """Write the resolved settings as YAML, keys in order."""
    write_text(output, yaml.safe_dump(settings, sort_keys=True, allow_unicode=True))


if __name__ == "__main__":
    with job() as snakemake:
        run_config(output=snakemake.output.run, settings=dict(snakemake.params.settings))
