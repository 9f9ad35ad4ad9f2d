"""Rule run_config: the resolved config, as one file beside the artifacts that it made."""

from typing import Any

from common.files import write_text
from common.job import job
from dag.config import Config


def run_config(output: str, settings: dict[str, Any]) -> None:
    """Write the resolved settings as YAML, in the form in which a config is read."""
    write_text(output, Config.model_validate(settings).to_yaml())


if __name__ == "__main__":
    with job() as snakemake:
        run_config(output=snakemake.output.run, settings=dict(snakemake.params.settings))
