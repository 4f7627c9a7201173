"""How good a job's operator and checks are, told by cases whose right edit is known.

SWE-bench's rule (https://www.swebench.com): an edit is right when the tests that fail without the gold edit and pass
with it (FAIL_TO_PASS) pass, and those that pass both ways (PASS_TO_PASS) still do. Together they are the tests that
pass with the gold edit, so a `tests` check is given those as what it knows of the base.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from operators.chain import changed
from operators.checks.command import Command
from operators.checks.tests import BaseBroken, Tests
from operators.data import Base, Check, Edit, Finding, Operator, Outcome, Shard, Skip, Trouble, told
from operators.environment import Environment
from operators.piecewise import ASKING
from operators.refine import judged
from operators.workspace import Workspace
from pipelines.cases import Case, lay
from pipelines.console import Watch
from pipelines.data import Recipe, Task, digest
from pipelines.printed import counted
from pipelines.repos import NoRepo, resolve
from pipelines.work import Kit, work

GREENS = 2  # looks at the tests with the gold edit: some fail on a busy machine
SHOWN = 4000  # characters of what the tests say that a model is told


@dataclass(frozen=True, slots=True)
class Ready:
    """A case that can be run."""

    case: Case
    kit: Kit
    shard: Shard
    gold: Edit
    outside: tuple[Check, ...]
    """What a right edit passes, whatever the job's checks are: the case's tests, and the exit code of a plain run of
    them where that of the gold edit is 0."""

    @property
    def base(self) -> Base:
        return self.kit.bases[self.shard.repo]


@dataclass(frozen=True, slots=True)
class Score:
    """What became of a case."""

    case: str
    outcome: Outcome | None = None
    """Of the job's operator, judged by the job's checks; None when the case cannot be run."""
    not_run: str = ""
    """Why it cannot."""
    wrongly_accepted: str = ""
    """What the case's tests hold against an edit that was accepted."""
    wrongly_rejected: str = ""
    """What the job's checks hold against the gold edit."""

    @property
    def status(self) -> str:
        return self.outcome.status if self.outcome else "not run"


class NotRun(Exception):
    """A case cannot be run; the message says why."""


def evaluate(
    cases: Sequence[Case], recipe: Recipe, python: str, repos: Path | None, home: Path, watch: Watch
) -> list[Score]:
    """Run the job over the cases, one after another. `python`: version for all of them instead of their own; `repos`:
    folder of OWNER/NAME, without which they are fetched from their URLs."""
    scores = []
    with watch.stage("eval", len(cases)) as stage:
        for case in cases:
            try:
                scores.append(score(ready(case, recipe, python, repos, home)))
            except NotRun as why:
                scores.append(Score(case.repo_name, not_run=str(why)))
            stage.advance(1, scores[-1].status)
            if scores[-1].outcome and scores[-1].outcome.away:
                break  # nor would the others get an answer
    return scores


def ready(case: Case, recipe: Recipe, python: str, repos: Path | None, home: Path) -> Ready:
    """Fetch the repository, build the environment and see the tests fail before the gold edit and pass with it. Raises
    NotRun."""
    checks = (*recipe.checks, *(check for check in recipe.final if check not in recipe.checks))
    seconds = max(check.timeout for check in (*checks, Tests("")) if isinstance(check, Tests))
    tests, plain = Tests(case.command, seconds, full=True), Command(case.plain, seconds)
    try:
        repo = resolve(case.source(repos), home, Path.cwd(), case.commit_hash)
        laid = lay(case, repo)
        environment = Environment(python or case.python, ("--no-deps", *case.pins) if case.pins else ())
        base = environment.build(Base(case.repo_name, laid.before, repo.mirror))
        gold, shard = Workspace(replace(base, commit=laid.gold)), Shard("", base.repo, base.commit, tuple(laid.files))
        base = replace(base, facts={tests.command: _green(case, tests, gold)})
        steady = not plain.judge(gold, shard, Edit({})).findings
        red = tests.judge(Workspace(base), shard, Edit({})).findings
    except (NoRepo, Trouble, Skip) as why:
        raise NotRun(told(why) if isinstance(why, Trouble) else str(why)) from None
    if not red:
        raise NotRun("no test fails without the gold edit")
    judges = tuple(dict.fromkeys(_own(check, tests) for check in checks))
    own = replace(
        recipe,
        operator=_asking(recipe.operator, case.task, replace(red[0], message=red[0].message[-SHOWN:])),
        checks=judges,
        final=tuple(check for check in judges if isinstance(check, Tests)),
        evidence=None,  # a case is about the edit
    )
    shard = replace(shard, key=digest([recipe.fingerprint, base.repo, base.commit, shard.paths]))
    outside = (tests, plain) if steady else (tests,)
    return Ready(case, Kit(own, None, {base.repo: base}), shard, Edit(laid.files), outside)


