"""What a change of a whole file means for some of its symbols alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from operators.syntax.borders import bordered
from operators.syntax.excerpt import put_back, whole
from operators.syntax.imports import gained, only
from operators.syntax.outline import Lines, numbers


def within(text: str, new: str, spans: Sequence[Lines]) -> tuple[str, list[Lines]]:
    """Return `text` with what `new` changes within `spans` and the imports that this needs, and the lines where some
    other change was left out."""
    after, left_out = put_back(text, replace(whole(text), free=numbers(spans)), bordered(text, new))
    return alone(text, after, new), left_out


def alone(text: str, after: str, new: str) -> str:
    """Return what a symbol becomes by itself: the imports that it needs come with it, but never without it."""
    return text if only(text, after) else gained(after, new)


def notes(path: str, left_out: Sequence[Lines], spans: Sequence[Lines]) -> list[str]:
    """Name the changes among those left out that are, in part, of `spans`: nobody else will make them."""
    return [
        f"{path}: a change of lines {first} to {last} was left out, because it reaches beyond what may change"
        for first, last in left_out
        if any(begin <= last and first <= end for begin, end in spans)
    ]
