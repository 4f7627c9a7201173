"""What is stated of requests, and what comes of verifying it."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message
from typer.testing import CliRunner

from operators.data import Outcome, Verdict
from operators.proc import git
from pipelines.cli import app
from pipelines.commit import person
from pipelines.data import Change
from pipelines.evidence import notary, statement
from pipelines.evidence.envelope import read
from pipelines.forge import Description, Request
from pipelines.forges import branches
from pipelines.forges.local import LocalForge
from pipelines.job import Job
from pipelines.lanes import InProcess
from pipelines.session import driving
from pipelines.store.packing import OUTCOME
from pipelines.store.tables import EVIDENCE
from tests.endpoint import Endpoint
from tests.pipelines.evidence.conftest import Ran


def statements(ran: Ran) -> list[dict[str, Any]]:
    return [read(one.envelope).statement() for one in ran.stated()]


def states(rows: dict[str, str]) -> dict[str, str]:
    return {what: told.partition(":")[0] for what, told in rows.items()}


def test_a_codemods_request_is_verified_byte_for_byte(ran: Ran) -> None:
    rows = ran.verify(ran.place(), code=0)
    assert set(states(rows).values()) == {"holds"}
    assert rows["replay app/a.py"] == "holds: byte for byte, 1 attempt"
    assert rows["replay sum"] == "holds: as they are stated: 2 files"
    (stated,) = ran.stated()
    assert f"Evidence: `sha256:{stated.digest}`; `umbau verify {ran.place()}`" in ran.record().body
    numbered, url = f"{ran.record().repo}/1", str(LocalForge(ran.home / "forge").page(ran.record()))
    assert ran.verify(numbered, code=0) == rows == ran.verify(url, code=0)


def test_whether_a_commit_or_a_blob_is_ours_is_answered(ran: Ran) -> None:
    (told,) = statements(ran)
    commit, first = told["subject"][0]["digest"]["gitCommit"], told["subject"][1]
    assert states(ran.verify(commit[:10], "--no-replay", code=0))["commit"] == "holds"
    done = CliRunner().invoke(app, ["verify", first["digest"]["gitBlob"], "--no-replay"])
    assert done.exit_code == 0
    assert done.stdout.startswith(f"blob {first['digest']['gitBlob']} is Umbau's: app/a.py\n")
    ran.verify(ran.repo.git("rev-parse", "HEAD"), code=1)
    ran.verify("billing@main", code=1)
    ran.verify("billing/7", code=1)
    ran.verify("https://forge.example/billing/1", code=1)
    ran.verify(code=64)


def test_statements_have_the_shape_that_in_toto_and_slsa_ask_for(asked: tuple[Ran, Endpoint]) -> None:
    for told in statements(asked[0]):
        ParseDict(told["predicate"], Provenance())  # raises on any name that it does not know
        message = ParseDict({"type" if name == "_type" else name: said for name, said in told.items()}, Message())
        Statement.copy_from_pb(message).validate()
        definition = told["predicate"]["buildDefinition"]
        assert definition.keys() == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
        assert all(one.get("uri") or one.get("digest") for one in definition["resolvedDependencies"])
        assert told["predicate"]["runDetails"]["builder"]["id"].startswith("https://")


def test_kept_replies_go_through_all_of_the_judging_again(asked: tuple[Ran, Endpoint]) -> None:
    ran, endpoint = asked
    sent = len(endpoint.requests)
    rows = ran.verify(ran.place(), code=0)
    assert set(states(rows).values()) == {"holds"}
    assert rows["replay test_a.py"] == "holds: kept replies, judged again, 2 attempts"
    assert len(endpoint.requests) == sent, "no model is asked"
    shutil.rmtree(ran.home / "responses")
    rows = ran.verify(ran.place(), code=0)
    assert rows["replay test_a.py"] == "cannot be replayed: a reply of the model is not kept here"
    assert rows["checks test_a.py"].startswith("holds: ")
    assert len(endpoint.requests) == sent


def test_what_was_purged_is_no_fault(asked: tuple[Ran, Endpoint]) -> None:
    """Words of models first, code later: less can be said, and nothing differs."""
    ran, _ = asked
    ran.strip(lambda one: replace(one, verdicts=(_wordless(one.verdicts[0]), *one.verdicts[1:])))
    rows = ran.verify(ran.place(), code=0)
    assert rows["checks test_a.py"].startswith("holds: ")
    assert rows["replay test_a.py"] == "cannot be replayed: a reply of the model is not kept here"
    ran.strip(lambda one: replace(one, verdicts=tuple(map(_wordless, one.verdicts))))
    (told,) = [said for said in ran.verify(ran.place(), code=0).items() if said[0].startswith("shard ")]
    assert told[1] == "cannot be replayed: what came of it is not kept any more, or was changed since"


def _wordless(verdict: Verdict) -> Verdict:
    return replace(verdict, edit=replace(verdict.edit, said="purged on Monday", files={}))


def test_what_a_model_was_asked_is_stated_without_a_word_of_it(asked: tuple[Ran, Endpoint]) -> None:
    ran, _ = asked
    (told,) = statements(ran)
    internal = told["predicate"]["buildDefinition"]["internalParameters"]
    first, second = internal["parts"][0]["attempts"]
    assert (first["passed"], first["findings"], second["passed"], second["findings"]) == (False, {"tests": 1}, True, {})
    (one,), (other,) = first["asked"], second["asked"]
    assert one["prompt"] != other["prompt"]
    assert one["sampling"]["temperature"] == 0.0
    assert other["sampling"]["temperature"] == 0.15
    assert other["sampling"]["seed"] == (one["sampling"]["seed"] + 1) % (1 << 31)
    assert internal["baseline"][0]["results"] == {"passed": 1}
    assert internal["sandbox"]["inForce"] and internal["sandbox"]["asked"] == "bubblewrap"
    model = told["predicate"]["buildDefinition"]["resolvedDependencies"][1]
    assert (model["name"], model["annotations"]["weights"]) == ("scripted", "unknown")
    for word in ("assertEqual", "1 + 1", "Turn unittest", "SEARCH", "unittest.TestCase"):
        assert word not in json.dumps(told)


def test_replies_that_were_known_from_before_are_stated_as_well(asked: tuple[Ran, Endpoint]) -> None:
    ran, endpoint = asked
    sent = len(endpoint.requests)
    before = statements(ran)[0]
    shutil.rmtree(ran.home / "forge")
    (ran.home / "store.db").unlink()
    ran.run()
    (again,) = statements(ran)
    parts = [one["predicate"]["buildDefinition"]["internalParameters"]["parts"] for one in (before, again)]
    questions = [[one for tried in part[0]["attempts"] for one in tried["asked"]] for part in parts]
    (one, _), (other, _) = questions  # later ones hold output of tests, which tells how long they took
    assert not one["known"]
    assert {**one, "known": True, "served": "unknown"} == other
    assert len(endpoint.requests) <= sent + 1


def test_a_merge_is_stated_with_who_approved_it(ran: Ran) -> None:
    ran.approve()
    ran.run()  # merges it
    ran.run()  # sees that it is merged
    ran.run()
    change, merge = statements(ran)
    assert merge["predicate"]["approvedBy"] == ["ada"]
    assert merge["predicate"]["continues"] == {"sha256": ran.stated()[0].digest}
    made = subprocess.run(
        ["git", "-C", str(ran.forge), "rev-parse", "refs/heads/main"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert merge["subject"][0]["digest"] == {"gitCommit": made}
    rows = ran.verify(made, code=0)
    assert rows["merge"] == f"holds: main has got {made}; stated to be approved by ada"
    assert set(states(rows).values()) == {"holds"}
    assert change["subject"][0]["digest"]["gitCommit"] == merge["predicate"]["head"]["gitCommit"]


def test_taking_back_is_stated_as_well(ran: Ran) -> None:
    ran.approve()
    ran.run()
    ran.repo.git("fetch", "--quiet", str(ran.forge), "main")
    ran.repo.git("merge", "--quiet", "FETCH_HEAD")
    ran.run()
    done = CliRunner().invoke(app, ["revert", str(ran.job), "--yes"])
    assert done.exit_code == 0, done.output
    last = statements(ran)[-1]["predicate"]["buildDefinition"]
    assert last["externalParameters"]["kind"] == "revert"
    assert last["internalParameters"]["parts"] == []
    rows = ran.verify(f"billing@{last['externalParameters']['branch']}", code=0)
    assert rows.pop("replay") == "cannot be replayed: no shard is part of it"
    assert set(states(rows).values()) == {"holds"}


class Killed(LocalForge):
    """A forge before which the driver dies."""

    def push(self, change: Change, commit: str, text: Description, *, opened: bool = True) -> Request:
        raise KeyboardInterrupt


def test_killed_between_two_steps_and_run_again_is_one_statement(ran: Ran) -> None:
    shutil.rmtree(ran.home / "forge")
    (ran.home / "store.db").unlink()
    with driving(str(ran.job), None, quiet=True) as driver, driver.driving():
        plan = driver.plan()
        driver.adopt(plan)
        driver.run(plan, InProcess())
        driver.forge = Killed(ran.home / "forge")
        with pytest.raises(KeyboardInterrupt):
            driver.tend(plan, InProcess())
    before = ran.stated()
    ran.run()
    ran.run()
    assert ran.stated() == before
    assert len(before) == 1
    assert f"sha256:{before[0].digest}" in ran.record().body


def test_a_new_change_on_the_same_branch_has_a_statement_of_its_own(ran: Ran) -> None:
    ran.repo.commit({"app/d.py": "w = '{}'.format(4)\n"})
    ran.run()
    first, second = ran.stated()
    assert first.head != second.head
    assert f"sha256:{second.digest}" in ran.record().body
    assert set(states(ran.verify(ran.place(), code=0)).values()) == {"holds"}
    done = CliRunner().invoke(app, ["verify", first.head])
    assert done.stdout.startswith(f"commit {first.head} is Umbau's; {ran.place()} holds another now\n")
    rows = ran.verify(first.head, code=0)
    assert rows["commit"] == f"holds: {first.head}"
    assert {what for what, state in states(rows).items() if state != "holds"} == {"link"}


def test_another_job_file_is_told_and_nothing_is_replayed_by_it(ran: Ran) -> None:
    assert states(ran.verify(ran.place(), "--job", str(ran.job), code=0))["job"] == "holds"
    ran.job.write_text(ran.job.read_text().replace("{by: file}", "{by: file}\nattempts: 9"))
    rows = ran.verify(ran.place(), "--job", str(ran.job), code=2)
    assert rows["job"] == "differs: the job that was given says something else than fstrings did"
    assert states(ran.verify(ran.place(), code=0))["job"] == "holds", "as it is kept"


class Later(Job):
    """As an Umbau has it that knows one more setting."""

    patience: int = 3


def test_a_job_is_the_same_to_an_umbau_that_knows_more(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(notary, "Job", Later)
        assert states(ran.verify(ran.place(), "--no-replay", code=0))["job"] == "holds"
    _keep_another(ran)
    rows = ran.verify(ran.place(), "--no-replay", code=2)
    assert rows["job"] == "differs: the job as it is kept says something else than fstrings did"


def test_a_job_as_older_statements_tell_it(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "BUILD", statement.FILLED)
    monkeypatch.setattr(statement, "said", lambda job: job.model_dump(mode="json"))
    shutil.rmtree(ran.home / "forge")
    (ran.home / "store.db").unlink()
    ran.run()
    assert states(ran.verify(ran.place(), "--no-replay", code=0))["job"] == "holds"
    monkeypatch.setattr(notary, "Job", Later)
    assert ran.verify(ran.place(), code=0)["job"].startswith("cannot be checked: another version of Umbau made it")


def _keep_another(ran: Ran) -> None:
    """Tamper with the job that is kept."""
    from sqlalchemy import update

    from pipelines.store.packing import ANY, packed
    from pipelines.store.tables import FACTS

    with closing(ran.store()) as store:
        (told,) = statements(ran)
        name = notary.spec_name(told["predicate"]["buildDefinition"]["externalParameters"]["job"]["digest"]["sha256"])
        kept = store.fact(name)
        other = packed(ANY, {**kept, "spec": {**kept["spec"], "attempts": 9}})
        put = update(FACTS).where(FACTS.c.key == name).values(body=other)
        store._database.write(lambda connection: connection.execute(put))


def test_a_statement_is_saved_and_verified_from_a_file(ran: Ran, tmp_path: Path) -> None:
    file, public = tmp_path / "evidence.json", ran.home / "keys" / "evidence.pub"
    ran.verify(ran.place(), "--no-replay", "--save", str(file), code=0)
    rows = ran.verify("--file", str(file), "--key", str(public), code=0)
    assert set(states(rows).values()) == {"holds"}
    with closing(ran.store()) as store:
        store._database.write(lambda connection: connection.execute(EVIDENCE.delete()))
    rows = states(ran.verify("--file", str(file), "--key", str(public), code=0))
    assert rows.pop("statement") == "cannot be checked"
    assert "subject" not in rows and set(rows.values()) == {"holds"}
    for name in ("store.db", "mirrors", "forge"):
        shutil.move(ran.home / name, tmp_path / name)
    rows = ran.verify("--file", str(file), "--key", str(public), code=0)
    assert states(rows) == {
        "signature": "holds",
        **dict.fromkeys(("statement", "commit", "job"), "cannot be checked"),
    }


def test_whose_key_signed_is_told_and_without_one_nothing_is(ran: Ran) -> None:
    file = ran.home / "keys" / "evidence"
    told = ran.verify(ran.place(), "--no-replay", code=0)["signature"]
    file.unlink()
    ran.repo.commit({"lib/e.py": "v = '{}'.format(5)\n"})
    ran.run()
    by = [ran.verify(f"{one.repo}@{one.branch}", "--no-replay", code=0)["signature"] for one in ran.stated()]
    assert [one.split()[1] == told.split()[1] for one in by] == [True, False]
    shutil.rmtree(file.parent)
    assert "there is no key to check it with: give one, --key FILE" in ran.verify(ran.place(), code=64)[""]
    ran.verify("billing/7", code=1)


def test_outcomes_that_were_kept_before_there_was_evidence_are_read(ran: Ran) -> None:
    with closing(ran.store()) as store:
        plan = store.plan("fstrings")
        assert plan
        outcomes = store.outcomes([one.shard.key for one in plan.planned])
    for kept in (one for each in outcomes.values() for one in each):
        old = json.loads(OUTCOME.dump_json(kept))
        for verdict in old["verdicts"]:
            del verdict["edit"]["asked"]
        read_again: Outcome = OUTCOME.validate_python(old)
        assert read_again == kept


def test_a_key_that_cannot_sign_stops_before_anything_is_pushed(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.errors import Refused

    shutil.rmtree(ran.home / "forge")
    monkeypatch.setenv("UMBAU_EVIDENCE_KEY", str(ran.home / "nowhere"))
    with pytest.raises(Refused, match="UMBAU_EVIDENCE_KEY cannot be read"):
        ran.run()
    assert not (ran.home / "forge").exists()


class Rebasing(LocalForge):
    """A forge that brings branches to their base itself, as GitLab does."""

    def rebase(self, request: Request) -> bool:
        record = self._known(request)
        repo = self._repo(record.repo)
        main = branches.head(repo, record.base)
        tree = git(repo, "merge-tree", "--write-tree", main, record.head).decode().split("\n")[0]
        said = git(repo, "show", "--no-patch", "--format=%B", record.head)
        made = git(repo, "commit-tree", tree, "-p", main, "-F", "-", stdin=said, env=person("1700000000"))
        commit = made.decode().strip()
        git(repo, "update-ref", f"refs/heads/{record.branch}", commit)
        self._save(replace(record, head=commit, commit=main))
        return True


def test_what_the_forge_rebased_is_stated_anew(ran: Ran) -> None:
    def tick() -> None:
        with driving(str(ran.job), None, quiet=True) as driver, driver.driving():
            driver.forge = Rebasing(ran.home / "forge")
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, InProcess())
            driver.tend(plan, InProcess())

    ran.repo.commit({"README": "new\n"})
    name = ran.record().name
    LocalForge(ran.home / "forge").review(
        name, "ada", text="/umbau rebase", path="", line=0, approve=False, close=False
    )
    for _ in range(3):
        tick()
    first, last = ran.stated()
    assert last.head == ran.record().head != first.head
    internal = statements(ran)[1]["predicate"]["buildDefinition"]["internalParameters"]
    assert internal["moved"] == {"sha256": first.digest}
    rows = ran.verify(ran.place(), code=0)
    assert rows["link"] == f"holds: sha256:{first.digest}"
    assert rows.pop("replay sum").startswith("cannot be replayed: ")
    assert set(states(rows).values()) == {"holds"}
