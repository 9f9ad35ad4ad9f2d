"""The ways that people run it: each works, or is refused in one line that says what to do."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from support.engines import SMALL, copy_project, merge, shrink
from support.workflow import ROOT, artifacts, planned, snakemake

TINY = ROOT / "config" / "tiny.yaml"
NOTHING = "Nothing to be done"
# made in a second
CHEAP = "data/as_of/train.json"
ONE = {"symbols": ["BTCUSDT"]}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose path has blanks, and whose config is small."""
    folder = copy_project(tmp_path_factory.mktemp("a check out") / "crypto forecast", tiny=True)
    return shrink(folder, **ONE)


@pytest.fixture(scope="module")
def done(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of that checkout, in another folder whose path has blanks. Nothing may be changed in it."""
    folder = tmp_path_factory.mktemp("my run")
    snakemake(folder, "-j2", snakefile=checkout / "Snakefile")
    return folder


def call(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, snakemake being this Python's, and the rest of the environment as it is."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path, **env}, capture_output=True, text=True, timeout=300
    )


def refusal(run: subprocess.CompletedProcess[str]) -> str:
    """The one line in which a call is refused; Snakemake says on others which profile and config it read."""
    assert run.returncode == 1, run.stdout + run.stderr
    news = ("Using ", "Config file ", "Assuming ", "Building DAG", "LockException:")
    lines = [line for line in (run.stdout + run.stderr).splitlines() if line and not line.startswith(news)]
    assert len(lines) == 1, run.stdout + run.stderr
    return lines[0]


# --- where the checkout is, and how its Snakefile is named ---


def test_a_path_with_blanks_is_as_good_as_any(done: Path) -> None:
    assert (done / "artifacts" / "summary.txt").exists()
    assert (done / "artifacts" / "plots" / "consensus.png").exists()


def test_a_run_is_the_same_however_its_snakefile_is_named(checkout: Path, done: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").symlink_to(checkout)
    (tmp_path / "Snakefile").symlink_to(checkout / "Snakefile")
    relative = Path(os.path.relpath(checkout / "Snakefile", Path.cwd()))
    for snakefile in (checkout / "Snakefile", relative, tmp_path / "folder" / "Snakefile", tmp_path / "Snakefile"):
        assert NOTHING in snakemake(done, "-n", snakefile=snakefile).stdout, snakefile
    assert NOTHING in call(done, "snakemake", "-n", "-s", str(checkout / "Snakefile")).stdout


def test_a_checkout_that_is_moved_goes_on_with_its_run(checkout: Path, tmp_path: Path) -> None:
    here = copy_project(tmp_path / "here", tiny=True)
    assert call(here, "snakemake", "-j1", CHEAP).returncode == 0
    here.rename(tmp_path / "there")
    assert NOTHING in call(tmp_path / "there", "snakemake", "-n", CHEAP).stdout


def test_a_target_needs_no_number_of_cores(tmp_path: Path) -> None:
    """As docs and users write it; a number that is given holds."""
    here = copy_project(tmp_path / "here", tiny=True)
    cores = len(os.sched_getaffinity(0))
    assert f"Provided cores: {cores}" in call(here, "snakemake", CHEAP).stderr
    assert "Provided cores: 3" in call(here, "snakemake", "-j3", "data/as_of/live.json").stderr
    assert "Provided cores: 5" in call(here, "snakemake", "--cores", "5", "artifacts/run.yaml").stderr


# --- as a module of another workflow ---

# the example of the docs
PAGE = (ROOT / "docs" / "container-orchestration.md").read_text()
IMPORTING = PAGE.split("## As a module of another workflow\n\n```python\n")[1].split("```\n")[0]


def importing(folder: Path, snakefile: str, needed: str, config: dict[str, object]) -> Path:
    """A workflow with this one as a module, which needs one of its files: its Snakefile."""
    (folder / "config.yaml").write_text(yaml.safe_dump({"forecast": config}))
    text = IMPORTING.replace('"/path/to/crypto-forecast/Snakefile"', snakefile)
    text = text.replace("artifacts/mock_eval.json", needed)
    assert snakefile in text and needed in text
    path = folder / "Snakefile"
    path.write_text(f'configfile: "config.yaml"\n{text}')
    return path


def test_it_is_a_module_of_another_workflow(checkout: Path, tmp_path: Path) -> None:
    tiny = yaml.safe_load(TINY.read_text())
    snakefile = importing(tmp_path, repr(str(checkout / "Snakefile")), "artifacts/mock_trade.json", tiny)
    jobs = planned(snakemake(tmp_path, "-n", snakefile=snakefile).stdout)
    assert (jobs["forecast_train_tft"], jobs["forecast_consensus"], jobs["mine"]) == (3, 1, 1)

    importing(tmp_path, repr(str(checkout / "Snakefile")), CHEAP, tiny)
    assert "forecast_as_of" in snakemake(tmp_path, "-j1", snakefile=snakefile).stderr
    assert (tmp_path / "mine.txt").read_text() == (tmp_path / CHEAP).read_text()
    assert NOTHING in snakemake(tmp_path, "-n", snakefile=snakefile).stdout


def test_a_module_may_have_branches(checkout: Path, tmp_path: Path) -> None:
    config = merge(yaml.safe_load(TINY.read_text()), {"branches": [{"horizon": 6}, {"interval": "5m", "days": 15}]})
    snakefile = importing(tmp_path, repr(str(checkout / "Snakefile")), "artifacts/branches.txt", config)
    done = snakemake(tmp_path, "-n", "--set-threads", "train_tft=2", snakefile=snakefile).stdout
    jobs = planned(done)
    assert jobs["forecast_1m_6_audit"] == jobs["forecast_5m_12_audit"] == jobs["forecast_branches"] == 1
    assert "5m-12: Deciding" in done


def test_a_failure_in_a_module_leaves_nothing_that_passes_for_made(checkout: Path, tmp_path: Path) -> None:
    snakefile = importing(tmp_path, repr(str(checkout / "Snakefile")), CHEAP, {})
    snakemake(tmp_path, "-j1", snakefile=snakefile)
    importing(tmp_path, repr(str(checkout / "Snakefile")), CHEAP, {"symbols": ["NOPE/USDT"]})
    assert snakemake(tmp_path, "-j1", snakefile=snakefile, check=False).returncode == 1
    # Snakemake has put back the file that was there, which is of other symbols
    assert (tmp_path / CHEAP).exists()
    assert planned(snakemake(tmp_path, "-n", snakefile=snakefile).stdout)["forecast_as_of"] == 1


def test_a_module_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    here = copy_project(tmp_path / "here", tiny=True)
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b.c commit -qm one"):
        assert call(here, "git", *command.split()).returncode == 0
    commit = call(here, "git", "rev-parse", "HEAD").stdout.strip()
    (tmp_path / "run").mkdir()
    snakefile = importing(tmp_path / "run", f"gitfile({str(here)!r}, path='Snakefile', commit={commit!r})", CHEAP, {})
    line = refusal(snakemake(tmp_path / "run", "-n", snakefile=snakefile, check=False))
    assert "is not in a checkout; clone the project" in line


# --- two runs in one folder ---


@contextmanager
def running(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A run that is at work in `folder`, in a process group of its own."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder), "-j1"]
    with subprocess.Popen(
        [*command, "fetch", "--configfile", str(TINY)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        try:
            until = time.monotonic() + 60
            while not list(folder.glob(".snakemake/locks/*")):
                assert run.poll() is None and time.monotonic() < until
                time.sleep(0.05)
            yield run
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)


def test_two_runs_in_one_folder_do_not_get_in_each_other_s_way(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        os.killpg(first.pid, signal.SIGSTOP)  # it must not end before the second one asks
        line = refusal(snakemake(tmp_path, "-j1", "fetch", "--configfile", str(TINY), check=False))
        assert line.startswith(f"{tmp_path}: locked by another run; wait until it ends")
        os.killpg(first.pid, signal.SIGCONT)
        assert first.wait(120) == 0
    assert NOTHING in snakemake(tmp_path, "-n", "fetch", "--configfile", str(TINY)).stdout


def test_the_lock_of_a_killed_run_is_removed_by_the_command_that_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    with running(folder) as run:
        os.killpg(run.pid, signal.SIGKILL)
    line = refusal(snakemake(folder, "-j1", CHEAP, "--configfile", str(TINY), check=False))
    command = shlex.split(line.split("unlock it: ")[1])
    assert command[:2] == ["snakemake", "--unlock"]
    assert call(tmp_path, *command).returncode == 0
    snakemake(folder, "-j1", CHEAP, "--configfile", str(TINY))


def test_in_the_checkout_the_command_is_short(tmp_path: Path) -> None:
    here = copy_project(tmp_path / "here", tiny=True)
    locks = here / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text(f"{CHEAP}\n")
    assert refusal(call(here, "snakemake", CHEAP)).endswith("unlock it: snakemake --unlock")


# --- Snakemake's options ---


def test_until_stops_there(tmp_path: Path) -> None:
    jobs = planned(snakemake(tmp_path, "-n", "--until", "ensemble").stdout)
    assert jobs["ensemble"] == 4
    assert not {"evaluate", "consensus", "audit", "all"} & set(jobs)


def test_a_batch_is_a_part(tmp_path: Path) -> None:
    whole = planned(snakemake(tmp_path, "-n", "predict").stdout)
    batch = planned(snakemake(tmp_path, "-n", "predict", "--batch", "predict=1/3").stdout)
    assert 0 < batch["ensemble"] < whole["ensemble"]


def test_touch_makes_nothing_and_leaves_nothing_to_do(checkout: Path, done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert call(tmp_path, "cp", "-a", str(done), str(folder)).returncode == 0
    before, other = artifacts(folder), ["--config", "consensus={cash: 5}"]
    assert "consensus" in planned(snakemake(folder, "-n", *other, snakefile=checkout / "Snakefile").stdout)
    snakemake(folder, "-j1", "--touch", *other, snakefile=checkout / "Snakefile")
    assert NOTHING in snakemake(folder, "-n", *other, snakefile=checkout / "Snakefile").stdout
    assert artifacts(folder) == before


def test_reruns_by_date_alone_know_an_edited_module_and_no_other_config(
    checkout: Path, done: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    assert call(tmp_path, "cp", "-a", str(checkout), str(here)).returncode == 0
    by_date = ["-n", "--rerun-triggers", "mtime"]
    other = snakemake(done, *by_date, "--config", "tft={epochs: 5}", snakefile=here / "Snakefile").stdout
    assert NOTHING in other
    with (here / "scripts" / "trading" / "costs.py").open("a") as module:
        module.write("# edited\n")
    jobs = planned(snakemake(done, *by_date, snakefile=here / "Snakefile").stdout)
    assert "consensus" in jobs
    assert "train_tft" not in jobs


def test_a_report_is_written(checkout: Path, done: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    snakemake(done, "--report", str(page), snakefile=checkout / "Snakefile")
    text = page.read_text()
    assert all(name in text for name in ("train_tft", "evaluate", "plot_consensus"))


def test_containerize_names_the_image_that_there_is(tmp_path: Path) -> None:
    line = refusal(snakemake(tmp_path, "--containerize", check=False))
    assert line.startswith("--containerize: this workflow has an image; build it with docker compose build")


# --- config files as other systems write them ---


@pytest.mark.parametrize(
    "encode",
    [lambda text: text.replace("\n", "\r\n").encode(), lambda text: text.encode("utf-8-sig")],
    ids=["Windows line ends", "byte-order mark"],
)
def test_a_config_of_windows_is_the_same_config(encode: object, checkout: Path, done: Path, tmp_path: Path) -> None:
    assert callable(encode)
    file = tmp_path / "mine.yaml"
    file.write_bytes(encode(yaml.safe_dump(SMALL | ONE)))
    assert NOTHING in snakemake(done, "-n", "--configfile", str(file), snakefile=checkout / "Snakefile").stdout


# --- executors ---


@pytest.fixture
def no_slurm(tmp_path: Path) -> str:
    """A PATH with what a shell has, and without Slurm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "sh", "env", "which"):
        (folder / name).symlink_to(next(path for top in ("/bin", "/usr/bin") if (path := Path(top, name)).exists()))
    return str(folder)


