"""Attempts that are made on the spot."""

from __future__ import annotations

import time

import pytest

from pipelines import attempted, commands
from pipelines.attempted import got_through


def test_nothing_gets_through_and_it_is_quick() -> None:
    got_through()  # what it imports takes longer than it
    since = time.perf_counter()
    assert got_through() == []
    assert time.perf_counter() - since < 1


@pytest.mark.parametrize(
    ("module", "of", "instead", "told"),
    [
        (attempted, "prose", lambda text: text, "in a title or a commit message"),
        (attempted, "commands", lambda text: commands.commands(text.replace(">", "").strip("`<!-\n")), "a command in"),
        (attempted, "fenced", lambda text: f"```\n{text}\n```", "in a block"),
        (attempted, "again", lambda found, code: found[0].message, "hides something"),
        (attempted, "shown", lambda text: text, "signs of a chat"),
        (attempted, "fence", lambda text: "```", "ends its fence"),
    ],
)
def test_what_would_get_through_is_told(
    monkeypatch: pytest.MonkeyPatch, module: object, of: str, instead: object, told: str
) -> None:
    monkeypatch.setattr(module, of, instead)
    assert any(told in one for one in got_through())
