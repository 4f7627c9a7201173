"""The report as one page that opens from disk: nothing in it asks for anything elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, TextIO

from pipelines.budget.prices import money
from pipelines.data import LeftOut
from pipelines.limits import Prices
from pipelines.masking import masked
from pipelines.moments import moment
from pipelines.pages import environment, visible
from pipelines.progress import STATUSES
from pipelines.remaining import remaining
from pipelines.report import figures
from pipelines.report.advice import advice
from pipelines.report.bulk import Bulk
from pipelines.report.changed import Block
from pipelines.report.compliance import WHAT, Ground, sections
from pipelines.report.history import Burndown, burndown, told
from pipelines.report.rows import Reading, Row
from pipelines.report.totals import Totals
from pipelines.site import Site
from pipelines.store.log import Event, Spent

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from pipelines.job import Job

TOLD = ("pilot", "paused", "resumed")  # kinds of events that are listed
IN_MEMORY = 8_000_000  # bytes of what is written last
ROWS = 100_000  # shards that are listed
SHAPES = 300  # that are listed
LISTED = 1000  # rows of a table that is not paged by a script
EXAMPLES = 20  # files of a reason that are named
WORDS = 4000  # characters of a finding
STATES = ("open", "merged", "closed", "branch")


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to say beside the shards."""

    job: Job
    events: Sequence[Event]
    spent: Spent | None
    """As it was counted at each call; None when nothing was, and outcomes tell."""
    now: float
    """Seconds since 1970."""
    site: Site = field(default_factory=Site)

    def ground(self, reading: Reading, totals: Totals) -> Ground:
        """Return what the part for compliance is told from."""
        stated = reading.store.evidence.latest(reading.job, "change")
        return Ground(self.job, self.site, totals, reading.asked, self.events, self.now, stated)


def write_page(reading: Reading, more: Told, out: TextIO) -> Totals:
    """Write the page, repository by repository; return what was summed up."""
    totals = Totals()
    with SpooledTemporaryFile(IN_MEMORY) as spool:
        bulk = Bulk(spool)
        unlisted = without_diff = 0
        for number, row in enumerate(reading.rows()):
            shapes, full = totals.add(row), bulk.full
            if number >= ROWS:
                unlisted += 1
                continue
            without_diff += full and bool(row.files)
            place = bulk.add("details", _detail(row, full))
            bulk.add("rows", _row(row, shapes, place))
        told_of = _context(reading, more, totals) | {"unlisted": unlisted, "without_diff": without_diff}
        told_of |= {"script": _asset("report.js"), "own": _asset("report.css"), "pieces": bulk.pieces()}
        for piece in _templates().get_template("report.html").generate(**told_of):
            out.write(piece)
    return totals


def _row(row: Row, shapes: Sequence[int], place: tuple[int, int]) -> dict[str, Any]:
    """Return what the list of changes shows and is searched by."""
    return {
        **{"repo": row.repo, "shard": row.shard, "key": row.key[:12], "owner": row.owner, "status": row.status},
        **{"state": row.state, "url": link(row.request), "attempts": row.attempts},
        **{"added": row.added, "deleted": row.deleted, "tokens": row.read + row.written},
        **{"seconds": round(row.seconds, 2), "cost": round(row.cost, 5)},
        **{"why": _first(row.dropped or row.why), "dropped": bool(row.dropped), "shapes": shapes, "place": place},
    }


def _detail(row: Row, full: bool) -> dict[str, Any]:
    """Return what is shown when a change is opened."""
    files = None if full and row.files else row.files
    return {
        "tried": [[[one.judge, one.place, one.message[:WORDS]] for one in findings] for findings in row.tried],
        "why": (row.dropped or row.why)[:WORDS],
        "proof": row.proof,
        "notes": row.notes,
        "done": moment(row.at) if row.at else "",
        "branch": row.branch,
        "full": full and bool(row.files),
        "files": None
        if files is None
        else [{"path": one.path, "lines": one.lines, "left_out": one.left_out} for one in files],
    }


def link(url: str) -> str:
    """Return what may be linked: pages on the web, and files of the local forge; "" for anything else."""
    if re.match(r"https?://[^\s]+$", url):
        return url
    return Path(url).as_uri() if url.startswith("/") else ""


