"""YAML text as plain values that remember where they stood.

What a few bytes could make endless, what would run code, and what YAML 1.1 would turn into something else than it looks
like does not get through.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

MAX_BYTES = 256 << 10
MAX_DEPTH = 40
Loc = tuple[str | int, ...]
Place = tuple[int, int]  # line and column, 0-based

# Scalars mean what they look like: no YAML 1.1 surprises such as `no` (False), 1:30 (90) or 2026-11-24 (a date).
_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"true|false"), lambda text: text == "true"),
    (re.compile(r"-?[0-9]{1,18}"), int),
    (re.compile(r"-?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?"), float),
    (re.compile(r"~|null|"), lambda text: None),
)
_BREAKS = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")  # where YAML 1.1 ends a line
_UNPRINTABLE = yaml.SafeLoader.NON_PRINTABLE
_HALVES = re.compile("[\ud800-\udfff]")  # of a character: what surrogateescape makes of bytes that are not UTF-8
_UNWANTED = re.compile("[\0\ud800-\udfff]")  # which an escape can write, and no process or file can be told
_HINTS = (
    (r"'\\t' that cannot start", "indent with spaces, not with tabs"),
    (r"that cannot start", "put the text in quotes"),
    (r"scanning an alias", "put a pattern that begins with * in quotes"),
    (r"scanning a tag", "put a pattern that begins with ! in quotes"),
    (
        r"mapping values are not allowed",
        "put text that holds a colon in quotes, or indent like the lines above",
    ),
    (r"quoted scalar.*end of stream", "a quote that is opened must be closed"),
    (
        r"unknown escape character",
        "in double quotes a backslash is written twice, in single quotes once",
    ),
    (
        r"<block end>|could not find expected ':'",
        "is it indented like its neighbours, and special text in quotes?",
    ),
    (r"flow (sequence|mapping)", "is every bracket closed, and special text in quotes?"),
)


class Fault(Exception):
    """The text cannot be used; the message says why. Without a place, all of it is meant."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.message, self.place = message, place


class Marked:
    """Reads one text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.keys: dict[Loc, Place] = {}
        self.values: dict[Loc, Place] = {}
        self.texts: dict[Loc, str] = {}
        """Scalars as they are written: 3.10 is not 3.1."""

    def read(self, data: bytes) -> Any:
        """Return the only document, None when there is none. Raises Fault."""
        if len(data) > MAX_BYTES:
            raise Fault(f"larger than {MAX_BYTES >> 10} kB: such a file holds settings, not data")
        text = data.decode("utf-8-sig", errors="surrogateescape")
        self.lines = _BREAKS.split(text)
        if found := _HALVES.search(text):
            raise Fault("not UTF-8: save the file in that encoding", _end(text[: found.start()]))
        if found := _UNPRINTABLE.search(text):
            message = f"the character U+{ord(found[0]):04X} is not allowed: take it out"
            raise Fault(message, _end(text[: found.start()]))
        self._loader: Any = yaml.SafeLoader(text)
        return self._document()

    def _document(self) -> Any:
        self._next()  # the stream begins
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        value = self._value(self._next(), ())
        self._next()  # the document ends
        if not isinstance(event := self._next(), yaml.StreamEndEvent):
            raise Fault("a second document begins here: a file holds one", _place(event.start_mark))
        return value

    def _next(self) -> Any:
        """Return the next event. Raises Fault for what is not YAML, and for aliases and tags."""
        try:
            event = self._loader.get_event()
        except yaml.MarkedYAMLError as error:
            told = f"{error.context or ''} {error.problem}"
            hint = next((f": {hint}" for pattern, hint in _HINTS if re.search(pattern, told)), "")
            mark = error.problem_mark or error.context_mark
            raise Fault(f"not YAML ({error.problem}){hint}", _place(mark)) from None
        except (ValueError, OverflowError):  # \UFFFFFFFF, %YAML 99999...
            raise Fault("not YAML (a number is too large)", _place(self._loader.get_mark())) from None
        if isinstance(event, yaml.AliasEvent):
            message = f"the alias *{event.anchor} is not supported: write the value out; put a pattern in quotes"
            raise Fault(message, _place(event.start_mark))
        if tag := getattr(event, "tag", None):
            short = tag.replace("tag:yaml.org,2002:", "!!")
            message = f"the tag {short} means nothing here: take it out, or put the text in quotes"
            raise Fault(message, _place(event.start_mark))
        return event

    def _value(self, event: Any, loc: Loc) -> Any:
        place = self.values[loc] = _place(event.start_mark)
        if len(loc) > MAX_DEPTH:
            raise Fault(f"nested more than {MAX_DEPTH} levels deep", place)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(loc)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(item, (*loc, len(items))))
            return items
        self.texts[loc] = event.value
        if _UNWANTED.search(event.value):
            raise Fault("a NUL, or half of a character, cannot be part of a text: take it out", place)
        return _scalar(event.value, plain=event.style is None)

    def _mapping(self, loc: Loc) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            place = _place(key.start_mark)
            if not isinstance(key, yaml.ScalarEvent) or _UNWANTED.search(key.value):
                raise Fault("a key is one word; put a template such as {{ job }} in quotes", place)
            name = key.value
            if name in result:
                first = self.keys[*loc, name][0] + 1
                raise Fault(f"`{name}` stands here twice, first on line {first}: take one out", place)
            self.keys[*loc, name] = place
            result[name] = self._value(self._next(), (*loc, name))
        return result


def _scalar(text: str, *, plain: bool) -> Any:
    if plain:
        for pattern, made in _SCALARS:
            if pattern.fullmatch(text):
                return made(text)
    return text


def _place(mark: Any) -> Place:
    return mark.line, mark.column


def _end(text: str) -> Place:
    lines = _BREAKS.split(text)
    return len(lines) - 1, len(lines[-1])
