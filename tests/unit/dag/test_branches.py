"""Several branches in one run: one DAG, folders and settings of their own, and each is what it would be alone."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.settings.types import ResourceSettings

from common.errors import UserError
from dag.branches import share_settings
from dag.settings import as_config, resolve_all
from support.configs import DEFAULTS, resolve, with_keys
from support.engines import SMALL, call
from support.workflow import ROOT, STAGES, artifacts, planned, snakemake

TINY = str(ROOT / "config" / "tiny.yaml")
MINUTES = {"interval": "1m", "horizon": 12}
FIVES = {"interval": "5m", "horizon": 6, "days": 15, "symbols": ["ETHUSDT"]}


def configured(folder: Path, *branches: dict[str, Any]) -> list[str]:
    """Options for a small config with these branches."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(SMALL | {"branches": list(branches)}))
    return ["-j2", "--configfile", TINY, str(folder / "mine.yaml")]


def by_branch(jobs: dict[str, int]) -> dict[str, dict[str, int]]:
    """Planned jobs by branch; those of none, which all branches share, by no name."""
    found: dict[str, dict[str, int]] = {}
    for name, count in jobs.items():
        branch, rule = re.fullmatch(r"(?:(\d+[mhd]_\d+)_)?(\w+)", name).groups(default="")  # type: ignore[union-attr]
        found.setdefault(branch, {})[rule] = count
    return found


# --- settings ---


def test_without_branches_there_is_one_run_as_ever() -> None:
    assert resolve_all(DEFAULTS).runs == {"": resolve(DEFAULTS)}


def test_a_branch_is_merged_into_what_stands_around_it() -> None:
    branches = [{"interval": "1h", "horizon": 24, "days": 365, "tft": {"epochs": 3}}, {"horizon": "30"}]
    runs = resolve_all(with_keys(branches=branches, tft__dropout=0.5)).runs
    assert list(runs) == ["1h-24", "1m-30"]
    hours, minutes = runs.values()
    assert (hours["days"], minutes["days"]) == (365, 30)
    assert (hours["tft"]["epochs"], hours["tft"]["dropout"], minutes["tft"]["epochs"]) == (3, 0.5, 12)
    assert (hours["consensus"]["horizon_minutes"], minutes["folds"]["embargo"]) == (24 * 60, 30)
    assert hours["paths"] == {
        "data": "data/1h-24", "artifacts": "artifacts/1h-24", "logs": "lightning_logs/1h-24", "store": "data/store"
    }  # fmt: skip


def test_what_a_branch_resolved_to_is_the_config_of_a_run_alone() -> None:
    for settings in resolve_all(with_keys(branches=[{}, {"horizon": 30}])).runs.values():
        assert resolve_all(as_config(settings)).runs == {"": settings}


def test_two_spellings_of_a_branch_are_one_config() -> None:
    one = {"symbols": ["ETH/USDT"], "horizon": 30, "tft": {"epochs": 3, "dropout": 0.5}}
    other = {"tft": {"dropout": "0.5", "epochs": "3"}, "horizon": 30.0, "symbols": ["ethusdt"]}
    resolved = resolve_all(with_keys(branches=[one])), resolve_all(with_keys(branches=[other]))
    assert repr(resolved[0]) == repr(resolved[1])
    # as it was given: what the branch does not set is not among it
    assert resolved[0].config["branches"] == [one | {"symbols": ["ETHUSDT"]}]
    assert resolve_all(resolved[0].config) == resolved[0]


@pytest.mark.parametrize(
    ("branches", "said"),
    [
        (
            [{"interval": "1m"}, {"horizon": 60}],
            "branches.1: is 1m-60, as branches.0 is; change its interval or horizon",
        ),
        ([{}, {"horizn": 3}], "branches.1.horizn: unknown key; did you mean horizon?"),
        ([{"tft": {"epoch": 3}}], "branches.0.tft.epoch: unknown key; did you mean epochs?"),
        ([{"tft": None}], "branches.0.tft: invalid value None; it must be a mapping"),
        ([{"days": 1}], "branches.0.days: 1 of 1m bars are 1440; "),
        ([{"branches": [{"horizon": 3}]}], "branches.0.branches: is the same for all branches"),
        ([{"paths": {"data": "x"}}], "branches.0.paths: is the same for all branches; set it for the whole run"),
        ([{"exchange": {"id": "binance"}}], "branches.0.exchange: is the same for all"),
        ([{"image": "x.sif"}], "branches.0.image: is the same for all"),
        ([3], "branches.0: invalid value 3; it must be a mapping of settings such as"),
        ({"interval": "5m"}, "branches: invalid value .*; it must be a list of mappings"),
        (None, "branches: invalid value None; it must be a list"),
    ],
)
def test_a_mistake_in_a_branch_gets_one_line_that_names_it(branches: Any, said: str) -> None:
    with pytest.raises(UserError, match=f"^{said}") as caught:
        resolve_all(with_keys(branches=branches))
    assert "\n" not in str(caught.value)


