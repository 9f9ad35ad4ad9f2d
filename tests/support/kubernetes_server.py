"""A small HTTP server on loopback that answers what snakemake asks of Kubernetes' API, and plays its one node.

Secrets and jobs are kept as they were posted. `node` says how a job's container ends: it may run its command for real.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.local_server import LocalServer

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a container ended: its exit code, what it wrote, and the reason that Kubernetes gives, such as OOMKilled."""

    code: int = 0
    log: str = ""
    reason: str = ""

    @property
    def state(self) -> Manifest:
        return {"terminated": {"exitCode": self.code, "reason": self.reason or ("Error" if self.code else "Completed")}}


class KubernetesError(Exception):
    """The API's error reply: HTTP status, reason, message."""


class KubernetesServer(LocalServer):
    """One namespace of a cluster whose node runs one container after the other; use it as a context manager.

    node: runs a job's container, given as its manifest, to its end. `jobs` and `secrets` are manifests as posted, by
    name, also of those since deleted; `deleted` are the names of what was; `requests` are method and path of each call.
    """

    def __init__(self, namespace: str, node: Callable[[Manifest], Ended]) -> None:
        self.namespace, self.node = namespace, node
        self.jobs: dict[str, Manifest] = {}
        self.secrets: dict[str, Manifest] = {}
        self.deleted: set[str] = set()
        self.requests: list[str] = []
        self._ends: dict[str, Future[Ended]] = {}
        self._pool = ThreadPoolExecutor(max_workers=1)
        super().__init__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._pool.shutdown()

    @property
    def containers(self) -> list[Manifest]:
        """The container of each job posted, in order."""
        return [pod_of(job)["containers"][0] for job in self.jobs.values()]

    def write_kubeconfig(self, path: Path) -> Path:
        """What names this server to clients: KUBECONFIG."""
        context = {"cluster": "here", "user": "me", "namespace": self.namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": "a-token"}}],
            "contexts": [{"name": "here", "context": context}],
        }
        path.write_text(json.dumps(config))
        return path

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Manifest) -> Any:
        """The reply to one request; text for a log. Raises KubernetesError."""
        match method, path.strip("/").split("/"):
            case _, ["api", "v1", "namespaces", namespace, *_] if namespace != self.namespace:
                raise KubernetesError(404, "NotFound", f'namespaces "{namespace}" not found')
            case "POST", ["api", "v1", "namespaces", _, "secrets"]:
                self.secrets[body["metadata"]["name"]] = body
                return body
            case "POST", ["apis", "batch", "v1", "namespaces", _, "jobs"]:
                name = body["metadata"]["name"]
                self.jobs[name] = body
                self._ends[name] = self._pool.submit(self.node, body)
                return body
            case "GET", ["apis", "batch", "v1", "namespaces", _, "jobs", name, "status"]:
                return self.jobs[self._existing("jobs.batch", name)] | {"status": self._job_status(name)}
            case "GET", ["api", "v1", "namespaces", _, "pods"]:
                name = query["labelSelector"].removeprefix("job-name=")
                return {"kind": "PodList", "items": [self._pod(name)] if name in self._present else []}
            case "GET", ["api", "v1", "namespaces", _, "pods", pod]:
                return self._pod(self._existing("pods", pod.removesuffix("-0")))
            case "GET", ["api", "v1", "namespaces", _, "pods", pod, "log"]:
                if query.get("previous", "false").lower() != "false":  # no container is ever restarted here
                    message = f'previous terminated container "{query["container"]}" in pod "{pod}" not found'
                    raise KubernetesError(400, "BadRequest", message)
                return self._ends[self._existing("pods", pod.removesuffix("-0"))].result().log
            case "DELETE", [*_, "secrets" | "jobs" | "pods", name]:
                self.deleted.add(name)
                return {"kind": "Status", "status": "Success"}
        raise KubernetesError(404, "NotFound", "the server could not find the requested resource")

    @property
    def _present(self) -> set[str]:
        return self.jobs.keys() - self.deleted

    def _existing(self, kind: str, name: str) -> str:
        if name not in self._present:
            raise KubernetesError(404, "NotFound", f'{kind} "{name}" not found')
        return name

    def _job_status(self, name: str) -> Manifest:
        if not self._ends[name].done():
            return {"active": 1}
        return {"failed": 1} if self._ends[name].result().code else {"succeeded": 1}

    def _pod(self, name: str) -> Manifest:
        end = self._ends[name]
        state = end.result().state if end.done() else {"running": {}}
        container = {"name": "snakemake", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        return {"metadata": {"name": f"{name}-0"}, "status": {"containerStatuses": [container]}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(f"{self.command} {self.path}")
                address = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(address.query).items()}
                sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                try:
                    self.reply(200, server.answer(self.command, address.path, query, sent))
                except KubernetesError as refusal:
                    status, reason, message = refusal.args
                    error = {"kind": "Status", "status": "Failure", "code": status, "reason": reason}
                    self.reply(status, error | {"message": message})

            do_POST = do_DELETE = do_GET  # noqa: N815

            def reply(self, status: int, content: Any) -> None:
                text = isinstance(content, str)
                body = (content if text else json.dumps(content)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if text else "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests need no log of requests: `requests` has them."""

        return Handler


def pod_of(job: Manifest) -> Manifest:
    """What a job says of its pod."""
    spec: Manifest = job["spec"]["template"]["spec"]
    return spec
