"""Keeps secrets out of whatever leaves a worker: each has a placeholder, the same wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

import regex

from operators.data import Base, Shard, Skip, Trouble
from operators.spot import MARK, MASKED, Found, spot
from operators.workspace import Workspace

PATIENCE = 1.0  # seconds that a site's pattern may take on one text
SHORT, LONG = 8, 16  # characters: what has fewer is hidden only where it is seen to be a secret; or only as a word
_MARK = re.compile(MARK)
_SHOWN = re.compile(rf"{MARK}_(\d+)(?:_(?=_*[0-9]))?")
_DIGIT = re.compile(r"_*[0-9]")
_ANYTHING = "    return value  # as it was before"
_RUN = 32_000  # characters: what grows with their square takes long on any machine
_UNITS = ("a", "0", "A", "_", " ", ".", "-", "a1", "aA", "a.", "a-", "a ")
_LITERAL = re.compile(r"(?:[^\\^$.|?*+()\[\]{}]|\\\W)+")
_ESCAPED = re.compile(r"\\(.)")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r"}


class Slow(Trouble):
    """A site's pattern takes too long on a text, which is not let out."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is a secret: what every site's are (operators.spot), and what a site adds."""

    mask: tuple[tuple[str, str], ...] = ()
    """Name and pattern, as of `re`."""

    def spot(self, text: str) -> list[Found]:
        """Return the secrets of a text. They may overlap. Raises Slow."""
        found = spot(text)
        for name, pattern in self.mask:
            try:
                for match in _compiled(pattern).finditer(text, timeout=PATIENCE):
                    if match.end() > match.start() and MASKED not in match[0] and MARK not in match[0]:
                        found.append(Found(match.start(), match.end(), name))
            except TimeoutError:
                raise Slow(f"mask.{name} of the site takes more than {PATIENCE:g} s on one text: simplify it") from None
        return found

    def masked(self, text: str, values: Iterable[str] = ()) -> str:
        """Return a text without its secrets, and without these values, for good. Raises Slow."""
        there = (match.span() for value in values if value in text for match in re.finditer(re.escape(value), text))
        found = [*self.spot(text), *(Found(start, end, "value") for start, end in there)]
        return _replaced(text, found, lambda value: MASKED)

    def amiss(self) -> dict[str, str]:
        """Return why patterns of the site cannot be used, by their names."""
        return {name: why for name, pattern in self.mask if (why := _amiss(pattern))}


def _amiss(pattern: str) -> str:
    try:
        known = _compiled(pattern)
        if known.search("", timeout=PATIENCE) or known.fullmatch(_ANYTHING, timeout=PATIENCE):
            return "matches any text: say what is to be masked"
        for probe in _probes(pattern):
            known.findall(probe, timeout=PATIENCE / 4)
    except regex.error as why:
        return f"not a regular expression: {why}"
    except TimeoutError:
        return (
            "takes too long on some texts: no repetition within another, none beside one of the same, and before one "
            r"that it begins with `\b`, or `(?<![...])` with the same in it"
        )
    return ""


def _probes(pattern: str) -> Iterator[str]:
    """Yield texts on which patterns take long: runs, with what the pattern asks for behind them, since its engine does
    not even begin where that is missing."""
    signs = [_ESCAPED.sub(r"\1", one) for one in dict.fromkeys(_LITERAL.findall(pattern))]
    for unit in _UNITS:
        yield "\n".join([unit * (_RUN // len(unit)), "!", *signs])


def tellable(text: str, *masks: Callable[[str], str]) -> str:
    """Return a text as these mask it, one after the other; where one takes too long on it, that alone: what is to be
    told comes from elsewhere too, and must not stop whoever tells it."""
    try:
        for mask in masks:
            text = mask(text)
    except Slow as why:
        return f"withheld: {why}"
    return text


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


@dataclass(frozen=True, slots=True)
class Veil:
    """The secrets of some texts. A placeholder is an identifier: code in which it stands parses as before. It tells the
    order in which secrets stand in the texts and nothing else of them: a digest of a weak password could be guessed."""

    rules: Rules = field(default_factory=Rules)
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Each secret, and its number from 1 on; 0 is a text that looks like a placeholder itself."""

    @staticmethod
    def of(texts: Iterable[str], rules: Rules) -> Veil:
        """Return what hides the secrets of `texts`. The same texts give the same numbers. Raises Slow."""
        numbers: dict[str, int] = {}
        veil, spotted = Veil(rules, numbers), [(text, rules.spot(text)) for text in texts]
        for text, found in spotted:
            for one in sorted(found, key=lambda one: (one.start, one.end)):
                for value in _spellings(text[one.start : one.end]):
                    numbers.setdefault(value, len(numbers) + 1)
        before = 0
        while before < len(numbers):  # what overlaps is hidden as one, which may stand elsewhere, and overlap there
            before = len(numbers)
            for text, found in spotted:
                for one in veil._unknown(text, found):
                    numbers.setdefault(text[one.start : one.end], len(numbers) + 1)
        return veil

    def hide(self, text: str) -> str:
        """Return a text with placeholders for secrets. One that is in none of the texts that this was made of is masked
        for good; of all else `show` gives back every character. Raises Slow."""

        def placeholder(value: str) -> str:
            number = 0 if value == MARK else self.numbers.get(value)
            return MASKED if number is None else f"{MARK}_{number}"

        return _replaced(text, self._found(text, self.rules.spot(text)), placeholder)

    def strange(self, text: str) -> list[Found]:
        """Return the secrets of a text that this does not know, and what it would hide as one of which it does not know
        the whole. Raises Slow."""
        spotted = self.rules.spot(text)
        new = [one for one in spotted if text[one.start : one.end] not in self.numbers]
        return [*self._unknown(text, spotted), *new]

    def _unknown(self, text: str, spotted: Iterable[Found]) -> list[Found]:
        """Return the places that are hidden as one and have no number."""
        places, known = _together(self._found(text, spotted)), {MARK, *self.numbers}
        return [one for one in places if text[one.start : one.end] not in known]

    def _found(self, text: str, spotted: Iterable[Found]) -> list[Found]:
        """Return what is hidden of a text, given what was spotted in it."""
        marks = (Found(*match.span(), "mark") for match in _MARK.finditer(text))
        return [*spotted, *self.known(text), *marks]

    def show(self, text: str) -> str:
        """Return a text with the secrets that its placeholders stand for; one of no secret stays."""
        if MARK not in text:
            return text
        values = {number: value for value, number in self.numbers.items()} | {0: MARK}

        def value(match: re.Match[str]) -> str:
            return values.get(int(match[1]), match[0]) if len(match[1]) < 10 else match[0]

        return _SHOWN.sub(value, text)

    def masked(self, text: str) -> str:
        """Return a text without its secrets, known ones and others, for good. Raises Slow."""
        return _replaced(text, [*self.rules.spot(text), *self.known(text)], lambda value: MASKED)

    def known(self, text: str) -> Iterator[Found]:
        """Yield where the secrets stand, whatever is around them."""
        there = [value for value in self.numbers if len(value) >= SHORT and value in text]
        for value in there:
            word = len(value) < LONG
            at = text.find(value)
            while at >= 0:
                end = at + len(value)
                if not word or not (text[at - 1 : at].isalnum() or text[end : end + 1].isalnum()):
                    yield Found(at, end, "known")
                at = text.find(value, at + 1)


