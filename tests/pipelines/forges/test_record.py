from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import Refused
from pipelines.forges.record import BOT, Record, dumped, read, write

ODD = "größe \u202e\x1b\ud800 \"'\\ \n 🙂"


def record(**more: Any) -> Record:
    return Record("platform/billing", 7, "umbau/j/app", "main", "c0ffee", ODD, ODD, labels=("a", ODD), **more)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    one = record(
        digest="d",
        head="beef",
        intends="cafe",
        draft=True,
        state="closed",
        reviewers=("ada",),
        assignees=("bob",),
        milestone=ODD,
    )
    one = one.after("comment", "ada", ODD, "a.py", 3).after("close", text="over")
    write(tmp_path / "7.json", dumped(one))
    assert read(tmp_path / "7.json") == one
    assert one.name == "platform/billing/7"


@pytest.mark.parametrize(
    ("kinds", "approved"),
    [
        ([], False),
        (["push"], False),
        (["push", "approve"], True),
        (["push", "approve", "comment"], True),
        (["push", "approve", "push"], False),
        (["push", "approve", "push", "approve"], True),
        (["approve", "comment", "push"], False),
    ],
)
def test_an_approval_is_of_what_is_there(kinds: list[Any], approved: bool) -> None:
    one = record()
    for kind in kinds:
        one = one.after(kind)
    assert one.approved == approved
    assert {event.author for event in one.events} <= {BOT}


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "1.html"
    write(file, "old")
    with file.open() as open_before:
        write(file, ODD)
        assert open_before.read() == "old"
    assert file.read_bytes().decode() == ODD.replace("\ud800", "\\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["1.html"]


def test_a_record_of_before_is_read(tmp_path: Path) -> None:
    one = record(digest="d").after("push", text="beef")
    data = json.loads(dumped(one))
    for name in ("assignees", "milestone", "message", "reviewers"):
        del data[name]
    (tmp_path / "7.json").write_text(json.dumps(data))
    assert read(tmp_path / "7.json") == one


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"events": [{"kind": 1}], "labels": []}'])
def test_a_damaged_record_is_told(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "1.json"
    file.write_bytes(data)
    with pytest.raises(Refused, match=r"1\.json is damaged"):
        read(file)


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_words_can_be_kept(tmp_path_factory: pytest.TempPathFactory, text: str, author: str) -> None:
    file = tmp_path_factory.mktemp("words") / "1.json"
    one = record().after("comment", author, text)
    write(file, dumped(one))
    assert read(file) == one
