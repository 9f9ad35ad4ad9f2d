"""What a call of ./exec.sh continues with: the settings of the last run in its artifacts folder, under its flags.

Run by the environment's Python: `python -m dag.last_run QUESTION`; QUESTION and the answer on stdout are JSON (cli.py).
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from snakemake.utils import update_config

from common.errors import UserError
from common.files import read_document, read_json
from dag.branches import prefix
from dag.decide import DECISION_SETTINGS, check_trained, outdated
from dag.image import ROOT
from dag.settings import Resolved, Settings, resolve_all
from trading.documents import BEST, Audit, Trade

CONFIG = ROOT / "config" / "config.yaml"
# what figures and audits are made by: none of these trains, forecasts or decides
READ_ONLY_RULES = (
    *("plots", "plot_evaluation", "plot_forecast", "plot_consensus", "plot_paths", "plot_backtest"),
    *("fetch_outcome", "audit", "summary", "report", "run_config"),
    *("ledger_settle", "plot_ledger"),
)
# what a report alone is made by: it shows what is there
REPORT_RULES = ("report", "run_config")
READ_ONLY_SETTINGS = ("plots.", "paths.", "image")
# what read-only stages read, and the stage that makes it
READS = {
    "--plots": (
        *("evaluation.json", "mock_trade.json", "path_scores.json", "forecasts/live/paths.parquet"),
        "backtest.json",
    ),
    "--consensus-plot": ("mock_trade.json",),
    "--consensus-eval": ("mock_trade.json",),
    "--report": (),
    "--settle": ("ledger/head.json",),
}
MADE_BY = {
    "evaluation.json": "--eval",
    "path_scores.json": "--eval",
    "backtest.json": "--eval",
    "mock_trade.json": "--consensus",
    "forecasts/live/paths.parquet": "--consensus",
    "ledger/head.json": "--decide",
}


class Question(NamedTuple):
    """What cli.py asks about a call. last: its run.yaml, if it continues with one; config: words of --config."""

    directory: str
    last: str | None
    files: list[str]
    config: list[str]
    stages: list[str]


def answer(question: Question) -> dict[str, Any]:
    """cli.LastRun as a mapping. Raises UserError where the call cannot do what it asks for."""
    default, flags = read_yaml(CONFIG), read_words(question.config)
    with _named(question.last or "config"):
        last = read_yaml(Path(question.last)) if question.last else {}
        whole = merged(default, last, *(read_yaml(Path(file)) for file in question.files))
    folders = [Path(file).resolve().parent for file in [*filter(None, [question.last]), *question.files]]
    if Path(question.directory).is_dir():
        os.chdir(question.directory)
    before = _try_resolve(whole, folders) if last else None
    derived = derived_keys(whole, folders) if before and not before.config["branches"] else []
    base = merged(whole, nested(dict.fromkeys(derived)))
    with _named("config" if before or not question.last else question.last):
        config, runs = resolve_all(merged(base, flags), folders)
    one_by_one = next((flag for flag in ("--consensus-live", "--decide") if flag in question.stages), None)
    if one_by_one and config["branches"]:
        raise UserError(f"argument {one_by_one}: takes one branch at a time: --artifacts-dir artifacts/BRANCH")
    given = _try_resolve(base, folders) if last else None
    _check_stages(given.config if given else config, config, runs, question.stages)
    starts = {name: prefix(name) if name else "" for name in runs}
    rules = REPORT_RULES if question.stages == ["--report"] else READ_ONLY_RULES
    audited = runs if "--consensus-eval" in question.stages else {}
    incomplete = [starts[name] for name, run in audited.items() if is_incomplete(run)]
    return {
        "data": next(iter(runs.values()))["paths"]["data"],
        "derive": [key for key in derived if key not in flat(flags) and _at(runs[""], key) != _at(whole, key)],
        "allowed_rules": sorted({start + rule for start in ["", *starts.values()] for rule in rules}),
        "forced_rules": [
            *(f"{start}fetch_outcome" for start in incomplete),
            *(f"{start}ledger_settle" for start in starts.values() if "--settle" in question.stages),
        ],
        "outdated": outdated(runs[""], time.time()) if "--decide" in question.stages else None,
        "kept": _kept(resolve_all(default).config, given.config, flags) if given else [],
    }


def _check_stages(before: Settings, after: Settings, runs: Mapping[str, Settings], stages: Sequence[str]) -> None:
    """Raise UserError where the stages are to make what others make, or lack what these made."""
    if set(stages) <= READS.keys():
        _check_unchanged(before, after, f"{stages[0]}: makes figures and audits alone", READ_ONLY_SETTINGS)
        for run in runs.values():
            check_made(run, stages)
    if "--decide" in stages:
        kept = (*READ_ONLY_SETTINGS, *DECISION_SETTINGS)
        _check_unchanged(before, after, "--decide: forecasts by the models as they are", kept)
        check_trained(runs[""])


def derived_keys(config: Settings, folders: Sequence[Path] = ()) -> list[str]:
    """Dotted keys whose value is what null would stand for: with other settings around them they may be another.

    config: one that resolves, with the folders of its files.
    """
    nullable = [key for key, default in flat(read_yaml(CONFIG)).items() if default is None and _at(config, key)]
    runs = resolve_all(config, folders).runs
    others = {key: _try_resolve(merged(config, nested({key: None})), folders) for key in nullable}
    return [key for key, other in others.items() if other and other.runs == runs]


def check_made(run: Settings, stages: Sequence[str]) -> None:
    """Raise UserError where what the read-only `stages` read is missing, or is not of this run's settings."""
    artifacts = Path(run["paths"]["artifacts"])
    for stage in stages:
        for name in READS[stage]:
            if not (artifacts / name).is_file():
                raise UserError(
                    f"argument {stage}: {artifacts / name} is missing, and {stage} does not make it; "
                    f"run ./exec.sh {MADE_BY[name]} first"
                )
    if set(stages) == {"--report"}:  # shows what is there
        return
    trade = read_document(artifacts / "mock_trade.json", Trade)
    decided = (trade["config"]["symbol"], trade["config"]["interval"], trade["config"]["horizon"])
    cutoff = read_json(Path(run["paths"]["data"], "as_of", "live.json"))["as_of_iso"]
    symbol = run["consensus"]["symbol"]
    now = (decided[0] if symbol == BEST else symbol, run["interval"], run["horizon"])
    names = ("symbol", "interval", "horizon", "as_of")
    for name, old, new in zip(names, (*decided, trade["forecast"]["t0_iso"]), (*now, cutoff), strict=True):
        if old != new:
            raise UserError(
                f"{artifacts / 'mock_trade.json'}: the decision has {name} {old}, the last run {new}; "
                "decide again first: ./exec.sh --consensus"
            )


