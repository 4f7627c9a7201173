from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.data import Finding
from pipelines.pages import visible
from pipelines.report.changed import compared
from pipelines.report.rows import Row
from pipelines.report.table import COLUMNS, write_csv, write_jsonl

ROW = Row("plainly", "billing", "a.py", "k" * 64, "c0ffee", "umbau/plainly/a", "a", "@money", "file", "accepted")


def as_csv(*rows: Row) -> list[list[str]]:
    out = io.StringIO(newline="")
    assert write_csv(rows, out) == len(rows)
    assert out.getvalue().count("\r\n") >= len(rows) + 1
    return [*csv.reader(io.StringIO(out.getvalue(), newline=""), strict=True)]


def test_a_line_for_each_shard() -> None:
    changed = compared("a.py", ["x"], ["y", "z"])
    done = replace(ROW, files=(changed,), judging={"tests": 2.5, "parses": 0.5}, at=0.5e9, cost=0.25, model=True)
    head, first, second = as_csv(done, replace(ROW, why='two\nlines, "quoted"', status="rejected"))
    assert head == [*COLUMNS]
    told = dict(zip(head, first, strict=True))
    assert [told[name] for name in ("repo", "files", "added", "deleted", "judging", "testing", "cost", "model")] == [
        *("billing", "1", "2", "1", "3.0", "2.5", "0.25", "true"),
    ]
    assert told["at"] == "1985-11-05T00:53:20Z"
    assert dict(zip(head, second, strict=True))["why"] == "two"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "＝1", "\n=1", "-x.py"]
)
def test_no_cell_is_a_formula(text: str) -> None:
    head, line = as_csv(replace(ROW, shard=text, owner=text, why=text))
    told = dict(zip(head, line, strict=True))
    assert told["shard"].startswith(("'", "[")) and told["owner"].startswith(("'", "["))
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in line)


@given(st.text(), st.text())
def test_text_comes_back_as_it_is_seen(shard: str, owner: str) -> None:
    head, line = as_csv(replace(ROW, shard=shard, owner=owner))
    told = dict(zip(head, line, strict=True))
    for name, text in (("shard", shard), ("owner", owner)):
        assert told[name] in {visible(text), f"'{visible(text)}"}


@given(st.text(), st.text())
def test_json_lines_come_back_whole(message: str, line: str) -> None:
    changed = compared("a.py", ["x"], [line])
    row = replace(ROW, files=(changed,), tried=((Finding("tests", message, "a.py:1"),), ()), why=message)
    out = io.StringIO()
    assert write_jsonl([row, replace(ROW, files=None)], out) == 2
    assert len(out.getvalue().rstrip("\n").split("\n")) == 2
    first, second = (json.loads(one) for one in out.getvalue().splitlines())
    told: dict[str, Any] = first
    assert told["tried"] == [[{"judge": "tests", "place": "a.py:1", "message": message}], []]
    assert told["why"] == message and told["diff"].startswith("--- a/a.py\n+++ b/a.py\n")
    assert (second["diff"], second["files"]) == (None, None)
    assert first.keys() == second.keys() >= {*COLUMNS}
