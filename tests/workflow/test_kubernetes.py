"""profiles/kubernetes on a server that speaks Kubernetes' API, pods' commands really run; profiles/gpu as it loads."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_args

from support.kubernetes_server import Ended, KubernetesServer, Manifest, pod_of
from support.workflow import ROOT, snakemake

pytest.importorskip("snakemake_executor_plugin_kubernetes", reason="needs envs/cluster.txt")
TOOLS = shutil.which("rsync") and shutil.which("git")
needs_tools = pytest.mark.skipif(not TOOLS, reason="without a shared file system snakemake needs rsync and git")

PROJECT = ["Snakefile", "rules", "scripts", "config", "profiles", "docker", "envs", "Dockerfile", "pyproject.toml"]
SECRETS = {"EXCHANGE_API_KEY": "my-exchange-key", "EXCHANGE_SECRET": "hush-hush"}
IMAGE = "registry.test/forecast:1"


@dataclass(frozen=True)
class Run:
    """A run of snakemake on the server: its folder on the volume, where its pods worked, its messages."""

    server: KubernetesServer
    volume: Path
    pods: Path
    text: str

    def jobs_of(self, rule: str) -> list[Manifest]:
        return [job for job in self.server.jobs.values() if rule_of(job) == rule]

    def containers_of(self, rule: str) -> list[Manifest]:
        return [container_of(job) for job in self.jobs_of(rule)]


def container_of(job: Manifest) -> Manifest:
    (container,) = pod_of(job)["containers"]
    return dict(container)


def rule_of(job: Manifest) -> str:
    found = re.search(r"--target-jobs '(\w+):", container_of(job)["args"][1])
    return found[1] if found else ""


def environment(folder: Path) -> dict[str, str]:
    """What a shell in `folder` sets; nothing else of ours."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "PWD": str(folder), "LC_ALL": "C.UTF-8"}


def project(volume: Path) -> Path:
    """A checkout of the project on the volume."""
    volume.mkdir()
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, volume / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, volume / name)
    subprocess.run(["git", "init", "--quiet"], cwd=volume, check=True)
    subprocess.run(["git", "add", "."], cwd=volume, check=True)
    return volume


