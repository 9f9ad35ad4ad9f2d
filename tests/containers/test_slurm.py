"""The workflow on a real Slurm: few submissions, the same bytes, and nothing lost when the scheduler kills a job."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.engines import lacking
from support.workflow import ROOT, artifacts, differing, snakemake

TINY = ["--configfile", str(ROOT / "config" / "tiny.yaml")]
SLURM = ["--profile", str(ROOT / "profiles" / "slurm")]
SUBMITTED = re.compile(r"has been submitted with SLURM jobid \d+")
MODEL = "artifacts/models/live/tft-seed1.ckpt"


def answer(*command: str) -> str:
    """Output of a Slurm command; nothing when it is not there or fails."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture(scope="module", autouse=True)
def cluster() -> None:
    """A Slurm that answers."""
    if not answer("sinfo", "--noheader").strip():
        lacking("no Slurm: sinfo is not there or answers nothing")


def output(folder: Path, *arguments: str, check: bool = True) -> tuple[int, str]:
    """Exit code of a call of snakemake, and all that it prints."""
    done = snakemake(folder, *arguments, check=check)
    return done.returncode, done.stdout + done.stderr


def test_a_run_on_slurm_gives_the_same_bytes(host_run: Path, tmp_path: Path) -> None:
    _, text = output(tmp_path, *SLURM, *TINY, "--slurm-keep-successful-logs")
    # as the profile is, with accounting or without
    without_accounting = "accounting_storage/none" in answer("scontrol", "show", "config")
    going_on = "(sacct): going on as with --slurm-status-command squeue --slurm-no-account"
    assert (going_on in text) is without_accounting
    assert differing(artifacts(tmp_path), artifacts(host_run)) == []
    # three groups of short jobs, and a training a model
    trainings = len(list((tmp_path / "artifacts" / "models").glob("*/*.ckpt")))
    assert len(SUBMITTED.findall(text)) == 3 + trainings
    # and one Snakemake a submission, whatever runs in it
    logs = [path.read_text() for path in tmp_path.glob(".snakemake/slurm_logs/**/*.log")]
    assert [log.count("Building DAG of jobs") for log in logs] == [1] * (3 + trainings)


def test_a_run_on_slurm_in_containers_gives_the_same_bytes(host_run: Path, sif: Path, tmp_path: Path) -> None:
    contained = ["--use-singularity", "--apptainer-args=--cleanenv", "--config", f"image={sif}"]
    _, text = output(tmp_path, *SLURM, *TINY, *contained)
    ran, expected = artifacts(tmp_path, "artifacts/run.yaml"), artifacts(host_run, "artifacts/run.yaml")
    assert differing(ran, expected) == []
    assert "Activating singularity image" in text


def test_trainings_in_an_array_are_each_trained(host_run: Path, tmp_path: Path) -> None:
    array = ["--slurm-array-jobs", "train_tft", "--slurm-array-limit", "10"]
    output(tmp_path, *SLURM, *TINY, *array, "--", "train")
    models, expected = (
        {path.parent.name: path.read_bytes() for path in (folder / "artifacts" / "models").glob("*/*.ckpt")}
        for folder in (tmp_path, host_run)
    )
    assert models == expected


def test_a_training_killed_by_time_goes_on_where_it_was(tmp_path: Path) -> None:
    # longer than Slurm lets a minute's job live: up to a minute and a half
    long = ["--config", "tft={epochs: 90, steps_per_epoch: 100, patience: 90}", "--", MODEL]
    first_a_minute = ["--set-resources", "train_tft:runtime=1+9*(attempt-1)"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with ThreadPoolExecutor() as pool:
        undisturbed = pool.submit(snakemake, whole, "-j1", *TINY, *long)
        _, text = output(killed, *SLURM, *TINY, *first_a_minute, *long)
        undisturbed.result()
    assert "SLURM status is: 'TIMEOUT'" in text
    assert "DUE TO TIME LIMIT" in text
    assert "Trying to restart job" in text
    log = (killed / "artifacts" / "logs" / "train_tft" / "live-tft-seed1.log").read_text()
    assert re.search(r"resumed after epoch \d+", log)
    assert differing(artifacts(killed), artifacts(whole)) == []


def test_a_training_killed_by_memory_is_reported_and_tried_with_more(host_run: Path, tmp_path: Path) -> None:
    config = answer("scontrol", "show", "config")
    if not re.search(r"OverMemoryKill|ConstrainRAMSpace\s*=\s*yes", config):
        lacking("this Slurm does not hold a job to its memory; docs/container-orchestration.md says how it would")
    _, text = output(tmp_path, *SLURM, *TINY, "--set-resources", "train_tft:mem_mb=attempt*400", "--", MODEL)
    # without cgroups Slurm's state is FAILED alone, and Snakemake shows no log after an empty one: then the log says it
    logs = "".join(path.read_text() for path in tmp_path.glob(".snakemake/slurm_logs/**/*.log"))
    assert re.search(r"SLURM-job '\d+' failed", text)
    assert re.search(r"Exceeded job memory limit|OUT_OF_MEMORY|oom.kill", text + logs)
    assert "Trying to restart job" in text
    assert (tmp_path / MODEL).read_bytes() == (host_run / MODEL).read_bytes()


def test_a_wrong_partition_is_refused_in_one_line(tmp_path: Path) -> None:
    code, text = output(tmp_path, *SLURM, *TINY, "--default-resources", "slurm_partition=nowhere", check=False)
    assert code != 0
    lines = [line for line in text.splitlines() if "nowhere" in line]
    assert len(lines) == 1
    assert "--default-resources slurm_partition" in lines[0]
    assert "Traceback" not in text


def test_a_training_alone_asks_for_a_gpu_when_the_device_is_one(tmp_path: Path) -> None:
    # with no GPU here it is refused or fails: what counts is what was asked for
    gpu = ["--config", "tft={device: gpu}", "--retries", "0", "--verbose", "--", MODEL]
    _, text = output(tmp_path, *SLURM, *TINY, *gpu, check=False)
    calls = re.findall(r"sbatch call: (sbatch .*?) --wrap", text)
    assert any("rule_train_tft" in call for call in calls)
    assert all(("--gpus=1" in call) == ("rule_train_tft" in call) for call in calls)