def _first(text: str) -> str:
    return text.strip().partition("\n")[0][:300]


def _context(reading: Reading, more: Told, totals: Totals) -> dict[str, Any]:
    plan, asked, prices = reading.plan, reading.asked, reading.prices
    states: Counter[str] = Counter(one.state for one in asked.requests)
    spent = more.spent or Spent(
        read=totals.all.read, written=totals.all.written, gpu_seconds=totals.spreads["gpu_seconds"].told()["sum"]
    )
    chart = burndown(totals.times, totals.all.total, more.events)
    shapes = totals.shapes.sorted()
    job = more.job.model_copy(update={"description": masked(more.job.description)})
    return {
        **{"job": job, "plan": plan, "totals": totals, "made": moment(more.now), "spent": spent},
        **{"metered": more.spent is not None, "statuses": (*STATUSES, "waiting"), "prices": prices},
        **{"priced": _priced(prices), "money": money(spent, prices, totals.spreads["judging"].told()["sum"])},
        "states": {state: states[state] for state in STATES} | {"to be opened": asked.wanted},
        "left": remaining(reading.job, plan, reading.store),
        "days": (moment(chart.moments[0].at), moment(chart.moments[-1].at)) if chart.moments else None,
        **{"chart": chart, "lines": lines(chart), "moment": moment},
        **{"shapes": shapes[:SHAPES], "other_shapes": shapes[SHAPES:], "listed_rows": LISTED},
        "failures": sorted(totals.failures.values(), key=lambda one: -one.count),
        **{"advice": advice, "left_out": _reasons(plan.left_out), "examples": EXAMPLES},
        "events": [told(one) for one in more.events if one.kind in TOLD],
        "unknown": {**plan.trouble, **asked.trouble},
        "absent": sorted(totals.absent),
        **{"compliance": sections(more.ground(reading, totals)), "what_it_is": WHAT},
    }


def _priced(prices: Prices) -> bool:
    return any((prices.read, prices.written, prices.gpu_hour, prices.core_hour))


def _reasons(left_out: Sequence[LeftOut]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for one in left_out:
        found.setdefault(one.reason, []).append(": ".join(filter(None, (one.repo, one.path))))
    return sorted(found.items(), key=lambda item: -len(item[1]))


def lines(chart: Burndown) -> Mapping[str, str]:
    """Return the lines of a burndown as points of SVG, 100 wide and 100 high: what is left of shards, of requests and
    of hits, each as a share of its own whole."""
    if len(chart.moments) < 2:
        return {}
    first, last = chart.moments[0].at, chart.moments[-1].at
    found: dict[str, list[str]] = {}
    for one in chart.moments:
        x = 100 * (one.at - first) / (last - first)
        shares = {"shards": (chart.shards - one.done, chart.shards)}
        if chart.requests:
            shares["requests"] = (chart.requests - one.merged, chart.requests)
        if chart.hits and one.hits is not None:
            shares["hits"] = (one.hits, chart.hits)
        for name, (left, whole) in shares.items():
            if whole:
                found.setdefault(name, []).append(f"{x:.2f},{100 - 100 * min(1, left / whole):.2f}")
    return {name: " ".join(points) for name, points in found.items() if len(points) > 1}


def coded(text: str) -> Markup:
    """Return text as HTML, what stands between backticks as code."""
    from markupsafe import Markup

    parts = visible(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def outdented(some: Sequence[str], block: Block) -> str:
    """Return lines of a block without what indents all of it."""
    texts = [line for line in (*block.before, *block.after) if line.strip()]
    margin = min((len(line) - len(line.lstrip()) for line in texts), default=0)
    return "\n".join(line[margin:] for line in some)


def _asset(name: str) -> str:
    return (Path(__file__).parent / "pages" / name).read_text()


@lru_cache(maxsize=1)
def _templates() -> Environment:
    made = environment("pipelines.report")
    made.filters.update(
        coded=coded,
        outdented=outdented,
        count=figures.count,
        percent=figures.percent,
        time=figures.time,
        amount=figures.amount,
        listed=figures.listed,
    )
    return made
