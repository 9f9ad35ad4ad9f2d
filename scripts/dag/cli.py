"""The flags of ./exec.sh, translated to one snakemake call.

It runs before there is an environment: on the standard library alone, of any Python from 3.9 on.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class FlagError(Exception):
    """Flags that make no call. Its text is one line: what is wrong, and what to do."""


class Stage(NamedTuple):
    """What a stage's flag asks snakemake for: a rule's name, whatever folder its files are in."""

    target: str
    about: str


class Knob(NamedTuple):
    """What a knob's flag sets: the config's key, of which `default` is what config/config.yaml says."""

    key: str
    default: str
    about: str
    several: bool = False


# in the order of the pipeline, which is that of the targets too
STAGES = {
    "--full": Stage("all", "everything, the summary last"),
    "--fetch": Stage("fetch", "candles"),
    "--features": Stage("features", "features"),
    "--train": Stage("train", "a model for each fold and seed, and for the decision"),
    "--predict": Stage("predict", "forecasts of the test origins, and the live ones"),
    "--eval": Stage("evaluate", "the evaluation against the baselines"),
    "--consensus-live": Stage("consensus", "the decision, on fresh candles: its moment is taken anew"),
    "--consensus": Stage("consensus", "the decision, at the moment it is cutoff to"),
    "--consensus-eval": Stage("audit", "what the decision earned"),
    "--plots": Stage("plots", "all pictures"),
    "--consensus-plot": Stage("plot_consensus", "the trade's picture alone"),
    "--clean": Stage("all", "delete what the last run made, but for logs (goes alone)"),
}
# a call for nothing else goes on from the last run's config, so that it trains nothing anew and deletes all of it
LOOK_BACK = {"--plots", "--consensus-live", "--consensus-eval", "--consensus-plot", "--clean"}
KNOBS = {
    "--symbols": Knob("symbols", "BTC/USDT ETH/USDT", "symbols, with blanks or commas between", several=True),
    "--interval": Knob("interval", "1m", "a bar's length"),
    "--days": Knob("days", "30", "days of history to train and evaluate on"),
    "--lookback": Knob("lookback", "48", "bars that the model sees"),
    "--horizon": Knob("horizon", "60", "bars ahead that are forecast"),
    "--epochs": Knob("tft.epochs", "12", "epochs at most"),
    "--folds": Knob("folds.count", "3", "rolling-origin folds"),
    "--batch-size": Knob("tft.batch_size", "128", "windows a step"),
    "--device": Knob("tft.device", "auto", "auto, cpu, gpu or mps"),
    "--seed": Knob("tft.seeds", "1", "seeds, a model each, with blanks or commas between", several=True),
    "--timefmt": Knob("plots.timefmt", "%m-%d %H:%M", "how pictures write times (strftime)"),
    "--cons-symbol": Knob("consensus.symbol", "null", "the symbol to decide on; null: the first"),
    "--cons-horizon-m": Knob("consensus.horizon_minutes", "null", "minutes that a trade may last; null: the horizon"),
    "--cons-cash": Knob("consensus.cash", "1000", "what a BUY spends"),
    "--cons-comm": Knob("consensus.commission_pct", "0.1", "commission a side, in percent"),
    "--cons-edge": Knob("consensus.min_edge_pct", "0.05", "least expected return of a BUY after costs, in percent"),
    "--cons-pad-min": Knob("plots.pad_minutes", "120", "minutes before the entry in the trade's picture"),
    "--data-dir": Knob("paths.data", "data", "folder of candles and features"),
    "--artifacts-dir": Knob(
        "paths.artifacts", "artifacts", "folder of what is made; another one takes the training logs too"
    ),
}
OTHER = {
    "--configfile": "a config file; may be given several times (the last run's, where a call only looks back)",
    "--cores": "cores to use (all that this process may use)",
    "--dry-run": "say what would be done, and do nothing",
    "--use-singularity": "compute in the config's container image",
    "--skip-venv": "take snakemake from the PATH, not from .venv; SKIP_VENV=1 says the same",
    "--check": "print the call, and run and install nothing",
    "--help": "this text",
}
VALUED = {*KNOBS, "--configfile", "--cores"}
FLAGS = [*STAGES, *KNOBS, *OTHER]


class Asked(NamedTuple):
    """A command line taken apart: each flag with its value (a switch's is empty), config files, what follows `--`."""

    given: dict[str, str]
    files: list[str]
    extra: list[str]


def parse(words: list[str]) -> Asked:
    """Take the command line apart. Raises FlagError on the first word that is wrong."""
    end = words.index("--") if "--" in words else len(words)
    own, extra = words[:end], words[end + 1 :]
    given: dict[str, str] = {}
    files: list[str] = []
    while own:
        word = own.pop(0)
        flag, sign, value = word.partition("=")
        if flag not in FLAGS:
            raise FlagError(_unknown(flag if word.startswith("-") else word))
        if flag not in VALUED and sign:
            raise FlagError(f"{flag}: takes no value, and {word} gives it one")
        if flag in VALUED and not sign:
            if not own or own[0].startswith("--"):
                raise FlagError(f"{flag}: its value is missing; one that starts with -- is written {flag}=--…")
            value = own.pop(0)
        if not _is_text(value):
            raise FlagError(f"{flag}: {value!r} is no UTF-8 text")
        if flag == "--configfile":
            files.append(value)
        elif given.setdefault(flag, value) != value:
            raise FlagError(f"{flag}: is given twice, {given[flag]} and {value}; give it once")
    return Asked(given, files, extra)


def translate(words: list[str], cores: int) -> list[str]:
    """What snakemake is called with. Looks for config files below the current folder, the project's.

    Raises FlagError if the flags make no call.
    """
    given, files, extra = parse(words)
    stages = _stages(given)
    last = Path(_folder(given.get("--artifacts-dir", "artifacts")), "run.yaml")
    looks_back = set(stages) <= LOOK_BACK and not files and last.is_file()
    if looks_back:
        files = [str(last)]
    for file in files:
        if not Path(file).is_file():
            raise FlagError(f"--configfile: there is no file {file} in {Path.cwd()}")
    clean = "--clean" in stages
    targets = list(dict.fromkeys([*(STAGES[flag].target for flag in stages), *([] if clean else ["run_config"])]))
    # whatever takes several values swallows the words after it: targets come first, and after them only options
    call = [f"-j{given.get('--cores', cores)}", *targets, *extra]
    if files:
        call = _with(call, ["--configfile", "--configfiles"], files)
    if "--consensus-live" in stages:
        call = _with(call, ["-R", "--forcerun"], [f"{_data_folder(given, files)}/as_of/live.json"])
    if settings := config_words(given, own_logs=not looks_back):
        call = _with(call, ["--config", "-C"], settings)
    options = {"--dry-run": "-n", "--use-singularity": "--use-singularity", "--clean": "--delete-all-output"}
    return [*call, *(option for flag, option in options.items() if flag in given)]


def config_words(given: dict[str, str], own_logs: bool) -> list[str]:
    """The knobs as words of `--config`, which reads YAML. With `own_logs`, training logs follow the artifacts."""
    texts = {
        knob.key: f"[{', '.join(map(_yaml, _parts(given[flag])))}]" if knob.several else _yaml(_value(flag, given))
        for flag, knob in KNOBS.items()
        if flag in given
    }
    artifacts = _folder(given.get("--artifacts-dir", "artifacts"))
    if own_logs and artifacts not in ("", "artifacts"):
        # two runs side by side share nothing
        texts["paths.logs"] = _yaml(f"{artifacts}/lightning_logs")
    sections: dict[str, list[str]] = {}
    words = []
    for key, text in texts.items():
        section, _, name = key.rpartition(".")
        if section:
            sections.setdefault(section, []).append(f"{name}: {text}")
        else:
            # snakemake strips quotes at a value's ends, but not those within blanks
            words.append(f"{key}= {text} " if text.startswith('"') else f"{key}={text}")
    return words + [f"{section}={{{', '.join(pairs)}}}" for section, pairs in sections.items()]


def usage() -> str:
    """The text of --help."""
    rows = {
        "Stages (one or more; they run in the pipeline's order)": {flag: stage.about for flag, stage in STAGES.items()},
        "Knobs (with the default of config/config.yaml)": {
            f"{flag} VALUE": f"{knob.about} ({knob.default})" for flag, knob in KNOBS.items()
        },
        "Other": {f"{flag} VALUE" if flag in VALUED else flag: about for flag, about in OTHER.items()},
    }
    parts = [
        f"{title}:\n" + "".join(f"  {flag:<23} {about}\n" for flag, about in of.items()) for title, of in rows.items()
    ]
    return "\n".join([USAGE, *parts, EXAMPLES])


USAGE = """\
Usage: ./exec.sh STAGE … [KNOB VALUE …] [-- what snakemake takes …]

Prints the one snakemake call that the flags mean, and runs it in the project's folder. --flag=VALUE works too.
What is already made with the same settings is not made again, and what a stage needs is made with it.
Plots, a live decision, its evaluation and --clean start from the last run's own settings, artifacts/run.yaml.
Paths are below the project's folder, wherever you call it from.
"""
EXAMPLES = """\
Examples:
  ./exec.sh --full                                               # everything, on the simulated market
  ./exec.sh --train --symbols "BTCUSDT ETHUSDT" --epochs 5
  ./exec.sh --plots --timefmt "%Y-%m-%d %H:%M"                   # of the last run; trains nothing
  ./exec.sh --full --seed 2 --data-dir runs/b/data --artifacts-dir runs/b/artifacts
  ./exec.sh --full --configfile config/live.yaml -- --config exchange='{id: binance}'
"""


def _unknown(word: str) -> str:
    if not word.startswith("-"):
        return f"{word}: belongs to no flag; a value of several words goes in quotes: --symbols 'BTCUSDT ETHUSDT'"
    near = difflib.get_close_matches(word, FLAGS, n=1)
    return f"{word}: there is no such flag; " + (f"did you mean {near[0]}?" if near else "./exec.sh --help lists them")


def _stages(given: dict[str, str]) -> list[str]:
    """The stages that are asked for, in the pipeline's order."""
    stages = [flag for flag in STAGES if flag in given]
    if not stages:
        raise FlagError(f"no stage is given; there are {', '.join(STAGES)}")
    if "--clean" in stages and len(stages) > 1:
        raise FlagError(f"--clean: goes alone; leave out {', '.join(stages[:-1])}")
    return stages


def _with(call: list[str], names: list[str], values: list[str]) -> list[str]:
    """The call with an option's values; where it has that option already (given twice, snakemake drops the first),
    before those."""
    at = next((at for at, word in enumerate(call) if word in names), None)
    return [*call, names[0], *values] if at is None else [*call[: at + 1], *values, *call[at + 1 :]]


def _value(flag: str, given: dict[str, str]) -> str:
    return _folder(given[flag]) if KNOBS[flag].key.startswith("paths.") else given[flag]


def _folder(path: str) -> str:
    """A folder as snakemake likes to see it: without ./ before it and / after it."""
    return re.sub(r"^(\./+)+(?=.)|(?<=.)/+$", "", path)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def _yaml(text: str) -> str:
    """A text in YAML's flow style: bare if nothing in it can be misread, else in quotes with JSON's escapes."""
    if re.fullmatch(r"-?[A-Za-z0-9./_][A-Za-z0-9./_+-]*", text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in quoted)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _data_folder(given: dict[str, str], files: list[str]) -> str:
    """Where the call's candles are: what --data-dir says, else the last config file that says it."""
    if "--data-dir" in given:
        return _folder(given["--data-dir"])
    # there may be no YAML parser yet; this is how run.yaml is written
    for file in reversed(files):
        text = Path(file).read_text(encoding="utf-8") + "\n"
        if re.search(r"^branches:(?! *\[ *\])", text, re.MULTILINE):
            raise FlagError(f"--consensus-live: {file} has branches; name one's folder: --artifacts-dir artifacts/…")
        paths = re.search(r"^paths:.*\n(?:[ #].*\n|\n)*", text, re.MULTILINE)
        data = (
            re.search(r"^ +data: +([\w./~+-][^#:'\"\n]*?) *(?:#.*)?\n(?! {3})", paths[0], re.MULTILINE)
            if paths
            else None
        )
        if paths and not data:
            raise FlagError(f"--consensus-live: {file} sets paths; say its folder of candles here too: --data-dir …")
        if data:
            return data[1]
    return KNOBS["--data-dir"].default


def _snakemake(skip_venv: bool) -> str:
    """The snakemake to call. Unless the environment is the user's own, it is set up first."""
    if skip_venv:
        if not shutil.which("snakemake"):
            raise FlagError(
                "there is no snakemake on the PATH; without --skip-venv and SKIP_VENV, .venv is set up with one"
            )
        return "snakemake"
    if not shutil.which("make"):
        raise FlagError("there is no make to set up .venv with; install it, or use your own environment: --skip-venv")
    make = ["make", "--no-print-directory", ".venv/.runtime"]
    # of what is set up already, make need not talk
    if subprocess.run([*make, "-q"], capture_output=True).returncode:
        made = subprocess.run(make, stdout=sys.stderr)
        if made.returncode:
            sys.exit(made.returncode)
    return ".venv/bin/snakemake"


def main(words: list[str]) -> None:
    """Become the snakemake call that the words mean; with --check or --help, only print."""
    own = words[: words.index("--")] if "--" in words else words
    if "--help" in own or own[:1] == ["-h"]:
        print(usage(), end="")
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    skip_venv = "--skip-venv" in own or os.environ.get("SKIP_VENV", "0") not in ("", "0")
    try:
        arguments = translate(words, cores)
        if "--check" in own:
            print(shlex.join(["snakemake", *arguments]))
            return
        call = [_snakemake(skip_venv), *arguments]
    except FlagError as refusal:
        print(f"exec.sh: {refusal}", file=sys.stderr)
        sys.exit(2)
    print(f"exec.sh: {shlex.join(call)}", file=sys.stderr, flush=True)
    os.execvp(call[0], call)


if __name__ == "__main__":
    main(sys.argv[1:])
