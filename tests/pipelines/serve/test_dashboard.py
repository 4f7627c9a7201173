"""What is read of applications that others have deployed on the same cluster."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.serve.dashboard import Dashboard

LOADING = {"model_loading_config": {"model_id": "mine"}}


class Client:
    """In place of Ray's own: one application that runs, and what is deployed."""

    def __init__(self, config: Any) -> None:
        self.config, self.whole = config, {}

    def get_serve_details(self) -> dict[str, Any]:
        app = {"status": "RUNNING", "message": "", "route_prefix": None, "deployments": {}}
        return {"applications": {"theirs": {**app, "deployed_app_config": self.config}, "mine": app}}

    def deploy_applications(self, whole: dict[str, Any]) -> None:
        self.whole = whole


@pytest.fixture
def dashboard() -> Dashboard:
    return object.__new__(Dashboard)  # one that is connected to nothing


@pytest.mark.parametrize(
    ("args", "models"),
    [
        ({"llm_configs": [LOADING, LOADING]}, ("mine", "mine")),
        ({"model_id": "mine"}, ("mine",)),
        ({"llm_configs": [{"model": "x"}]}, ()),
        ({"llm_configs": [{"model": "x"}, LOADING]}, ("mine",)),
        ({"llm_configs": None}, ()),
        ({"llm_configs": "file.yaml"}, ()),
        ({"llm_configs": 4}, ()),
        ({"llm_configs": ["file.yaml", None]}, ()),
        ({"llm_configs": [{"model_loading_config": "x"}]}, ()),
        ({"llm_configs": [{"model_loading_config": None}]}, ()),
        ({"llm_configs": [{"model_loading_config": {"model_id": 7}}]}, ()),
        ({}, ()),
        (None, ()),
        ("x", ()),
    ],
)
def test_whatever_others_have_deployed_is_shown(args: Any, models: tuple[str, ...], dashboard: Dashboard) -> None:
    dashboard.address, dashboard._client = "http://127.0.0.1:1", Client({"import_path": "their:app", "args": args})
    theirs, mine = dashboard.running()
    assert (theirs.name, theirs.models) == ("theirs", models)
    assert (mine.name, mine.models) == ("mine", ())


def test_an_application_without_a_name_in_its_configuration_is_left_as_it_is(dashboard: Dashboard) -> None:
    theirs = {"import_path": "their:app"}  # Serve repeats what was written, and a name need not be
    dashboard.address, dashboard._client = "http://127.0.0.1:1", Client(theirs)
    dashboard.deploy({"name": "mine"}, {})
    assert dashboard._client.whole["applications"] == [theirs, {"name": "mine"}]
    assert dashboard.remove("mine")
    assert dashboard._client.whole["applications"] == [theirs]
