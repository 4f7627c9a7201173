"""Tokens that a reply needs per accepted edit, by reply protocol: search/replace blocks, the whole of what was shown,
and piece by piece.

No model is asked. These are perfect replies, worked out from edits that the codemods of the shipped jobs make on the
jobs' own packages: what a model would have to write that makes no mistake and wastes no word. A real model writes more.
Each reply is read by the step that would read a model's, and counts only if exactly the edit comes out: piece by piece
no import can be taken away, and each is added on a line of its own. `whole` is all that the job's cut shows: the file,
or the test method with imports and class header. Tokens are those of Mistral's Tekken tokeniser; the prompt and the end
of the reply are not counted.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from operators.data import Completion, Edit, Message, Shard, Skip
from operators.hunks import Hunk, apply, diff, imports
from operators.piecewise import Piecewise
from operators.revise import contents
from operators.rewrite import Rewrite
from operators.source import split
from operators.syntax.cut import part
from operators.syntax.excerpt import Excerpt, carried
from operators.syntax.excerpt import whole as whole_file
from operators.syntax.outline import first_line, last_line, parse
from operators.syntax.pieces import alone, pieces
from operators.tokens import tokens
from operators.workspace import Workspace
from pipelines.data import Task
from pipelines.lanes import InProcess
from pipelines.plan import plan
from pipelines.recipe import recipe
from pipelines.session import job_of
from pipelines.work import Kit
from tests.benchmarks.setting import folder

JOBS = ("unittest-to-pytest", "modernise-typing", "format-to-fstring")


@dataclass(frozen=True, slots=True)
class Perfect:
    """Says what it was given to say, by the name under which it is asked."""

    replies: Mapping[str, str]
    bare, revision, concurrency, room = False, "perfect", 1, 1 << 30

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        return Completion(self.replies[shard])


@dataclass(frozen=True, slots=True)
class Accepted:
    """An edit of one file. `before` and `after`: what a model would be shown, and what is to become of it."""

    ws: Workspace
    shard: Shard
    path: str
    new: str
    before: str
    after: str
    hits: str

    def blocks(self) -> int | None:
        """Return the tokens of the reply, None when it does not give the edit."""
        return self._counted(Rewrite("", Perfect({self.shard.key: searched(self.path, self.before, self.after)})))

    def whole(self) -> int | None:
        reply = f"{self.path}\n{fenced(self.after)}"
        return self._counted(Rewrite("", Perfect({self.shard.key: reply}), protocol="whole"))

    def piece(self) -> int | None:
        old = self.ws.text(self.path) or ""
        spans = [(span.first, span.last) for span in self.shard.spans]
        replies = answers(old, self.new, pieces(old, self.hits, spans))
        named = {f"{self.shard.key} {self.path}:{first}": reply for first, reply in replies}
        return self._counted(Piecewise("", Perfect(named), hits=self.hits))

    def _counted(self, step: Rewrite | Piecewise) -> int | None:
        try:
            edit = step.propose(self.ws, self.shard, ())
        except Skip:  # a statement of it cannot be shown alone
            return None
        assert isinstance(step.model, Perfect)
        given = edit is not None and not edit.trouble and edit.files == {self.path: self.new}
        return sum(map(tokens, step.model.replies.values())) if given else None

    def kept(self) -> tuple[int, int]:
        """Return how many of the lines shown stay, and how many there are."""
        lines = contents(self.before)
        return len(lines) - sum(hunk.last - hunk.first for hunk in diff(lines, contents(self.after))), len(lines)


def main() -> None:
    print(f"protocols  perfect replies worked out from codemods' edits, no model's; mistral-common {tekken()}")
    for name in JOBS:
        with folder() as home:
            edits = list(accepted(name, home))
            told(name, edits)


def tekken() -> str:
    """Return the version of the tokeniser. Raises PackageNotFoundError where tokens would only be estimated."""
    return version("mistral-common")


def accepted(name: str, home: Path) -> Iterator[Accepted]:
    """Run a shipped job without what is judged on sums, and yield the edits that its checks accept."""
    job, file = job_of(name, None)
    made = recipe(job, file)
    planned = plan(job, made, home, home)
    assert not planned.trouble, planned.trouble
    kit = Kit(made, bases={repo.name: repo.base for repo in planned.repos})
    for [(_, outcome)] in InProcess().run(kit, [Task(one.shard) for one in planned.planned]):
        if outcome.edit:
            yield shown(Workspace(kit.base(outcome.shard.repo)), outcome.shard, outcome.edit, job.select.contains)


def shown(ws: Workspace, shard: Shard, edit: Edit, hits: str) -> Accepted:
    [(path, new)] = edit.files.items()
    old, spans = ws.text(path), [(span.first, span.last) for span in shard.spans]
    assert old is not None and new is not None
    cut = part(old, spans)
    seen = Excerpt(cut["lines"], cut["numbers"], frozenset(cut["free"])) if spans else whole_file(old)
    return Accepted(ws, shard, path, new, seen.text, carried(seen, old, new).text, hits)


def searched(path: str, before: str, after: str) -> str:
    """Return a search/replace block for each place that changes, each with no more lines than make it unique."""
    old, hunks = contents(before), diff(contents(before), contents(after))
    windows: list[tuple[int, int, list[Hunk]]] = []
    for hunk in hunks:
        (first, last), own = window(old, hunk), [hunk]
        while windows and first < windows[-1][1]:
            begin, end, before_it = windows.pop()
            first, last, own = min(first, begin), max(last, end), [*before_it, *own]
        windows.append((first, last, own))
    blocks = []
    for first, last, own in windows:
        moved = [Hunk(one.first - first, one.last - first, one.lines) for one in own]
        search = old[first:last]
        lines = [path, "<<<<<<< SEARCH", *search, "=======", *apply(search, moved), ">>>>>>> REPLACE"]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def window(lines: Sequence[str], hunk: Hunk) -> tuple[int, int]:
    """Return the fewest lines around a hunk that stand in one place only; of several choices that with least text."""
    for more in range(len(lines) + 1):
        found = [
            (hunk.first - up, hunk.last - up + more)
            for up in range(more + 1)
            if hunk.first >= up and hunk.last - up + more <= len(lines)
        ]
        if unique := [(first, last) for first, last in found if first < last and once(lines, lines[first:last])]:
            return min(unique, key=lambda place: sum(map(len, lines[slice(*place)])))
    raise AssertionError("all lines together stand in one place only")


def once(lines: Sequence[str], some: Sequence[str]) -> bool:
    return sum(lines[at : at + len(some)] == some for at in range(len(lines) - len(some) + 1)) == 1


def answers(old: str, new: str, found: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the first line of each piece and its answer: the code that it became, below the imports that it needs."""
    lines, after = split(old), split(new)
    added = [line.strip() for hunk in diff(lines, after) if imports(hunk.lines) for line in hunk.lines if line.strip()]
    places = {
        (first_line(one, lines), last_line(one)): (first_line(other, after), last_line(other))
        for one, other in paired(parse(old).body, parse(new).body)
    }
    for first, last, code in found:
        begin, end = places.get((first, last), (0, 0))
        became = alone(after[begin - 1 : end]) if end else code
        yield first, fenced("\n".join([*(line for line in added if needs(became, line)), became]))


