"""The dashboard as a Ray Serve application beside the one that hears webhooks: a replica of its own, so that nothing
that is looked at keeps a webhook waiting."""

from __future__ import annotations

from typing import Any

from ray import serve

from operators import outward
from pipelines.bot.ingress import held, here
from pipelines.dashboard.place import Place

NAME = "umbau-dashboard"


@serve.deployment(name="dashboard", num_replicas=1, max_ongoing_requests=100)
@serve.ingress()
class Board:
    def __init__(self, place: Place, may: outward.Policy) -> None:
        held(may)
        self._place = place

    def __serve_build_asgi_app__(self) -> Any:
        from pipelines.dashboard.app import app
        from pipelines.dashboard.gate import Doorman
        from pipelines.dashboard.place import opened_at

        return app(opened_at(self._place), Doorman(self._place.access))


def showing(place: Place) -> None:
    """Bring the application up on the cluster that this process is connected to, where Serve runs already."""
    deployment: Any = Board
    placed = deployment.options(ray_actor_options=here())
    serve.run(placed.bind(place, outward.current()), name=NAME, route_prefix=f"/{NAME}")
