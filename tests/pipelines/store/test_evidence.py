"""Signed statements as both kinds of database keep them."""

from __future__ import annotations

from dataclasses import replace

from pipelines.store import Store
from pipelines.store.evidence import Stated
from tests.pipelines.store.test_store import outcome

ONE = Stated("fstrings", "change", "billing", "umbau/a", "abc1", "d1", '{"payload": ""}')


def test_statements_are_kept_once_and_found_again(store: Store) -> None:
    later = replace(ONE, head="abd2", digest="d2")
    merge = replace(ONE, kind="merged", head="fff3", digest="d3")
    other = replace(ONE, job="plainly", branch="umbau/b_%", head="aaa4", digest="d4")
    for one in (ONE, later, ONE, merge, other, replace(later, head="elsewhere")):
        store.evidence.keep(one)
    assert store.evidence.of("billing", "umbau/a") == [ONE, later, merge]
    assert store.evidence.of("billing", "umbau/a", "abd2") == [later]
    assert store.evidence.about("ab") == [ONE, later]
    assert store.evidence.about("%") == []
    assert store.evidence.latest("fstrings", "change") == {("billing", "umbau/a"): ("d2", "abd2")}
    assert store.evidence.latest("fstrings", "merged") == {("billing", "umbau/a"): ("d3", "fff3")}
    elsewhere = replace(ONE, repo="shop", digest="d5")
    store.evidence.keep(elsewhere)
    many = [f"r{number}" for number in range(1000)]
    assert store.evidence.latest("fstrings", "change", []) == {}
    assert store.evidence.latest("fstrings", "change", ["shop", *many]) == {("shop", "umbau/a"): ("d5", "abc1")}
    assert store.evidence.latest("fstrings", "change", [*many, "billing"]) == {("billing", "umbau/a"): ("d2", "abd2")}
    assert store.evidence.jobs("billing") == store.evidence.jobs("") == ["fstrings", "plainly"]
    assert store.evidence.jobs("web") == []
    some, after = store.evidence.all(most=3)
    rest, end = store.evidence.all(after, most=3)
    assert [*some, *rest] == [ONE, later, merge, other, elsewhere]
    assert store.evidence.all(end) == ([], 0)


def test_the_go_of_an_edit_is_that_of_the_last_accepted_outcome(store: Store) -> None:
    store.save(
        [(outcome("k"), 0), (outcome("k"), 2), (outcome("k", "rejected"), 3), (outcome("other", "unchanged"), 1)]
    )
    assert store.evidence.goes(["k", "other", "none"]) == {"k": 2}