def paired(old: Sequence[ast.AST], new: Sequence[ast.AST]) -> Iterator[tuple[Any, Any]]:
    """Yield which statement became which, imports aside, where two bodies have as many of them."""
    one, other = ([node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)] for body in (old, new))
    for a, b in zip(one, other, strict=True) if len(one) == len(other) else ():
        yield a, b
        for part_of in ("body", "orelse", "handlers", "finalbody"):
            yield from paired(getattr(a, part_of, []), getattr(b, part_of, []))


def needs(code: str, statement: str) -> bool:
    names = re.findall(r"\w+", statement.partition("import ")[2])
    return any(re.search(rf"\b{name}\b", code) for name in names)


def fenced(code: str) -> str:
    return "```python\n" + code.strip("\n") + "\n```"


def told(name: str, edits: Sequence[Accepted]) -> None:
    blocks, whole, piece = ([getattr(edit, way)() for edit in edits] for way in ("blocks", "whole", "piece"))
    stay, lines = (sum(counts) for counts in zip(*(edit.kept() for edit in edits), strict=True))
    print(f"           {name}: {len(edits)} edits, {100 * stay / lines:.1f} % of {lines:,} lines shown stay")
    for way, counts in (("blocks", blocks), ("whole", whole), ("piece", piece)):
        own = [count for count in counts if count is not None]
        spent = f"{median(own):8,.0f} tokens (median) {sum(own):10,} in all" if own else ""
        print(f"           {way:6}  {len(own):4} of the edits {spent}")
    for one, other, names in ((whole, blocks, "whole / blocks"), (blocks, piece, "blocks / piece")):
        both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
        if both:
            ratio = sum(a for a, _ in both) / sum(b for _, b in both)
            print(f"           {names}, on the {len(both)} edits of both {ratio:8.2f} x")


if __name__ == "__main__":
    main()
