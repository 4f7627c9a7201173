"""Whatever is changed of a statement, a commit or a key is found, and told by its name."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operators.proc import git
from pipelines.data import Change
from pipelines.evidence.envelope import Envelope, Signature, sealed
from pipelines.evidence.keys import signer
from pipelines.session import driving
from tests.conftest import GIT
from tests.pipelines.evidence.conftest import Ran


def flipped(data: bytes, at: int = 40) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def payload(one: Envelope) -> Envelope:
    return replace(one, payload=flipped(one.payload))


def told(change: Callable[[dict[str, Any]], None]) -> Callable[[Envelope], Envelope]:
    """Change what is stated, and leave the signature as it was."""

    def changed(one: Envelope) -> Envelope:
        statement = one.statement()
        change(statement["predicate"]["buildDefinition"])
        return replace(one, payload=json.dumps(statement).encode())

    return changed


def signature(one: Envelope) -> Envelope:
    return replace(one, signatures=(replace(one.signatures[0], sig=flipped(one.signatures[0].sig)),))


def kind(one: Envelope) -> Envelope:
    return replace(one, kind="application/json")


def unsigned(one: Envelope) -> Envelope:
    return replace(one, signatures=())


def keyid(one: Envelope) -> Envelope:
    return replace(one, signatures=(Signature("SHA256:another", flipped(one.signatures[0].sig)),))


@pytest.mark.parametrize(
    ("change", "what", "why"),
    [
        (payload, "signature", "was changed after it was signed"),
        (payload, "statement", "and not"),
        (signature, "signature", "was changed after it was signed"),
        (kind, "signature", "application/json"),
        (unsigned, "signature", "nobody signed it"),
        (keyid, "signature", "another key"),
        (told(lambda one: one["externalParameters"].update(base="0" * 40)), "signature", "was changed"),
        (told(lambda one: one["internalParameters"]["parts"].clear()), "statement", "and not"),
    ],
)
def test_an_envelope_that_is_not_as_it_was_signed(
    ran: Ran, change: Callable[[Envelope], Envelope], what: str, why: str
) -> None:
    ran.rewrite(ran.stated()[0], change)
    rows = ran.verify(ran.place(), "--no-replay", code=2)
    assert rows[what].startswith("differs: ")
    assert why in rows[what]
    assert "files" not in rows, "what it says is not believed"


def test_a_statement_of_another_request_in_its_place(ran: Ran) -> None:
    ran.repo.commit({"lib/e.py": "v = '{}'.format(5)\n"})
    ran.run()
    one, other = ran.stated()
    ran.rewrite(one, lambda _: _envelope(other.envelope))
    rows = ran.verify(f"{one.repo}@{one.branch}", code=2)
    assert rows["signature"].startswith("holds: ")
    assert rows["statement"].startswith(f"differs: it is sha256:{other.digest}")
    ran.rewrite(one, lambda _: _envelope(other.envelope), digest=f"{other.digest[:-1]}x")  # one row may have a digest
    assert ran.verify(f"{one.repo}@{one.branch}", code=2)["statement"].startswith("differs: ")


def test_a_good_statement_under_another_name(ran: Ran) -> None:
    """All that the database says of it was changed as well."""
    (one,) = ran.stated()
    ran.rewrite(one, lambda same: same, branch="umbau/fstrings/other")
    rows = ran.verify("billing@umbau/fstrings/other", "--no-replay", code=2)
    assert rows["subject"] == "differs: it is of another request: billing@umbau/fstrings/app"


def _envelope(text: str) -> Envelope:
    from pipelines.evidence.envelope import read

    return read(text)


def test_a_key_that_was_exchanged(ran: Ran, tmp_path: Path) -> None:
    was = ran.verify(ran.place(), "--no-replay", code=0)["signature"]
    shutil.rmtree(ran.home / "keys")
    signer(ran.home, "UNSET")
    rows = ran.verify(ran.place(), "--no-replay", code=2)
    assert rows["signature"].startswith("differs: it is said to be of another key, SHA256:")
    assert was.split()[1].rstrip(",") in rows["signature"]


def test_a_statement_that_another_key_signed_anew(ran: Ran, tmp_path: Path) -> None:
    """Whoever has the database but not the key."""
    other = signer(tmp_path / "elsewhere", "UNSET")
    ran.rewrite(ran.stated()[0], lambda one: sealed(one.statement(), other))
    assert ran.verify(ran.place(), "--no-replay", code=2)["signature"].startswith(
        "differs: it is said to be of another"
    )

    def posing(one: Envelope) -> Envelope:
        made = sealed(one.statement(), other)
        return replace(made, signatures=(replace(made.signatures[0], keyid=one.signatures[0].keyid),))

    ran.rewrite(ran.stated()[0], posing)
    assert ran.verify(ran.place(), "--no-replay", code=2)["signature"].startswith("differs: ")


def amended(ran: Ran, *args: str, files: dict[str, str | None] | None = None) -> None:
    """Have somebody amend the commit that the branch holds."""
    clone, branch = ran.home.parent / "clone", ran.record().branch
    env = {"PATH": "/usr/bin:/bin", **GIT}

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(clone), *words], env=env, check=True, capture_output=True)

    subprocess.run(["git", "clone", "--quiet", str(ran.forge), str(clone)], env=env, check=True, capture_output=True)
    git("checkout", "--quiet", branch)
    for path, text in (files or {}).items():
        target = clone / path
        if text is None:
            target.unlink()
        else:
            target.write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--amend", *(args or ("--no-edit",)))
    git("push", "--quiet", "--force", "origin", branch)


def differing(rows: dict[str, str]) -> set[str]:
    return {what for what, said in rows.items() if said.startswith("differs")}


def test_a_file_that_was_changed(ran: Ran) -> None:
    amended(ran, files={"app/a.py": "x = 2\n"})
    rows = ran.verify(ran.place(), code=2)
    assert differing(rows) == {"commit", "files", "diff"}
    assert rows["files"] == "differs: app/a.py"


@pytest.mark.parametrize(("path", "text"), [("app/new.py", "n = 1\n"), ("app/c.py", None), ("app/b.py", None)])
def test_a_file_that_came_or_went(ran: Ran, path: str, text: str | None) -> None:
    amended(ran, files={path: text})
    assert ran.verify(ran.place(), "--no-replay", code=2)["files"] == f"differs: {path}"


def test_a_trailer_that_was_changed(ran: Ran) -> None:
    message = ran.record().message
    amended(ran, "-m", message.replace("Refs: OPS-17", "Refs: OPS-18"))
    rows = ran.verify(ran.place(), "--no-replay", code=2)
    assert differing(rows) == {"commit", "message", "trailers"}
    assert rows["trailers"] == "differs: Refs"


def test_a_commit_that_was_amended_without_a_change(ran: Ran) -> None:
    amended(ran, "--no-edit", "--date=2001-01-01T00:00:00Z")
    assert differing(ran.verify(ran.place(), "--no-replay", code=2)) == {"commit"}


def test_a_branch_that_was_moved_to_another_history(ran: Ran) -> None:
    clone = ran.home.parent / "clone"
    env = {"PATH": "/usr/bin:/bin", **GIT}
    subprocess.run(["git", "init", "--quiet", str(clone)], env=env, check=True)
    for words in (
        ("commit", "--quiet", "--allow-empty", "-m", "x"),
        ("push", "--quiet", "--force", str(ran.forge), f"HEAD:refs/heads/{ran.record().branch}"),
    ):
        subprocess.run(["git", "-C", str(clone), *words], env=env, check=True)
    assert {"commit", "base", "files"} <= differing(ran.verify(ran.place(), "--no-replay", code=2))


def test_a_request_that_links_another_statement(ran: Ran) -> None:
    file = next((ran.home / "forge" / "billing").glob("*.json"))
    file.write_text(file.read_text().replace(ran.stated()[0].digest, "0" * 64))
    assert differing(ran.verify(ran.place(), "--no-replay", code=2)) == {"link"}


def test_a_kept_reply_that_was_changed(asked: tuple[Ran, Any]) -> None:
    import zlib

    ran, _ = asked
    for file in (ran.home / "responses").glob("*/*"):
        file.write_bytes(zlib.compress(zlib.decompress(file.read_bytes()).replace(b"== 2", b"== 1 + 1")))
    rows = ran.verify(ran.place(), code=2)
    assert differing(rows) == {"replay test_a.py"}
    assert rows["replay test_a.py"] == "differs: attempt 2 is another"


def test_what_was_tampered_with_is_not_signed_again_when_the_forge_rebases(ran: Ran) -> None:
    ran.rewrite(ran.stated()[0], payload)
    with driving(str(ran.job), None, quiet=True) as driver:
        plan = driver.latest()
        (request,) = driver.forge.requests("umbau/", plan.repos)
        change = Change("fstrings", plan.repos[0], request.branch, "", (), {})
        ahead = ran.repo.commit({"README": "new\n"})
        assert driver.notary
        driver.notary.follows(driver.forge, change, replace(request, head=ahead))
    assert len(ran.stated()) == 1


def test_a_kept_proof_that_was_changed(ran: Ran) -> None:
    ran.strip(lambda one: replace(one, verdicts=tuple(replace(each, proof=("all fine",)) for each in one.verdicts)))
    rows = ran.verify(ran.place(), code=2)
    assert differing(rows) == {"checks app/a.py", "checks app/b.py"}


def test_what_somebody_else_put_there_before_it_was_merged(ran: Ran) -> None:
    amended(ran, files={"app/a.py": "x = 2\n"})
    file = next((ran.home / "forge" / "billing").glob("*.json"))
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "state": "merged"}))
    ran.run()
    rows = ran.verify(f"billing@{told['branch']}", "--no-replay", code=2)
    assert {"commit", "files", "merge"} <= differing(rows)
    assert "when it was merged" in rows["merge"]


def test_a_branch_that_was_deleted(ran: Ran) -> None:
    """While its request is open nobody can say what it would hold; later it is what the mirror has."""
    place, head = ran.place(), ran.stated()[0].head
    git(ran.forge, "update-ref", "-d", f"refs/heads/{ran.record().branch}")
    rows = ran.verify(place, "--no-replay", code=0)
    assert rows["commit"].startswith("cannot be checked: ") and "couldn't find remote ref" in rows["commit"]
    assert "files" not in rows
    file = next((ran.home / "forge" / "billing").glob("*.json"))
    file.write_text(json.dumps({**json.loads(file.read_text()), "state": "closed"}))
    rows = ran.verify(place, "--no-replay", code=0)
    assert rows["commit"].startswith(
        f"holds: {head}, as the mirror has it; the branch cannot be looked at: it is closed"
    )
    assert rows["files"].startswith("holds: ")


def test_a_merge_that_the_target_has_lost(ran: Ran) -> None:
    ran.approve()
    ran.run()  # merges it
    ran.run()  # sees that it is merged
    place, record = ran.place(), ran.record()
    git(ran.forge, "update-ref", "refs/heads/main", record.commit)
    rows = ran.verify(place, "--no-replay", code=2)
    assert differing(rows) == {"merge"}
    assert rows["merge"] == f"differs: main, which holds {record.commit}, has not got {record.merged}"
    shutil.move(ran.forge, ran.home / "away")
    rows = ran.verify(place, "--no-replay", code=0)
    assert rows["merge"].startswith("cannot be checked: ") and rows["merge"].endswith("; stated to be approved by ada")
