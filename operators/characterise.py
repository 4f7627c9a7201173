"""Operator: ask a model for a test of what code does before it is edited."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from operators import guard
from operators.checks.compared import of_tests
from operators.conversation import again, prompt
from operators.data import Covered, Edit, Message, Model, Shard, Skip, TooLong, Verdict, called
from operators.fences import whole
from operators.hunks import diff
from operators.likeness import likeness, words
from operators.rewrite import NEEDS_MODEL
from operators.source import split
from operators.syntax.outline import Lines
from operators.tokens import fits
from operators.unseen import name
from operators.workspace import Workspace

DIFFERS = "differs"  # the judge of a test that shows what an edit changed: no other test is asked for
WHOLE = 200  # lines of a file, or class, that are shown though not all of them are in question
Runner = Literal["pytest", "unittest"]
NAMED = 12  # files of tests that are named
HEAD = 30  # lines of the nearest that are shown


@dataclass(frozen=True, slots=True)
class Characterise:
    """Shows the model the untouched code, and which lines of it are in question; never the edit: a test that knows it
    could be made to agree with it. Proposes edits of one file, which holds the test."""

    model: Model | None
    path: str
    """Where the test stands."""
    edit: Edit
    seen: tuple[Covered, ...]
    """Which of its statements the repository's tests execute."""
    runner: Runner

    @property
    def waits(self) -> bool:
        return self.model is not None

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        """Raises Skip when the code cannot be shown. `ws` shows the untouched commit."""
        if self.model is None:
            return None if past else Edit({}, trouble=NEEDS_MODEL)
        if past and past[-1].findings[0].judge == DIFFERS:
            return None
        messages = self._fitting(ws, past, self.model.room)
        seed = f"{shard.seed} {self.path}"
        reply = self.model.complete(messages, shard=seed, attempt=len(past) + bool(shard.go))
        found = whole(reply.text, {name(self.path): ""})
        text = next(iter(found.texts.values()), "")
        trouble = found.trouble or ("" if text else "The file is empty.")
        if reply.cut:
            trouble = f"{trouble}\n\nThe reply was cut at its length limit: write less.".strip()
        return Edit(
            {self.path: text} if text else {},
            said=reply.text,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            cached=int(reply.cached),
            waited=reply.seconds,
            gpu_seconds=reply.gpu_seconds,
            replies=reply.told,
            asked=reply.noted,
            models=(called(self.model),) if found.texts else (),
            trouble=trouble,
        )

    def _fitting(self, ws: Workspace, past: Sequence[Verdict], room: int) -> list[Message]:
        """Return what to say to the model; of the attempts only the last where there is no room for all. Raises
        TooLong."""
        first: list[Message] = [
            {"role": "system", "content": system(self.runner)},
            {"role": "user", "content": self._task(ws)},
        ]
        for shown in (past, past[-1:]):
            messages = [*first, *(message for verdict in shown for message in _turn(verdict))]
            if fits("".join(message["content"] for message in messages), room):
                return messages
        raise TooLong(f"the code of a test cannot be shown in {room:,} tokens (`model.context` less `max_tokens`)")

    def _task(self, ws: Workspace) -> str:
        code, lines = {}, {}
        for path, numbers in in_question(ws, self.edit, self.seen).items():
            text = ws.base_text(path) or ""
            known = split(text)
            code[path] = text if len(known) <= WHOLE else guard.call("cut:around", text=text, lines=numbers, most=WHOLE)
            lines[path] = "".join(known[number - 1] for number in numbers)
        tests = _nearest(ws, "".join(code.values()))
        head = "".join(split(ws.text(tests[0]) or "")[:HEAD]) if tests else ""
        modules = {path: names(ws, path)[0] for path in code}
        return prompt("pinned.j2", code=code, lines=lines, modules=modules, tests=tests, head=head, path=self.path)


def system(runner: Runner) -> str:
    """Return the part of the prompt that all shards share."""
    return prompt("pin.j2", runner=runner)


def in_question(ws: Workspace, edit: Edit, seen: Sequence[Covered]) -> dict[str, list[int]]:
    """Return, for each module whose changed statements tests do not all execute, the lines of the untouched commit that
    those are about: where a test could show what they did."""
    found = {}
    for one in seen:
        before, after = ws.base_text(one.path), edit.files.get(one.path)
        if one.missed and before and after and not of_tests(one.path) and names(ws, one.path):
            lines = [line for missed in one.missed for line in were(before, after, missed)]
            found[one.path] = sorted(set(lines))
    return found


def were(before: str, after: str, statement: Lines) -> list[int]:
    """Return the lines of `before` (1-based) that became a statement of `after`: one for one where as many stand there
    as before, else all that changed there; of one that was added, the line it was put before."""
    shift, lines = 0, split(before)
    for hunk in diff(lines, split(after)):
        first, last = hunk.first + shift + 1, hunk.first + shift + len(hunk.lines)
        here = range(max(first, statement[0]), min(last, statement[1]) + 1)
        if here and not hunk.grows:
            return [number - shift for number in here]
        if here:
            return list(range(hunk.first + 1, hunk.last + 1)) or [min(hunk.first + 1, len(lines))]
        shift += hunk.grows
    return []


def names(ws: Workspace, path: str) -> list[str]:
    """Return the dotted names by which a file may be imported, the shortest first; none when it cannot be."""
    found = []
    for folder in ws.base.path:
        inner = path.removeprefix(f"{folder}/") if folder else path
        parts = inner.removesuffix(".py").removesuffix("/__init__").split("/")
        if (inner != path or not folder) and path.endswith(".py") and all(part.isidentifier() for part in parts):
            found.append(".".join(parts))
    return sorted(found, key=len)


def place(ws: Workspace, shard: Shard, keep: str) -> str:
    """Return where the test about a shard is to stand: where the job keeps it (`{name}` stands for the shard), else
    beside most of the repository's tests; always a path at which there is no file."""
    if not keep:
        folders = Counter(path.rpartition("/")[0] for path in _tests(ws))
        folder = max(folders, key=lambda name: (folders[name], name), default="")
        keep = f"{folder}/test_umbau_{{name}}.py".removeprefix("/")
    name = "_".join(re.findall("[a-z0-9]+", shard.name.lower().replace(".py", "")))[-60:].strip("_")
    name = f"{name}_{crc32(shard.name.encode(errors='replace')):08x}"
    path, number = keep.replace("{name}", name), 1
    while path in ws.paths():
        number += 1
        path = keep.replace("{name}", f"{name}_{number}")
    return path


def _nearest(ws: Workspace, code: str) -> list[str]:
    """Return some files of tests, that which is most like the code first."""
    about = words(code)
    paths = sorted(_tests(ws))
    if len(paths) > 10 * NAMED:  # reading them all takes too long
        paths = sorted(paths, key=lambda path: -likeness(words(path.replace("_", " ")), about))[: 10 * NAMED]
    return sorted(paths, key=lambda path: -likeness(words(_to_read(ws, path)), about))[:NAMED]


def _tests(ws: Workspace) -> Iterator[str]:
    for path in ws.paths():
        name = path.rpartition("/")[2]
        if name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py")):
            yield path


def _to_read(ws: Workspace, path: str) -> str:
    try:
        return ws.text(path) or ""
    except Skip:
        return ""


def _turn(verdict: Verdict) -> list[Message]:
    """Return what the model said at an attempt and what it is told of it."""
    said = verdict.edit.said or "(nothing)"
    return [{"role": "assistant", "content": said}, {"role": "user", "content": again(verdict.findings, {})}]
