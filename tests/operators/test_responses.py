from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import responses
from operators.data import Completion, Message
from operators.model import ModelError
from operators.responses import Remembering
from tests.operators.scripted import Talks

ASKED: list[Message] = [{"role": "system", "content": "Do it."}, {"role": "user", "content": "x = 1"}]
OTHER: list[Message] = [{"role": "system", "content": "Do it."}, {"role": "user", "content": "x = 2"}]


def ask(model: Talks, folder: Path, *, shard: str = "00", attempt: int = 0, of: list[Message] = ASKED) -> Completion:
    return Remembering(model, str(folder)).complete(of, shard=shard, attempt=attempt)


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_the_same_question_costs_nothing_the_second_time(tmp_path: Path) -> None:
    model = Talks(["one", "two"])
    assert ask(model, tmp_path) == Completion("one", 100, 10)
    assert ask(model, tmp_path) == Completion("one", cached=True)
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("first", "second", "known"),
    [
        ({"shard": "00"}, {"shard": "ff"}, True),  # greedily there is nothing to draw
        ({"attempt": 1}, {"attempt": 1}, True),
        ({"attempt": 1}, {"attempt": 1, "shard": "ff"}, False),
        ({"attempt": 0}, {"attempt": 1}, False),
        ({"attempt": 1}, {"attempt": 2}, False),
        ({}, {"of": OTHER}, False),
    ],
)
def test_a_question_is_what_is_asked_and_how_it_is_drawn(
    tmp_path: Path, first: dict[str, object], second: dict[str, object], known: bool
) -> None:
    model = Talks(["one", "two"])
    ask(model, tmp_path, **first)  # type: ignore[arg-type]
    assert ask(model, tmp_path, **second).cached is known  # type: ignore[arg-type]


def test_another_model_is_asked_itself(tmp_path: Path) -> None:
    ask(Talks(["one"]), tmp_path)
    assert ask(Talks(["two"], revision="another"), tmp_path).text == "two"


@pytest.mark.parametrize("reply", [Completion("half", 5, 5, cut=True), "", " \n"])
def test_what_is_cut_or_empty_is_asked_again(tmp_path: Path, reply: str | Completion) -> None:
    model = Talks([reply, "whole"])
    ask(model, tmp_path)
    assert ask(model, tmp_path) == Completion("whole", 100, 10)


def test_an_error_is_not_kept(tmp_path: Path) -> None:
    model = Talks([ModelError("no such luck"), "there"])
    with pytest.raises(ModelError):
        ask(model, tmp_path)
    assert ask(model, tmp_path).text == "there"


@given(text=st.text(min_size=1).filter(str.strip))
def test_a_reply_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    of: list[Message] = [{"role": "user", "content": text}]
    assert [ask(Talks([text]), tmp_path, of=of).text for _ in range(2)] == [text, text]


@pytest.mark.parametrize("data", [b"", b"one", b"\0" * 40])
def test_a_reply_that_was_damaged_is_asked_for_again(tmp_path: Path, data: bytes) -> None:
    ask(Talks(["one"]), tmp_path)
    (file,) = files(tmp_path)
    file.write_bytes(data)
    assert ask(Talks(["two"]), tmp_path) == Completion("two", 100, 10)
    assert ask(Talks(["three"]), tmp_path).text == "two"


def test_a_folder_that_cannot_be_written_to_harms_nobody(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    assert [ask(Talks(["one"]), blocked / "responses").cached for _ in range(2)] == [False, False]


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    ask(Talks(["secret code"]), tmp_path / "responses")
    (file,) = files(tmp_path)
    assert file.parent.stat().st_mode & 0o077 == 0
    assert b"secret" not in file.read_bytes()


def test_what_was_of_no_use_for_longest_goes_first(tmp_path: Path) -> None:
    for number, size in enumerate([400, 100, 100, 100, 100]):
        file = tmp_path / str(number)
        file.write_bytes(b"x" * size)
        os.utime(file, (number, number))
    os.utime(tmp_path / "1", (9, 9))
    responses._tidy(tmp_path, 300)
    assert sorted(file.name for file in files(tmp_path)) == ["1", "3", "4"]


def test_the_folder_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "LARGEST", 256 * 40)
    for number in range(6_000):
        ask(Talks([f"a reply {number}"]), tmp_path, of=[{"role": "user", "content": str(number)}])
    assert len(files(tmp_path)) < 4_500, "one write in 16 looks after its folder"
    assert [file for file in files(tmp_path) if file.name.startswith(".")] == [], "halves of files are left"


def test_threads_that_write_the_same_reply(tmp_path: Path) -> None:
    texts: list[str] = []
    asks = [threading.Thread(target=lambda: texts.append(ask(Talks(["one"]), tmp_path).text)) for _ in range(16)]
    for thread in asks:
        thread.start()
    for thread in asks:
        thread.join()
    assert (texts, len(files(tmp_path))) == (["one"] * 16, 1)