def _spellings(value: str) -> Iterator[str]:
    """Yield a secret as it is written in code, then as a program has it."""
    yield value
    if "\\" in value and (plain := _ESCAPED.sub(lambda match: _LETTERS.get(match[1], match[1]), value)) != value:
        yield plain


def _together(found: Iterable[Found]) -> list[Found]:
    """Return the places in order, those that overlap as one."""
    places: list[Found] = []
    for one in sorted(found, key=lambda one: one.start):
        if places and one.start < places[-1].end:
            places[-1] = replace(places[-1], end=max(places[-1].end, one.end))
        else:
            places.append(one)
    return places


def _replaced(text: str, found: Iterable[Found], other: Callable[[str], str]) -> str:
    """Return a text with something else in each place, and once for places that overlap."""
    pieces, at = [], 0
    for one in _together(found):
        pieces += [text[at : one.start], other(text[one.start : one.end])]
        at = one.end
    return _joined([*pieces, text[at:]]) if pieces else text


def _joined(pieces: Sequence[str]) -> str:
    """Join texts and what stands between them so that a placeholder's number ends where it should: `_` comes between it
    and a digit, or what looks like this."""
    apart = ["", pieces[0]]
    for before, piece in pairwise(pieces):
        apart += ["_" if before.startswith(MARK + "_") and _DIGIT.match(piece) else "", piece]
    return "".join(apart)


def veil_of(base: Base, shard: Shard, rules: Rules) -> Veil:
    """Return what hides the secrets of a shard's files, and of all others that it is shown with, as they are at the
    base: whoever has the same blobs, hence the same shard, has the same placeholders. Raises Slow, GitError."""
    paths = (*shard.paths, *shard.context, *(span.path for span in shard.related))
    return veil_at(base.mirror, base.commit, tuple(dict.fromkeys(paths)), rules)


@lru_cache(maxsize=64)
def veil_at(mirror: str, commit: str, paths: tuple[str, ...], rules: Rules) -> Veil:
    """Return what hides the secrets of some files of a commit. Raises Slow, GitError."""
    return Veil.of(_texts(Workspace(Base("", commit, mirror)), paths), rules)


def _texts(ws: Workspace, paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        with suppress(Skip):  # what cannot be read is not shown either
            yield ws.base_text(path) or ""
