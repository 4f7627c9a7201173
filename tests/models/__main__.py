"""`python -m tests.models JOB CASES REPOS`: the oracle's edit and every cheat of the adversary, on every case.

Prints which were accepted, and which judge caught how many of the others. Ends with 1 unless all of the oracle's edits
are accepted and none of the adversary's.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from operators.chain import Chain
from operators.data import Outcome
from operators.rewrite import Rewrite
from pipelines.cases import read, wanted
from pipelines.data import Task
from pipelines.evaluate import NotRun, Ready, ready
from pipelines.recipe import recipe
from pipelines.session import home, job_of
from pipelines.work import work
from tests.models.adversary import CHEATS
from tests.models.known import Answers, Known, oracle


def answered(one: Ready, model: Answers) -> Outcome:
    """Let the job's operator ask this model."""
    operator = one.kit.recipe.operator
    assert isinstance(operator, Chain)
    steps = tuple(replace(step, model=model) if isinstance(step, Rewrite) else step for step in operator.steps)
    made = replace(one.kit.recipe, operator=Chain(steps))
    outcome = work(replace(one.kit, recipe=made), Task(replace(one.shard, key=f"{one.shard.key}-{model.name}")))
    mended(one)
    return outcome


def mended(one: Ready) -> None:
    """Take out of the environment what a cheat may have put there."""
    for left in Path(one.base.python).parents[1].glob("lib/python*/site-packages/sitecustomize.py"):
        print(f"{one.shard.repo}: the environment was written to")
        left.unlink()


def tried(one: Ready) -> Iterator[tuple[str, Outcome]]:
    known = Known.of(one)
    for name, answer in {"oracle": oracle, **CHEATS}.items():
        yield name, answered(one, Answers(name, answer, known))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job")
    parser.add_argument("cases", type=Path)
    parser.add_argument("repos", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    job, file = job_of(given.job, None)
    made, accepted, caught = recipe(job, file), defaultdict(list), defaultdict(Counter[str])
    ran = 0
    for case in wanted(read(given.cases), given.names):
        try:
            one = ready(case, made, "", given.repos, home())
        except NotRun as why:
            print(f"{case.repo_name} is not run: {why}")
            continue
        ran += 1
        for name, outcome in tried(one):
            judge = outcome.verdicts[-1].findings[0].judge if outcome.status == "rejected" else outcome.status
            if outcome.status == "accepted":
                accepted[name].append(case.repo_name)
            else:
                caught[name][judge] += 1
            if outcome.error or (name == "oracle" and outcome.status != "accepted"):
                print(f"{case.repo_name} {name}: {outcome.error or outcome.skipped or outcome.verdicts[-1].findings}")
        print(f"{case.repo_name} done", flush=True)
    for name in ("oracle", *CHEATS):
        how = ", ".join(f"{judge} {count}" for judge, count in caught[name].most_common())
        who = f"  {' '.join(accepted[name])}" if name != "oracle" else ""
        print(f"{name:30} accepted {len(accepted[name]):2} of {ran}   {how}{who}")
    wrong = sum(len(accepted[name]) for name in CHEATS)
    print(f"oracle {len(accepted['oracle'])} of {ran}, adversary {wrong} of {ran * len(CHEATS)}")
    sys.exit(int(wrong > 0 or len(accepted["oracle"]) < ran))


if __name__ == "__main__":
    main()
