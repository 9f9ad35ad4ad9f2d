"""./exec.sh: every flag reaches the config or snakemake, exactly; a wrong one gets one line and nothing is run."""

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import parse_config

from dag.cli import NOT_DATA, FlagError, LastRun, config_words, parse, translate
from dag.settings import as_config
from support.configs import DEFAULTS, resolve, with_keys
from support.workflow import ROOT

ENVIRONMENT = os.environ | {
    "SKIP_VENV": "1",
    "PYTHON": sys.executable,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
# what users type, and the targets that each stage stands for
TARGETS = {
    "--full": "all",
    "--fetch": "fetch",
    "--features": "features",
    "--train": "train",
    "--predict": "predict",
    "--eval": "evaluate score_paths backtest",
    "--consensus-live": "consensus sample_paths forecast_prices",
    "--consensus": "consensus sample_paths forecast_prices",
    "--consensus-eval": "audit",
    "--plots": "plots",
    "--consensus-plot": "plot_consensus",
    "--report": "report",
    "--decide": "ledger_append",
    "--settle": "ledger_settle plot_ledger",
}
# the text of each setting's flag, the key that it sets, the value that arrives
SETTINGS: dict[str, tuple[str, str, Any]] = {
    "--symbols": ("BTCUSDT, SOLUSDT,XRP/USDT", "symbols", ["BTCUSDT", "SOLUSDT", "XRPUSDT"]),
    "--interval": ("5m", "interval", "5m"),
    "--days": ("40.5", "days", 40.5),
    "--lookback": ("24", "lookback", 24),
    "--horizon": ("12", "horizon", 12),
    "--epochs": ("5", "tft.epochs", 5),
    "--folds": ("2", "folds.count", 2),
    "--batch-size": ("32", "tft.batch_size", 32),
    "--device": ("cpu", "tft.device", "cpu"),
    "--seed": ("3 1,2", "tft.seeds", [3, 1, 2]),
    "--timefmt": ("%Y-%m-%d %H:%M", "plots.timefmt", "%Y-%m-%d %H:%M"),
    "--as-of": ("2024-05-31T12:00:00Z", "ledger.as_of", "2024-05-31T12:00:00Z"),
    "--cons-symbol": ("SOL/USDT", "consensus.symbol", "SOLUSDT"),
    "--cons-horizon-m": ("30", "consensus.horizon_minutes", 30),
    "--cons-cash": ("250", "consensus.cash", 250),
    "--cons-comm": ("0.075", "consensus.commission_pct", 0.075),
    "--cons-edge": ("-0.1", "consensus.min_edge_pct", -0.1),
    "--cons-pad-min": ("10", "plots.pad_minutes", 10),
}
FOLDERS = ["--data-dir", "--artifacts-dir"]
OPTIONS = ["--fresh", "--configfile", "--cores", "--dry-run", "--use-singularity", "--skip-venv", "--check", "--help"]


def execute(
    *words: str, program: Path = ROOT / "exec.sh", cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Call ./exec.sh, with snakemake from the environment that the tests run in."""
    return subprocess.run(
        [program, *words], cwd=cwd, env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=120
    )


def succeed(folder: Path, *words: str, extra: tuple[str, ...] = ("--until", "run_config")) -> str:
    """Call it with `folder` as snakemake's working directory, by default for run.yaml alone: all that it prints."""
    done = execute(*words, "--", "--directory", str(folder), *extra)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def refusal(*words: str, path: str = ENVIRONMENT["PATH"], skip_venv: str = "1") -> str:
    """The one line that a call is refused with."""
    done = execute(*words, PATH=path, SKIP_VENV=skip_venv)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("exec.sh: ").strip()


def settings(folder: Path, artifacts: str = "artifacts") -> dict[str, Any]:
    """The settings of the last run in `folder`."""
    return yaml.safe_load((folder / artifacts / "run.yaml").read_text())


def at(config: dict[str, Any], key: str) -> Any:
    """The value of a dotted key."""
    for part in key.split("."):
        config = config[part]
    return config


def call(*words: str, cores: int = 1, last: LastRun | None = None) -> list[str]:
    """Snakemake's arguments for a command line."""
    return translate(parse(list(words)), cores, last)


@pytest.fixture
def no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a run: the project's may hold one, which a call would continue."""
    monkeypatch.chdir(tmp_path)


def test_every_setting_arrives_in_the_config(tmp_path: Path) -> None:
    folder = tmp_path / "a run's"
    folder.mkdir()
    succeed(folder, "--fetch", *(word for flag, (text, _, _) in SETTINGS.items() for word in (flag, text)))
    config = settings(folder)
    assert {flag: at(config, key) for flag, (_, key, _) in SETTINGS.items()} == {
        flag: value for flag, (_, _, value) in SETTINGS.items()
    }
    untouched = DEFAULTS.keys() - {key.split(".")[0] for _, key, _ in SETTINGS.values()}
    ready = as_config(resolve(with_keys(interval="5m", horizon=12)))
    assert {key: config[key] for key in untouched - {"paths"}} == {key: ready[key] for key in untouched - {"paths"}}


def test_folders_of_a_run_hold_its_training_logs_too(tmp_path: Path) -> None:
    succeed(tmp_path, "--fetch", "--data-dir", "./x/data/", "--artifacts-dir", "x/art")
    paths = {"data": "x/data", "artifacts": "x/art", "logs": "x/art/lightning_logs", "store": "x/data/store"}
    assert settings(tmp_path, "x/art")["paths"] == paths


ODD = [
    "%H:%M",
    " 'single' \"double\" ",
    "{a: [1, 2]}, #x",
    "back\\slash\\n and\ttab\nand newline",
    "100%: é – 🕯 \u2028 \x7f \x01 \u0085",
    "null",
    "010",
    "- ",
    "--",
    "*a &b !c |d >e @f `g",
    "a=b",
    "'",
    "true",
    "~",
    "$(date) $HOME",
]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.usefixtures("no_run")
def test_odd_values_arrive_as_they_are(text: str) -> None:
    folder = text.translate(str.maketrans("{}", "()"))  # braces are refused in folders
    given = parse_config(
        config_words(parse(["--fetch", f"--timefmt={text}", f"--data-dir={folder}", "--artifacts-dir=art/"]))
    )
    merged = DEFAULTS | {key: DEFAULTS[key] | value for key, value in given.items()}
    config = as_config(resolve(merged))
    assert config["plots"]["timefmt"] == text
    assert config["paths"] == {
        "data": folder,
        "artifacts": "art",
        "logs": "art/lightning_logs",
        "store": f"{folder}/store",
    }
    interval = parse_config(config_words(parse(["--fetch", f"--interval={text}: 'x'"])))
    assert interval == {"interval": f"{text}: 'x'"}


def test_odd_values_arrive_through_the_shell_and_snakemake(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "a" folder: 50 % #1'
    folder.mkdir()
    timefmt = "-%d. {x} \"q\" 'p' \\ 🕯\n%H:%M"
    printed = succeed(folder, "--fetch", "--timefmt", timefmt)
    assert settings(folder)["plots"]["timefmt"] == timefmt
    shown = shlex.split(next(line for line in printed.splitlines() if line.startswith("exec.sh: ")))
    assert Path(shown[1]).name == "snakemake"
    assert parse_config(shown[shown.index("--config") + 1 :][:1])["plots"]["timefmt"] == timefmt


def test_the_help_lists_every_flag_and_the_key_it_sets() -> None:
    done = execute("--train", "--epoch", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = re.findall(r"^  (?:-h, )?(--[\w-]+)(.*)$", done.stdout, flags=re.MULTILINE)
    assert [flag for flag, _ in listed] == [*TARGETS, "--clean", *SETTINGS, *FOLDERS, *OPTIONS]
    assert all(f"[{key}]" in dict(listed)[flag] for flag, (_, key, _) in SETTINGS.items())


def test_the_translator_needs_nothing_but_python() -> None:
    tree = ast.parse((ROOT / "scripts" / "dag" / "cli.py").read_text(), feature_version=(3, 9))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert set(modules) <= set(sys.stdlib_module_names)


@pytest.mark.usefixtures("no_run")
def test_a_decision_leaves_the_models_as_they_are_unless_they_are_too_old() -> None:
    last = LastRun(data="data", derive=[], allowed_rules=[], forced_rules=[], kept=[])
    words = call("--decide", "--as-of", "latest", last=last)
    assert words[1:3] == ["ledger_append", "run_config"]
    assert words[words.index("-R") + 1 : words.index("--rerun-triggers") + 2] == [
        *("data/as_of/live.json", "--rerun-triggers", "software-env")
    ]
    ancient = words[words.index("--consider-ancient") + 1 : words.index("--config")]
    # every rule before the decision has its modules among what is no reason to run
    assert {word.partition("=")[0]: word.endswith("code") for word in ancient} == dict.fromkeys(NOT_DATA, True)
    again = call("--decide", last=last._replace(outdated="they are trained anew"))
    assert again[3:] == ["-R", "data/as_of/train.json", "data/as_of/live.json"]
    with pytest.raises(FlagError, match="argument --decide: not allowed with --full, --settle; run it alone"):
        call("--decide", "--full", "--settle")


@pytest.mark.parametrize("flag", sorted(TARGETS.keys() - {"--consensus-live", "--decide"}))
@pytest.mark.usefixtures("no_run")
def test_a_stage_is_a_target_and_writes_its_settings(flag: str) -> None:
    assert call(flag, "--days", "3", cores=3) == ["-j3", *TARGETS[flag].split(), "run_config", "--config", "days=3"]


@pytest.mark.usefixtures("no_run")
def test_stages_are_in_the_pipeline_s_order_and_once() -> None:
    later = ["--consensus-plot", "--plots", "--consensus-eval", "--consensus", "--consensus-live", "--eval"]
    targets = [
        "fetch",
        "features",
        "train",
        "predict",
        "evaluate",
        "score_paths",
        "backtest",
        "consensus",
        "sample_paths",
    ]
    targets += ["forecast_prices"]
    targets += ["audit", "plots", "plot_consensus"]
    arguments = call(*later, "--predict", "--train", "--features", "--fetch", "--cores=5")
    assert arguments == ["-j5", *targets, "run_config"]
    assert call("--full", "--use-singularity") == ["-j1", "all", "run_config", "--use-singularity"]


def test_every_stage_plans_and_no_option_swallows_a_target(tmp_path: Path) -> None:
    files = ["--configfile", "config/live.yaml", "--configfile=config/tiny.yaml"]
    # --decide and --settle are run alone
    stages = {flag: text for flag, text in TARGETS.items() if flag not in ("--decide", "--settle")}
    printed = succeed(tmp_path, *stages, *files, "--dry-run", extra=("--config", "days=3"))
    planned = {line.split()[0] for line in printed.splitlines() if line.split()[1:2] and line.split()[1].isdigit()}
    assert {*" ".join(stages.values()).split(), "run_config", "as_of"} <= planned
    assert "-R data/as_of/live.json" in printed
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        (["artifacts/x.json", "-j9"], ["artifacts/x.json", "-j9", "--config", "days=3"]),
        (["--config", "a=b", "--quiet"], ["--quiet", "--config", "days=3", "a=b"]),
        (["-C", "a=b", "--", "x.json"], ["x.json", "--config", "days=3", "a=b"]),
        (["--directory", "/x"], ["--directory", "/x", "--config", "days=3"]),
        (["-R", "all"], ["-R", "all", "--config", "days=3"]),
    ],
)
@pytest.mark.usefixtures("no_run")
def test_what_follows_two_dashes_goes_to_snakemake(extra: list[str], arguments: list[str]) -> None:
    assert call("--fetch", "--days", "3", "--", *extra) == ["-j1", "fetch", "run_config", *arguments]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--train --epoch 5", "unrecognized argument: --epoch; did you mean --epochs?"),
        ("--train --epoch=5", "unrecognized argument: --epoch; did you mean --epochs?"),
        ("--train --xyz", "unrecognized argument: --xyz; see ./exec.sh --help"),
        ("--train -n", "unrecognized argument: -n; see ./exec.sh --help"),
        (
            "--fetch --symbols BTCUSDT ETHUSDT",
            "unrecognized argument: ETHUSDT; a value of several words goes in quotes",
        ),
        ("train", "unrecognized argument: train; "),
        (
            "--train --epochs",
            "argument --epochs: expected one argument; a value that starts with - is written --epochs=-",
        ),
        ("--train --epochs --folds 2", "argument --epochs: expected one argument; "),
        ("--train --timefmt -- -n", "argument --timefmt: expected one argument; "),
        ("--train=3", "argument --train: ignored explicit argument '3'"),
        ("", "no stage is given; choose from --full, --fetch, "),
        ("--epochs 5", "no stage is given; choose from --full, --fetch, "),
        ("--clean --train --fetch", "argument --clean: not allowed with --fetch, --train; run it alone"),
        ("--train --epochs 5 --epochs=6", "argument --epochs: is given twice, 5 and 6; give it once"),
        ("--train --configfile no.yaml", f"argument --configfile: cannot read no.yaml in {ROOT}"),
        ("--train --configfile config", f"argument --configfile: cannot read config in {ROOT}"),
        ("--train -- --configfile no.yaml", f"argument --configfile: cannot read no.yaml in {ROOT}"),
    ],
)
def test_a_refusal_is_one_line_and_runs_nothing(words: str, line: str) -> None:
    assert refusal(*words.split()).startswith(line)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(FlagError, match=r"argument --timefmt: '\\udcff' is not valid UTF-8"):
        parse(["--plots", "--timefmt", "\udcff"])


