"""Whoever watches for escapes would see them."""

from __future__ import annotations

import pytest

from tests.hostile.attempts import ATTEMPTS
from tests.hostile.deeds import DEEDS, WORDS
from tests.hostile.planted import acts_in_markdown, acts_in_text, listening

ACTING = ("actions", "mentions", "links", "markers", "closes")


@pytest.mark.parametrize("deed", [*ACTING, "trailers"])
def test_what_would_act_in_a_message_is_seen(deed: str) -> None:
    assert acts_in_text(f"Count up\n\n{WORDS[deed]}\n")


@pytest.mark.parametrize("deed", ACTING)
def test_what_would_act_in_a_body_is_seen(deed: str) -> None:
    assert acts_in_markdown(f"# It\n\n{WORDS[deed]}\n")


def test_what_is_as_it_should_be_is_not() -> None:
    fine = "Count up m00/a.py\n\nUmbau-Job: injected\nUmbau-Change: 0a1b\nGenerated-by: umbau/1.0\n"
    assert acts_in_text(fine) == []
    assert acts_in_markdown("```\n @ mallory <!-- x -->\n```\n\n`![x](https://evil.example)` is code") == []


def test_whoever_listens_can_be_reached() -> None:
    with listening() as watcher:
        assert watcher.heard == []


def test_every_deed_is_asked_for() -> None:
    assert {one.deed for one in ATTEMPTS} == DEEDS.keys()
    assert len(ATTEMPTS) >= 40