def is_incomplete(run: Settings) -> bool:
    """Whether the decision was audited before its last candle was there."""
    audit = Path(run["paths"]["artifacts"], "mock_eval.json")
    return audit.is_file() and read_document(audit, Audit)["status"] != "complete"


def read_yaml(path: Path) -> Settings:
    """A config file. Raises UserError when it is none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"not a YAML file: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError("not a mapping of settings")
    return content


def read_words(words: Sequence[str]) -> Settings:
    """What `--config` makes of its words, but for the types of values within braces."""
    pairs = [word.partition("=") for word in words]
    return merged({}, *({key.strip(): yaml.safe_load(text)} for key, _, text in pairs))


def merged(*configs: Mapping[str, Any]) -> Settings:
    """One over the other as Snakemake merges config files, sections merged."""
    config: Settings = {}
    for one in configs:
        update_config(config, deepcopy(dict(one)))
    return config


def nested(values: Mapping[str, Any]) -> Settings:
    """Settings by their dotted keys, as a config."""
    config: Settings = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return config


def flat(config: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Settings by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{start}{key}.") if isinstance(value, dict) and value else {f"{start}{key}": value}
    return found


def _at(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config[name]
    return config


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Let a UserError name the config or run.yaml that it is about."""
    try:
        yield
    except UserError as error:
        hint = "" if file == "config" else "; --fresh starts from the config"
        raise UserError(f"{file}: {error}{hint}") from error


def _try_resolve(config: Settings, folders: Sequence[Path]) -> Resolved | None:
    try:
        return resolve_all(config, folders)
    except UserError:
        return None


def _check_unchanged(before: Settings, after: Settings, why: str, kept: Sequence[str]) -> None:
    """Raise UserError where flags change what other stages make: settings other than those that begin as `kept`.

    why: the stage, and why it may not.
    """
    old, new = flat(before), flat(after)
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    names = sorted(key for key in changed if not key.startswith(tuple(kept)))
    if names:
        raise UserError(
            f"argument {why}, and {', '.join(names)} would be another; "
            "leave it out, or run the other stages with it first"
        )


def _kept(default: Settings, base: Settings, flags: Settings) -> list[str]:
    """What differs from the config and no flag names, as `key=value`."""
    known, named = flat(default), flat(flags)
    return [
        f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in flat(base).items()
        if value != known.get(key) and key not in named
    ]


if __name__ == "__main__":
    try:
        print(json.dumps(answer(Question(**json.loads(sys.argv[1])))))
    except UserError as error:
        sys.exit(str(error))
