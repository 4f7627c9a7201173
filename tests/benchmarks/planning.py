"""What planning costs beside a bare `git grep -l` on the same pattern, on the Django source distribution.

Target: within 3 times. Both on the same bare repository; the fetch of it is not counted. Then what it costs to look,
for the same files, for what a model is shown of others.
"""

from __future__ import annotations

import re
import statistics
import subprocess
from pathlib import Path

from tests.benchmarks.fstrings import JOB
from tests.benchmarks.setting import Clock, driver, folder

ROUNDS = 7
PATTERN = r"\.format\("
SHOW: tuple[tuple[str, ...], ...] = ((), ("definitions",), ("callers",), ("definitions", "callers"))


def main() -> None:
    with folder() as home, driver(JOB, home) as own:
        plan = own.plan()  # fetches
        mirror = Path(plan.repos[0].mirror)
        planning, grepping = [], []
        for _ in range(ROUNDS):
            with Clock() as clock:
                assert own.plan() == plan
            planning.append(clock.seconds)
            argv = ["git", f"--git-dir={mirror}", "grep", "-l", "-P", PATTERN, plan.repos[0].commit, "--", "*.py"]
            with Clock() as clock:
                found = subprocess.run(argv, capture_output=True, check=True).stdout
            grepping.append(clock.seconds)
        looking = {show: _shown(home, show) for show in SHOW}
    assert len(found.splitlines()) == len(plan.planned)
    ours, theirs = statistics.median(planning), statistics.median(grepping)
    print(f"planning   plan, {len(plan.planned)} shards      {ours:8.3f} s  (median of {ROUNDS})")
    print(f"           git grep -l            {theirs:8.3f} s")
    print(f"           ratio                  {ours / theirs:8.2f} x")
    for show, (seconds, shown) in looking.items():
        what = " and ".join(show) or "nothing"
        print(f"           show {what:24} {seconds:8.3f} s  {shown:6.1f} excerpts a shard")


def _shown(home: Path, show: tuple[str, ...]) -> tuple[float, float]:
    """Return the seconds of planning a rewrite of the same files, and how much is shown with a shard, on average."""
    step = f"  - rewrite: {{prompt: x, model: {{url: 'http://127.0.0.1:9/v1', name: x}}, show: [{', '.join(show)}]}}"
    text = re.sub(r"  - codemod: .*", lambda _: step, JOB)
    took = []
    with driver(text.replace("  - idempotent\n", ""), home) as own:
        for _ in range(ROUNDS):
            with Clock() as clock:
                planned = own.plan().planned
            took.append(clock.seconds)
    shown = [len({(span.path, span.symbol) for span in one.shard.related}) for one in planned]
    return statistics.median(took), statistics.mean(shown)


if __name__ == "__main__":
    main()
