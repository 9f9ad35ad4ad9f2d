"""The command line of ./exec.sh: its flags, translated to one snakemake call.

It runs before there is an environment: on the standard library alone, of any Python from 3.9 on. What needs a YAML
parser, the settings of the last run, is read by the environment's Python (last_run.py).
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, NoReturn


class FlagError(Exception):
    """Flags that make no call. Its text is one line: what is wrong, and what to do."""


class Stage(NamedTuple):
    """What a stage's flag asks snakemake for: names of rules, blanks between, whatever folder their files are in."""

    targets: str
    help: str


class Setting(NamedTuple):
    """The key of the config that a flag sets. Of `several` values, blanks or commas stand between them."""

    key: str
    metavar: str
    help: str
    several: bool = False


# in the order of the pipeline, which is that of the targets too
STAGES = {
    "--full": Stage("all", "everything, the summary last"),
    "--fetch": Stage("fetch", "candles"),
    "--features": Stage("features", "features"),
    "--train": Stage("train", "a model for each fold and seed, and for the decision"),
    "--predict": Stage("predict", "forecasts of the test origins, and the live ones"),
    "--eval": Stage(
        "evaluate score_paths backtest", "the evaluation against the baselines, of sample paths, the backtest"
    ),
    "--consensus-live": Stage(
        "consensus sample_paths forecast_prices", "decision, sample paths, table of prices, on fresh candles"
    ),
    "--consensus": Stage("consensus sample_paths forecast_prices", "the same, on the candles that were fetched last"),
    "--consensus-eval": Stage("audit", "what the decision earned; fetched again while its candles are incomplete"),
    "--plots": Stage("plots", "all figures"),
    "--consensus-plot": Stage("plot_consensus", "the figure of the decision"),
    "--report": Stage("report", "the run as one HTML page, of what is there"),
    "--decide": Stage("ledger_append", "a decision on fresh candles by the models as they are, into the ledger"),
    "--settle": Stage("ledger_settle plot_ledger", "what came after the ledger's decisions, its scores, its figure"),
    "--clean": Stage("all", "delete what the last run made, except logs (no other stage beside it)"),
}
# these read what other stages made, and never make it
READ_ONLY = {"--plots", "--consensus-plot", "--consensus-eval", "--report", "--settle"}
# a new cutoff of the decision, before which no other stage may run
LIVE = {"--consensus-live", "--decide"}
# by rule, the inputs that are no data: newer ones are no reason to train or to forecast the past again
NOT_DATA = {
    **dict.fromkeys(("as_of", "fetch_candles"), "files,code"),
    "make_features": "extra,trials,code",
    **dict.fromkeys(("train_tft", "predict_tft", "predict_baselines", "ensemble", "predict_oracle"), "code"),
    "predict_plugin": "plug_in,trials,code",
    **dict.fromkeys(("evaluate", "score_paths"), "code"),
}
SETTINGS = {
    "--symbols": Setting("symbols", "SYMBOLS", "symbols, separated by blanks or commas", several=True),
    "--interval": Setting("interval", "INTERVAL", "length of a bar, such as 1m, 1h, 1d"),
    "--days": Setting("days", "DAYS", "days of history to train and evaluate on"),
    "--lookback": Setting("lookback", "BARS", "bars that the model is given"),
    "--horizon": Setting("horizon", "BARS", "bars ahead that are forecast"),
    "--epochs": Setting("tft.epochs", "N", "epochs at most"),
    "--folds": Setting("folds.count", "N", "rolling-origin folds"),
    "--batch-size": Setting("tft.batch_size", "N", "windows in a training step"),
    "--device": Setting("tft.device", "DEVICE", "auto, cpu, gpu or mps"),
    "--seed": Setting("tft.seeds", "SEEDS", "seeds, one model each, separated by blanks or commas", several=True),
    "--timefmt": Setting("plots.timefmt", "FORMAT", "format of times in figures (strftime)"),
    "--as-of": Setting("ledger.as_of", "TIME", "time of the decision alone: latest, or a UTC time; null: as_of"),
    "--cons-symbol": Setting("consensus.symbol", "SYMBOL", "symbol of the decision; best; null: the first"),
    "--cons-horizon-m": Setting("consensus.horizon_minutes", "MINUTES", "longest trade; null: the horizon"),
    "--cons-cash": Setting("consensus.cash", "CASH", "cash that a BUY spends"),
    "--cons-comm": Setting("consensus.commission_pct", "PERCENT", "commission on each side"),
    "--cons-edge": Setting("consensus.min_edge_pct", "PERCENT", "least expected return of a BUY after costs"),
    "--cons-pad-min": Setting("plots.pad_minutes", "MINUTES", "history before the entry in the decision's figure"),
    "--data-dir": Setting("paths.data", "FOLDER", "folder of candles and features"),
    "--artifacts-dir": Setting("paths.artifacts", "FOLDER", "folder of results; a new one holds the training logs too"),
}
ARTIFACTS = "artifacts"
VENV_SNAKEMAKE = Path(".venv/bin/snakemake")
DESCRIPTION = """\
Translates its flags to one snakemake call, prints that call, and runs it in the project's folder. What is up to date
is not made again; what a stage needs is made with it. Paths are relative to the project's folder.

A call continues with the settings of the last run in its artifacts folder (run.yaml there) and changes only those that
its flags name; --fresh and --configfile start from the config instead. Figures and audits alone train nothing.
"""
EXAMPLES = """\
examples:
  ./exec.sh --full                                               # everything, on the simulated market
  ./exec.sh --train --symbols "BTCUSDT ETHUSDT" --epochs 5
  ./exec.sh --eval --folds 5                                     # continues: the same symbols and epochs
  ./exec.sh --plots --timefmt "%Y-%m-%d %H:%M"
  ./exec.sh --full --seed 2 --data-dir runs/b/data --artifacts-dir runs/b/artifacts
  ./exec.sh --full --configfile config/live.yaml -- --config exchange='{id: binance}'
"""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises FlagError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise FlagError with argparse's message, and what to do where that is not plain from it."""
        found = re.fullmatch(r"argument (\S+): expected one argument", message)
        hint = f"; a value that starts with - is written {found[1]}=-…" if found else ""
        raise FlagError(message + hint)


