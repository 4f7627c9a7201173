"""What is remembered of the branches that we pushed to GitLab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from operators.folders import alone
from pipelines.forge import Memory
from pipelines.forges.gitlab.api import Json


class Pushed:
    """Of each branch: `commit`, what was pushed last; `at`, when that was (seconds since 1970, by GitLab's clock);
    `wanted`, how its request was to look; `rebasing`, the commit that GitLab was asked to rebase."""

    def __init__(self, memory: Memory, url: str, folder: Path) -> None:
        self._memory, self._url, self._lock = memory, url, folder / "gitlab-unopened.lock"

    def last(self, repo: str, branch: str) -> Json:
        return dict(self._memory.recall(self._key(repo, branch)) or {})

    def note(self, repo: str, branch: str, **facts: Any) -> None:
        before = self.last(repo, branch)
        if (after := {**before, **facts}) != before:
            self._memory.remember(self._key(repo, branch), after)

    def unopened(self, repo: str, prefix: str) -> dict[str, Json]:
        """Return the branches for which nothing was opened: branch to `commit` and `digest`, and its CI as it was seen
        last."""
        found = self._memory.recall(self._key(repo, "")) or {}
        return {branch: dict(facts) for branch, facts in found.items() if branch.startswith(prefix)}

    def set_aside(self, repo: str, branch: str, facts: Json | None) -> None:
        """Keep what is known of a branch for which nothing was opened; None: something was."""
        with alone(self._lock):  # jobs share the list
            before = self._memory.recall(self._key(repo, "")) or {}
            after = {name: told for name, told in before.items() if name != branch}
            if facts is not None:
                after[branch] = facts
            if after != before:
                self._memory.remember(self._key(repo, ""), after)

    def _key(self, repo: str, branch: str) -> str:
        return f"gitlab {self._url} pushed {repo} {branch}"