def test_a_folder_named_slurm_is_no_cluster(tmp_path: Path, no_slurm: str) -> None:
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", "runs/slurm", "-j1"]
    run = subprocess.run([*command, CHEAP], cwd=tmp_path, env={**os.environ, "PATH": no_slurm}, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    assert (tmp_path / "runs" / "slurm" / CHEAP).exists()


def test_slurm_that_is_not_there_is_refused_before_the_first_job(tmp_path: Path, no_slurm: str) -> None:
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="needs envs/cluster.txt")
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(ROOT / "Snakefile"),
        "--profile",
        str(ROOT / "profiles/slurm"),
    ]
    plan, run = (
        subprocess.run(
            [*command, CHEAP, *more], cwd=tmp_path, env={**os.environ, "PATH": no_slurm}, capture_output=True, text=True
        )
        for more in (["-n"], [])
    )
    assert plan.returncode == 0
    assert refusal(run) == "slurm: there is no sbatch; run on a login node of the cluster, or without --profile"
    assert not (tmp_path / "data").exists()


# --- folders of an earlier version ---

EARLIER = {
    "artifacts/run.yaml": "combination:\n  weights: equal\nmodel:\n  epochs: 3\n",
    "artifacts/forecasts/0/consensus.parquet": "",
    "data/settle/BTCUSDT.parquet": "",
}
OF_EARLIER = "is of an earlier version of this workflow, whose results this version cannot read"


