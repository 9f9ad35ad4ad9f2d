"""./exec.sh: every flag arrives where it should, exactly; a wrong one costs one line and nothing else."""

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import parse_config

from dag.cli import FLAGS, KNOBS, STAGES, FlagError, config_words, translate, usage
from dag.settings import as_config
from support.configs import resolve
from support.workflow import ROOT

DEFAULTS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
ENVIRONMENT = os.environ | {
    "SKIP_VENV": "1",
    "PYTHON": sys.executable,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}


def display_name(
    *words: str, program: Path = ROOT / "exec.sh", cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Call ./exec.sh, with snakemake from the environment that the tests run in."""
    return subprocess.run(
        [program, *words], cwd=cwd, env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=120
    )


def ran(folder: Path, *words: str, extra: tuple[str, ...] = ("--until", "run_config")) -> str:
    """Call it with all its folders below `folder`, by default for run.yaml alone: what it printed."""
    places = [f"--data-dir={folder}/data", f"--artifacts-dir={folder}/art"]
    done = display_name(*places, *words, "--", "--directory", str(folder), *extra)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def resolved(folder: Path) -> dict[str, Any]:
    """The config of the last run in `folder`."""
    return yaml.safe_load((folder / "art" / "run.yaml").read_text())


def at(config: dict[str, Any], key: str) -> Any:
    """The value of a dotted key."""
    for part in key.split("."):
        config = config[part]
    return config


@pytest.fixture
def no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a run: the project's own may hold one, which a call that looks back goes on from."""
    monkeypatch.chdir(tmp_path)


GIVEN = {
    "--symbols": ("BTCUSDT, SOLUSDT,XRP/USDT", ["BTCUSDT", "SOLUSDT", "XRPUSDT"]),
    "--interval": ("5m", "5m"),
    "--days": ("40.5", 40.5),
    "--lookback": ("24", 24),
    "--horizon": ("12", 12),
    "--epochs": ("5", 5),
    "--folds": ("2", 2),
    "--batch-size": ("32", 32),
    "--device": ("cpu", "cpu"),
    "--seed": ("3 1,2", [3, 1, 2]),
    "--timefmt": ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M"),
    "--cons-symbol": ("SOL/USDT", "SOLUSDT"),
    "--cons-horizon-m": ("30", 30),
    "--cons-cash": ("250", 250),
    "--cons-comm": ("0.075", 0.075),
    "--cons-edge": ("-0.1", -0.1),
    "--cons-pad-min": ("10", 10),
}


def test_every_knob_arrives_in_the_config(tmp_path: Path) -> None:
    folder = tmp_path / "a run's"
    folder.mkdir()
    assert {*GIVEN, "--data-dir", "--artifacts-dir"} == set(KNOBS)
    ran(folder, "--fetch", *(word for flag, (text, _) in GIVEN.items() for word in (flag, text)))
    config = resolved(folder)
    for flag, (_, value) in GIVEN.items():
        assert at(config, KNOBS[flag].key) == value, flag
    assert config["paths"] == {
        "data": f"{folder}/data",
        "artifacts": f"{folder}/art",
        "logs": f"{folder}/art/lightning_logs",
    }
    assert config["exchange"] == DEFAULTS["exchange"]


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
def test_odd_values_arrive_as_they_are(text: str) -> None:
    folder = text.translate(str.maketrans("{}", "()"))  # braces are refused in folders
    words = config_words({"--timefmt": text, "--data-dir": folder, "--artifacts-dir": "art/"}, own_logs=True)
    given = parse_config(words)
    settings = resolve(
        DEFAULTS | given | {key: DEFAULTS[key] | value for key, value in given.items() if isinstance(value, dict)}
    )
    assert as_config(settings)["plots"]["timefmt"] == text
    assert settings["paths"] == {"data": folder, "artifacts": "art", "logs": "art/lightning_logs"}
    assert parse_config(config_words({"--data-dir": text}, own_logs=True))["paths"]["data"] == text
    assert parse_config(config_words({"--interval": f"{text}: 'x'"}, own_logs=True)) == {"interval": f"{text}: 'x'"}


def test_odd_values_arrive_through_the_shell_and_snakemake(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "a" folder: 50 % #1'
    folder.mkdir()
    timefmt = "-%d. {x} \"q\" 'p' \\ 🕯\n%H:%M"
    said = ran(folder, "--fetch", "--timefmt", timefmt)
    assert resolved(folder)["plots"]["timefmt"] == timefmt
    assert resolved(folder)["paths"]["artifacts"] == f"{folder}/art"
    call = shlex.split(next(line for line in said.splitlines() if line.startswith("exec.sh: ")))
    assert call[1] == "snakemake"
    assert parse_config(call[call.index("--config") + 1 :][:2])["plots"]["timefmt"] == timefmt


def test_the_help_names_every_flag_with_the_config_s_defaults() -> None:
    done = display_name("--train", "--epoch", "--help")
    assert (done.returncode, done.stdout, done.stderr) == (0, usage(), "")
    assert all(f"  {flag} " in usage() for flag in FLAGS)
    for flag, knob in KNOBS.items():
        default = at(DEFAULTS, knob.key)
        texts = map(str, default if knob.several else ["null" if default is None else default])
        assert knob.default == " ".join(texts), flag


def test_the_translator_needs_nothing_but_python() -> None:
    tree = ast.parse((ROOT / "scripts" / "dag" / "cli.py").read_text(), feature_version=(3, 9))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert set(modules) <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("flag", sorted({*STAGES} - {"--clean", "--consensus-live"}))
@pytest.mark.usefixtures("no_run")
def test_a_stage_is_a_target_and_asks_for_the_config_too(flag: str) -> None:
    assert translate([flag, "--days", "3"], cores=3) == ["-j3", STAGES[flag].target, "run_config", "--config", "days=3"]


@pytest.mark.usefixtures("no_run")
def test_a_live_decision_takes_its_moment_anew() -> None:
    call = translate(["--consensus-live", "--data-dir", "./x y/"], cores=1)
    assert call == ["-j1", "consensus", "run_config", "-R", "x y/as_of/live.json", "--config", 'paths={data: "x y"}']


def test_stages_go_in_the_pipeline_s_order_and_once() -> None:
    asked = [
        "--consensus-plot",
        "--plots",
        "--consensus-eval",
        "--consensus",
        "--consensus-live",
        "--eval",
        "--predict",
    ]
    targets = ["fetch", "features", "train", "predict", "evaluate", "consensus", "audit", "plots", "plot_consensus"]
    call = translate([*asked, "--train", "--features", "--fetch", "--cores=5"], cores=1)
    assert call == ["-j5", *targets, "run_config", "-R", "data/as_of/live.json"]
    assert translate(["--full", "--use-singularity"], cores=1) == ["-j1", "all", "run_config", "--use-singularity"]


def test_every_stage_plans_and_no_option_swallows_a_target(tmp_path: Path) -> None:
    stages = [flag for flag in STAGES if flag != "--clean"]
    files = ["--configfile", "config/live.yaml", "--configfile=config/tiny.yaml"]
    said = ran(tmp_path, *stages, *files, "--dry-run", extra=("--config", "days=3"))
    planned = {line.split()[0] for line in said.splitlines() if line.split()[1:2] and line.split()[1].isdigit()}
    assert {"all", *(stage.target for stage in STAGES.values()), "run_config", "as_of"} <= planned
    assert not (tmp_path / "art").exists()


@pytest.mark.parametrize(
    ("extra", "call"),
    [
        (["artifacts/x.json", "-j9"], ["artifacts/x.json", "-j9", "--config", "days=3"]),
        (["--config", "a=b", "--quiet"], ["--config", "days=3", "a=b", "--quiet"]),
        (["-C", "a=b"], ["-C", "days=3", "a=b"]),
    ],
)
def test_what_follows_two_dashes_goes_to_snakemake(extra: list[str], call: list[str]) -> None:
    assert translate(["--fetch", "--days", "3", "--", *extra], cores=2) == ["-j2", "fetch", "run_config", *call]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--train --epoch 5", "--epoch: there is no such flag; did you mean --epochs?"),
        ("--train --xyz", "--xyz: there is no such flag; ./exec.sh --help lists them"),
        ("--train -n", "-n: there is no such flag; ./exec.sh --help lists them"),
        ("--fetch --symbols BTCUSDT ETHUSDT", "ETHUSDT: belongs to no flag; a value of several words goes in quotes: "),
        ("train", "train: belongs to no flag; "),
        ("--train --epochs", "--epochs: its value is missing; "),
        ("--train --epochs --folds 2", "--epochs: its value is missing; "),
        ("--train --timefmt -- -n", "--timefmt: its value is missing; "),
        ("--train=3", "--train: takes no value, and --train=3 gives it one"),
        ("--train --skip-venv=", "--skip-venv: takes no value, and --skip-venv= gives it one"),
        ("", "no stage is given; there are --full, --fetch, "),
        ("--epochs 5", "no stage is given; there are --full, --fetch, "),
        ("--clean --train --fetch", "--clean: goes alone; leave out --fetch, --train"),
        ("--train --epochs 5 --epochs=6", "--epochs: is given twice, 5 and 6; give it once"),
        ("--train --configfile no.yaml", f"--configfile: there is no file no.yaml in {ROOT}"),
    ],
)
def test_a_refusal_is_one_line_and_runs_nothing(words: str, said: str) -> None:
    done = display_name(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"exec.sh: {said}")
    assert done.stderr.count("\n") == 1


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(FlagError, match="--timefmt: '\\\\udcff' is no UTF-8 text"):
        translate(["--plots", "--timefmt", "\udcff"], cores=1)


