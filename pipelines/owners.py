"""Who owns which path, by the repository's CODEOWNERS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

PLACES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Owners:
    """Rules in file order: the last that matches a path names its owners (GitHub and GitLab agree on that)."""

    rules: Sequence[tuple[GitIgnoreSpec, str]] = ()

    def of(self, path: str) -> str:
        """Return the owners of a path in one word, such as `@platform+@web`, or `nobody`."""
        for pattern, names in reversed(self.rules):
            if pattern.match_file(path):
                return names
        return NOBODY


def owners(text: str) -> Owners:
    """Read a CODEOWNERS file. Section headers of GitLab give the owners of rules that name none."""
    rules, section = [], NOBODY
    for line in text.splitlines():
        words = line.split("#")[0].strip().replace("\\ ", "\0").split()
        if not words:
            continue
        if words[0].startswith(("[", "^[")):
            section = "+".join(line.rpartition("]")[2].split()) or NOBODY
            continue
        pattern = words[0].replace("\0", " ")
        rules.append((GitIgnoreSpec.from_lines([pattern]), "+".join(words[1:]) or section))
    return Owners(rules)