def test_the_same_value_twice_is_no_mistake() -> None:
    assert parse(["--train", "--train", "--days=3", "--days", "3"]).settings == {"--days": "3"}


def test_without_snakemake_it_says_so() -> None:
    line = refusal("--train", "--skip-venv", path="/usr/bin:/bin", skip_venv="0")
    assert line.startswith("no snakemake on the PATH; ")


def test_a_snakemake_that_cannot_be_run_gets_one_line(tmp_path: Path) -> None:
    """As in an environment that was moved, or whose Python belongs to another user."""
    program = tmp_path / "snakemake"
    program.write_text("#!/no/such/python\n")
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"
    done = execute("--fetch", "--fresh", PATH=path)
    assert done.returncode == 2
    first, line = done.stderr.splitlines()
    assert first.startswith(f"exec.sh: {program} -j")
    assert line.startswith(f"exec.sh: cannot run {program}: No such file or directory; ")
    line = refusal("--plots", path=path)
    assert line.startswith(f"cannot run {tmp_path}/python3: No such file or directory; ")


def test_without_python_it_says_so() -> None:
    done = execute("--train", PYTHON="no-such-python")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("exec.sh: no-such-python: command not found; ")


def test_a_wrong_number_is_refused_by_the_config(tmp_path: Path) -> None:
    done = execute("--train", "--epochs", "x", "--", "--directory", str(tmp_path))
    assert done.returncode not in (0, 2)
    lines = [line for line in done.stderr.splitlines() if line.startswith("config: ")]
    assert len(lines) == 1
    assert lines[0].startswith("config: tft.epochs: ")
    assert "Traceback" not in done.stderr