class Once(argparse.Action):
    """Store a value; the same flag with another value is an error."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, option: str | None = None
    ) -> None:
        """Store `value`."""
        if value == []:
            # what argparse before Python 3.13 makes of --flag=--
            value = "--"
        earlier = getattr(namespace, self.dest)
        if earlier not in (None, value):
            parser.error(f"argument {option}: is given twice, {earlier} and {value}; give it once")
        setattr(namespace, self.dest, value)


class Request(NamedTuple):
    """A command line taken apart. Flags of settings and stages keep their names."""

    stages: list[str]
    settings: dict[str, str]
    files: list[str]
    options: argparse.Namespace
    snakemake: argparse.Namespace
    targets: list[str]
    extra: list[str]

    @property
    def artifacts(self) -> Path:
        """The folder of results, seen from the project's folder."""
        folder = self.settings.get("--artifacts-dir", ARTIFACTS)
        return Path(self.snakemake.directory, _folder(folder))

    @property
    def read_only(self) -> bool:
        """Whether the call asks for figures and audits alone."""
        return set(self.stages) <= READ_ONLY

    @property
    def frozen(self) -> bool:
        """Whether the call decides by the models as they are."""
        return "--decide" in self.stages

    @property
    def last(self) -> Path | None:
        """The settings of the last run, if the call continues with them."""
        file = self.artifacts / "run.yaml"
        starts_anew = self.options.fresh or self.files
        return None if starts_anew or not file.is_file() else file


class LastRun(NamedTuple):
    """What last_run.py answers.

    data: the folder of candles. derive: dotted keys of settings to be derived again. allowed_rules: those of a
    read-only call. forced_rules: those to run although up to date. kept: what differs from the config, as `key=value`.
    outdated: why `--decide` trains anew; null where it does not.
    """

    data: str
    derive: list[str]
    allowed_rules: list[str]
    forced_rules: list[str]
    kept: list[str]
    outdated: str | None = None


def parser() -> Parser:
    """The parser of the flags before `--`."""
    made = Parser(
        prog="./exec.sh",
        usage="./exec.sh STAGE ... [SETTING VALUE ...] [-- SNAKEMAKE_ARGUMENT ...]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=128),
        add_help=False,
        allow_abbrev=False,
    )
    group = made.add_argument_group("stages (one or more; they run in the pipeline's order)")
    for flag, stage in STAGES.items():
        group.add_argument(flag, dest=flag, action="store_true", help=stage.help)
    group = made.add_argument_group("settings (in brackets: the key in config/config.yaml, where the defaults are)")
    for flag, setting in SETTINGS.items():
        about = f"{setting.help} [{setting.key}]".replace("%", "%%")
        group.add_argument(flag, dest=flag, action=Once, type=_text, metavar=setting.metavar, help=about)
    group = made.add_argument_group("options")
    group.add_argument("--fresh", action="store_true", help="start from the config, not from the last run's settings")
    group.add_argument(
        "--configfile", action="append", default=[], type=_text, metavar="FILE", help="start from this config file"
    )
    group.add_argument("--cores", action=Once, type=_text, metavar="N", help="cores to use (default: all available)")
    group.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    group.add_argument("--use-singularity", action="store_true", help="compute in the config's container image")
    group.add_argument(
        "--skip-venv", action="store_true", help="use snakemake from the PATH, not from .venv (or set SKIP_VENV=1)"
    )
    group.add_argument("--check", action="store_true", help="print the call; run and install nothing")
    group.add_argument("-h", "--help", action="help", help="print this text")
    return made


