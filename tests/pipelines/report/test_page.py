from __future__ import annotations

import io
import json
import re
import zlib
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from operators.data import Shard
from pipelines.cli import app
from pipelines.data import Plan, Planned, Repo, Shards
from pipelines.forge import Request
from pipelines.job import Job
from pipelines.pages import hashed, visible
from pipelines.report import bulk as bulk_module
from pipelines.report import figures
from pipelines.report import totals as totals_module
from pipelines.report.advice import advice
from pipelines.report.asked import Asked
from pipelines.report.bulk import Bulk
from pipelines.report.history import burndown
from pipelines.report.page import Told, lines, link, write_page
from pipelines.report.rows import Reading, Row
from pipelines.report.totals import Spread, Totals
from pipelines.store import Store
from pipelines.store.log import Event
from tests.pipelines.report.conftest import Ran, reading

RUN = CliRunner()


class Seen(HTMLParser):
    """What a browser would see, without running anything."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[tuple[str, str]] = []
        self.text = ""
        self._in = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self._in = tag if tag in {"script", "style"} else ""
        if tag == "script":
            self.scripts.append((dict(attrs).get("class") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = kind, text + data
        elif not self._in:
            self.text += data

    def packed(self, kind: str) -> list[Any]:
        return [
            one for name, text in self.scripts if name == kind for one in json.loads(zlib.decompress(b64decode(text)))
        ]


def test_everything_is_told(ran: Ran) -> None:
    rows = {row.shard: row for row in reading(ran).rows()}
    told = {name: (row.status, row.state, row.attempts, row.owner) for name, row in rows.items() if "a/" not in name}
    assert told == {
        "b/test_late.py": ("accepted", "open", 2, "@ledger"),
        "b/test_never.py": ("rejected", "", 2, "@ledger"),
        "c/test_<b>&.py": ("accepted", "open", 1, "@money"),
        "test_fine.py": ("accepted", "open", 1, "shop"),
        "test_gone.py": ("failed", "", 0, "shop"),
        "test_long.py": ("skipped", "", 0, "shop"),
    }
    first = rows["a/test_0.py"]
    assert (first.state, first.added, first.deleted) == ("merged", 1, 1)
    expected = (first.read * 2 + first.written * 8) / 1e6
    expected += (first.gpu_seconds * 3 + sum(first.judging.values()) * 0.1) / 3600
    assert first.cost == pytest.approx(expected) and first.gpu_seconds > 0
    assert [[one.judge for one in found] for found in rows["b/test_late.py"].tried] == [["gone"], []]
    assert rows["b/test_never.py"].judge == "gone" and "answered 400" in rows["test_gone.py"].why
    assert rows["test_long.py"].judge == "skipped" and rows["a/test_3.py"].at > 1.7e9


def test_the_page_holds_all_of_it_and_nothing_acts(ran: Ran, page: Callable[[], Path]) -> None:
    html = page().read_text()
    seen = Seen(html)
    assert not {"img", "iframe", "object", "embed", "link", "form", "base", "b"} & seen.tags.keys()
    names = {name for name, _ in seen.attributes}
    assert not {name for name in names if name.startswith("on")} and not names & {"src", "srcset", "style", "action"}
    (script,) = [text for kind, text in seen.scripts if not kind]
    (policy,) = [value for name, value in seen.attributes if name == "content" and "default-src" in (value or "")]
    assert policy and f"script-src '{hashed(script)}'" in policy and "unsafe" not in policy
    assert "\u202e" not in html and "</script><b>plainly</b>" in seen.text
    rows, details = seen.packed("rows"), seen.packed("details")
    assert len(rows) == len(details) == 18
    odd = details[next(number for number, row in enumerate(rows) if row["shard"] == "c/test_<b>&.py")]
    assert any("</script><script>alert(1)</script>" in line and "[U+202E]" in line for line in odd["files"][0]["lines"])
    words = " ".join(seen.text.split())
    for said in (
        *("93.8 %", "3 open, 1 merged", "15 accepted 1 skipped 1 rejected 1 failed", "+15 −15"),
        *("files that the detector still finds, of 18 at first", "by the job's prices", "forecast: low 0.6, high 0.95"),
        *("why: tokens: 90 of 100 <b>spent</b>", "gone 1.", "self.assertEqual(‹1›, ‹2›)", "assert ‹1› == ‹2›"),
        *("umbau run tries it again", "Say in the prompt how the rest", "None: every file"),
    ):
        assert said in words, said


def test_before_anything_is_done(tmp_path: Path) -> None:
    repo = Repo("billing", str(tmp_path / "nowhere.git"), "c0ffee", "main")
    shard = Planned(Shard("k", "billing", "c0ffee", ("a.py",)), "umbau/j/a", "a")
    job = Job.model_validate({"name": "j", "repos": [{"git": "billing"}], "steps": [{"shell": "true"}]})
    store = Store(tmp_path / "store.db")
    for shards in ([shard], []):
        out = io.StringIO()
        plan = Plan((repo,), Shards(shards))
        write_page(Reading("j", plan, store, job.budget.prices, Asked()), Told(job, (), None, 1.8e9), out)
        text = " ".join(Seen(out.getvalue()).text.split())
        for said in ("Nothing has been done yet", "No shard has an outcome yet", "Nothing: every shard", "no pilot"):
            assert said in text
        assert ("The last plan has no shards." in text) == (not shards)
        assert "no prices in budget.prices" in text
    store.close()


def test_requests_are_sorted_once_however_many_repositories_there_are(ran: Ran) -> None:
    sorts = []

    class Requests(tuple[Request, ...]):
        def __iter__(self) -> Iterator[Request]:
            sorts.append(1)
            return super().__iter__()

    told = reading(ran)
    told = replace(told, asked=replace(told.asked, requests=Requests(told.asked.requests)))
    assert len({row.repo for row in told.rows() if row.request}) == 2
    assert len(sorts) == 1


def test_where_the_repositories_are_not(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_HOME", str(ran.home))
    monkeypatch.chdir(tmp_path)
    mirrors = ran.home / "mirrors"
    mirrors.rename(ran.home / "elsewhere")
    try:
        done = RUN.invoke(app, ["report", str(ran.job)])
    finally:
        (ran.home / "elsewhere").rename(mirrors)
    assert done.exit_code == 0, done.output
    seen = Seen(Path("plainly.html").read_text())
    text = " ".join(seen.text.split())
    assert "2 of 2 repositories are not on the machine that this report was made on" in text
    assert "The repositories are not here, so that no diff can be told." in text and "93.8 %" in text
    assert [one["files"] for one in seen.packed("details")].count(None) == 16


def test_diffs_beyond_what_a_page_may_hold_are_left_out(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_module, "PIECE", 1000)
    monkeypatch.setattr(bulk_module, "MOST", 2000)
    out = io.StringIO()
    write_page(reading(ran), Told(ran.driver().job, (), None, 1.8e9), out)
    seen = Seen(out.getvalue())
    left = [one["full"] for one in seen.packed("details")].count(True)
    assert 0 < left < 15 and f"{left} changes are listed without their diffs" in " ".join(seen.text.split())
    places = [tuple(one["place"]) for one in seen.packed("rows")]
    assert len({*places}) == len(places) == 18 and max(places)[0] > 2


def test_pieces_are_found_again() -> None:
    file = io.BytesIO()
    made = Bulk(file)
    places = [made.add("details", {"n": number, "text": "</script>\u202e" * 3000}) for number in range(40)]
    pieces = [*made.pieces()]
    assert len(pieces) > 2 and all(piece.count("</script>") == 1 for piece in pieces)
    for number, (piece, at) in enumerate(places):
        body = re.sub(r"<[^>]*>", "", pieces[piece])
        assert json.loads(zlib.decompress(b64decode(body)))[at]["n"] == number


@pytest.mark.parametrize(
    "url,linked",
    [
        ("https://git.example.eu/a/-/merge_requests/3", True),
        ("/srv/umbau/forge/billing/1.html", True),
        *[(url, False) for url in ("", "javascript:alert(1)", "data:text/html,x", " https://x", "relative/1.html")],
    ],
)
def test_what_may_be_linked(url: str, linked: bool) -> None:
    assert bool(link(url)) == linked


def test_over_time() -> None:
    def event(at: float, kind: str, body: Any, repo: str = "a") -> Event:
        return Event(1, at, "j", kind, repo, body)

    events = [
        event(0, "opened", {"at": 10.0}),
        event(95, "merged", {"at": None}),
        event(20, "remaining", {"hits": 8, "total": 10}),
        event(60, "remaining", {"hits": 5, "total": 10}, "b"),
        event(100, "remaining", {"hits": 0, "total": 10}),
        event(50, "remaining", "odd"),
    ]
    found = burndown({"accepted": [10, 50], "rejected": [90]}, 4, events)
    last = found.moments[-1]
    assert (found.shards, found.requests, found.hits, last.at) == (4, 1, 20, 100)
    assert (last.done, last.accepted, last.opened, last.merged, last.hits) == (3, 2, 1, 1, 5)
    first = found.moments[0]
    assert (first.at, first.done, first.merged, first.hits) == (10, 1, 0, None)
    drawn = lines(found)
    assert {*drawn} == {"shards", "requests", "hits"}
    assert drawn["shards"].startswith("0.00,25.00 ") and drawn["shards"].endswith("100.00,75.00")
    assert burndown({}, 4, []).moments == () and lines(burndown({"accepted": [1]}, 1, [])) == {}


def test_spread() -> None:
    spread = Spread()
    assert spread.told() == {"sum": 0, "median": 0, "of 90 %": 0, "of 99 %": 0, "most": 0}
    for number in range(100, 0, -1):
        spread.add(number)
    assert [*spread.told().values()] == [5050, 50, 90, 99, 100]


@pytest.mark.parametrize(
    "shown,expected",
    [
        (figures.percent(None), "–"),
        (figures.percent(0.9999), "99.9 %"),
        (figures.percent(1.0), "100 %"),
        (figures.percent(0.5), "50 %"),
        (figures.time(0.42), "0.4 s"),
        (figures.time(200), "3 min 20 s"),
        (figures.time(18_360), "5.1 h"),
        (figures.amount(1234.5), "1,234.50"),
        (figures.amount(0.00331), "0.0033"),
        (figures.listed({"open": 3, "merged": 0, "closed": 1}), "3 open, 1 closed"),
    ],
)
def test_figures(shown: str, expected: str) -> None:
    assert shown == expected


def test_kinds_of_failures(ran: Ran) -> None:
    totals = Totals()
    for row in reading(ran).rows():
        totals.add(row)
    assert {(one.status, one.judge): one.count for one in totals.failures.values()} == {
        ("rejected", "gone"): 1,
        ("failed", "failed"): 1,
        ("skipped", "skipped"): 1,
    }


def test_the_command(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_HOME", str(ran.home))
    monkeypatch.chdir(tmp_path)
    done = RUN.invoke(app, ["report", str(ran.job)])
    assert (done.exit_code, done.stdout) == (0, "plainly.html is written\n"), done.output
    assert Seen(Path("plainly.html").read_text()).packed("rows")
    done = RUN.invoke(app, ["report", str(ran.job), "--csv", "a.csv", "--jsonl", "a.jsonl", "--json"])
    assert json.loads(done.stdout) == {"csv": "a.csv", "jsonl": "a.jsonl"}
    assert len(Path("a.csv").read_text().splitlines()) == 19
    diffs = [json.loads(line)["diff"] for line in Path("a.jsonl").read_text().splitlines()]
    assert sum("+        assert " in diff for diff in diffs) == 15
    failed = RUN.invoke(app, ["report", str(ran.job), "--out", "none/x.html"])
    assert failed.exit_code == 2 and "No such file or directory" in failed.output
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.csv", "a.jsonl", "plainly.html"]


@given(st.recursive(st.text() | st.integers(), lambda some: st.lists(some) | st.dictionaries(st.just("x"), some)))
def test_whatever_is_packed_has_nothing_hidden(value: Any) -> None:
    def shown(one: Any) -> Any:
        if isinstance(one, str):
            return visible(one)
        if isinstance(one, dict):
            return {name: shown(inner) for name, inner in one.items()}
        return [shown(inner) for inner in one] if isinstance(one, list) else one

    made = Bulk(io.BytesIO())
    made.add("rows", value)
    (piece,) = made.pieces()
    assert json.loads(zlib.decompress(b64decode(re.sub(r"<[^>]*>", "", piece)))) == [shown(value)]


def test_what_is_left_out_of_its_request_is_told_as_wrong() -> None:
    totals = Totals()
    row = Row(
        "j", "billing", "a.py", "k", "c", "b", "g", "@money", "file", "accepted", dropped="tests: 2 newly failing"
    )
    totals.add(row)
    (found,) = totals.failures.values()
    assert (found.status, found.judge, found.count) == ("left out of its request", "tests", 1)
    assert "together with its neighbours" in advice(found.status, found.judge)
    assert advice("rejected", "somebody's own check") == advice("rejected", "another's")
    assert advice("rejected", "tests") != advice("rejected", "another's")


def test_kinds_of_failures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals_module, "KINDS", 3)
    totals = Totals()
    for number in range(10):
        row = Row("j", "billing", f"{number}.py", "k", "c", "b", "g", "o", "file", "failed", "failed", f"why {number}")
        totals.add(row)
    assert [(one.why, one.count) for one in totals.failures.values()] == [
        *[(f"why {number}", 1) for number in range(3)],
        ("other reasons", 7),
    ]