def test_a_mistake_outside_branches_is_not_blamed_on_one() -> None:
    for changes, said in (
        ({"horizn": 3}, "horizn: unknown"),
        ({"exchange__data_end": "soon"}, "exchange.data_end: inv"),
    ):
        with pytest.raises(UserError, match=f"^{said}"):
            resolve_all(with_keys(**changes, branches=[{}]))


# --- the DAG ---


def test_all_branches_are_in_one_dag(tmp_path: Path) -> None:
    jobs = by_branch(planned(snakemake(tmp_path, "-n", *configured(tmp_path, MINUTES, FIVES)).stdout))
    assert set(jobs.pop("")) == {"all", "branches", "run_config", "total"}
    assert set(jobs) == {"1m_12", "5m_6"}
    assert (jobs["1m_12"]["train_tft"], jobs["5m_6"]["train_tft"]) == (2, 2)
    assert jobs["1m_12"]["fetch_candles"] == jobs["5m_6"]["fetch_candles"] == 2
    assert set(jobs["1m_12"]) == set(jobs["5m_6"])


def test_a_branch_plans_what_a_run_alone_does(tmp_path: Path) -> None:
    alone = planned(snakemake(tmp_path, "-n", "-j2").stdout)
    branch = by_branch(planned(snakemake(tmp_path, "-n", "-j2", "--config", "branches=[{interval: 1m}]").stdout))
    assert branch["1m_60"] == {rule: count for rule, count in alone.items() if rule not in ("all", "total")}


def test_a_stage_is_that_of_every_branch_and_a_file_that_of_one(tmp_path: Path) -> None:
    options = configured(tmp_path, MINUTES, FIVES)
    jobs = by_branch(planned(snakemake(tmp_path, "-n", *options, "--", *STAGES, "plot_consensus").stdout))
    assert {*STAGES, "plot_consensus", "total"} == set(jobs[""])
    assert jobs["1m_12"]["audit"] == jobs["5m_6"]["audit"] == 1
    for one in ("artifacts/5m-6/mock_eval.json", "5m_6_train"):
        jobs = by_branch(planned(snakemake(tmp_path, "-n", *options, "--", one).stdout))
        assert "5m_6" in jobs
        assert "1m_12" not in jobs


def test_threads_and_resources_set_for_a_rule_hold_in_every_branch() -> None:
    more, most = {"mem_mb": 7000}, {"mem_mb": 8000}
    settings = ResourceSettings(
        overwrite_threads={"train_tft": 2}, overwrite_resources={"evaluate": more, "5m_6_evaluate": most}
    )
    share_settings(settings, ["1m-12", "5m-6"])
    assert settings.overwrite_threads == {"train_tft": 2, "1m_12_train_tft": 2, "5m_6_train_tft": 2}
    resources = {name: settings.overwrite_resources[name] for name in ("1m_12_evaluate", "5m_6_evaluate")}
    assert resources == {"1m_12_evaluate": more, "5m_6_evaluate": most}


def test_a_mistake_ends_in_one_line_and_no_traceback(tmp_path: Path) -> None:
    done = snakemake(tmp_path, "-n", "-j1", "--config", "branches=[{horizon: 60}, {interval: 1m}]", check=False)
    assert done.returncode != 0
    told = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("Using", "Config file"))]
    assert len(told) == 1
    assert told[0].startswith("config: branches.1: is 1m-60, as branches.0 is; ")