def parse(words: list[str]) -> Request:
    """Take the command line apart. Raises FlagError on the first word that is wrong."""
    end = words.index("--") if "--" in words else len(words)
    options, unknown = parser().parse_known_args(words[:end])
    if unknown:
        raise FlagError(_unrecognized(unknown[0]))
    given = vars(options)
    stages = [flag for flag in STAGES if given[flag]]
    if not stages:
        raise FlagError(f"no stage is given; choose from {', '.join(STAGES)}")
    if "--clean" in stages and len(stages) > 1:
        raise FlagError(f"argument --clean: not allowed with {', '.join(stages[:-1])}; run it alone")
    if "--decide" in stages and (others := [flag for flag in stages if flag != "--decide"]):
        raise FlagError(f"argument --decide: not allowed with {', '.join(others)}; run it alone")
    passed, extra, targets = _snakemake_arguments(words[end + 1 :])
    files = [*options.configfile, *passed.configfile]
    for file in files:
        if not os.access(file, os.R_OK) or not Path(file).is_file():
            raise FlagError(f"argument --configfile: cannot read {file} in {Path.cwd()}")
    settings = {flag: given[flag] for flag in SETTINGS if given[flag] is not None}
    return Request(stages, settings, files, options, passed, targets, extra)


def translate(request: Request, cores: int, last: LastRun | None = None) -> list[str]:
    """The arguments of snakemake. `last` is needed where `needs_last_run` says so."""
    stages, options, passed = request.stages, request.options, request.snakemake
    clean = "--clean" in stages
    # whatever takes several values swallows the words after it: targets come first, and after them only options
    asked = [target for flag in stages for target in STAGES[flag].targets.split()]
    targets = list(dict.fromkeys([*asked, *([] if clean else ["run_config"])]))
    live = [f"{last.data}/as_of/live.json"] if last and LIVE & set(stages) else []
    if last and last.outdated:
        live = [f"{last.data}/as_of/train.json", *live]
    frozen = request.frozen and not (last and last.outdated)
    several = {
        "--configfile": [str(request.last)] if request.last else request.files,
        "-R": [*live, *(last.forced_rules if last else []), *passed.forcerun],
        "--rerun-triggers": ["software-env"] if frozen else [],
        "--consider-ancient": [f"{rule}={names}" for rule, names in NOT_DATA.items()] if frozen else [],
        "--allowed-rules": last.allowed_rules if last and request.read_only else [],
        "--config": [*config_words(request, last), *passed.config],
    }
    call = [f"-j{options.cores or cores}", *targets, *request.targets, *request.extra]
    if passed.directory != ".":
        call += ["--directory", passed.directory]
    for option, values in several.items():
        call += [option, *values] if values else []
    switches = {"-n": options.dry_run, "--use-singularity": options.use_singularity, "--delete-all-output": clean}
    return call + [option for option, given in switches.items() if given]


def needs_last_run(request: Request) -> bool:
    """Whether a call hangs on settings that only a YAML parser can read."""
    return bool(request.last) or request.read_only or bool(LIVE & set(request.stages))


def config_words(request: Request, last: LastRun | None = None) -> list[str]:
    """The settings as words of `--config`, which reads YAML."""
    texts = dict.fromkeys(last.derive if last else [], "null")
    for flag, value in request.settings.items():
        key, several = SETTINGS[flag].key, SETTINGS[flag].several
        text = _folder(value) if key.startswith("paths.") else value
        texts[key] = f"[{', '.join(map(_yaml, _parts(value)))}]" if several else _yaml(text)
    artifacts = _folder(request.settings.get("--artifacts-dir", ARTIFACTS))
    if not request.last and artifacts not in ("", ARTIFACTS):
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


