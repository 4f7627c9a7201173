"""What an edit did that would make its judges see less: the rules, and what each finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache

from operators.data import Skip
from operators.syntax import standins, tricks, weaker
from operators.syntax.marks import Code, Mark, imported, newly
from operators.syntax.outline import parse

WHY = {**tricks.WHY, **weaker.WHY, **standins.WHY}
"""Rule to what is wrong with it."""
_ONCE = {**{rule: names for rule, (_, names) in tricks.NAMED.items()}, "mock": weaker.MOCKS}
Fault = tuple[int, str]  # line of the new text, 0 when it has none; words


def unknown(allow: Sequence[str]) -> str:
    """Say which rule there is not; "" when all are known."""
    for rule in allow:
        if rule not in WHY:
            near = get_close_matches(rule, WHY, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(sorted(WHY))}"
            return f"no rule is called `{rule}`; {hint}"
    return ""


def faults(before: str, after: str, test: bool, allow: Sequence[str]) -> list[Fault]:
    """Compare a file with what an edit made of it. `test`: it is a file of tests, so that these must not find less.
    `allow`: rules that are not in force.

    Each rule counts per function, so that code that moved is not new. Of a file that did not parse before only what
    cannot be seen in its text is told. Raises Skip when the new text does not parse.
    """
    if before == after:
        return []
    try:
        old, was = _seen(before, test)
    except Skip:
        found = newly(standins.unseen(before), standins.unseen(after), frozenset(), frozenset())
        return _told(((mark.line, mark.rule, _new(mark)) for mark in found), allow)
    new, becomes = _seen(after, test)
    marks = newly(was, becomes, old.functions, new.functions)
    told = [(mark.line, mark.rule, _new(mark)) for mark in marks]
    told += _imports(old, new, test, {mark.rule for mark in (*was, *marks)})
    told += [(line, rule, f"{what}: {WHY[rule]}") for line, rule, what in _less(old, new, test)]
    return _told(told, allow)


def _told(found: Iterable[tuple[int, str, str]], allow: Sequence[str]) -> list[Fault]:
    return [(line, f"{words} (rule `{rule}`)") for line, rule, words in sorted(found) if rule not in allow]


@lru_cache(maxsize=4)  # shards of one file have the same text before
def _seen(text: str, test: bool) -> tuple[Code, tuple[Mark, ...]]:
    """Parse a text and mark what the rules are about. Raises Skip."""
    code = Code(parse(text))
    everywhere = (*tricks.tricks(code, test), *standins.marks(code, text, test))
    return code, (*everywhere, *(weaker.marks(code) if test else ()))


def _less(old: Code, new: Code, test: bool) -> Iterator[tuple[int, str, str]]:
    yield from standins.emptied(old, new)
    if test:
        yield from weaker.fewer(old, new)


def _imports(old: Code, new: Code, test: bool, known: set[str]) -> Iterator[tuple[int, str, str]]:
    """Yield imports of what the file did not use in any way. `known`: rules of which a use is known."""
    runner = tricks.RUNNER if test else tricks.RUNNERS
    for rule, names in {**_ONCE, "runner": runner}.items():
        if (rule == "mock" and not test) or rule in known or any(imported(old, names)):
            continue
        for line, name in imported(new, names):
            yield line, rule, f"`{name}` is imported and was not before: it {WHY[rule]}"


def _new(mark: Mark) -> str:
    where = f" in `{mark.where}`" if mark.where else ""
    return f"`{mark.shown}`{where} is new: {WHY[mark.rule]}"
