"""`python -m tests.models JOB CASES REPOS [OWNER/NAME ...]`: what the job makes of the oracle's edit and of every cheat
of the adversary, on every case.

Prints what `umbau eval` prints with the oracle behind an endpoint; then which cheats were accepted, and which judge
caught how many of the others. Ends with 1 unless all of the oracle's edits are accepted and none of the adversary's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from operators.chain import Chain
from operators.data import Outcome
from operators.rewrite import Rewrite
from pipelines.cases import Case, read, wanted
from pipelines.console import Watch
from pipelines.data import Task
from pipelines.evaluate import NotRun, Ready, Score, code, evaluate, ready, scores_text
from pipelines.recipe import recipe
from pipelines.session import home, job_of
from pipelines.work import work
from tests.endpoint import Endpoint
from tests.models.adversary import CHEATS
from tests.models.known import Answers, Known, oracle, scripted


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


def evaluated(job: str, repos: Path, cases: Sequence[Case], found: Sequence[Ready]) -> list[Score]:
    """Run the job as `umbau eval` does, the oracle at the other end of a connection."""
    with Endpoint(script=scripted([Known.of(one) for one in found], oracle)) as endpoint:
        os.environ |= {"UMBAU_MODEL_URL": endpoint.url, "UMBAU_MODEL": "oracle"}
        spec, file = job_of(job, None)
        return evaluate(cases, recipe(spec, file), "", repos, home(), Watch())


def cheated(found: Sequence[Ready]) -> int:
    """Print what became of each cheat; return how many were accepted."""
    accepted: dict[str, list[str]] = {name: [] for name in CHEATS}
    caught: dict[str, Counter[str]] = {name: Counter() for name in CHEATS}
    for one in found:
        known = Known.of(one)
        for name, answer in CHEATS.items():
            outcome = answered(one, Answers(name, answer, known))
            if outcome.status == "accepted":
                accepted[name].append(one.shard.repo)
            else:
                rejected = outcome.status == "rejected"
                caught[name][outcome.verdicts[-1].findings[0].judge if rejected else outcome.status] += 1
            if outcome.error or outcome.skipped:
                print(f"{one.shard.repo} {name}: {outcome.error or outcome.skipped}")
        print(f"{one.shard.repo} done", flush=True)
    for name in CHEATS:
        how = ", ".join(f"{judge} {count}" for judge, count in caught[name].most_common())
        print(f"{name:30} accepted {len(accepted[name]):2}   {how}   {' '.join(accepted[name])}".rstrip())
    return sum(map(len, accepted.values()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job")
    parser.add_argument("cases", type=Path)
    parser.add_argument("repos", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    spec, file = job_of(given.job, None)
    cases, found = wanted(read(given.cases), given.names), []
    for case in cases:
        try:
            found.append(ready(case, recipe(spec, file), "", given.repos, home()))
        except NotRun as why:
            print(f"{case.repo_name} is not run: {why}")
    scores = evaluated(given.job, given.repos, cases, found)
    print(*scores_text(scores), sep="\n")
    good, wrong = sum(score.status == "accepted" for score in scores), cheated(found)
    print(f"oracle     {good} of {len(found)} accepted")
    print(f"adversary  {wrong} of {len(found) * len(CHEATS)} accepted")
    sys.exit(int(wrong > 0 or good < len(found) or code(scores) > 0))


if __name__ == "__main__":
    main()
