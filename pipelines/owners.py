"""Who owns which path, by the repository's CODEOWNERS."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from operators.data import Skip
from operators.workspace import Workspace
from pipelines.data import Repo

PLACES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
NOBODY = "nobody"
LONGEST = 1000  # characters of a pattern


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern as GitHub and GitLab document it: like .gitignore's, but `docs/*` means the files in docs alone.

    Matching takes at most quadratic time: the file comes with the repository, and may mean harm.
    """

    parts: tuple[str, ...]
    names: tuple[str, ...]

    def matches(self, path: Sequence[str]) -> bool:
        """Say whether a path, in its parts, or a folder above it fits the pattern."""
        first = self.parts[0]
        if first != path[0] and "*" not in first and "?" not in first:
            return False
        if len(self.parts) == 3 and first == self.parts[2] == "**":  # `*.js`, `docs/`: most are like that
            return any(map(_part(self.parts[1]), path))
        return _fits(self.parts, path, "**", lambda pattern, part: bool(_part(pattern)(part)))


@dataclass(frozen=True, slots=True)
class Owners:
    """Rules in file order: the last that matches a path names its owners (GitHub and GitLab agree on that)."""

    rules: Sequence[Rule] = ()
    trouble: str = ""
    """Why the file could not be read."""

    def named(self, path: str) -> tuple[str, ...]:
        """Return the owners of a path as the file names them."""
        parts = path.split("/")
        return next((rule.names for rule in reversed(self.rules) if rule.matches(parts)), ())

    def of(self, path: str) -> str:
        """Return the owners of a path in one word, such as `@platform+@web`, or `nobody`."""
        return "+".join(self.named(path)) or NOBODY


def owner_of(owned: Owners, files: Iterable[str]) -> str:
    """Return the owners, in one word, that most of the files have; `nobody` when none has any."""
    count = Counter(who for path in files if (who := owned.of(path)) != NOBODY)
    return min(count, key=lambda who: (-count[who], who), default=NOBODY)


@lru_cache(maxsize=8)
def owners_at(repo: Repo) -> Owners:
    """Read the CODEOWNERS of a repository, as its commit has it. Raises GitError."""
    ws = Workspace(repo.base)
    for place in PLACES:
        try:
            text = ws.base_text(place)
        except Skip as why:
            return Owners(trouble=f"{place} cannot be read: {why}")
        if text is not None:
            return owners(text)
    return Owners()


def owners(text: str) -> Owners:
    """Read a CODEOWNERS file. Section headers of GitLab give the owners of rules that name none."""
    rules: list[Rule] = []
    section: tuple[str, ...] = ()
    for line in text.splitlines():
        words = re.sub(r"(^|\s)#.*", "", line).replace("\\ ", "\0").split()
        if not words or len(words[0]) > LONGEST:
            continue
        if words[0].startswith(("[", "^[")):
            section = tuple(" ".join(words).rpartition("]")[2].split())
            continue
        if parts := _parts(words[0].replace("\0", " ").replace("\\#", "#")):
            rules.append(Rule(parts, tuple(words[1:]) or section))
    return Owners(rules)


def _parts(pattern: str) -> tuple[str, ...]:
    parts = [part for part in pattern.split("/") if part]
    if not parts:
        return ()
    above = () if "/" in pattern.rstrip("/") else ("**",)
    below = ("*", "**") if pattern.endswith("/") else () if parts[-1] == "*" else ("**",)
    return (*above, *parts, *below)


@lru_cache(maxsize=100_000)
def _part(pattern: str) -> Callable[[str], object]:
    """Return what says whether a part of a path fits a part of a pattern."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.__eq__
    return re.compile(translate(pattern.replace("[", "[[]"))).match  # in which no star is looked at twice


def _fits(pattern: Sequence[str], text: Sequence[str], star: str, fits: Callable[[str, str], bool]) -> bool:
    """Match, `star` standing for a run of anything: where something does not fit, it is enough to go back to the last
    star and give it one more."""
    at = number = 0
    back: tuple[int, int] | None = None
    while number < len(text):
        if at < len(pattern) and pattern[at] == star:
            back = (at, number)
            at += 1
        elif at < len(pattern) and fits(pattern[at], text[number]):
            at, number = at + 1, number + 1
        elif back:
            back = (back[0], back[1] + 1)
            at, number = back[0] + 1, back[1]
        else:
            return False
    return all(one == star for one in pattern[at:])