def test_the_same_value_twice_is_no_mistake() -> None:
    assert translate(["--train", "--train", "--days=3", "--days", "3"], cores=1)[-1] == "days=3"


def test_without_snakemake_it_says_so() -> None:
    done = display_name("--train", "--skip-venv", PATH="/usr/bin:/bin", SKIP_VENV="0")
    assert done.returncode == 2
    assert done.stderr.startswith("exec.sh: there is no snakemake on the PATH; ")
    assert done.stderr.count("\n") == 1


def test_without_python_it_says_so() -> None:
    done = display_name("--train", PYTHON="no-such-python")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("exec.sh: there is no no-such-python; ")


def test_a_wrong_number_is_the_config_s_to_say(tmp_path: Path) -> None:
    done = display_name("--train", "--epochs", "x", f"--artifacts-dir={tmp_path}", "--", "--directory", str(tmp_path))
    assert done.returncode not in (0, 2)
    told = [
        line for line in done.stderr.splitlines() if not line.startswith(("exec.sh: ", "Using work", "Config file"))
    ]
    assert told == ["config: tft.epochs: invalid value 'x'; it must be a whole number, 1 or more"]


def test_it_works_in_its_own_folder_wherever_it_is_called_from(tmp_path: Path) -> None:
    link = tmp_path / "a link.sh"
    link.symlink_to(ROOT / "exec.sh")
    for program in (link, Path(os.path.relpath(ROOT / "exec.sh", tmp_path))):
        done = display_name("--fetch", "--check", "--configfile", "config/tiny.yaml", program=program, cwd=tmp_path)
        assert done.stdout.endswith(" fetch run_config --configfile config/tiny.yaml\n"), done.stderr


