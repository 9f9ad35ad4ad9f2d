"""The patches of Snakemake and its plugins: made for the locked versions, and refused where what they patch is gone."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake import exceptions
from snakemake.deployment import containerize as snakemake_containerize
from snakemake.persistence import PersistenceBase
from snakemake.resources import Resources
from snakemake.rules import Rule
from snakemake.settings.types import ResourceSettings

from common.errors import UserError
from dag.image import locked
from dag.patches import ancient, containerize, cores, failures, kubernetes, lock, slurm

PLUGINS = {
    name: pytest.importorskip(f"snakemake_executor_plugin_{name}", reason="needs envs/cluster.txt")
    for name in ("kubernetes", "slurm")
}
PATCHED = {
    "snakemake": [ancient, containerize, cores, failures, lock],
    "snakemake-executor-plugin-kubernetes": [kubernetes],
    "snakemake-executor-plugin-slurm": [slurm],
}
# settings of a run on a cluster without accounting, as its command line leaves them
SETTINGS = {"status_command": "sacct", "no_account": False}


@pytest.mark.parametrize("name", sorted(PATCHED))
def test_what_is_installed_is_locked_and_named_by_its_patches(name: str) -> None:
    assert version(name) == locked()[name]
    major_minor = ".".join(version(name).split(".")[:2])
    for module in PATCHED[name]:
        text = " ".join(str(module.__doc__).split())
        assert f"({major_minor}" in text, module
        assert "nneeded once" in text, module


def without(owner: Any, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Takes away what a patch replaces."""
    return lambda monkeypatch: monkeypatch.delattr(owner, name)


def changed(owner: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Puts something else in the place of what a patch replaces."""
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


class Executor:
    """An executor that does none of what is patched."""

    def run(self) -> None: ...


@pytest.mark.parametrize(
    ("change", "patch", "missing"),
    [
        (
            changed(PersistenceBase, "cleanup", lambda: None),
            failures.check,
            "snakemake 9.27.1 has no parameter job of PersistenceBase.cleanup, ",
        ),
        (
            changed(Rule, "_set_inoutput_item", lambda: None),
            ancient.patch,
            "snakemake 9.27.1 has no parameter item of Rule._set_inoutput_item, ",
        ),
        (
            changed(exceptions.LockException, "__init__", lambda: None),
            lambda: lock.patch("Snakefile"),
            "snakemake 9.27.1 has no parameter self of LockException.__init__, ",
        ),
        (
            changed(snakemake_containerize, "containerize", lambda: None),
            containerize.patch,
            "snakemake 9.27.1 has no parameter dag of snakemake.deployment.containerize.containerize, ",
        ),
        (
            changed(PLUGINS["kubernetes"].Executor, "check_active_jobs", Executor.run),
            lambda: kubernetes.patch(None, PLUGINS["kubernetes"].Executor, None),
            "snakemake-executor-plugin-kubernetes 0.5.1 has no previous=True in Executor.check_active_jobs, ",
        ),
        (
            changed(PLUGINS["slurm"].Executor, "format_job_exec", Executor.run),
            lambda: slurm.patch(None, PLUGINS["slurm"].Executor, None),
            "snakemake-executor-plugin-slurm 2.8.0 has no parameter job of Executor.format_job_exec, ",
        ),
        (
            changed(PLUGINS["slurm"].Executor, "additional_general_args", Executor.run),
            lambda: slurm.patch(None, PLUGINS["slurm"].Executor, None),
            "snakemake-executor-plugin-slurm 2.8.0 has no --executor slurm-jobstep --jobs 1 in ",
        ),
        (
            without(PLUGINS["slurm"], "query_job_status_sacct"),
            lambda: slurm.check_status(PLUGINS["slurm"], SimpleNamespace(**SETTINGS)),
            "snakemake-executor-plugin-slurm 2.8.0 has no snakemake_executor_plugin_slurm.query_job_status_sacct, ",
        ),
        (
            lambda _: None,
            lambda: cores.use_all(SimpleNamespace(resource_settings=ResourceSettings(), global_resources={})),
            "snakemake 9.27.1 has no resource _cores",
        ),
    ],
)
def test_a_patch_of_what_is_gone_is_refused_in_one_line(
    change: Callable[[pytest.MonkeyPatch], None],
    patch: Callable[[], None],
    missing: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(monkeypatch)
    with pytest.raises(UserError) as caught:
        patch()
    assert str(caught.value).startswith(missing)
    assert str(caught.value).endswith("install the locked version: make cluster")
    assert "\n" not in str(caught.value)


# --- what Slurm is asked before the first job, of programs that answer as Slurm's do ---


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Programs of a cluster: what each prints, where, and its exit code."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def program(name: str, code: int = 0, out: str = "", err: str = "") -> None:
        path = tmp_path / name
        path.write_text(
            f"#!{sys.executable}\nimport sys\nprint({out!r})\nprint({err!r}, file=sys.stderr)\nsys.exit({code})\n"
        )
        path.chmod(0o755)

    return program


def status_settings(answers: Callable[..., None], min_job_age: str) -> Any:
    answers("scontrol", out=f"MinJobAge               = {min_job_age}")
    settings = SimpleNamespace(**SETTINGS)
    slurm.check_status(PLUGINS["slurm"], settings)
    return settings


def test_with_accounting_sacct_is_asked(answers: Callable[..., None]) -> None:
    answers("sacct")
    assert vars(status_settings(answers, "60 sec")) == SETTINGS


def test_without_accounting_squeue_is_asked_and_no_account_given(answers: Callable[..., None]) -> None:
    answers("sacct", code=1, err="Slurm accounting storage is disabled")
    assert vars(status_settings(answers, "300 sec")) == {"status_command": "squeue", "no_account": True}


def test_without_accounting_a_short_memory_of_jobs_is_refused(answers: Callable[..., None]) -> None:
    answers("sacct", code=1, err="Slurm accounting storage is disabled")
    with pytest.raises(
        UserError, match=r"^Slurm accounting storage is disabled \(sacct\), and squeue forgets a job 60 s"
    ):
        status_settings(answers, "60 sec")


@pytest.mark.parametrize(
    ("given", "no_account", "wanted"),
    [
        ({}, False, "default partition and account"),
        ({"slurm_partition": "long", "slurm_account": "lab"}, False, "--partition=long --account=lab"),
        ({"slurm_partition": "long", "slurm_account": "lab"}, True, "--partition=long"),
    ],
)
def test_a_job_that_slurm_would_not_take_is_refused_with_slurm_s_reason(
    given: dict[str, str], no_account: bool, wanted: str, answers: Callable[..., None]
) -> None:
    answers("sbatch", code=1, err="sbatch: error: invalid partition specified: long")
    resources = Resources.from_mapping(given)
    line = f"invalid partition specified: long ({wanted}); {slurm.NAME_THEM}"
    with pytest.raises(UserError) as caught:
        slurm.check_sbatch(resources, SimpleNamespace(no_account=no_account))
    assert str(caught.value) == line
    answers("sbatch")
    slurm.check_sbatch(resources, SimpleNamespace(no_account=no_account))


def test_a_slurm_that_does_not_answer_is_not_waited_for(
    answers: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers("sbatch")
    (tmp_path / "sbatch").write_text("#!/bin/sh\nexec sleep 20\n")
    monkeypatch.setattr(slurm, "PATIENCE", 0.2)
    with pytest.raises(UserError, match=r"^Slurm has not answered sbatch for 0.2 s; see whether sinfo does"):
        slurm.check_sbatch(None, SimpleNamespace(no_account=False))
