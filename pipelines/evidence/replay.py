"""What is stated of a change, done again: codemods byte for byte, kept replies of models through all of the judging.

No model is asked. What is not kept any more, or need not come out the same twice, is told as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import new
from pathlib import Path
from typing import Any

from operators.behind import Behind
from operators.data import Completion, Edit, Message, Outcome, Trouble, Verdict, told
from operators.hunks import Conflict
from operators.source import Source as Text
from operators.workspace import Workspace
from pipelines.asking import asked_through
from pipelines.data import Repo, Task
from pipelines.evidence.rows import Row, State, listed, row
from pipelines.evidence.statement import Source, attempt, edit_digest
from pipelines.learn import learnt
from pipelines.printed import counted
from pipelines.store import Store
from pipelines.sums import Sums
from pipelines.work import Kit, facts_name, kit_of, needs_preparing, prepare, wants_sandbox, without_sandbox, work

NOT: State = "cannot be replayed"
UNKEPT = "a reply of the model is not kept here"


@dataclass(frozen=True, slots=True)
class Silent(Behind):
    """A model that is not asked: only what it replied before is to be had."""

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        raise Trouble(UNKEPT)


@dataclass(slots=True)
class Replay:
    source: Source
    repo: Repo
    """At the commit that the change was made for."""
    store: Store
    again: list[Outcome] = field(default_factory=list)
    """What was done again and came out as it is stated, in the statement's order."""

    def rows(self, statement: Mapping[str, Any]) -> Iterator[Row]:
        internal = statement["predicate"]["buildDefinition"]["internalParameters"]
        if why := self._hindered(internal):
            yield Row("replay", NOT, why)
            return
        kept = self.store.outcomes([part["shard"] for part in internal["parts"]])
        kit = self._kit()
        if isinstance(kit, str):
            yield Row("replay", NOT, kit)
            return
        for part in internal["parts"]:
            last = part["attempts"][-1]["edit"]
            same = [
                one for one in kept.get(part["shard"], ()) if one.verdicts and edit_digest(one.verdicts[-1]) == last
            ]
            if not same:
                name = f"shard {part['shard'][:12]} ({listed(part['paths'])})"
                yield Row(name, NOT, "what came of it is not kept any more, or was changed since")
                continue
            yield _recorded(same[-1], part)
            yield self._replayed(kit, same[-1], part)
        if "moved" in internal:
            yield Row("replay sum", NOT, "the forge has brought it to another base since")
        elif len(self.again) == len(internal["parts"]):
            yield self._summed(kit, statement)

    def _hindered(self, internal: Mapping[str, Any]) -> str:
        """Say why nothing can be done again, "" when something can."""
        if not internal["parts"]:
            return "no shard is part of it"
        if internal["fingerprint"] != self.source.recipe.fingerprint:
            return "the job, a codemod of it, its model or Umbau itself is another now than it was"
        odd = [one["operator"] for one in internal["steps"] if one["operator"] in {"shell", "plugin"}]
        return f"a step of the job ({odd[0]}) need not do the same twice" if odd else ""

    def _kit(self) -> Kit | str:
        """Return what a shard is done with, or why nothing can be."""
        kit = kit_of(self.source.job, asked_through(self.source.recipe, Silent), [self.repo.base])
        if wants_sandbox(kit) and (why := without_sandbox()):
            return f"nothing can be run in a sandbox here: {why}"
        if not needs_preparing(kit):
            return kit
        base = kit.bases[self.repo.name]
        try:
            facts = self.store.fact(facts_name(kit, base)) or prepare(kit, self.repo.name)
        except Exception as fault:  # building an environment and testing a commit can fail in any way
            return f"the untouched commit cannot be looked at: {told(fault)}"
        return replace(kit, bases={self.repo.name: replace(base, facts=facts)})

    def _replayed(self, kit: Kit, outcome: Outcome, part: Mapping[str, Any]) -> Row:
        """Do each attempt of a shard's last go again, from where it began: what was found before is taken as it is
        kept, since output of tests tells times, and is part of what the model was asked."""
        what, first = f"replay {outcome.shard.name}", len(_past(outcome, part["go"]))
        for at in range(first, len(outcome.verdicts)):
            found = self._attempt(kit, outcome, at, part["go"])
            if found.error or found.skipped or len(found.verdicts) <= at:
                return Row(what, NOT, found.error or found.skipped or "it has nothing to propose now")
            was, now = _essence(part["attempts"][at]), _essence(attempt(found.verdicts[at]))
            if was != (now if was["asked"] else {**now, "asked": []}):  # older ones do not tell what was asked
                how = "judged otherwise" if was["edit"] == now["edit"] else "another"
                return Row(what, "differs", f"attempt {at + 1} is {how}")
        self.again.append(replace(outcome, verdicts=(*outcome.verdicts[:-1], found.verdicts[-1])))
        tries = len(outcome.verdicts) - first
        spoke = any(edit.asked for verdict in outcome.verdicts[first:] for edit in verdict.edits)
        how = "kept replies, judged again" if spoke else "byte for byte"
        return Row(what, "holds", f"{how}, {tries} attempt{'s' * (tries != 1)}")

    def _attempt(self, kit: Kit, outcome: Outcome, at: int, go: int) -> Outcome:
        task = Task(replace(outcome.shard, commit=self.repo.commit), outcome.verdicts[:at], go=go)
        recipes = (self.source.recipe, learnt(self.source.recipe, self.store))
        for recipe in recipes:  # the first shards were not shown what they were to teach, the others were
            found = work(replace(kit, recipe=replace(asked_through(recipe, Silent), attempts=1)), task)
            if found.error != UNKEPT:
                break
        return found

    def _summed(self, kit: Kit, statement: Mapping[str, Any]) -> Row:
        """Add up what was done again, judge it, and hold it against the files that are stated."""
        order = {one.shard.key: number for number, one in enumerate(self.again)}
        sums, parts = Sums(self.source.recipe, order, {}), tuple(self.again)
        task = sums.task(self.repo, parts)
        if isinstance(task, Conflict):
            return Row("replay sum", "differs", str(task))
        judge = sums.needs_judge(self.repo, parts, task)
        outcome = work(kit, task) if judge else None
        if outcome and outcome.error:
            return Row("replay sum", NOT, outcome.error)
        if outcome and outcome.status != "accepted":
            return Row("replay sum", "differs", "a check finds fault with it now")
        edit, recipe = task.offered or Edit({}), self.source.recipe
        files = {**edit.files, **(task.evidence if recipe.evidence and recipe.evidence.keep else {})}
        ws, stated = Workspace(self.repo.base), {one["name"]: one["digest"] for one in statement["subject"][1:]}
        made = {
            path: _blob((ws.source(path) or Text("")).encode(text), self.repo.commit)
            for path, text in files.items()
            if text is not None
        }
        wrong = [path for path, blob in made.items() if stated.get(path, {}).get("gitBlob") != blob]
        beside = sorted(stated.keys() - made.keys())
        if beside and not wrong:
            return Row("replay sum", NOT, f"people changed more than Umbau: {listed(beside)}")
        return row("replay sum", listed(sorted(wrong)), f"as they are stated: {counted(len(made), 'file')}")


