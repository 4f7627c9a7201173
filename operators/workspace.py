"""A private view of one commit: its texts, the edits laid over them and, when a command needs one, a directory."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING

from operators.box import Box, opened
from operators.checkout import Tree, tree
from operators.data import Base, Edit, Skip, Span, Trouble
from operators.hunks import diff, moved
from operators.pristine import MAX_FILES, pristine
from operators.probe import proven
from operators.proc import FILE_LIMIT, GitError, Result, git_child, git_records, kill
from operators.sandbox import INSIDE, Outside, walled
from operators.source import Source, decode, split

if TYPE_CHECKING:
    from subprocess import Popen

BRIEF = 80  # characters of a command that are quoted
PASSED = ("LANG", "LC_ALL", "TERM")  # of our environment, what commands may see
# Set by the shell itself, so that no child of it can be faster than we are. The unit is 512 bytes.
_LIMITS = f"ulimit -c 0 2>/dev/null; ulimit -f {FILE_LIMIT // 512} 2>/dev/null; "
_SHELL = "umbau"  # what the shell calls itself in its own messages, unlike the shells that a command starts
_ABSENT = re.compile(rf"^{_SHELL}: (?:line )?(?:\d+: )?(.*)", re.M)
_FOUND = re.compile(rb"[0-9a-f]{40,64} (\w+) (\d+)\n")


class NoCommand(Trouble):
    """A command of the job is not installed where it should run; the message says which."""


def brief(command: str) -> str:
    """Return a command as it is quoted in findings: in one line, and not all of a script."""
    line = " ".join(command.split())
    return f"`{line[:BRIEF]}...`" if len(line) > BRIEF else f"`{line}`"


@dataclass(frozen=True, slots=True)
class Workspace:
    base: Base
    files: Mapping[str, str | None] = field(default_factory=dict)
    """What the edits so far made of the base."""

    def over(self, edit: Edit | None) -> Workspace:
        """Return the view with `edit` laid over this one."""
        return Workspace(self.base, {**self.files, **edit.files}) if edit and edit.files else self

    def source(self, path: str) -> Source | None:
        """Return the file at the base commit, None when there is none. Raises Skip when it cannot be worked on."""
        return _source(self.base.mirror, self.base.commit, path)

    def base_text(self, path: str) -> str | None:
        source = self.source(path)
        return source.text if source else None

    def text(self, path: str) -> str | None:
        """Return the file's text with the edits in it."""
        return self.files[path] if path in self.files else self.base_text(path)

    def data(self, path: str) -> bytes | None:
        """Return the file as it lies in a checkout with the edits in it, None when there is none."""
        if path in self.files:
            return self._bytes(path, self.files[path])
        return _blobs(self.base.mirror).read(self.base.commit, path)

    def paths(self) -> frozenset[str]:
        """Return the paths of all files, with the edits in them."""
        gone = {path for path, text in self.files.items() if text is None}
        return (_listed(self.base.mirror, self.base.commit) | self.files.keys()) - gone

    def lines(self, span: Span) -> tuple[int, int]:
        """Say where a span of the base stands now."""
        before, now = self.base_text(span.path) or "", self.text(span.path) or ""
        if before == now:
            return span.first, span.last
        return moved(diff(split(before), split(now)), span.first, span.last)

    def edit(self, before: Workspace) -> dict[str, str | None]:
        """Return what differs from what `before` shows."""
        texts = {path: self.text(path) for path in {**before.files, **self.files}}
        return {path: text for path, text in texts.items() if not before.shows(path, text)}

    def shows(self, path: str, text: str | None) -> bool:
        """Say whether this is the file's text; of a file that cannot be worked on no text is."""
        try:
            return self.text(path) == text
        except Skip:
            return False

    def tree(self) -> Tree:
        """Return this process's directory, put right and with the edits in it. One at a time."""
        own = tree(self.base.mirror, self.base.commit)
        own.lay(self._laid())
        return own

    def _laid(self) -> dict[str, bytes | None]:
        return {path: self._bytes(path, text) for path, text in self.files.items()}

    @property
    def sandbox(self) -> str:
        """What commands run in here, in a few words; "" for none. Raises NoSandbox."""
        return "" if self.base.sandbox == "none" else proven()

    @contextlib.contextmanager
    def box(self, outside: Outside = INSIDE) -> Iterator[Box]:
        """Give a place for commands, with the edits in its checkout. One at a time in each process without a sandbox.
        Raises NoSandbox, TooLarge, GitError, NotOurs."""
        if self.base.sandbox == "none":
            with opened(self.tree()) as box:
                yield box
            return
        proven()
        checkout = pristine(Path(self.base.mirror), self.base.commit)
        with walled(self.base, checkout, self.paths(), self._laid(), outside) as box:
            yield box

    def run(self, box: Box, command: str, paths: tuple[str, ...], timeout: float, **env: str) -> Result:
        """Run a shell command in a box of this workspace. `{paths}` stands for `paths`, quoted. Raises NoCommand."""
        named = " ".join(shlex.quote(f"./{path}") for path in paths)
        argv = ["/bin/sh", "-c", _LIMITS + command.replace("{paths}", named), _SHELL]
        done = box.start(argv, {**self._env(box), **env}, timeout)
        if done.code == 127 and (said := _ABSENT.findall(done.out)):
            what = f"{brief(command)} cannot run: {said[-1]}"
            raise NoCommand(f"{what}. Add what it needs to the job's environment.install")
        return done

    def _bytes(self, path: str, text: str | None) -> bytes | None:
        if text is None:
            return None
        return (self.source(path) or Source(text)).encode(text)

    def _env(self, box: Box) -> dict[str, str]:
        """Return the whole environment of a command: nothing of ours but an allow list."""
        # `python` itself stays a link: its folder is the environment's bin, its target is not.
        homes = [str(Path(python).parent) for python in (self.base.python, sys.executable) if python]
        return {
            **{name: os.environ[name] for name in PASSED if name in os.environ},
            "HOME": box.home,
            "TMPDIR": box.home,
            "PATH": os.pathsep.join([*homes, os.defpath]),
            "PYTHONPATH": os.pathsep.join([*(str(Path(box.code, path)) for path in self.base.path), box.given]),
            "GIT_CEILING_DIRECTORIES": str(Path(box.code).parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "RUFF_NO_CACHE": "true",
            "MYPY_CACHE_DIR": os.devnull,
            "TZ": "UTC",
        }


class _Blobs:
    """Reads files of a bare repository through one long-lived git. Safe to share between threads."""

    def __init__(self, mirror: str) -> None:
        self._mirror = mirror
        self._git: Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of a file, None when there is no such file. Raises GitError."""
        # Git would take `./a` for relative to something; a newline would end the question.
        if "\n" in path or normpath(path) != path or path.startswith(("/", "..")) or path == ".":
            return None
        with self._lock:
            try:
                return self._answer(f"{commit}:{path}\n".encode(errors="surrogateescape"))
            except BaseException:  # Ctrl-C in between: the answer would be taken for the next one's
                self._end()
                raise

    def _answer(self, question: bytes) -> bytes | None:
        started = self._git is not None
        head = self._ask(question)
        if not head and started:  # it has ended since the last question
            self._end()
            head = self._ask(question)
        if not head:
            raise GitError(f"git cannot read {self._mirror}")
        found = _FOUND.fullmatch(head)
        if not found:
            return None  # `missing`, or `submodule`
        assert self._git and self._git.stdout
        data = self._git.stdout.read(int(found[2]) + 1)[:-1]
        return data if found[1] == b"blob" else None

    def _ask(self, question: bytes) -> bytes:
        """Return the first line of the answer, nothing when git has ended."""
        self._git = self._git or git_child(Path(self._mirror), "cat-file", "--batch")
        assert self._git.stdin and self._git.stdout
        with contextlib.suppress(BrokenPipeError):
            self._git.stdin.write(question)
            self._git.stdin.flush()
        return self._git.stdout.readline()

    def _end(self) -> None:
        if self._git:
            kill(self._git)
        self._git = None

    __del__ = _end  # else it would wait for questions for as long as we live


_making = threading.Lock()  # lru_cache alone makes one for each thread that asks before the first is done


def _blobs(mirror: str) -> _Blobs:
    with _making:
        return _new_blobs(mirror)


@lru_cache(maxsize=8)
def _new_blobs(mirror: str) -> _Blobs:
    return _Blobs(mirror)


@lru_cache(maxsize=64)
def _source(mirror: str, commit: str, path: str) -> Source | None:
    data = _blobs(mirror).read(commit, path)
    return None if data is None else decode(data, path)


@lru_cache(maxsize=8)
def _listed(mirror: str, commit: str) -> frozenset[str]:
    names = git_records(Path(mirror), "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, limit=MAX_FILES)
    return frozenset(os.fsdecode(name) for name in names)
