from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.owners import Owners, owners
from pipelines.publishing import Reviewers
from pipelines.reviewers import not_users, reviewers

OWNED = owners("* @ada @Bob @platform/web mail@example.eu @@developers\n/docs/ @cid\n")
NAMES = ["ada", "bob", "cid", "dora", "eve"]


def asked(
    settings: Reviewers, files: tuple[str, ...] = ("a.py",), bot: str = "", key: str = "k", **load: int
) -> set[str]:
    found = reviewers(settings, OWNED, files, load, bot, key)
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize(
    ("settings", "files", "expected"),
    [
        (Reviewers(), ("a.py",), set()),
        (Reviewers(named=["zoe"]), ("a.py",), {"zoe"}),
        (Reviewers(owners=True, most=9), ("a.py",), {"ada", "Bob"}),
        (Reviewers(owners=True, most=9), ("docs/a.md",), {"cid"}),
        (Reviewers(owners=True, most=9), ("a.py", "docs/a.md"), {"ada", "Bob", "cid"}),
        (Reviewers(named=["bob", "zoe"], owners=True, most=9), ("a.py",), {"ada", "bob", "zoe"}),
        (Reviewers(named=["zoe"], most=9), ("docs/a.md",), {"zoe"}),
    ],
)
def test_who_is_asked(settings: Reviewers, files: tuple[str, ...], expected: set[str]) -> None:
    assert asked(settings, files) == expected


def test_the_bot_is_never_asked() -> None:
    assert asked(Reviewers(named=["Umbau-Bot"], owners=True, most=9), bot="umbau-bot") == {"ada", "Bob"}
    assert asked(Reviewers(named=["umbau-bot"]), bot="Umbau-Bot") == set()


def test_those_with_the_fewest_requests_come_first() -> None:
    settings = Reviewers(named=NAMES, most=2)
    assert asked(settings, ada=3, bob=1, cid=2, dora=9, eve=1) == {"bob", "eve"}
    assert asked(settings, BOB=5, ada=5, cid=5, dora=0, eve=0) == {"dora", "eve"}


def test_equals_share_the_work() -> None:
    settings = Reviewers(named=NAMES, most=2)
    first = [reviewers(settings, Owners(), (), {}, "", f"repo/umbau/j/{n}") for n in range(200)]
    assert first == [reviewers(settings, Owners(), (), {}, "", f"repo/umbau/j/{n}") for n in range(200)]
    count = Counter(name for found in first for name in found)
    assert all(50 < count[name] < 110 for name in NAMES), count
    load: Counter[str] = Counter()
    for number in range(100):
        load.update(reviewers(settings, Owners(), (), load, "", str(number)))
    assert set(load.values()) == {40}


def test_who_cannot_be_asked_is_known() -> None:
    assert not_users(OWNED, ("a.py", "b.py")) == ("@platform/web", "mail@example.eu", "@@developers")
    assert not_users(OWNED, ("docs/a.md",)) == ()


@given(
    st.lists(st.sampled_from([*NAMES, "Ada", "EVE"])),
    st.lists(st.sampled_from(["@ada", "@Eve", "@a/b", "x@y", "@", "@-x", "nobody", "@é"])),
    st.integers(1, 4),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3)),
    st.text(),
)
def test_nobody_twice_and_never_too_many(
    named: list[str], owning: list[str], most: int, load: dict[str, int], key: str
) -> None:
    owned = owners(f"* {' '.join(owning)}")
    found = reviewers(Reviewers(named=named, owners=True, most=most), owned, ["a"], load, "ADA", key)
    assert len({name.casefold() for name in found}) == len(found) <= most
    known = {name.casefold() for name in named} | {name[1:].casefold() for name in owning if name in {"@ada", "@Eve"}}
    assert {name.casefold() for name in found} <= known - {"ada"}
    assert len(found) == min(most, len(known - {"ada"}))
    others = [load.get(name, 0) for name in known - {"ada"} - {one.casefold() for one in found}]
    assert all(load.get(name.casefold(), 0) <= least for name in found for least in others)
