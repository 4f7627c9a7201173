"""What planning costs beside a bare `git grep -l` on the same pattern, on the Django source distribution.

Target: within 3 times. Both on the same bare repository; the fetch of it is not counted.
"""

from __future__ import annotations

import statistics
import subprocess
from pathlib import Path

from tests.benchmarks.fstrings import JOB
from tests.benchmarks.setting import Clock, driver, folder

ROUNDS = 7
PATTERN = r"\.format\("


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
    assert len(found.splitlines()) == len(plan.planned)
    ours, theirs = statistics.median(planning), statistics.median(grepping)
    print(f"planning   plan, {len(plan.planned)} shards      {ours:8.3f} s  (median of {ROUNDS})")
    print(f"           git grep -l            {theirs:8.3f} s")
    print(f"           ratio                  {ours / theirs:8.2f} x")


if __name__ == "__main__":
    main()
