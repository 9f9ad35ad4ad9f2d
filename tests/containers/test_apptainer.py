"""`snakemake --use-singularity` in real Apptainer, from a checkout with the SIF built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.engines import TINY, call, copy_project, shell
from support.workflow import ROOT, artifacts, differing, snakemake

MARK = """
import os, pathlib
if os.path.exists("/.singularity.d"):
    pathlib.Path(os.environ.get("MARK", "mark")).touch()
"""


@pytest.fixture(scope="module")
def contained(sif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run in Apptainer, in a checkout of its own."""
    folder = copy_project(tmp_path_factory.mktemp("apptainer"), tiny=False)
    os.link(sif, folder / sif.name)
    shell(folder, "snakemake --use-singularity -j4 --configfile config/tiny.yaml")
    return folder


def test_it_gives_the_bytes_of_a_run_without_containers(contained: Path, host_run: Path) -> None:
    assert differing(artifacts(contained), artifacts(host_run)) == []


def test_what_it_writes_is_the_user_s_and_nothing_else_is_left(contained: Path) -> None:
    written = [path for top in ("data", "artifacts", "lightning_logs") for path in (contained / top).rglob("*")]
    assert (contained / "lightning_logs" / "fold-live-tft-seed1" / "metrics.csv") in written
    assert {path.stat().st_uid for path in written} == {os.getuid()}
    left = {path.name for path in contained.iterdir()} - {path.name for path in ROOT.iterdir()}
    assert left <= {"data", "artifacts", "lightning_logs", ".snakemake"}


def test_nothing_is_left_to_do(contained: Path) -> None:
    told = call(["snakemake", "--use-singularity", "-j4", "-n", "--configfile", "config/tiny.yaml"], contained)
    assert "Nothing to be done" in told.stdout


def test_jobs_ran_in_the_image_and_plots_on_the_host(contained: Path, sif: Path) -> None:
    log = next((contained / ".snakemake" / "log").glob("*.log")).read_text()
    assert log.count(f"Activating singularity image {sif.name}") > 10
    # the words of jobs side by side run into each other: the plots alone once more
    again = ["--forcerun", "plot_evaluation", "plot_forecast", "plot_consensus", "--", "plots"]
    told = call(["snakemake", "--use-singularity", "-j1", "--configfile", "config/tiny.yaml", *again], contained)
    said = told.stdout + told.stderr
    assert said.count(": Plotting ") == 3
    assert "Activating" not in said


def test_the_host_s_environment_stays_out(sif: Path, tmp_path: Path) -> None:
    """A PYTHONPATH that reaches the container leaves a mark there: with the profile it does not, without it does."""
    (tmp_path / "sitecustomize.py").write_text(MARK)
    for name, args in (("clean", []), ("open", ["--apptainer-args="])):
        folder = tmp_path / name
        folder.mkdir()
        command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), *TINY]
        call([*command, "--use-singularity", *args, "artifacts/run.yaml"], folder, PYTHONPATH=str(tmp_path))
    assert not list((tmp_path / "clean").glob("mark"))
    assert list((tmp_path / "open").glob("mark"))


def test_a_missing_sif_is_told_before_the_first_job(apptainer: str, tmp_path: Path) -> None:
    done = snakemake(tmp_path, *TINY, "--use-singularity", "--config", "image=gone.sif", check=False)
    assert done.returncode != 0
    assert "config: image: gone.sif does not exist; build it with: SIF=gone.sif make image" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "artifacts").exists()


def test_no_apptainer_is_told_before_the_first_job(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name not in ("apptainer", "singularity"):
            (tmp_path / "bin" / program.name).symlink_to(program)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    path = {"PATH": str(tmp_path / "bin")}
    done = subprocess.run([*command, *TINY, "--use-singularity"], env=path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "neither apptainer nor singularity is installed" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_folders_outside_the_working_folder_are_seen(sif: Path, tmp_path: Path, host_run: Path) -> None:
    """Candle files and outputs elsewhere on the host, through a symbolic link too."""
    work, far = tmp_path / "work", tmp_path / "far"
    work.mkdir()
    far.mkdir()
    (work / "data").symlink_to(far)
    snakemake(work, *TINY, "--use-singularity", "--config", f"paths={{artifacts: '{tmp_path}/out'}}", "--", "fetch")
    name = "candles/live/BTCUSDT.parquet"
    assert (far / name).read_bytes() == (host_run / "data" / name).read_bytes()
    assert (tmp_path / "out" / "logs").is_dir()
