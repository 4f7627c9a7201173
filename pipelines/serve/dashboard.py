"""Serve on a running cluster, through the dashboard's HTTP interface and Ray's own client for it, which knows Ray's
token: nothing of ours runs in the cluster before a model does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from operators import outward
from pipelines.errors import Refused
from pipelines.serve.memory import Node

TRIES, PAUSE = 4, 5.0  # while Ray or Serve is being started, and seconds between them
_LABEL = "accelerator_type:"


@dataclass(frozen=True, slots=True)
class Running:
    """An application as Serve describes it."""

    name: str
    status: str
    """Serve's own: DEPLOYING, RUNNING, DEPLOY_FAILED, UNHEALTHY, DELETING."""
    message: str
    url: str
    """OpenAI's routes are below it."""
    models: tuple[str, ...]
    replicas: Mapping[str, Mapping[str, int]]
    """Of each deployment: how many are in which state."""
    waits_for: str
    """What its deployments say of why it is not up yet."""


class Dashboard:
    """Raises Refused when there is no cluster, or it does not let us in."""

    def __init__(self, address: str) -> None:
        self.address = address if "://" in address else f"http://{address}"
        outward.admit("cluster", self.address, "--address")
        use_token()
        try:
            from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

            self._client: Any = ServeSubmissionClient(self.address)
        except ImportError:
            raise Refused("hosting a model needs Ray's dashboard and Serve: install umbau[cluster]") from None
        except ConnectionError:
            raise Refused(_no_cluster(self.address)) from None
        except Exception as error:  # Ray has many: a wrong token, an old version, a server that is no dashboard
            raise Refused(f"the Ray cluster at {self.address} does not let us in: {said(error)}") from None

    def nodes(self) -> list[Node]:
        found = self._nodes()
        for _ in range(TRIES - 1):
            if found and all(node.resources_total for node in found):
                break
            time.sleep(PAUSE)  # the first machine of a cluster is told of a little after the cluster answers
            found = self._nodes()
        return [node_of(node.resources_total) for node in found]

    def _nodes(self) -> list[Any]:
        from ray.util.state import list_nodes
        from ray.util.state.exception import RayStateApiException

        try:
            found: list[Any] = list_nodes(address=self.address, filters=[("state", "=", "ALIVE")], limit=10_000)
        except RayStateApiException as error:
            raise Refused(f"Ray at {self.address} does not say which machines it has: {said(error)}") from None
        return found

    def running(self) -> list[Running]:
        """Return the applications that were deployed from a configuration, Umbau's and others."""
        details = self._details()
        host = _host(details, self.address)
        return [_running(name, app, host) for name, app in details["applications"].items()]

    def deploy(self, application: dict[str, Any], config: Mapping[str, Any]) -> None:
        """Add an application to those that Serve has, or put it in place of the one of its name.

        Of `config`, where Serve listens counts only when Serve is not running yet.
        """
        details = self._details()
        self._put(details, config, [*_deployed(details, application["name"]), application])

    def remove(self, name: str) -> bool:
        """Take an application away, and Serve with the last one. Return whether it was there."""
        details = self._details()
        if name not in details["applications"]:
            return False
        if len(details["applications"]) == 1:
            self._asked(self._client.delete_applications)
        else:
            self._put(details, {}, _deployed(details, name))
        return True

    def _put(self, details: dict[str, Any], config: Mapping[str, Any], applications: list[dict[str, Any]]) -> None:
        at = details if details.get("http_options") else config
        settings = {name: at[name] for name in ("proxy_location", "http_options", "grpc_options") if at.get(name)}
        whole = {**settings, "applications": applications}
        for _ in range(TRIES - 1):
            try:
                self._client.deploy_applications(whole)
                return
            except RuntimeError as error:
                if "status code 5" not in str(error):
                    break
                time.sleep(PAUSE)  # Serve is being started, and its parts may be late
        self._asked(self._client.deploy_applications, whole)

    def _details(self) -> dict[str, Any]:
        found: dict[str, Any] = self._asked(self._client.get_serve_details)
        return found

    def _asked(self, call: Any, *args: Any) -> Any:
        try:
            return call(*args)
        except (ConnectionError, OSError):
            raise Refused(f"the Ray cluster at {self.address} has gone") from None
        except RuntimeError as error:
            raise Refused(f"Serve at {self.address} refused: {said(error)}") from None


def use_token() -> None:
    """Do as `ray start` does: a token that is there is used. Ray's client would wait to be told so."""
    kept = Path("~/.ray/auth_token").expanduser()
    if any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")) or kept.is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def node_of(resources: Mapping[str, float]) -> Node:
    """Read what Ray says of a machine's resources."""
    kinds = tuple(name.removeprefix(_LABEL) for name in resources if name.startswith(_LABEL))
    return Node(int(resources.get("GPU", 0)), kinds, resources.get("memory", 0.0))


def _running(name: str, app: Mapping[str, Any], host: str) -> Running:
    replicas: dict[str, dict[str, int]] = {}
    for deployment, found in app["deployments"].items():
        states = replicas.setdefault(deployment, {})
        for replica in found["replicas"]:
            states[replica["state"]] = states.get(replica["state"], 0) + 1
    messages = [found["message"] for found in app["deployments"].values() if found["message"]]
    url = f"{host}{(app.get('route_prefix') or '').rstrip('/')}/v1"
    return Running(name, app["status"], app["message"], url, _models(app), replicas, " ".join(messages))


def _models(app: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the models' names from the arguments, which with another's application may be anything."""
    args = _dict(_dict(app.get("deployed_app_config")).get("args"))
    configs = args.get("llm_configs", [{"model_loading_config": args}])
    parts = configs if isinstance(configs, list) else []
    names = [_dict(_dict(part).get("model_loading_config")).get("model_id") for part in parts]
    return tuple(name for name in names if isinstance(name, str) and name)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _deployed(details: Mapping[str, Any], but: str) -> list[dict[str, Any]]:
    """Those that a program of its own has deployed are not ours to repeat, and Serve leaves them be."""
    return [
        app["deployed_app_config"]
        for name, app in details["applications"].items()
        if name != but and app.get("deployed_app_config")
    ]


def _host(details: Mapping[str, Any], address: str) -> str:
    options = details.get("http_options") or {}
    host = options.get("host") or "127.0.0.1"
    if host in {"0.0.0.0", "::"}:
        host = urlsplit(address).hostname or "127.0.0.1"
    return f"http://{host}:{options.get('port') or 8000}"


def _no_cluster(address: str) -> str:
    ray = Path(sys.executable).parent / "ray"
    return (
        f"no Ray cluster answers at {address}. Name the dashboard of yours with --address, or start one here:\n\n"
        f"    {ray} get-auth-token --generate    # once: from then on it lets nobody in without\n"
        f"    {ray} start --head --disable-usage-stats\n\n"
        f"and end it with `{ray} stop`."
    )


def said(message: object) -> str:
    """Return what Ray's message says is wrong: from the last error of a traceback on, or its first line."""
    lines = [line for line in map(str.strip, str(message).splitlines()) if any(map(str.isalnum, line))]
    errors = [at for at, line in enumerate(lines) if line.partition(":")[0].endswith(("Error", "Exception"))]
    return (" ".join(lines[errors[-1] :] if errors else lines[:1]) or "no reason given")[:600]