# --- a run ---


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of two branches."""
    folder = tmp_path_factory.mktemp("branches")
    snakemake(folder, *configured(folder, MINUTES, FIVES))
    return folder


def test_each_branch_leaves_every_artifact_in_its_folders(done: Path) -> None:
    expected = ["run.yaml", "evaluation.csv", "mock_trade.json", "mock_eval.json", "summary.txt", "plots/consensus.png"]
    for branch in ("1m-12", "5m-6"):
        assert {f"artifacts/{branch}/{name}" for name in expected} <= set(artifacts(done))
    made = {name for name in artifacts(done) if "/1m-12/" not in name and "/5m-6/" not in name}
    assert made == {"artifacts/run.yaml", "artifacts/branches.txt"}
    for branch, bar in ("1m-12", "1m"), ("5m-6", "5m"):
        assert json.loads((done / "artifacts" / branch / "mock_eval.json").read_text())["interval"] == bar
        assert len(list((done / "lightning_logs" / branch).rglob("metrics.csv"))) == 2


def test_the_branches_stand_side_by_side(done: Path) -> None:
    head, *rows = (done / "artifacts" / "branches.txt").read_text().splitlines()
    assert head.split()[0] == "branch"
    assert [row.split()[:2] for row in rows] == [["1m-12", "(SIMULATED)"], ["5m-6", "(SIMULATED)"]]


def left_to_do(done: Path, *options: str) -> set[str]:
    """The branches that a dry run would work on, and the shared rules."""
    told = snakemake(done, "-n", *options).stdout
    jobs = {} if "Nothing to be done" in told else by_branch(planned(told))
    return {branch for branch in jobs if branch} | set(jobs.get("", {})) - {"all", "total"}


def test_nothing_is_left_to_do_however_the_run_goes_on(done: Path) -> None:
    assert left_to_do(done, *configured(done, MINUTES, FIVES)) == set()
    # other spellings of the same values
    spelt = configured(done, MINUTES | {"horizon": "12"}, FIVES | {"days": 15.0, "symbols": ["eth/usdt"]})
    assert left_to_do(done, *spelt, "--config", "symbols=[btcusdt, ETHUSDT]", "as_of=latest") == set()
    assert left_to_do(done, "-j2", "--configfile", str(done / "artifacts/run.yaml")) == set()
    for branch in ("1m-12", "5m-6"):
        assert left_to_do(done, "-j2", "--configfile", str(done / f"artifacts/{branch}/run.yaml")) == set()


def test_an_edit_of_one_branch_is_of_no_matter_to_the_others(done: Path) -> None:
    shared = {"branches", "run_config"}
    assert left_to_do(done, *configured(done, MINUTES, FIVES | {"tft": {"epochs": 2}})) == {"5m_6", *shared}
    assert left_to_do(done, *configured(done, MINUTES | {"consensus": {"cash": 5}}, FIVES)) == {"1m_12", *shared}
    assert left_to_do(done, *configured(done, MINUTES, FIVES, FIVES | {"horizon": 8})) == {"5m_8", *shared}
    assert left_to_do(done, *configured(done, FIVES, MINUTES)) == shared
    assert left_to_do(done, *configured(done, FIVES)) == shared


def execute(done: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Call ./exec.sh on the run, as from its folder."""
    return call([str(ROOT / "exec.sh"), *words, "--", "--directory", str(done)], check=check)


def test_a_branch_decides_anew_alone(done: Path) -> None:
    """As `make refresh ARTIFACTS=artifacts/5m-6` does."""
    recipe = call(["make", "-n", "refresh", f"ARTIFACTS={done}/artifacts/5m-6"]).stdout
    flags = ["--full", "--consensus-live"]
    assert f"./exec.sh {' '.join(flags)} " in recipe
    assert f"--artifacts-dir {done}/artifacts/5m-6" in recipe
    plan = execute(done, *flags, "--artifacts-dir", "artifacts/5m-6", "--dry-run")
    assert "-R data/5m-6/as_of/live.json" in plan.stderr
    jobs = planned(plan.stdout)
    assert "consensus" in jobs
    assert "train_tft" not in jobs


def test_all_branches_do_not_decide_anew_at_once(done: Path) -> None:
    refused = execute(done, "--consensus-live", check=False)
    assert refused.returncode == 2
    assert refused.stderr.endswith("takes one branch at a time: --artifacts-dir artifacts/BRANCH\n")


def test_the_figures_and_audits_of_all_branches_are_drawn_at_once(done: Path) -> None:
    plan = execute(done, "--plots", "--consensus-eval", "--dry-run", "--timefmt", "%H")
    jobs = by_branch(planned(plan.stdout))
    for branch in ("1m_12", "5m_6"):
        assert {"plot_evaluation", "plot_forecast", "plot_consensus", "plot_paths", "plot_backtest"} >= set(
            jobs[branch]
        ) - {"run_config"}
        assert {"plot_forecast", "plot_consensus"} <= set(jobs[branch])
