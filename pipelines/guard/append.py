"""Adds an item to a list at the top of a YAML file, and changes no other character of it; what comes out is read again
before it counts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.guard.events import Awkward, dumped, ends, told, walked

_DEEPER = re.compile(r"(?:[ \t]*\n|[ ]+#.*\n)*")


@dataclass(frozen=True, slots=True)
class Value:
    """What stands behind a key at the top."""

    kind: str
    """sequence, mapping or scalar."""
    flow: bool
    start: int
    """Where it begins, in characters."""
    end: int
    """Behind its last word; before its closing bracket where it has one."""
    column: int
    empty: bool


def appended(text: str, key: str, item: Mapping[str, Any]) -> str:
    """Return the text with an item added to the list under `key`, which is made when it is not there; a single value
    becomes the first item. Raises Awkward."""
    unix = text.replace("\r\n", "\n")
    found = _value(unix, key)
    made = _made(unix, key, item, found)
    if told(made) != _expected(unix, key, item, found):
        raise Awkward("it is written in a way that cannot be added to")
    if unix == text:
        return made
    if text.count("\n") != text.count("\r\n"):
        raise Awkward("its lines end in two ways")
    return made.replace("\n", "\r\n")


def _made(text: str, key: str, item: Mapping[str, Any], found: Value | None) -> str:
    if found is None:
        return f"{text if not text or text.endswith(chr(10)) else text + chr(10)}{dumped({key: [item]})}"
    if found.empty:
        at = _line_end(text, found.end)
        rest = text[found.end + found.flow : at].strip()
        line = f"{text[: found.start].rstrip(' ')}{f' {rest}' if rest else ''}\n"
        return f"{line}{_block(item, 2)}{text[at + 1 :]}"
    if found.kind == "sequence" and found.flow:
        return f"{text[: found.end]}, {json.dumps(item)}{text[found.end :]}"
    if found.kind == "sequence":
        at = _below(text, found.end)
        return f"{_line(text[:at])}{_block(item, found.column)}{text[at:]}"
    if found.kind == "mapping" and not found.flow:
        at, begin = _below(text, found.end), text.rindex("\n", 0, found.start) + 1
        inner = text[found.start : at].replace("\n", "\n  ").rstrip(" ")
        return f"{text[:begin]}{' ' * found.column}- {_line(inner)}{_block(item, found.column)}{text[at:]}"
    end = found.end + found.flow
    if "\n" in text[found.start : end]:
        raise Awkward(f"its `{key}` is written over several lines")
    at = _line_end(text, end)
    return f"{text[: found.start].rstrip(' ')}\n  - {text[found.start : at]}\n{_block(item, 2)}{text[at + 1 :]}"


def _line(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _block(item: Mapping[str, Any], column: int) -> str:
    first, *others = dumped(dict(item)).splitlines()
    pad = " " * column
    return f"{pad}- {first}\n" + "".join(f"{pad}  {line}\n" for line in others)


def _below(text: str, end: int) -> int:
    """Return where the line after a word begins, and after comments that stand deeper than the top; blank lines stay
    before what follows."""
    at = end if text[:end].endswith("\n") else min(_line_end(text, end) + 1, len(text))
    deeper = _DEEPER.match(text, at)
    last = deeper.end() if deeper else at
    while last > at and text[:last].endswith("\n\n"):
        last -= 1
    return last


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _value(text: str, key: str) -> Value | None:
    """Return what stands behind a key at the top. Raises Awkward."""
    own = [(path, event) for path, event in walked(text) if path[:1] == (key,)]
    if not own:
        return None
    first = own[0][1]
    if sum(len(path) == 1 and not ends(event) for path, event in own) > 1:
        raise Awkward(f"`{key}` stands in it twice")
    if getattr(first, "anchor", None) or getattr(first, "tag", None):
        raise Awkward(f"its `{key}` has an anchor or a tag")
    # Where a list or a mapping has no bracket, it ends where the next thing begins.
    said = [
        event
        for _, event in own
        if not ends(event) or text[event.start_mark.index : event.end_mark.index] in ("]", "}")
    ]
    flow = bool(getattr(first, "flow_style", False))
    kind = next(name for name in ("sequence", "mapping", "scalar") if type(first).__name__.lower().startswith(name))
    start, end = first.start_mark.index, said[-1].end_mark.index - flow
    empty = flow and len(own) == 2 if kind != "scalar" else start == end
    return Value(kind, flow, start, end, first.start_mark.column, empty)


def _expected(text: str, key: str, item: Mapping[str, Any], found: Value | None) -> list[Any]:
    """Return what the text is to say with the item in it."""
    said, whole = told(text), told(dumped({key: [item]}))
    if found is None:
        return said + whole
    inside = [at for at, (path, _) in enumerate(said) if path[:1] == (key,)]
    own = [said[at] for at in inside]
    if found.kind == "sequence" or found.empty:
        count = sum(len(path) == 2 and not one[0].endswith("EndEvent") for path, one in own)
        held: Sequence[Any] = own[1:-1]
    else:
        count, held = 1, [((path[0], "0", *path[1:]), one) for path, one in own]
    new = [((path[0], str(count), *path[2:]), one) for path, one in whole[1:-1]]
    return [*said[: inside[0]], whole[0], *held, *new, whole[-1], *said[inside[-1] + 1 :]]