def test_looking_back_goes_on_from_the_last_run_s_config(tmp_path: Path) -> None:
    ran(tmp_path, "--fetch", "--epochs", "5", "--symbols", "BTCUSDT")
    # the candles' folder is not said again: run.yaml says it
    places, inside = f"--artifacts-dir={tmp_path}/art/", ("--", "--directory", str(tmp_path))
    done = display_name("--consensus-live", "--cons-edge=1", places, *inside, "--until", "run_config")
    assert done.returncode == 0, done.stderr
    assert f"-R {tmp_path}/data/as_of/live.json --config" in done.stderr
    config = resolved(tmp_path)
    assert (config["tft"]["epochs"], config["symbols"]) == (5, ["BTCUSDT"])
    assert (config["consensus"]["min_edge_pct"], config["paths"]["data"]) == (1, f"{tmp_path}/data")


def test_only_looking_back_does(tmp_path: Path) -> None:
    last = tmp_path / "run.yaml"
    last.write_text("paths:\n  artifacts: x\n  data: 'quoted'\n")
    places = ["--artifacts-dir", str(tmp_path)]
    for flag in ("--plots", "--consensus-eval", "--consensus-plot", "--clean"):
        call = translate([flag, *places], cores=1)
        assert call[call.index("--configfile") + 1] == str(last)
        assert f"paths={{artifacts: {tmp_path}}}" in call
    for words in (["--plots", "--train"], ["--full"], ["--consensus"]):
        assert "--configfile" not in translate([*words, *places], cores=1)
    own = translate(["--plots", "--configfile", "config/tiny.yaml", *places], cores=1)
    assert own[own.index("--configfile") + 1] == "config/tiny.yaml"
    with pytest.raises(FlagError, match=f"{last} sets paths; say its folder of candles here too"):
        translate(["--consensus-live", *places], cores=1)


def test_clean_deletes_what_the_last_run_made(tmp_path: Path) -> None:
    ran(tmp_path, "--fetch", "--seed", "4")
    kept = ran(tmp_path, "--clean", "--dry-run", extra=())
    assert f"Would delete {tmp_path}/art/run.yaml" in kept
    assert f"Deleting {tmp_path}/art/run.yaml" in ran(tmp_path, "--clean", extra=())
    left = [path for path in tmp_path.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    assert {path.parent.parent.name for path in left} <= {"logs"}


def test_the_pipeline_refuses_before_any_container() -> None:
    pipeline = ROOT / "docker" / "pipeline.sh"
    wrong = display_name("--epoch", "3", program=pipeline)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "did you mean --epochs?" in wrong.stderr
    dead = display_name("--epochs", "3", program=pipeline, DOCKER_HOST="unix:///no/such/engine")
    assert (dead.returncode, dead.stderr.count("\n")) == (2, 1)
    assert dead.stderr.startswith("pipeline.sh: no Docker engine answers; ")
    assert display_name("--help", program=pipeline, cwd=Path("/")).stdout.startswith("Usage: docker/pipeline.sh")


def test_the_pipeline_ends_at_the_first_stage_that_fails(tmp_path: Path) -> None:
    engine = tmp_path / "docker"
    engine.write_text('#!/bin/sh\necho "$*"\ncase "$*" in *stage_predict*) exit 7 ;; esac\n')
    engine.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{ENVIRONMENT['PATH']}"
    done = display_name("--timefmt", "%H %M", program=ROOT / "docker" / "pipeline.sh", cwd=tmp_path, PATH=path)
    services = ["stage_fetch", "stage_process", "stage_predict"]
    assert done.stdout.splitlines() == [f"compose run --rm {name} --timefmt %H %M" for name in services]
    assert done.returncode == 7
    assert "step 3 of 5: stage_predict" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("pipeline.sh: stage_predict failed with exit code 7; ")