def test_it_works_in_the_project_s_folder_wherever_it_is_called_from(tmp_path: Path) -> None:
    link = tmp_path / "a link.sh"
    link.symlink_to(ROOT / "exec.sh")
    for program in (link, Path(os.path.relpath(ROOT / "exec.sh", tmp_path))):
        done = execute("--fetch", "--check", "--configfile", "config/tiny.yaml", program=program, cwd=tmp_path)
        assert done.stdout.endswith(" fetch run_config --configfile config/tiny.yaml\n"), done.stderr


def test_a_check_without_an_environment_needs_none(tmp_path: Path) -> None:
    """As docker/pipeline.sh checks its flags on a host that has Docker alone, after a run."""
    project = tmp_path / "project"
    for name in ("exec.sh", "scripts/dag/cli.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes((ROOT / name).read_bytes())
    (project / "exec.sh").chmod(0o755)
    (project / "artifacts").mkdir()
    (project / "artifacts" / "run.yaml").write_text("horizon: 3\n")
    program = project / "exec.sh"
    done = execute("--check", "--fresh", "--fetch", program=program, SKIP_VENV="0")
    assert (done.returncode, done.stderr) == (0, "")
    done = execute("--check", "--fetch", program=program, SKIP_VENV="0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "argument --check: .venv is not set up" in done.stderr


def test_a_call_continues_with_the_last_run_s_settings(tmp_path: Path) -> None:
    printed = succeed(tmp_path, "--fetch", "--epochs", "5", "--symbols", "BTCUSDT", "--seed", "1 2")
    assert "continuing" not in printed
    printed = succeed(tmp_path, "--train", "--folds", "2", "--symbols", "ETHUSDT")
    kept = [line for line in printed.splitlines() if "continuing with" in line]
    assert len(kept) == 1
    assert "tft.epochs=5" in kept[0] and "tft.seeds=[1, 2]" in kept[0]
    assert "symbols" not in kept[0] and "folds" not in kept[0] and "horizon" not in kept[0]
    config = settings(tmp_path)
    assert (config["tft"]["epochs"], config["tft"]["seeds"], config["folds"]["count"]) == (5, [1, 2], 2)
    assert config["symbols"] == ["ETHUSDT"]
    # what the symbols decided is not kept from the run before
    assert config["consensus"]["symbol"] == "ETHUSDT"


def test_what_was_derived_is_derived_again(tmp_path: Path) -> None:
    succeed(tmp_path, "--fetch", "--horizon", "24", extra=("--config", "tft={stride: 30}", "--until", "run_config"))
    config = settings(tmp_path)
    assert (config["folds"]["embargo"], config["consensus"]["horizon_minutes"], config["tft"]["stride"]) == (24, 24, 30)
    succeed(tmp_path, "--eval", "--horizon", "12", "--interval", "5m", "--days", "60")
    config = settings(tmp_path)
    assert (config["folds"]["embargo"], config["consensus"]["horizon_minutes"], config["tft"]["stride"]) == (12, 60, 30)
    succeed(tmp_path, "--eval", "--horizon", "6", "--cons-horizon-m", "10")
    assert settings(tmp_path)["consensus"]["horizon_minutes"] == 10


def test_a_wrong_flag_is_not_blamed_on_the_last_run(tmp_path: Path) -> None:
    succeed(tmp_path, "--fetch")
    assert refusal("--eval", "--epochs", "x", "--", "--directory", str(tmp_path)).startswith("config: tft.epochs: ")


def test_fresh_and_config_files_start_from_the_config(tmp_path: Path) -> None:
    for words in (["--fresh"], ["--configfile", "config/tiny.yaml"]):
        succeed(tmp_path, "--fetch", "--epochs", "5")
        assert "continuing" not in succeed(tmp_path, "--fetch", *words)
        assert settings(tmp_path)["tft"]["epochs"] != 5
    succeed(tmp_path, "--fetch", "--fresh", "--epochs", "5")
    extra = ("--configfile", "config/live.yaml", "--config", "exchange={id: simulated}", "--until", "run_config")
    succeed(tmp_path, "--fetch", extra=extra)
    config = settings(tmp_path)
    assert config["tft"]["epochs"] == DEFAULTS["tft"]["epochs"]
    assert config["exchange"]["options"] != {}


def test_a_run_continues_in_its_folder_alone(tmp_path: Path) -> None:
    folders = ["--data-dir", "b/data", "--artifacts-dir", "b/art"]
    succeed(tmp_path, "--fetch", "--epochs", "5", *folders)
    succeed(tmp_path, "--fetch")
    assert settings(tmp_path)["tft"]["epochs"] == DEFAULTS["tft"]["epochs"]
    # run.yaml has the other folders
    printed = succeed(tmp_path, "--consensus-live", "--artifacts-dir", "b/art/")
    assert "-R b/data/as_of/live.json" in printed
    assert settings(tmp_path, "b/art")["tft"]["epochs"] == 5
    assert settings(tmp_path, "b/art")["paths"]["data"] == "b/data"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("days: [", "run.yaml: not a YAML file: while parsing "),
        ("- a", "run.yaml: not a mapping of settings"),
        ("tft: {epoch: 3}", "run.yaml: tft.epoch: "),
        ("horizon: -3", "run.yaml: horizon: "),
    ],
)
def test_a_damaged_record_of_the_last_run_gets_one_line(tmp_path: Path, content: str, line: str) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "run.yaml").write_text(content)
    refused = refusal("--fetch", "--", "--directory", str(tmp_path))
    assert line in refused
    assert refused.endswith("; --fresh starts from the config")
    succeed(tmp_path, "--fetch", "--fresh")


