"""The DAG: every variant plans, names agree, nothing before the audit needs the outcome, mistakes get one line."""

import re
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from dag.sources import sources
from support.workflow import ROOT, STAGES, loaded, planned, snakemake

VARIANTS = sorted({path.name for path in (ROOT / "config").glob("*.yaml")} - {"config.yaml"})


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The rules of a run, and those that branches share."""
    folder = tmp_path_factory.mktemp("dag")
    with loaded(folder) as run, loaded(folder, branches=[{"horizon": 30}]) as branches:
        shared = [rule for rule in branches.rules if not rule.name.startswith("1m_30_")]
        return [*run.rules, *(rule for rule in shared if rule.name not in {rule.name for rule in run.rules})]


@pytest.fixture(scope="module")
def jobs(rules: list[Any]) -> dict[str, Any]:
    """By name those rules that run a script."""
    return {rule.name: rule for rule in rules if rule.script}


def test_default_plans_every_stage(tmp_path: Path) -> None:
    jobs = planned(snakemake(tmp_path, "-n", "-j1").stdout)
    assert jobs["train_tft"] == 4
    assert jobs["predict_tft"] == 4
    assert jobs["predict_oracle"] == 3
    assert jobs["fetch_candles"] == jobs["make_features"] == 2
    assert {"evaluate", "consensus", "audit", "summary", "plot_evaluation", "plot_forecast", "plot_consensus"} <= set(
        jobs
    )
    assert jobs["sample_paths"] == jobs["score_paths"] == jobs["plot_paths"] == jobs["backtest"] == 1
    assert jobs["backtest_fold"] == 3
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


class Size:
    """A job's input of so many MB."""

    def __init__(self, size_mb: float) -> None:
        self.size_mb = size_mb


def arguments(function: Any, **given: Any) -> dict[str, Any]:
    """Those that the function takes, as Snakemake calls it."""
    return {name: given[name] for name in signature(function).parameters}


def needed(folder: Path, *targets: str) -> set[str]:
    """The files that the targets are made of, directly or not."""
    lines = snakemake(folder, "--summary", *targets).stdout.splitlines()
    return {line.split("\t")[0] for line in lines[1:]}


def test_nothing_before_the_audit_needs_the_outcome(tmp_path: Path) -> None:
    files = needed(tmp_path, "artifacts/mock_trade.json", "artifacts/evaluation.json", "predict")
    assert {"artifacts/forecasts/live/tft.parquet", "artifacts/forecasts/live/paths.parquet"} <= files
    after = needed(tmp_path, "artifacts/mock_eval.json") - files
    assert {name for name in after if name.startswith("data/outcome/")}
    assert not [name for name in files if name.startswith("data/outcome/") or "mock_eval" in name]


def test_training_needs_no_candles_of_the_decision(tmp_path: Path) -> None:
    files = needed(tmp_path, "train")
    assert "data/candles/train/BTCUSDT.parquet" in files
    assert not [name for name in files if name.startswith(("data/candles/live", "data/features/live"))]


def test_the_oracle_is_no_part_of_a_decision(tmp_path: Path) -> None:
    files = needed(tmp_path, "artifacts/mock_trade.json")
    assert "artifacts/forecasts/0/oracle.parquet" in files
    assert "artifacts/forecasts/live/oracle.parquet" not in files


def test_rule_script_log_and_benchmark_share_a_name(jobs: dict[str, Any]) -> None:
    for name, rule in jobs.items():
        assert rule.script == f"../scripts/{name}.py"
        # to Snakemake a benchmark is an output: a rule without any would not run again
        logs = [*rule.log, rule.benchmark] if name != "ledger_verify" else [*rule.log]
        assert [str(log).split("/")[:3] for log in logs] == [["artifacts", "logs", name]] * len(logs)
        assert set(sources(ROOT / "scripts" / f"{name}.py")) <= set(map(str, rule.input)), name
        assert rule.message, name


def test_a_job_asks_for_its_memory_and_time(jobs: dict[str, Any]) -> None:
    """Those that Slurm may kill for more of both when they are tried again."""
    heavy = {"make_features", "train_tft", "predict_tft", "predict_baselines", "predict_oracle", "ensemble", "evaluate"}
    heavy |= {"predict_plugin", "trial_features", "trial_member", "trial_tft", "trial_ensemble"}
    heavy |= {"sample_paths", "score_paths", "backtest_fold"}
    given = {"wildcards": None, "input": Size(100)}
    for name, rule in jobs.items():
        for resource in ("mem_mb", "runtime"):
            amount = rule.ruleinfo.resources[1][resource]
            if name in heavy:
                first, third = (amount(**arguments(amount, **given, attempt=attempt)) for attempt in (1, 3))
                assert third == 3 * first > 0, name
            else:
                assert callable(amount) or amount > 0, name


