"""format-to-fstring over the Django source distribution: `umbau run` against LibCST's own runner with two processes,
the same codemod on the same tree.

Target: at least 10 times less wall time, the same bytes in every file that both change. Ours counts everything from
the command line to the open merge requests, all checks included; neither counts the download.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipelines.session import shipped
from tests.benchmarks.setting import Clock, folder

CODEMOD = "convert_format_to_fstring.ConvertFormatStringCommand"
JOB = shipped("format-to-fstring").read_text()
UMBAU = (sys.executable, "-c", "from pipelines.cli import main; main()")


def main() -> None:
    with folder() as home:
        env = {**os.environ, "UMBAU_HOME": str(home / "umbau")}
        subprocess.run([*UMBAU, "plan", "format-to-fstring"], env=env, check=True, capture_output=True)  # fetches
        with Clock() as ours:
            subprocess.run([*UMBAU, "run", "format-to-fstring"], env=env, check=True, capture_output=True)
        forge = home / "umbau" / "forge" / "django" / "repo.git"
        tree = home / "tree"
        subprocess.run(["git", "clone", "--quiet", str(forge), str(tree)], check=True)
        with Clock() as theirs:
            argv = [
                sys.executable,
                "-m",
                "libcst.tool",
                "codemod",
                CODEMOD,
                "-j",
                "2",
                "--no-format",
                "--hide-progress",
            ]
            subprocess.run([*argv, "."], cwd=tree, check=False, capture_output=True)
        same, different, only_ours, only_theirs = compared(forge, tree)
    print(f"f-strings  umbau run              {ours.seconds:8.1f} s")
    print(f"           libcst.tool -j 2       {theirs.seconds:8.1f} s")
    print(f"           ratio                  {theirs.seconds / ours.seconds:8.1f} x")
    print(f"           files changed by both  {same + different:8}, {same} of them to the same bytes")
    print(f"           by one of them alone   {only_ours:8} by umbau, {only_theirs} by libcst.tool")


def compared(forge: Path, tree: Path) -> tuple[int, int, int, int]:
    """Compare each file of our merge requests with what LibCST's runner left in its tree."""
    ours = {}
    for branch in git(forge, "for-each-ref", "--format=%(refname)", "refs/heads/umbau/").decode().split():
        for path in git(forge, "diff", "--name-only", "-z", "main", branch).decode().split("\0")[:-1]:
            ours[path] = git(forge, "show", f"{branch}:{path}")
    changed = subprocess.check_output(["git", "diff", "--name-only", "-z"], cwd=tree).decode().split("\0")[:-1]
    theirs = {path: (tree / path).read_bytes() for path in changed}
    both = ours.keys() & theirs.keys()
    same = sum(ours[path] == theirs[path] for path in both)
    return same, len(both) - same, len(ours.keys() - both), len(theirs.keys() - both)


def git(repo: Path, *args: str) -> bytes:
    return subprocess.check_output(["git", f"--git-dir={repo}", *args])


if __name__ == "__main__":
    main()
