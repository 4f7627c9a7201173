from __future__ import annotations

import pytest

from pipelines.licences import named, standing
from pipelines.site import Site


@pytest.mark.parametrize(
    ("name", "stated", "met"),
    [
        ("devstral-2", ["devstral-2"], True),
        ("devstral-2", [], False),
        ("devstral-small-2", [], True),
        ("somebody-s", [], False),
    ],
)
def test_what_a_site_states_of_a_licence(name: str, stated: list[str], met: bool) -> None:
    found = standing(name, Site(licences_met=stated))
    assert found.met is met
    assert ("does not state" in found.said or "not known" in found.said) is not met


def test_the_models_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UMBAU_MODEL", raising=False)
    assert named(Site()) == []
    monkeypatch.setenv("UMBAU_MODEL", "devstral-2")
    assert named(Site()) == ["devstral-2"]