@pytest.mark.parametrize("sign", sorted(EARLIER))
def test_folders_of_an_earlier_version_are_refused_and_left(sign: str, tmp_path: Path) -> None:
    (tmp_path / sign).parent.mkdir(parents=True)
    (tmp_path / sign).write_text(EARLIER[sign])
    line = refusal(snakemake(tmp_path, "-j1", CHEAP, check=False))
    result = "data/settle" if sign.startswith("data/settle") else sign
    assert line == f"config: {result}: {OF_EARLIER}; choose other folders (paths), or delete artifacts and data"
    kept = [path for folder in ("artifacts", "data") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert kept == [tmp_path / sign]
    other = "paths={data: new/data, artifacts: new/artifacts}"
    assert planned(snakemake(tmp_path, "-n", "--config", other).stdout)


def test_a_branch_in_the_folder_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "run.yaml").write_text("branches:\n- horizon: 30\nmodel:\n  epochs: 3\n")
    line = refusal(snakemake(tmp_path, "-n", "--config", "branches=[{horizon: 20}]", check=False))
    assert line.startswith(f"config: artifacts/run.yaml: {OF_EARLIER}; ")
    assert line.endswith("or delete artifacts and data")


# --- what goes wrong in a job ---


def test_an_unforeseen_error_s_traceback_is_in_the_log_that_the_terminal_names(tmp_path: Path) -> None:
    snakemake(tmp_path, "-j1", CHEAP, "--configfile", str(TINY))
    (tmp_path / CHEAP).write_text("{}")
    run = snakemake(tmp_path, "-j1", "fetch", "--configfile", str(TINY), check=False)
    assert run.returncode == 1
    line = r"^(?:as_of|fetch_candles): unexpected KeyError: 'as_of'; its traceback is in (artifacts/logs/\S+)$"
    named = re.search(line, run.stderr, re.MULTILINE)
    assert named, run.stderr
    assert "Traceback" not in run.stderr
    assert "Traceback (most recent call last):" in (tmp_path / named[1]).read_text()
