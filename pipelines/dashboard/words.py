"""How pages write moments, ages, amounts and shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from markupsafe import Markup

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def moment(at: float) -> Markup:
    """Write a moment; "" when it is not known."""
    if not at:
        return Markup("")
    told = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(told.isoformat(), f"{told:%Y-%m-%d %H:%M} UTC")


def clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"


def span(seconds: float | None) -> str:
    """Write how long something takes in its two largest units: `3 d 4 h`, `12 s`."""
    if seconds is None:
        return ""
    left, found = max(0, round(seconds)), []
    for unit, size in _UNITS:
        if left >= size:
            found.append(f"{left // size} {unit}")
            left %= size
    return " ".join(found[:2]) or "0 s"


def amount(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:,.2f}"


def share(part: float, whole: float) -> str:
    """Write a part in percent; what is not all of it is never 100."""
    if not whole:
        return "0 %"
    percent = 100 * part / whole
    return f"{min(percent, 99.9) if part < whole else percent:.{0 if percent in {0, 100} else 1}f} %"


def query(**given: str | None) -> str:
    """Return the query of a URL; what is empty is left out."""
    told = urlencode({name: value for name, value in given.items() if value})
    return f"?{told}" if told else ""


def slices(counts: Mapping[str, int]) -> list[tuple[str, float, float]]:
    """Return name, start and width of each part of a bar that is 100 wide."""
    whole, at, found = sum(counts.values()), 0.0, []
    for name, count in counts.items():
        width = 100 * count / whole if whole else 0.0
        if count:
            found.append((name, at, width))
        at += width
    return found


def link(url: str) -> str:
    """Return where a link leads, "" when it is no address of a page: what a forge says may be anything."""
    return url if url.startswith(("https://", "http://")) and url.isprintable() else ""


def zipped(names: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    return dict(zip(names, counts, strict=True))
