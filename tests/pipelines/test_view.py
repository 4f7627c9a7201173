from __future__ import annotations

import pytest

from pipelines.progress import Progress
from pipelines.view import GONE, flow, lasted, shown, view

RUN = Progress(
    "count", 1000.0, "run", "box 7", 96,
    {"accepted": 1100, "unchanged": 50, "rejected": 60, "failed": 10, "waiting": 780},
    64, 6.4, 122.0, 12_345.6, 1_800.0, 8, 48, (3, 4), {"rejected: tests": 12, "failed: no space": 3}, began=880.0,
)  # fmt: skip
LEFT = "312 of 2,480 files in 41 of 96 repositories"


def seen(found: Progress, silent: float = 0.0, remaining: str = LEFT, width: int = 100) -> list[str]:
    return list(shown(view(found, silent, remaining, width, ascii_only=True)))


def test_all_of_a_run() -> None:
    lines = seen(RUN)
    assert lines[:3] == ["count  run  for 2 min  box 7", "repositories 96", f"remaining {LEFT}"]
    assert lines[3].endswith("  61 %  1,220 of 2,000 shards")
    assert lines[3].startswith("#" * 40)
    assert lines[4] == "1,100 accepted  50 unchanged  60 rejected  10 failed  780 waiting"
    assert lines[5].startswith("64 in hand  48 asking a model  8 testing  6.4 shards/s  12,346 tokens/s read")
    assert "3 of 4 replicas busy" in lines[6]
    assert "about 2 min left, until " in lines[6]
    assert lines[7:] == ["of late", "    12 rejected: tests", "     3 failed: no space"]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 200])
def test_it_fits(width: int) -> None:
    lines = seen(RUN, width=width)
    assert max(map(len, lines)) <= width
    assert "1,100 accepted" in " ".join(lines)
    assert [line for line in lines if "of 2,000 shards" in line]


def test_what_is_not_known_is_not_told() -> None:
    assert seen(Progress("count", 1000.0, "plan", "box 7", done=37, total=96, began=999.0), remaining="") == [
        "count  plan 37 of 96  for 1 s  box 7"
    ]
    assert seen(Progress("count", 1000.0, "tend", "box 7", began=999.0), remaining="") == [
        "count  tend  for 1 s  box 7"
    ]


def test_how_many_there_are_need_not_be_known() -> None:
    found = Progress("count", 1000.0, "gather", "box 7", done=3, began=999.0)
    assert seen(found, remaining="") == ["count  gather 3  for 1 s  box 7"]


def test_of_a_driver_that_has_ended_what_stays_is_shown() -> None:
    lines = seen(Progress("count", 1000.0, "", "box 7", 2, {"accepted": 3, "waiting": 1}), silent=240.0)
    assert lines[0] == "count  no driver is at work  the last ended 4 min ago"
    assert lines[3].endswith(" 75 %  3 of 4 shards")
    assert "in hand" not in " ".join(lines)


def test_a_driver_that_is_silent_may_be_gone() -> None:
    assert "last heard of" not in " ".join(seen(RUN, silent=GONE))
    lines = seen(RUN, silent=240.0)
    assert lines[0] == "count  run  last heard of 4 min ago  its driver may be gone  box 7"
    assert "in hand" not in " ".join(lines), "nobody knows"
    assert max(map(len, seen(RUN, silent=240.0, width=60))) <= 60


def test_hostile_words_act_on_nothing() -> None:
    bad = "\x1b]0;title\x07 [red]x[/red]\x1b[2J\u202e\nnext"
    found = Progress("count", 1.0, "run", bad, 1, {"failed": 1}, failures={bad: 1}, paused=bad, away=(bad,))
    lines = seen(found, remaining=bad)
    assert all(line.isprintable() for line in lines)
    assert "[red]x[/red]" in " ".join(lines), "and stay what they are"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (89, "89 s"),
        (240, "4 min"),
        (5340, "89 min"),
        (5400, "1 h 30 min"),
        (12_000, "3 h 20 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_how_long_it_lasted(seconds: float, words: str) -> None:
    assert lasted(seconds) == words


def test_pieces_flow() -> None:
    pieces = [("one", ""), ("two", "red"), ("three", "")]
    assert list(shown(flow(pieces, 8))) == ["one  two", "three"]
    assert list(shown(flow(pieces, 3))) == ["one", "two", "three"]
    assert flow([], 10) == []