def test_heavy_rules_run_in_the_image_plots_and_the_report_on_the_host(jobs: dict[str, Any]) -> None:
    for name, rule in jobs.items():
        on_host = name.startswith("plot_") or name == "report"
        assert bool(rule.container_img) is not on_host, name
        assert bool(rule.conda_env) is on_host, name
        if on_host:
            assert rule.ruleinfo.localrule, name


def test_what_needs_the_network_or_decides_is_never_tried_again(jobs: dict[str, Any]) -> None:
    once = {name for name, rule in jobs.items() if rule.ruleinfo.retries == 0}
    # and what is there to fail
    ledger = {"ledger_append", "ledger_settle", "ledger_verify"}
    assert once == {"as_of", "fetch_candles", "consensus", "fetch_outcome", "audit", "leak_trial", *ledger}
    assert all(jobs[name].ruleinfo.localrule for name in once)


def test_every_script_is_a_rule_s(jobs: dict[str, Any]) -> None:
    assert {path.stem for path in (ROOT / "scripts").glob("*.py")} == set(jobs)


def test_every_rule_has_a_docstring(rules: list[Any]) -> None:
    assert [rule.name for rule in rules if not rule.docstring] == []


def test_an_imported_module_is_an_input() -> None:
    found = {str(Path(path).relative_to(ROOT / "scripts")) for path in sources(ROOT / "scripts" / "train_tft.py")}
    assert {"forecasting/tft/network.py", "market/indicators.py", "common/files.py"} <= found
    assert "trading/costs.py" not in found


# lowest first: what stands beside each other imports nothing of the other
LAYERS = [["common"], ["market"], ["forecasting"], ["plotting", "trading"], ["dag", "reporting"]]
PACKAGES = {package for layer in LAYERS for package in layer}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    layer = next(place for place, names in enumerate(LAYERS) if package in names)
    allowed = {package, *(below for names in LAYERS[:layer] for below in names)}
    paths = list((ROOT / "scripts" / package).rglob("*.py"))
    assert paths
    for path in paths:
        imported = set(re.findall(r"^ *(?:from|import) (\w+)", path.read_text(), flags=re.MULTILINE))
        assert imported & PACKAGES <= allowed, path


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("tft={epoch: 3}", "config: tft.epoch: unknown key; did you mean epochs?"),
        ("days=1", "config: days: 1 of 1m bars are 1440; "),
    ],
)
def test_a_mistake_ends_in_one_line_and_no_traceback(setting: str, line: str, tmp_path: Path) -> None:
    done = snakemake(tmp_path, "-n", "-j1", "--config", setting, check=False)
    assert done.returncode != 0
    lines = (done.stdout + done.stderr).strip().splitlines()
    ours = [text for text in lines if not text.startswith(("Using workflow", "Config file"))]
    assert len(ours) == 1
    assert ours[0].startswith(line)


def test_candle_files_are_inputs_but_not_what_the_run_makes(tmp_path: Path) -> None:
    """Their folder may hold the run's own files, and names with braces, which to Snakemake are wildcards."""
    files = ("{new} BTC-USDT.CSV", "ETHUSDT.csv", "data/candles/live/ETHUSDT.parquet", "data/as_of/train.json")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    with loaded(tmp_path, exchange={"id": "replay", "folder": str(tmp_path)}) as run:
        (fetch,) = (rule for rule in run.rules if rule.name == "fetch_candles")
    assert [Path(file).name for file in fetch.input.files] == ["ETHUSDT.csv"]


def test_thirty_symbols_are_the_jobs_that_the_docs_count(tmp_path: Path) -> None:
    """The table of docs/container-orchestration.md against a dry run: more candles, and no more trainings."""
    page = (ROOT / "docs" / "container-orchestration.md").read_text()
    (section,) = re.findall(r"^### Thirty symbols$(.*?)^### ", page, flags=re.MULTILINE | re.DOTALL)
    (config,) = re.findall(r"^```yaml\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "thirty.yaml").write_text(config)
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([\d, ]+) \|", section, flags=re.MULTILINE)
    told = {
        name.strip("`"): int(count)
        for names, counts in rows
        for name, count in zip(names.split(", "), counts.split(", "), strict=True)
    }
    done = snakemake(tmp_path, "-n", "--configfile", str(tmp_path / "thirty.yaml"))
    jobs = planned(done.stdout + done.stderr)
    assert len(told) == 13 and {name: jobs[name] for name in told} == told
