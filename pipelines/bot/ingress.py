"""Where forges send their webhooks: a Ray Serve application that answers within milliseconds and remembers, until it is
asked, in which repositories something happened.

It faces the network, so it holds no token of a forge and starts nothing: whoever looks after merge requests asks it.
"""

# Without postponed annotations: FastAPI reads those of methods where Serve has pickled their module.
import asyncio
import time
from pathlib import Path
from typing import Any

import ray
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from ray import serve
from ray.serve.handle import DeploymentHandle

from operators import outward
from pipelines.bot.hooks import LARGEST, Ear, NotBelieved

NAME = "umbau-bot"
api = FastAPI(title="umbau bot", docs_url=None, redoc_url=None, openapi_url=None)


def held(may: outward.Policy) -> None:
    """Let this replica talk to nobody but whom the policy allows, and its own cluster: a policy holds for a process."""
    outward.enforce(may)
    outward.belong(ray.get_runtime_context().gcs_address)


@serve.deployment(name="ingress", num_replicas=1, max_ongoing_requests=100)
@serve.ingress(api)
class Ingress:
    """One replica: what it remembers is short-lived and may be lost, as every so often all is looked at anyway."""

    def __init__(self, secret_file: str) -> None:
        """`secret_file`: on the node where it runs; the secret itself stands in no configuration of Serve."""
        held(outward.Policy())
        self._ear = Ear(Path(secret_file).read_text().strip())
        self._heard: dict[str, None] = {}
        self._something = asyncio.Event()

    @api.get("/health")
    async def health(self) -> Response:
        return JSONResponse({"status": "ok"})

    @api.post("/hooks/{forge}")
    async def hook(self, forge: str, request: Request) -> Response:
        hear = {"github": self._ear.github, "gitlab": self._ear.gitlab}.get(forge)
        if not hear:
            return JSONResponse({"error": "webhooks go to /hooks/github or /hooks/gitlab"}, 404)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return JSONResponse({"error": f"more than {LARGEST:,} bytes"}, 413)
        try:
            repo = hear({name.lower(): value for name, value in request.headers.items()}, body, time.time())
        except NotBelieved as why:
            return JSONResponse({"error": str(why)}, 401)
        if repo:
            self._heard[repo] = None
            self._something.set()
        return JSONResponse({"status": "heard" if repo else "nothing to look at"}, 202)

    async def heard(self, wait: float) -> list[str]:
        """Return the repositories in which something happened since the last call, each once; wait for it up to so
        many seconds."""
        try:
            await asyncio.wait_for(self._something.wait(), wait)
        except TimeoutError:
            return []
        found = list(self._heard)
        self._heard.clear()
        self._something.clear()
        return found


def listening(secret_file: Path, host: str, port: int) -> tuple[DeploymentHandle[Any], str]:
    """Bring the application up on the cluster that this process is connected to; return its handle and URL. Where Serve
    runs already, it keeps its host and port."""
    serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port})
    deployment: Any = Ingress
    placed = deployment.options(ray_actor_options=here())
    handle = serve.run(placed.bind(str(secret_file)), name=NAME, route_prefix=f"/{NAME}")
    return handle, f"http://{host}:{port}/{NAME}"


def here() -> dict[str, Any]:
    """Return the options of an actor on this very node, where the files are that it reads."""
    return {"num_cpus": 0, "resources": {f"node:{ray.util.get_node_ip_address()}": 0.001}}  # type: ignore[no-untyped-call]
