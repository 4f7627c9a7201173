"""What the sandbox costs: a command in it beside the same without, and a shard's view of a repository of 5,000 files
beside `git worktree add`.

Target: a view in milliseconds, far below a checkout of its own.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from operators.data import Base
from operators.proc import git
from operators.workspace import Workspace
from tests.benchmarks.setting import Clock, folder, repository

ROUNDS = 30
COMMANDS = ("true", "python -c pass")
FILES = 5_000
LINES = 300  # of 36 bytes: about 54 MB in all


def main() -> None:
    with folder() as home:
        text = "x = 'some text of an ordinary line'\n" * LINES
        repo = repository(home / "repo", {f"pkg{n % 50}/mod{n}.py": f"# {n}\n{text}" for n in range(FILES)})
        mirror = home / "umbau" / "mirrors" / "repo.git"
        mirror.parent.mkdir(parents=True)
        git(None, "clone", "--quiet", "--bare", "--", str(repo), str(mirror), env={"GIT_ALLOW_PROTOCOL": "file"})
        commit = git(mirror, "rev-parse", "HEAD").decode().strip()
        walled = Workspace(Base("repo", commit, str(mirror)), {"pkg0/mod0.py": "x = 2\n"})
        bare = Workspace(replace(walled.base, sandbox="none"), walled.files)
        with Clock() as first:
            run(walled, "true")
        run(bare, "true")
        plain = [median(partial(run, bare, command)) for command in COMMANDS]
        boxed = [median(partial(run, walled, command)) for command in COMMANDS]
        with walled.box() as box:
            again = median(lambda: walled.run(box, "true", (), 60.0))
        trees = iter(range(3))
        worktrees = median(lambda: worktree(repo, home / f"worktree{next(trees)}"), 3)
    print(
        f"sandbox    first box of {FILES:,} files       {first.seconds * 1000:8.0f} ms  (checks out, tries the walls)"
    )
    for name, ours, theirs in zip(COMMANDS, boxed, plain, strict=True):
        print(f"           {f'box and `{name}`':26}{ours:8.1f} ms  without {theirs:8.1f} ms")
    print(f"           another command in a box   {again:8.1f} ms")
    print(f"           git worktree add           {worktrees:8.1f} ms  {worktrees / boxed[0]:8.0f} x a box")


def run(ws: Workspace, command: str) -> None:
    with ws.box() as box:
        assert ws.run(box, command, (), 60.0).code == 0


def worktree(repo: Path, where: Path) -> None:
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(where)], cwd=repo, check=True)


def median(call: Callable[[], None], rounds: int = ROUNDS) -> float:
    """Return milliseconds."""
    found = []
    for _ in range(rounds):
        with Clock() as clock:
            call()
        found.append(clock.seconds * 1000)
    return statistics.median(found)


if __name__ == "__main__":
    main()