def _recorded(outcome: Outcome, part: Mapping[str, Any]) -> Row:
    """Say whether what is kept of a shard is what is stated: edits, findings, proofs."""
    same = len(outcome.verdicts) == len(part["attempts"]) and all(map(_as_stated, outcome.verdicts, part["attempts"]))
    return row(
        f"checks {outcome.shard.name}",
        "" if same else "what is kept of it is not what is stated",
        f"{len(outcome.verdicts[-1].timed)} checks found no fault, by their proofs",
    )


def _as_stated(verdict: Verdict, stated: dict[str, Any]) -> bool:
    """Say whether an attempt is what is stated of it. Edits that are not kept any more have no files."""
    told = attempt(verdict)
    if not verdict.edit.files:
        told["edit"] = stated["edit"]
    tries = stated.get("evidence", [])
    pinned = len(verdict.evidence) == len(tries) and all(map(_as_stated, verdict.evidence, tries))
    return pinned and {**told, "evidence": tries} == {**stated, "evidence": tries}


def _past(outcome: Outcome, go: int) -> tuple[Verdict, ...]:
    """Return what the last go of a shard began with: up to what was held against its edit, which no attempt was."""
    asked = [at for at, verdict in enumerate(outcome.verdicts) if not verdict.start]
    return outcome.verdicts[: asked[-1] + 1] if go and asked else ()


def _essence(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must come out the same each time: not which tests ran together, nor what was known from before."""
    tries = [_essence(one) for one in told.get("evidence", ())]
    asked = [] if isinstance(told["asked"], str) else [(one["prompt"], one["reply"]) for one in told["asked"]]
    return {"edit": told["edit"], "findings": told["findings"], "evidence": tries, "asked": asked}


def _blob(data: bytes, commit: str) -> str:
    """Return the name of a blob, in a repository whose commits are called like that."""
    return new("sha1" if len(commit) == 40 else "sha256", b"blob %d\0%s" % (len(data), data)).hexdigest()


def replay(source: Source, repo: Repo, store: Store, statement: Mapping[str, Any]) -> Iterator[Row]:
    """Yield what comes of doing it again. `repo`: with its mirror here."""
    definition = statement["predicate"]["buildDefinition"]
    base = definition["internalParameters"].get("madeFor", definition["externalParameters"]["base"])
    if not Path(repo.mirror).exists():
        yield Row("replay", NOT, "the repository is not here")
        return
    yield from Replay(source, replace(repo, commit=base), store).rows(statement)