def _green(case: Case, tests: Tests, gold: Workspace) -> Mapping[str, Any]:
    """Return what the tests say with the gold edit. Raises NotRun unless as many pass as the case says."""
    passed = 0
    for _ in range(GREENS):
        try:
            facts = tests.baseline(gold)
        except BaseBroken as why:
            raise NotRun(f"the tests do not run with the gold edit:\n{str(why).partition(chr(10))[2]}") from None
        passed = sum(how == "passed" for how in (facts["results"] or {}).values())
        if passed == case.test_count:
            return facts
    raise NotRun(f"with the gold edit {counted(passed, 'test')} of {case.test_count} pass")


def _own(check: Check, tests: Tests) -> Check:
    """Return the job's check of tests with the case's command, and any other as it is."""
    return replace(tests, covered=check.covered) if isinstance(check, Tests) else check


def score(ready: Ready) -> Score:
    """Let the operator work on the case. What was accepted is judged again from outside, the gold edit by the job's
    checks."""
    outcome = work(ready.kit, Task(ready.shard))
    gold = work(ready.kit, Task(ready.shard, offered=ready.gold, merged=tuple(ready.gold.files)))
    outcome = replace(outcome, error=outcome.error or gold.error)
    refused = gold.skipped or (_first(gold.verdicts[-1].findings) if gold.status == "rejected" else "")
    wrong = _first(held_against(ready, outcome.edit)) if outcome.edit else ""
    return Score(ready.case.repo_name, outcome, wrongly_accepted=wrong, wrongly_rejected=refused)


def held_against(ready: Ready, edit: Edit) -> Sequence[Finding]:
    """Say what speaks from outside against what an edit made of the shard's files; those of others do not count."""
    own = Edit({path: text for path, text in edit.files.items() if path in ready.shard.paths})
    return judged(Workspace(ready.base), ready.shard, own, ready.outside).findings


def scores_text(scores: Sequence[Score]) -> Iterator[str]:
    """Yield a line for each case, then the sums."""
    width = max(len(score.case) for score in scores)
    for score in scores:
        yield f"{score.case:{width}}  {score.status:9}  {_about(score)}".rstrip()
    outcomes = [score.outcome for score in scores if score.outcome]
    read, written = (sum(outcome.tokens[way] for outcome in outcomes) for way in (0, 1))
    yield ""
    yield f"cases             {len(outcomes)} run, {len(scores) - len(outcomes)} not run"
    yield f"accepted          {sum(outcome.status == 'accepted' for outcome in outcomes)}"
    yield f"wrongly accepted  {sum(bool(score.wrongly_accepted) for score in scores)}"
    yield f"wrongly rejected  {sum(bool(score.wrongly_rejected) for score in scores)}"
    yield f"attempts          {sum(len(outcome.verdicts) for outcome in outcomes)}"
    yield f"tokens            {read} read and {written} written"
    yield f"seconds           {sum(outcome.seconds for outcome in outcomes):.1f}"


def code(scores: Sequence[Score]) -> int:
    """Return the exit code: 2 when something failed or nothing could be run, 1 when a verdict was wrong."""
    if any(score.status == "failed" for score in scores) or not any(score.outcome for score in scores):
        return 2
    return int(any(score.wrongly_accepted or score.wrongly_rejected for score in scores))


def _about(score: Score) -> str:
    if not score.outcome:
        return score.not_run.strip().partition("\n")[0]
    said = [f"{counted(len(score.outcome.verdicts), 'attempt')}, {score.outcome.seconds:.1f} s"]
    last = score.outcome.verdicts[-1].findings if score.outcome.verdicts else ()
    said += [text.partition("\n")[0] for text in (score.outcome.error, score.outcome.skipped, _first(last)) if text]
    for what, why in (("accepted", score.wrongly_accepted), ("rejected", score.wrongly_rejected)):
        said += [f"wrongly {what}: {why.partition(chr(10))[0]}"] if why else []
    return "; ".join(said)


def _first(findings: Sequence[Finding]) -> str:
    return f"{findings[0].judge}: {findings[0].message}" if findings else ""


def _asking(operator: Operator, task: str, red: Finding) -> Operator:
    """Return the operator with the case's own task in the prompt of the step that asks a model, which is shown what the
    tests say now."""

    def step(one: Operator) -> Operator:
        return replace(one, prompt=f"{one.prompt}\n\n{task}", findings=(red,)) if isinstance(one, ASKING) else one

    return changed(operator, step)
