"""Mends what snakemake's Kubernetes plugin (0.5.1) leaves to guess: why a pod failed, that no cluster answers."""

import functools
import sys
from typing import Any

from snakemake.logging import logger
from snakemake_interface_common.exceptions import WorkflowError
from urllib3.exceptions import HTTPError


def patch() -> None:
    """Make the plugin, where snakemake has loaded it, keep a failed pod's log and say why it ended.

    It asks for the log of the container's run before the last, which a pod that is never restarted does not have: the
    refusal would end the whole run. And where there is no cluster, it shows a traceback.
    """
    plugin = sys.modules.get("snakemake_executor_plugin_kubernetes")
    if plugin is None or hasattr(plugin.Executor.__post_init__, "__wrapped__"):
        return
    client, config = plugin.kubernetes.client, plugin.kubernetes.config
    start, read_log = plugin.Executor.__post_init__, client.CoreV1Api.read_namespaced_pod_log

    @functools.wraps(start)
    def start_or_say(executor: Any) -> None:
        try:
            start(executor)
        except config.ConfigException as error:
            told = f"no cluster is configured: set KUBECONFIG, or run in a pod ({error})"
        except client.ApiException as error:
            told = f"the cluster refuses: {error.status} {error.reason}: {error.body}"
        except HTTPError as error:
            told = f"the cluster does not answer: {error}"
        else:
            return
        raise WorkflowError(f"kubernetes: {told}")

    @functools.wraps(read_log)
    def log_and_end(api: Any, name: str, namespace: str, **options: Any) -> str:
        options.pop("previous", None)
        try:
            log = read_log(api, name=name, namespace=namespace, **options)
        except client.ApiException as error:
            log = f"(no log: {error.reason})"
        try:
            status = api.read_namespaced_pod(name, namespace).status
        except client.ApiException as error:
            return f"{log.rstrip()}\nPod {name} is gone: {error.reason}"
        ends = [container.state.terminated for container in status.container_statuses or []]
        told = f"Pod {name} ended: " + "; ".join(f"{end.reason}, exit code {end.exit_code}" for end in ends if end)
        if any(end and end.reason == "OOMKilled" for end in ends):
            told += ". It took more memory than its rule's mem_mb: --set-resources '<rule>:mem_mb=<more>'"
        logger.error(told)
        return f"{log.rstrip()}\n{told}"

    plugin.Executor.__post_init__ = start_or_say
    client.CoreV1Api.read_namespaced_pod_log = log_and_end