def _snakemake_arguments(words: list[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """What follows `--`: options that the call itself sets or reads, other words, and targets after another `--`."""
    known = Parser(add_help=False, allow_abbrev=False)
    known.add_argument("-d", "--directory", default=".")
    known.add_argument("-R", "--forcerun", nargs="*", action="extend", default=[])
    known.add_argument("-C", "--config", nargs="*", action="extend", default=[])
    known.add_argument("--configfile", "--configfiles", nargs="+", action="extend", default=[])
    end = words.index("--") if "--" in words else len(words)
    passed, extra = known.parse_known_args(words[:end])
    return passed, extra, words[end + 1 :]


def _unrecognized(word: str) -> str:
    flag = word.partition("=")[0]
    if not word.startswith("-"):
        return f"unrecognized argument: {word}; a value of several words goes in quotes: --symbols 'BTCUSDT ETHUSDT'"
    flags = [name for action in parser()._actions for name in action.option_strings if name.startswith("--")]
    near = difflib.get_close_matches(flag, flags, n=1)
    return f"unrecognized argument: {flag}; " + (f"did you mean {near[0]}?" if near else "see ./exec.sh --help")


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{value!a} is not valid UTF-8") from None
    return value


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


def find_snakemake(skip_venv: bool, install: bool) -> Path:
    """The snakemake to call. Unless the environment is the user's, .venv is set up first, if `install`.

    Raises FlagError where there is none.
    """
    if skip_venv:
        found = shutil.which("snakemake")
        if not found:
            raise FlagError("no snakemake on the PATH; without --skip-venv and SKIP_VENV, .venv is set up with one")
        return Path(found)
    if install:
        _set_up_venv()
    elif not VENV_SNAKEMAKE.exists():
        raise FlagError("argument --check: .venv is not set up, and run.yaml needs it; make .venv/.runtime, or --fresh")
    return VENV_SNAKEMAKE


def _set_up_venv() -> None:
    if not shutil.which("make"):
        raise FlagError("make is not installed, and sets up .venv; install it, or use your environment: --skip-venv")
    make = ["make", "--no-print-directory", ".venv/.runtime"]
    # of what is set up already, make need not talk
    if subprocess.run([*make, "-q"], capture_output=True).returncode:
        made = subprocess.run(make, stdout=sys.stderr)
        if made.returncode:
            sys.exit(made.returncode)


def read_last_run(request: Request, snakemake: Path) -> LastRun:
    """Ask last_run.py, run by the Python beside `snakemake`. Raises FlagError with what it refuses."""
    # snakemake may be a link into its environment
    python = snakemake.resolve().with_name("python3")
    question = {
        "directory": request.snakemake.directory,
        "last": str(request.last) if request.last else None,
        "files": request.files,
        "config": [*config_words(request), *request.snakemake.config],
        "stages": request.stages,
    }
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    call = [str(python), "-m", "dag.last_run", json.dumps(question)]
    try:
        done = subprocess.run(call, env=environment, capture_output=True, text=True)
    except OSError as error:
        raise _cannot_run(python, error) from error
    if done.returncode:
        raise FlagError((done.stderr.strip().splitlines() or [f"{python} failed"])[-1])
    return LastRun(**json.loads(done.stdout))


def _cannot_run(program: Path, error: OSError) -> FlagError:
    return FlagError(
        f"cannot run {program}: {error.strerror}; repair that environment, or delete .venv to have it set up again"
    )


def main(words: list[str]) -> None:
    """Become the snakemake call that the words mean; with --check or --help, only print. Raises FlagError."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    request = parse(words)
    check, last = request.options.check, None
    skip_venv = request.options.skip_venv or os.environ.get("SKIP_VENV", "0") not in ("", "0")
    if not check or needs_last_run(request):
        snakemake = find_snakemake(skip_venv, install=not check)
        last = read_last_run(request, snakemake) if needs_last_run(request) else None
    if last and last.kept:
        text = f"continuing with {' '.join(last.kept)} of {request.last}; --fresh starts from the config"
        print(f"exec.sh: {text}", file=sys.stderr)
    if last and last.outdated:
        print(f"exec.sh: {last.outdated}", file=sys.stderr)
    arguments = translate(request, cores, last)
    if check:
        print(shlex.join(["snakemake", *arguments]))
        return
    print(f"exec.sh: {shlex.join([str(snakemake), *arguments])}", file=sys.stderr, flush=True)
    try:
        os.execv(snakemake, [str(snakemake), *arguments])
    except OSError as error:
        raise _cannot_run(snakemake, error) from error


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except FlagError as refusal:
        print(f"exec.sh: {refusal}", file=sys.stderr)
        sys.exit(2)
