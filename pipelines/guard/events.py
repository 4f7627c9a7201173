"""What a YAML file says, event by event with the keys that lead there: the file is another's, so that nothing in it is
expanded or built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MAX_BYTES = 256 << 10
Keys = tuple[str, ...]
"""That lead to a value; the place in a list is one as well."""


class Awkward(Exception):
    """The file cannot be added to as it is written; the message says why."""


def dumped(value: Any) -> str:
    """Return plain values as YAML in block style."""
    return yaml.safe_dump(value, sort_keys=False, width=1000, allow_unicode=True)


def walked(text: str) -> Iterator[tuple[Keys, Any]]:
    """Yield each event below the top with the keys that lead to it. Raises Awkward when the top is no mapping."""
    path: list[str] = []
    open_: list[
        str | int
    ] = []  # of each list how many items it has so far; of each mapping the key that has no value yet
    for event in _parsed(text):
        if isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
            if open_:
                yield (*path,), event
                _done(open_, path)
            continue
        if not open_:
            if not isinstance(event, yaml.MappingStartEvent) or event.flow_style:
                raise Awkward("it does not begin with keys")
        elif open_[-1] == "":
            if not isinstance(event, yaml.ScalarEvent):
                raise Awkward("it has keys that are no words")
            open_[-1] = f" {event.value}"
            path.append(event.value)
            continue
        else:
            if isinstance(open_[-1], int):
                path.append(str(open_[-1]))
            yield (*path,), event
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append(0 if isinstance(event, yaml.SequenceStartEvent) else "")
        else:
            _done(open_, path)


def _done(open_: list[str | int], path: list[str]) -> None:
    """Go on after a value."""
    if open_ and path:
        path.pop()
        count = open_[-1]
        open_[-1] = count + 1 if isinstance(count, int) else ""


def _parsed(text: str) -> Iterator[Any]:
    """Yield the events of the only document. Raises Awkward."""
    if len(text) > MAX_BYTES:
        raise Awkward(f"it is larger than {MAX_BYTES >> 10} kB")
    documents = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise Awkward("it has several documents")
            if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                yield event
    except (yaml.YAMLError, ValueError, OverflowError) as why:
        raise Awkward(f"it is no YAML ({str(why).partition(chr(10))[0]})") from None


def ends(event: Any) -> bool:
    """Say whether an event ends a list or a mapping."""
    return isinstance(event, yaml.CollectionEndEvent)


def told(text: str) -> list[Any]:
    """Return all that a text says, but for how it is written. Raises Awkward."""
    return [
        (path, (type(one).__name__, *(getattr(one, key, None) for key in ("value", "tag", "anchor"))))
        for path, one in walked(text)
    ]


def words(text: str) -> dict[str, list[str]]:
    """Return the keys at the top, each with the plain words of its list, if it is one. Raises Awkward."""
    found: dict[str, list[str]] = {}
    tagged = set()  # such as GitLab's !reference, which stand for something else
    for path, event in walked(text):
        if len(path) == 1:
            found.setdefault(path[0], [])
            tagged |= {path[0]} if getattr(event, "tag", None) else set()
        elif path[0] not in tagged and len(path) == 2 and path[1].isdigit() and isinstance(event, yaml.ScalarEvent):
            found.setdefault(path[0], []).append(event.value)
    return found
