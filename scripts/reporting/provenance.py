"""How a run was made: versions, seeds, digests, times, and the commands to do it again."""

import importlib.metadata
import shlex
import sys

from common.files import sha256
from reporting.results import Results
from reporting.sections import Chart, Number, Section, Table
from reporting.trading_figures import times_figure

PACKAGES = ("snakemake", "numpy", "pandas", "scipy", "statsmodels", "lightgbm", "torch", "pytorch-forecasting", "ccxt")


def provenance(results: Results) -> Section:
    """How all this was made."""
    config, trade, jobs = results.config, results.trade, results.jobs
    as_of = results.cutoff["as_of_iso"] if results.cutoff else None
    seconds = jobs.groupby("rule")["seconds"].sum()
    answer = f"{len(jobs)} jobs took {_duration(float(seconds.sum()))} in all" if len(jobs) else "No job left its times"
    if as_of:
        answer += f"; the decision stands on what was known at {as_of[:16].replace('T', ' ')} UTC"
    charts = [Chart("times", "Where the time went", "Seconds of each rule's jobs.", times_figure(seconds))]
    digests = _digests(results)
    return Section(
        "provenance",
        "How was all this made?",
        f"{answer}.",
        lines=["To do it again, with the same versions, in a checkout of the same scripts:"],
        numbers=[Number(f"{jobs['max_rss'].max():,.0f} MiB", "most memory of a job")] if len(jobs) else [],
        charts=charts if len(jobs) else [],
        tables=[
            _settings(results),
            Table("Versions of this environment", ["package", "version"], _versions()),
            digests,
        ],
        commands=_commands(as_of, config["as_of"], results.folder.artifacts.as_posix()),
        notes=[
            "Those of the decision's inputs were sealed with it, before anything of the outcome was fetched."
            if trade
            else "There is no sealed decision yet; these digests are of the files as they are."
        ],
    )


def _commands(as_of: str | None, configured: str, artifacts: str) -> list[str]:
    """A rerun: `latest` of a config is another moment next year, so the moment is named."""
    pinned = f" --config as_of={as_of}" if as_of and configured == "latest" else ""
    return [
        f"snakemake -j4 --configfile {shlex.quote(f'{artifacts}/run.yaml')}{pinned}",
        "make report",
    ]


def _settings(results: Results) -> Table:
    config, costs = results.config, results.config["consensus"]
    rows = [
        ["exchange", str(config["exchange"]["id"])],
        ["symbols", ", ".join(results.symbols)],
        ["bars, steps ahead", f"{config['interval']}, {config['horizon']}"],
        ["history", f"{config['days']:g} days"],
        ["members", ", ".join(config["members"])],
        ["seeds of the TFT", ", ".join(map(str, config["tft"]["seeds"]))],
        ["seed of the sample paths", str(config["sample_paths"]["seed"])],
        *([["seed of the simulated market", str(config["exchange"]["seed"])]] if results.simulated else []),
        ["policy", str(config["decision"]["policy"])],
        ["costs", f"{costs['commission_pct']:g} % commission, {costs['slippage_pct']:g} % slippage a side"],
    ]
    return Table("Settings; all of them are in run.yaml", ["setting", "value"], rows)


def _versions() -> list[list[str]]:
    versions = [["Python", sys.version.split()[0]]]
    for name in PACKAGES:
        try:
            versions.append([name, importlib.metadata.version(name).split("+")[0]])
        except importlib.metadata.PackageNotFoundError:  # where figures alone are drawn, not all are there
            continue
    return versions


def _digests(results: Results) -> Table:
    """Of what the decision stands on, as sealed; or of the candles, where there is none."""
    head = ["what", "SHA-256"]
    if results.trade:
        inputs = results.trade["inputs"]
        rows = [["scripts", inputs["scripts"]], ["config", inputs["config"]], ["container image", inputs["image"]]]
        rows += [["seal of the decision", results.trade["seal"]]]
        rows += [[name, digest] for name, digest in inputs["files"].items() if "/candles/" in name or "as_of" in name]
        return Table("Digests", head, rows)
    files = sorted(results.folder.data.glob("candles/*/*.parquet"))
    return Table("Digests", head, [[file.relative_to(results.folder.data).as_posix(), sha256(file)] for file in files])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
