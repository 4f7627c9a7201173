"""What is tried on the spot."""

from __future__ import annotations

import pytest

from operators import planted
from operators.veil import Rules


def test_no_kind_slips_through() -> None:
    assert planted.slips(Rules()) == []


def test_nothing_of_one_slips_through_where_a_pattern_of_the_site_finds_some_of_it() -> None:
    assert planted.slips(Rules((("mail", r"[\w.+-]+@[\w-]+\.[\w.]+"),))) == []


def test_a_kind_that_does_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(planted.PLANTED, "pet's name", ("pet = '{}'", "Waldi"))
    assert planted.slips(Rules()) == ["pet's name"]
    assert planted.slips(Rules((("pet", "Waldi"),))) == []
