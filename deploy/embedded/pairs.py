"""Makes the pairs of before and after that the embedded model learns from.

Python that stands somewhere (the standard library's own tests, a package that was kept apart) is cut into statements
and short functions; what becomes of them says the codemod of the job. Nothing is downloaded.
"""

from __future__ import annotations

import ast
import random
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from libcst import parse_module
from libcst.codemod import CodemodContext

from operators.codemods.assertions import ALIASES
from operators.codemods.unittest_to_pytest import UnittestToPytest
from operators.data import Skip
from operators.source import split
from operators.syntax.outline import first_line, last_line
from operators.syntax.pieces import alone, moved, pieces

HITS = r"\bself\.(assert[A-Z_]|fail[A-Z]?|skipTest)"  # what the job `unittest-to-pytest` selects
IMPORT = "import unittest\n\n\n"
CLASS = "class Test(unittest.TestCase):\n"
LONGEST = 1_500  # characters of a piece
EVEN = 0.5  # share of calls in which each method is as likely; in the others, as likely as it is written
OLD = 0.3  # share of calls by an older name, which the standard library no longer uses
BROKEN = 0.3  # share of calls with an argument over several lines
SHORT = 700  # characters of a function that is learned whole

Kind = Literal["statement", "function"]


@dataclass(frozen=True, slots=True)
class Pair:
    kind: Kind
    before: str
    """A statement or a function at column 0, without a final line end."""
    after: str
    """What becomes of it; above it the imports that it needs."""


def standard_library() -> list[Path]:
    """Return the modules of the standard library's own tests. Raises FileNotFoundError where they are not installed."""
    folder = Path(sysconfig.get_path("stdlib"), "test")
    found = sorted(folder.rglob("test*.py"))
    if not found:
        raise FileNotFoundError(f"{folder} has no tests: install Python with them, as its own installers do")
    return found


def pairs(files: Iterable[Path]) -> Iterator[Pair]:
    """Yield each distinct pair of these files, in order."""
    seen = set()
    for file in files:
        try:
            text = file.read_text("utf-8")
            snippets = list(_snippets(text))
        except (UnicodeDecodeError, Skip):
            continue
        for kind, before in snippets:
            if before not in seen:
                seen.add(before)
                after = changed(before, kind)
                if after is not None:
                    yield Pair(kind, before, after)


def changed(before: str, kind: Kind) -> str | None:
    """Return what the codemod makes of a statement or a method, None when it cannot stand alone."""
    margin = " " * (8 if kind == "statement" else 4)
    head = IMPORT + CLASS + ("    def test(self):\n" if kind == "statement" else "")
    try:
        tree = parse_module(head + "\n".join(moved(before, margin)) + "\n")
        codemod = UnittestToPytest(CodemodContext(), whole=False)
        after = codemod.transform_module(tree).code
        body = ast.parse(after).body
    except Exception:
        return None
    case = next(node for node in body if isinstance(node, ast.ClassDef))
    node = case.body[0] if kind == "function" else case.body[0].body[0]  # type: ignore[attr-defined]
    lines = split(after)
    imports = [line for line in lines if line.startswith(("import ", "from ")) and line != "import unittest\n"]
    code = alone(lines[first_line(node, lines) - 1 :])
    return f"{''.join(imports)}{code}".rstrip("\n") if code else None


def _snippets(text: str) -> Iterator[tuple[Kind, str]]:
    lines = split(text.replace("\r\n", "\n"))
    found: list[tuple[Kind, str, int]] = [("statement", code, LONGEST) for _, _, code in pieces(text, HITS)]
    for case in ast.walk(ast.parse(text)):
        for node in case.body if isinstance(case, ast.ClassDef) else []:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = lines[first_line(node, lines) - 1 : last_line(node)]
                if re.search(HITS, "".join(own)):
                    found.append(("function", alone(own), SHORT))
    yield from ((kind, code) for kind, code, most in found if code and len(code) <= most and "\t" not in code)


def recombined(known: list[Pair], many: int, rng: random.Random) -> Iterator[Pair]:
    """Yield pairs of statements that nobody wrote: calls of one assert method with the arguments of others."""
    changing = [pair.before for pair in known if pair.kind == "statement" and pair.before != pair.after]
    calls = [call for before in changing for call in _calls(before)]
    methods = sorted({name for name, _ in calls})
    older = {now: [alias for alias, name in ALIASES.items() if name == now] for now in methods}
    flat = [code for _, arguments in calls for code in arguments if "\n" not in code]
    broken = [code for _, arguments in calls for code in arguments if "\n" in code] or flat
    wide = {name: [len(arguments) for own, arguments in calls if own == name] for name in methods}
    for _ in range(many):
        name = rng.choice(methods) if rng.random() < EVEN else rng.choice(calls)[0]
        chosen = [rng.choice(flat) for _ in range(rng.choice(wide[name]))]
        if rng.random() < BROKEN:
            chosen[rng.randrange(len(chosen))] = rng.choice(broken) if rng.random() < 0.6 else _split(flat, rng)
        if older[name] and rng.random() < OLD:
            name = rng.choice(older[name])
        before = _called(name, chosen, rng)
        after = changed(before, "statement") if len(before) <= LONGEST else None
        if after is not None:
            yield Pair("statement", before, after)


def _split(operands: list[str], rng: random.Random) -> str:
    """Return two operands as one expression on two lines."""
    first, second = rng.choice(operands), rng.choice(operands)
    strings = [one for one in (first, second) if one[:1] in "'\""]
    between = " " if len(strings) == 2 else rng.choice((" + ", " % ", " or ", " - "))
    return f"{first}{between.rstrip()}\n{' ' * rng.choice((4, 8, 17))}{second}"


def _called(name: str, arguments: list[str], rng: random.Random) -> str:
    """Return a call as people lay it out: short ones on one line, others one argument a line, now and then with a
    comment."""
    line = "\n"
    comma = ",  # type: ignore" if len(arguments) > 1 and rng.random() < 0.04 else ","
    if "\n" in "".join(arguments) or len(", ".join(arguments)) > 50 or comma != ",":
        if rng.random() < 0.4:
            return (
                f"self.{name}({line}    " + f"{comma}{line}    ".join(arguments) + rng.choice((f"{line})", f",{line})"))
            )
        if rng.random() < 0.6 or comma != ",":
            return f"self.{name}(" + f"{comma}{line}{' ' * (len(name) + 6)}".join(arguments) + ")"
    return f"self.{name}({', '.join(arguments)})"


def _calls(code: str) -> Iterator[tuple[str, list[str]]]:
    try:
        body = ast.parse(code).body
    except SyntaxError:
        return
    match body:
        case [ast.Expr(ast.Call(ast.Attribute(ast.Name("self"), str(name)), args, keywords))] if name.startswith(
            "assert"
        ):
            given = [ast.get_source_segment(code, one) or "" for one in args]
            given += [ast.get_source_segment(code, one) or "" for one in keywords]
            if given:
                yield name, given
