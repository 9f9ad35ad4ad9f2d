"""The DAG: every variant plans, names agree, nothing before the audit needs what came after, mistakes get one line."""

import re
from pathlib import Path

import pytest

from dag.sources import sources
from support.workflow import ROOT, STAGES, planned, snakemake

RULES = {
    match[1]: match[0]
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for match in re.finditer(r"^ *rule (\w+):\n(?:(?!^ *rule ).*\n)*", path.read_text(), flags=re.MULTILINE)
}
WITH_SCRIPT = {name: text for name, text in RULES.items() if "script:" in text}
VARIANTS = sorted({path.name for path in (ROOT / "config").glob("*.yaml")} - {"config.yaml"})


def test_default_plans_every_stage(tmp_path: Path) -> None:
    jobs = planned(snakemake(tmp_path, "-n", "-j1").stdout)
    assert jobs["train_tft"] == 4
    assert jobs["predict_tft"] == 4
    assert jobs["predict_oracle"] == 3
    assert jobs["fetch_candles"] == jobs["make_features"] == 4
    assert {"evaluate", "consensus", "audit", "summary", "plot_evaluation", "plot_forecast", "plot_consensus"} <= set(
        jobs
    )
    assert "interpret" not in jobs


def test_every_stage_is_a_target(tmp_path: Path) -> None:
    jobs = planned(snakemake(tmp_path, "-n", "-j1", *STAGES, "artifacts/mock_eval.json").stdout)
    assert {"fetch", "features", "train", "predict", "evaluate", "consensus", "audit", "plots"} <= set(jobs)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_ready_variant_plans(variant: str, tmp_path: Path) -> None:
    file = str(ROOT / "config" / variant)
    more = ["--config", f"exchange={{folder: '{tmp_path}'}}"] if variant == "replay.yaml" else []
    jobs = planned(snakemake(tmp_path, "-n", "-j1", "--configfile", file, *more).stdout)
    assert jobs["audit"] == 1
    assert jobs["predict_oracle"] == jobs["ensemble"] - 1


def test_the_command_line_merges_and_does_not_replace(tmp_path: Path) -> None:
    jobs = planned(snakemake(tmp_path, "-n", "-j1", "--config", "tft={epochs: 5}", "folds={count: 2}").stdout)
    assert jobs["train_tft"] == 3


@pytest.mark.parametrize(
    ("members", "trained", "predicted"),
    [("[random_walk]", 0, {"predict_baselines"}), ("[tft_raw, random_walk]", 4, {"predict_tft", "predict_baselines"})],
)
def test_members_are_those_that_are_asked_for(members: str, trained: int, predicted: set[str], tmp_path: Path) -> None:
    jobs = planned(snakemake(tmp_path, "-n", "-j1", "--config", f"members={members}").stdout)
    assert jobs.get("train_tft", 0) == trained
    assert {name for name in jobs if name.startswith("predict_")} == predicted | {"predict_oracle"}
    assert jobs["ensemble"] == 4


def needed(folder: Path, *targets: str) -> set[str]:
    """The files that the targets are made of, directly or not."""
    lines = snakemake(folder, "--summary", *targets).stdout.splitlines()
    return {line.split("\t")[0] for line in lines[1:]}


def test_nothing_before_the_audit_needs_what_came_after(tmp_path: Path) -> None:
    files = needed(tmp_path, "artifacts/mock_trade.json", "artifacts/evaluation.json", "predict")
    assert "artifacts/forecasts/live/tft.parquet" in files
    assert not [name for name in files if "fetch_outcome" in name or "mock_eval" in name]


def test_training_needs_no_candles_of_the_decision(tmp_path: Path) -> None:
    files = needed(tmp_path, "train")
    assert "data/candles/train/BTCUSDT.parquet" in files
    assert not [name for name in files if name.startswith(("data/candles/live", "data/features/live"))]


def test_the_oracle_is_no_part_of_a_decision(tmp_path: Path) -> None:
    files = needed(tmp_path, "artifacts/mock_trade.json")
    assert "artifacts/forecasts/0/oracle.parquet" in files
    assert "artifacts/forecasts/live/oracle.parquet" not in files


@pytest.mark.parametrize("name", sorted(WITH_SCRIPT))
def test_rule_script_log_and_benchmark_share_a_name(name: str) -> None:
    text = WITH_SCRIPT[name]
    assert f'"../scripts/{name}.py"' in text
    assert f'code=code("{name}")' in text
    assert re.search(rf'log:\n +f"{{ARTIFACTS}}/logs/{name}/', text)
    assert re.search(rf'benchmark:\n +f"{{ARTIFACTS}}/logs/{name}/', text)
    assert re.search(r'^ +"""', text, flags=re.MULTILINE)
    for part in ("threads:", "mem_mb=", "runtime=", "message:"):
        assert part in text, part
    assert (ROOT / "scripts" / f"{name}.py").is_file()


@pytest.mark.parametrize("name", sorted(WITH_SCRIPT))
def test_compute_rules_run_in_the_image_and_plots_on_the_host(name: str) -> None:
    text = WITH_SCRIPT[name]
    where = re.search(r"container:\n +(.+)\n", text)
    assert where is not None
    assert where[1] == ("None" if name.startswith("plot_") else 'SETTINGS["image"]')
    if name.startswith("plot_"):
        assert "localrule: True" in text


def test_every_script_is_a_rule_s() -> None:
    assert {path.stem for path in (ROOT / "scripts").glob("*.py")} == set(WITH_SCRIPT)


def test_every_rule_has_a_docstring() -> None:
    assert len(RULES) > 20
    for name, text in RULES.items():
        assert '"""' in text, name


def test_an_imported_module_is_an_input() -> None:
    found = {str(Path(path).relative_to(ROOT / "scripts")) for path in sources(ROOT / "scripts" / "train_tft.py")}
    assert {"forecasting/tft.py", "forecasting/windows.py", "market/indicators.py", "common/files.py"} <= found
    assert "trading/costs.py" not in found


ROOMS = ["common", "market", "forecasting", "trading", "dag"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_stands_below_it(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for path in (ROOT / "scripts" / room).glob("*.py"):
        rooms = set(re.findall(r"^ *(?:from|import) (\w+)", path.read_text(), flags=re.MULTILINE)) & set(ROOMS)
        assert rooms <= allowed, path


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("tft={epoch: 3}", "config: tft.epoch: unknown key; did you mean epochs?"),
        ("days=1", "config: days: 1 of 1m bars are 1440; "),
    ],
)
def test_a_mistake_ends_in_one_line_and_no_traceback(setting: str, said: str, tmp_path: Path) -> None:
    done = snakemake(tmp_path, "-n", "-j1", "--config", setting, check=False)
    assert done.returncode != 0
    told = (done.stdout + done.stderr).strip().splitlines()
    ours = [line for line in told if not line.startswith(("Using workflow", "Config file"))]
    assert len(ours) == 1
    assert ours[0].startswith(said)
