"""What a look at a job shows, in lines that fit a terminal: text and style, no escapes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from textwrap import wrap

from pipelines.neutral import one_line
from pipelines.progress import STATUSES, Progress

Piece = tuple[str, str]
"""Text, and how it looks: a style of rich, "" for plain."""
Line = tuple[Piece, ...]
STYLES = {"accepted": "green", "unchanged": "cyan", "skipped": "blue", "rejected": "yellow", "failed": "red"}
GONE = 20.0  # seconds of silence after which a driver may be gone
WIDEST = 100


def view(found: Progress, silent: float, remaining: str, width: int, *, ascii_only: bool = False) -> list[Line]:
    """Show a snapshot. `silent`: seconds since it was made. `remaining`: what is left in the code bases, in words."""
    width = max(20, min(width, WIDEST))
    total = sum(found.counts.values())
    lines = flow([*_head(found, silent)], width)
    if found.repos:
        lines.append((("repositories ", "dim"), (f"{found.repos:,}", "")))
    lines += wrapped(f"remaining {remaining}" if remaining else "", width, "bold")
    if total:
        ended = total - found.counts.get("waiting", 0)
        share, told = f" {100 * ended // total:3} %", f"  {ended:,} of {total:,} shards"
        if width < len(share + told) + 8:
            lines.append(((told.strip(), ""),))
            told = ""
        lines.append((*_bar(found, total, width - len(share + told), ascii_only), (share + told, "")))
        counted = [(f"{found.counts[one]:,} {one}", STYLES.get(one, "dim")) for one in (*STATUSES, "waiting")
                   if found.counts.get(one)]  # fmt: skip
        lines += flow(counted, width)
    if found.stage and silent <= GONE:
        lines += flow([(text, "") for text in _doing(found)], width)
    for why in (*found.away, *([f"paused: {found.paused}"] if found.paused else [])):
        lines += wrapped(why, width, "yellow")
    if found.failures:
        lines.append((("of late", "dim"),))
        lines += [((f"  {count:4} {one_line(why)}", ""),) for why, count in found.failures.items()]
    return [_cut(line, width) for line in lines]


def shown(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the lines without their looks."""
    for line in lines:
        yield "".join(piece for piece, _ in line).rstrip()


def flow(pieces: Sequence[Piece], width: int) -> list[Line]:
    """Put pieces side by side, as many to a line as fit."""
    lines: list[list[Piece]] = []
    free = 0
    for piece in pieces:
        if not lines or free < len(piece[0]) + 2:
            lines.append([piece])
            free = width - len(piece[0])
        else:
            lines[-1] += [("  ", ""), piece]
            free -= len(piece[0]) + 2
    return [tuple(line) for line in lines]


def wrapped(words: str, width: int, style: str) -> list[Line]:
    """Return text of others as lines that fit."""
    return [((line, style),) for line in wrap(one_line(words, 4 * WIDEST), width)]


def lasted(seconds: float) -> str:
    """Return `12 s`, `4 min`, `3 h 20 min`, `2 d 3 h`."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _head(found: Progress, silent: float) -> Line:
    name = (one_line(found.job), "bold")
    if not found.stage:
        return name, ("no driver is at work", ""), (f"the last ended {lasted(silent)} ago", "")
    what = found.stage
    if found.stage != "run" and (found.total or found.done):
        what += f" {found.done:,}" + (f" of {found.total:,}" if found.total else "")
    if silent > GONE:
        gone = f"last heard of {lasted(silent)} ago", "red"
        return name, (what, ""), gone, ("its driver may be gone", "red"), (one_line(found.where), "dim")
    return name, (what, "bold"), (f"for {lasted(found.at - found.began)}", ""), (one_line(found.where), "dim")


def _doing(found: Progress) -> Iterator[str]:
    """Yield what is under way, how fast it goes, and when it ends."""
    if found.flight or found.asking or found.testing:
        yield f"{found.flight:,} in hand"
        yield f"{found.asking:,} asking a model"
        yield f"{found.testing:,} testing"
    if found.rate and found.stage == "run":
        yield f"{found.rate:.3g} shards/s"
    if (found.read or found.written) and found.stage == "run":
        yield f"{found.read:,.0f} tokens/s read"
        yield f"{found.written:,.0f} written"
    if found.replicas:
        yield f"{found.replicas[0]} of {found.replicas[1]} replicas busy"
    if found.left:
        at = time.strftime("%H:%M", time.localtime(time.time() + found.left))
        yield f"about {lasted(found.left)} left, until {at}"


def _bar(found: Progress, total: int, width: int, ascii_only: bool) -> Iterator[Piece]:
    """Draw how many shards have ended in which status."""
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    drawn = ended = 0
    for status in STATUSES:
        ended += found.counts.get(status, 0)
        upto = width * ended // total
        if upto > drawn:
            yield full * (upto - drawn), STYLES[status]
            drawn = upto
    yield empty * (width - drawn), "dim"


def _cut(line: Line, width: int) -> Line:
    """Leave out what does not fit."""
    kept: list[Piece] = []
    for piece, style in line:
        if len(piece) > width:
            kept.append((piece[: max(0, width - 3)] + "..." if width > 3 else piece[:width], style))
            break
        kept.append((piece, style))
        width -= len(piece)
    return tuple(kept)
