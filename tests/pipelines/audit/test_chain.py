"""The chain by itself: whatever is done to its rows is seen, and where."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.audit.chain import Link, Row, bound, followed, link
from pipelines.data import canonical
from pipelines.errors import Refused


def chain(count: int) -> list[Row]:
    rows: list[Row] = []
    for number in range(1, count + 1):
        before = rows[-1].hash if rows else Link().hash
        body = canonical({"shards": number, "repo": "billing"})
        rows.append(
            bound(
                Row(number, f"2026-11-30T00:00:{number:02}", "ada@host", "run started", "j", f"m{number}", body, before)
            )
        )
    return rows


def rehashed(row: Row) -> Row:
    return bound(replace(row, who="eve@host"))


@pytest.mark.parametrize(
    ("name", "tamper", "last", "wrong"),
    [
        ("nothing", lambda rows: rows, 9, ""),
        ("changed", lambda rows: [*rows[:3], replace(rows[3], who="eve"), *rows[4:]], 3, "row 4 does not say any more"),
        ("changed and hashed anew", lambda rows: [*rows[:3], rehashed(rows[3]), *rows[4:]], 4, "row 5 is not bound to"),
        ("removed", lambda rows: [*rows[:3], *rows[4:]], 3, "row 4 is missing"),
        ("the first removed", lambda rows: rows[1:], 0, "row 1 is missing"),
        ("moved", lambda rows: [*rows[:3], rows[4], rows[3], *rows[5:]], 3, "row 4 is missing"),
        (
            "moved, numbers put right",
            lambda rows: [*rows[:3], replace(rows[4], number=4), replace(rows[3], number=5), *rows[5:]],
            3,
            "row 4 is not bound to row 3",
        ),
        ("twice", lambda rows: [*rows[:4], *rows[3:]], 4, "it stands there twice"),
        (
            "put in at the end",
            lambda rows: [*rows, replace(rows[-1], number=10, before=rows[-1].hash)],
            9,
            "row 10 does",
        ),
        (
            "the beginning made up",
            lambda rows: [bound(replace(rows[0], before="1" * 64)), *rows[1:]],
            0,
            "the beginning",
        ),
    ],
)
def test_tampering_is_seen_at_its_place(name: str, tamper, last: int, wrong: str) -> None:  # type: ignore[no-untyped-def]
    found = followed(tamper(chain(9)))
    assert found.last.number == last, name
    assert wrong in found.wrong if wrong else not found.wrong, found.wrong


def test_a_cut_end_is_not_seen_but_by_a_head_that_was_kept() -> None:
    rows = chain(9)
    cut = followed(rows[:-2])
    assert not cut.wrong
    assert (cut.last.number, cut.last.hash) == (7, rows[6].hash)


@given(st.integers(0, 8), st.sampled_from(["moment", "who", "what", "job", "mark", "body"]), st.text(min_size=1))
def test_no_value_can_be_another(at: int, name: str, text: str) -> None:
    rows = chain(9)
    rows[at] = replace(rows[at], **{name: getattr(rows[at], name) + text})
    found = followed(rows)
    assert found.last.number == at
    assert found.wrong


def test_values_cannot_be_shifted_from_one_to_the_next() -> None:
    one = Row(1, "m", "a", "b", "c", "d", "{}", Link().hash)
    assert bound(one).hash != bound(replace(one, who="ab", what="")).hash


@pytest.mark.parametrize(
    "text", ["", "7", "7:", f"7:{'g' * 64}", f"-1:{'0' * 64}", f"7:{'0' * 63}", f"{'9' * 19}:{'0' * 64}"]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="no head of an audit log"):
        link(text)
    assert str(link(f" 7:{'a' * 64}\n")) == f"7:{'a' * 64}"
