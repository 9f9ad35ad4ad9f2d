"""Snakemake's Kubernetes plugin (0.5.1) does not say why a pod failed, nor in one line that no cluster answers.

Unneeded once it reads the log of a failed pod without `previous=True`, reports its reason and exit code, and says in
one line what is wrong with the kubeconfig or the connection.
"""

import functools
import sys
from typing import Any

from snakemake.logging import logger
from urllib3.exceptions import HTTPError

from dag.patches.installed import expect_parameters, expect_text

PLUGIN = "snakemake-executor-plugin-kubernetes"


def patch(_: Any, executor: Any, __: Any) -> None:
    """Let the plugin's executor keep the log of a failed pod and say why it ended.

    The plugin asks for the log of the container's previous run, which a pod that is never restarted does not have; the
    API's error would end the whole run.
    """
    expect_text(executor, "check_active_jobs", "previous=True", PLUGIN)
    kubernetes = sys.modules[executor.__module__].kubernetes
    api = kubernetes.client.CoreV1Api
    expect_parameters(api, "read_namespaced_pod_log", {"name", "namespace"}, "kubernetes")
    executor.__post_init__ = _explained(executor.__post_init__, kubernetes)
    api.read_namespaced_pod_log = _with_reason(api.read_namespaced_pod_log, kubernetes.client.ApiException)


def _explained(start: Any, kubernetes: Any) -> Any:
    """The executor's start, with one line for whatever keeps it from a cluster."""

    @functools.wraps(start)
    def explained(executor: Any) -> None:
        try:
            start(executor)
        except kubernetes.config.ConfigException as error:
            reason = f"no cluster is configured: set KUBECONFIG, or run in a pod ({error})"
        except kubernetes.client.ApiException as error:
            reason = f"the cluster refuses: {error.status} {error.reason}: {error.body}"
        except HTTPError as error:
            reason = f"the cluster does not answer: {error}"
        else:
            return
        sys.exit(f"kubernetes: {reason}")

    return explained


def _with_reason(read_log: Any, api_error: Any) -> Any:
    """The API's request for a pod's log, with the reason and the exit code that the pod ended with."""

    @functools.wraps(read_log)
    def with_reason(api: Any, name: str, namespace: str, **options: Any) -> str:
        options.pop("previous", None)
        try:
            log = read_log(api, name=name, namespace=namespace, **options)
        except api_error as error:
            log = f"(no log: {error.reason})"
        try:
            status = api.read_namespaced_pod(name, namespace).status
        except api_error as error:
            return f"{log.rstrip()}\nPod {name} is gone: {error.reason}"
        ends = [container.state.terminated for container in status.container_statuses or []]
        reason = f"Pod {name} ended: " + "; ".join(f"{end.reason}, exit code {end.exit_code}" for end in ends if end)
        if any(end and end.reason == "OOMKilled" for end in ends):
            reason += ". It took more memory than its rule's mem_mb: --set-resources '<rule>:mem_mb=<more>'"
        logger.error(reason)
        return f"{log.rstrip()}\n{reason}"

    return with_reason