def call(volume: Path, kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/kubernetes", *arguments]
    env = environment(volume) | SECRETS | {"KUBECONFIG": str(kubeconfig)}
    return subprocess.run(
        command, cwd=volume, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Features made in pods that really run, and a training on a GPU that the node kills for its memory."""
    if not TOOLS:
        pytest.skip("without a shared file system snakemake needs rsync and git")
    top = tmp_path_factory.mktemp("cluster")
    volume, pods = project(top / "volume"), top / "pods"

    def node(job: Manifest) -> Ended:
        if rule_of(job) == "train_tft":
            return Ended(137, "Training fold 0", "OOMKilled")
        container, workdir = container_of(job), pods / job["metadata"]["name"]
        workdir.mkdir(parents=True)
        done = subprocess.run(
            [*container["command"], *container["args"]],
            cwd=workdir,
            env=environment(workdir),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return Ended(done.returncode, done.stdout)

    with KubernetesServer("forecasts", node) as server:
        done = call(
            *(volume, server.write_kubeconfig(top / "kubeconfig"), "artifacts/models/0/tft-seed1.ckpt"),
            *("--configfile", "config/tiny.yaml", "--config", "tft={device: gpu}", "--container-image", IMAGE),
            *("--kubernetes-namespace", "forecasts", "--kubernetes-service-account-name", "forecaster"),
            *("--kubernetes-persistent-volumes", f"market:{top}", "--set-resources", "make_features:mem_mb=1234"),
            *("--seconds-between-status-checks", "1"),
        )
        assert server.jobs, done.stdout
        yield Run(server, volume, pods, done.stdout)


def test_pods_make_the_features_on_the_volume(run: Run) -> None:
    assert len(run.jobs_of("make_features")) == 1, run.text
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert (run.volume / f"data/features/train/{symbol}.parquet").stat().st_size > 10_000, run.text
        assert f"{symbol}, " in (run.volume / "artifacts/logs/make_features/train.log").read_text()


def test_what_needs_the_network_or_a_second_gets_no_pod(run: Run) -> None:
    assert (run.volume / "data/as_of/train.json").exists()
    assert {rule_of(job) for job in run.server.jobs.values()} == {"make_features", "train_tft"}


def test_a_pod_installs_nothing(run: Run) -> None:
    assert all((folder / "Snakefile").exists() for folder in run.pods.iterdir())
    assert not list(run.pods.glob("*/.snakemake/pip-deployments"))


def test_pods_are_what_the_profile_says(run: Run) -> None:
    for job in run.server.jobs.values():
        pod, container = pod_of(job), container_of(job)
        assert container["image"] == IMAGE
        assert pod["serviceAccountName"] == "forecaster"
        assert pod["restartPolicy"] == "Never"
        claims = {volume["name"]: volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["volumes"]}
        assert claims == {"workdir": None, "market": "market"}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts == {"workdir": "/workdir", "market": str(run.volume.parent)}
        assert "securityContext" not in container
    assert all("/namespaces/forecasts/" in request for request in run.server.requests)


def test_requests_are_limits_and_follow_the_rule(run: Run) -> None:
    for container in run.containers_of("make_features"):
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert (requests["memory"], limits["memory"]) == ("1234M", "1234M")
        assert (requests["cpu"], limits["cpu"]) == ("950m", "1000m")


def test_only_the_training_asks_for_a_card(run: Run) -> None:
    for job in run.jobs_of("train_tft"):
        resources = container_of(job)["resources"]
        assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == "1"
        assert "nvidia.com/gpu" in [toleration["key"] for toleration in pod_of(job)["tolerations"]]
        assert "tft={device: gpu}" in container_of(job)["args"][1]
    assert "nvidia.com" not in json.dumps(run.jobs_of("make_features"))


def test_a_pod_killed_for_memory_is_reported_and_gets_more(run: Run) -> None:
    assert "ended: OOMKilled, exit code 137. It took more memory than its rule's mem_mb" in run.text
    assert "WorkflowError:\nAt least one job did not complete successfully" in run.text
    first, *more = [int(job["resources"]["limits"]["memory"][:-1]) for job in run.containers_of("train_tft")]
    assert more == [2 * first, 3 * first]
    logs = [path.read_text() for path in (run.volume / ".snakemake/auxiliary/kubernetes-logs").iterdir()]
    assert len(logs) == 3
    assert all("Training fold 0" in log and "OOMKilled" in log for log in logs)


def test_nothing_is_left_in_the_cluster(run: Run) -> None:
    assert run.server.jobs.keys() | run.server.secrets.keys() <= run.server.deleted


def test_keys_of_an_exchange_stay_here(run: Run) -> None:
    sent = json.dumps([run.server.jobs, run.server.secrets])
    for value in SECRETS.values():
        assert value not in sent
        assert base64.b64encode(value.encode()).decode() not in sent
    assert not any(container["env"] for container in run.server.containers)


@needs_tools
@pytest.mark.parametrize(
    ("server", "reason"),
    [(None, "no cluster is configured: set KUBECONFIG"), ("http://127.0.0.1:9", "the cluster does not answer")],
)
def test_no_cluster_gets_a_line(server: str | None, reason: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if server:
        clusters = [{"name": "c", "cluster": {"server": server}}]
        contexts = [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
        users = [{"name": "u", "user": {"token": "t"}}]
        parts = {"clusters": clusters, "contexts": contexts, "users": users, "current-context": "c"}
        kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"} | parts))
    done = call(project(tmp_path / "volume"), kubeconfig, "data/as_of/train.json")
    assert done.returncode == 1
    assert f"kubernetes: {reason}" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_gpu_profile_sets_the_device_beside_other_config(tmp_path: Path) -> None:
    profile = str(ROOT / "profiles" / "gpu")
    snakemake(
        *(tmp_path, "--workflow-profile", profile, "-j1", "artifacts/run.yaml", "--config", "tft={epochs: 5}"),
    )
    model = yaml.safe_load((tmp_path / "artifacts/run.yaml").read_text())["tft"]
    assert (model["device"], model["epochs"]) == ("gpu", 5)


def test_the_gpu_profile_hands_one_card_to_one_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, arguments = parse_args(["--workflow-profile", "gpu", "-j4", "--use-singularity"])
    assert arguments.apptainer_args.split() == ["--nv", "--cleanenv"]
    assert arguments.resources["gpu"].value == 1
    assert arguments.configfile == [Path("profiles/gpu/device.yaml")]


def test_the_gpu_profile_stands_in_for_the_default() -> None:
    default, gpu = (yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "gpu"))
    assert default.keys() <= gpu.keys()