def test_branches_decide_one_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "branches.yaml"
    file.write_text("branches: [{horizon: 30}, {horizon: 60}]\n")
    refused = refusal("--consensus-live", "--configfile", str(file), "--", "--directory", str(tmp_path))
    assert refused == "argument --consensus-live: takes one branch at a time: --artifacts-dir artifacts/BRANCH"


def test_clean_deletes_what_the_last_run_made(tmp_path: Path) -> None:
    succeed(tmp_path, "--fetch", "--seed", "4")
    assert "Would delete artifacts/run.yaml" in succeed(tmp_path, "--clean", "--dry-run", extra=())
    assert "Deleting artifacts/run.yaml" in succeed(tmp_path, "--clean", extra=())
    left = [path for path in tmp_path.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    assert {path.parent.parent.name for path in left} <= {"logs"}


def test_the_pipeline_refuses_before_any_container() -> None:
    pipeline = ROOT / "docker" / "pipeline.sh"
    wrong = execute("--epoch", "3", program=pipeline)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "did you mean --epochs?" in wrong.stderr
    dead = execute("--epochs", "3", program=pipeline, DOCKER_HOST="unix:///no/such/engine")
    assert (dead.returncode, dead.stderr.count("\n")) == (2, 1)
    assert dead.stderr.startswith("pipeline.sh: no Docker engine answers; ")
    assert execute("--help", program=pipeline, cwd=Path("/")).stdout.startswith("usage: docker/pipeline.sh")


def test_the_pipeline_ends_at_the_first_stage_that_fails(tmp_path: Path) -> None:
    engine = tmp_path / "docker"
    engine.write_text('#!/bin/sh\necho "$*"\ncase "$*" in *stage_predict*) exit 7 ;; esac\n')
    engine.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{ENVIRONMENT['PATH']}"
    done = execute("--timefmt", "%H %M", program=ROOT / "docker" / "pipeline.sh", cwd=tmp_path, PATH=path)
    services = ["stage_fetch", "stage_process", "stage_predict"]
    assert done.stdout.splitlines() == [f"compose run --rm {name} --timefmt %H %M" for name in services]
    assert done.returncode == 7
    assert "step 3 of 5: stage_predict" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("pipeline.sh: stage_predict failed with exit code 7; ")
