"""What goes and what stays, by age and by job; by itself once a day; and what a database without rights says."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from operators.data import Completion, Edit, Finding, Outcome, Shard, Verdict
from pipelines.cli import app
from pipelines.data import Plan, Planned, Repo, Shards
from pipelines.forge import Comment
from pipelines.forges.github.known import Known, Listing, Pull, Review, comments
from pipelines.retention.due import due, kept
from pipelines.retention.looked import audit, retention
from pipelines.retention.purging import DAY, Ages, Gone, purge
from pipelines.retention.strip import without_code, without_words
from pipelines.store import Store
from pipelines.tell import memories
from pipelines.todo import tasks
from tests.pipelines.retention.searching import found
from tests.pipelines.store.conftest import Open, opening, place, server, store
from tests.pipelines.store.server import Server

__all__ = ["opening", "place", "server", "store"]
PIN = Verdict(Edit({"test_pin.py": "PIN"}, said="SAID PIN"))
DONE = Outcome(
    Shard("k", "billing", "c", ("a.py",)),
    (
        Verdict(Edit({"a.py": "FIRST"}, said="SAID ONE", tokens_in=9), (Finding("tests", "OUTPUT", "a.py:3"),)),
        Verdict(
            Edit(
                {"a.py": "CODE"}, "SAID TWO", ("NOTE",), 9, 3, pairs=(("OLD", "NEW"),), replies=(Completion("", 9, 3),)
            ),
            proof=("tests: 3 passed",),
            evidence=(Verdict(Edit({"test_pin.py": "BAD PIN"}), (Finding("pinned", "WHY"),)), PIN),
        ),
    ),
)
WORDS = ("SAID ONE", "SAID TWO", "SAID PIN", "OLD", "NEW", "FIRST", "BAD PIN")
CODE = ("CODE", "OUTPUT", "NOTE", "PIN", "WHY")


def test_words_go_before_code() -> None:
    said = repr(without_words(DONE, "2026-11-30"))
    assert not [word for word in WORDS if f"'{word}'" in said]
    assert not [word for word in CODE if f"'{word}'" not in said]
    bare = without_code(DONE, "2026-11-30")
    assert not [word for word in (*WORDS, *CODE) if f"'{word}'" in repr(bare)]
    assert (bare.status, bare.edit, bare.tokens, len(bare.verdicts)) == ("accepted", None, DONE.tokens, 2)
    assert [one.judge for one in bare.verdicts[0].findings] == ["tests"]
    assert bare.verdicts[0].findings[0].place == "a.py:3"
    assert bare.verdicts[1].proof == ("tests: 3 passed",)
    assert bare.verdicts[1].edit.said == "purged on 2026-11-30", "that a model had a part in it still shows"
    assert without_code(without_words(DONE, "2026-11-01"), "2026-11-30").wordless == "2026-11-01"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (replace(DONE, verdicts=DONE.verdicts[:1]), "rejected"),
        (replace(DONE, verdicts=()), "unchanged"),
        (replace(DONE, error="a log: CODE"), "failed"),
        (replace(DONE, verdicts=(), skipped="CODE cannot be parsed"), "skipped"),
        (replace(DONE, verdicts=(Verdict(Edit({}, "NO CHANGE NEEDED")),)), "unchanged"),
    ],
)
def test_a_status_stays_what_it_was(outcome: Outcome, status: str) -> None:
    bare = without_code(outcome, "2026-11-30")
    assert (outcome.status, bare.status) == (status, status)
    assert "CODE" not in repr(bare)


def shard(job: str, number: int, repo: str = "") -> Planned:
    return Planned(Shard(f"{job}{number}", repo or f"r-{job}", "c", (f"{number}.py",)), f"umbau/{job}/{number}", "g")


def made(store: Store, home: Path, job: str, repo: str = "") -> None:
    """Leave what a job with three accepted shards leaves: of the first the request is merged, of the second it is open,
    of the third there is none yet."""
    name = repo or f"r-{job}"
    shards = [shard(job, number, name) for number in range(3)]
    for folder in ("mirrors", "checkouts"):
        (home / folder / (f"{name}.git" if folder == "mirrors" else name)).mkdir(parents=True, exist_ok=True)
    for planned in (shards[:1], shards):  # the first plan is superseded
        store.save_plan(job, Plan((Repo(name, str(home / "mirrors" / f"{name}.git"), "c", "main"),), Shards(planned)))
    store.save([(replace(DONE, shard=one.shard), 0) for one in shards])
    for one in shards:
        store.reopen(one.shard.key, "a comment", Finding("review", "PLEASE"))
    store.save([(replace(DONE, shard=one.shard), 1) for one in shards])
    asked = [
        {"repo": name, "branch": one.branch, "state": state, "url": "", "title": "", "owner": ""}
        for one, state in zip(shards, ("merged", "open"), strict=False)
    ]
    store.remember(memories(job)[1], {"at": 0.0, "requests": asked})


def purging(store: Store, home: Path, days: float | None = 0.0, job: str = "", *, ahead: float = 1.0) -> Gone:
    now = time.time() + ahead
    return purge(store, home, Ages.of(days, days, now), "ada@host", job, do=True, now=now)


def codes(store: Store, job: str) -> list[bool]:
    """Say of each shard of a job whether it has code."""
    keys = [shard(job, number).shard.key for number in range(3)]
    found = store.outcomes(keys)
    return [found[key][-1].edit is not None for key in keys]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture(autouse=True)
def _private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_open_requests_and_what_waits_for_one_keep_their_code(store: Store, home: Path) -> None:
    made(store, home, "j")
    gone = purging(store, home)
    assert codes(store, "j") == [False, True, True]
    assert gone.kept == {"j": 2}
    said = store.outcomes(["j1"])["j1"][-1].verdicts[-1].edit.said
    assert said.startswith("purged on")
    assert [finding is not None for key in ("j0", "j1") for _, finding in store.reopenings([key])[key]] == [False, True]
    assert (home / "mirrors" / "r-j.git").exists()
    assert store.missing(["j0", "j1", "j2"]) == {}
    plan = store.plan("j")
    assert plan
    assert len(plan.planned) == 3
    store.reopen("j1", "another comment", Finding("review", "MORE"))
    (task,) = tasks(plan, ["r-j"], store, lambda one, go: True)
    assert "purged on" not in repr(task.past)
    assert "CODE" in repr(task.past)


def test_one_that_was_killed_is_finished_by_the_next(home: Path, tmp_path: Path) -> None:
    from pipelines.retention.purging import UNDER_WAY

    store = Store(tmp_path / "own" / "store.db")
    store.keep("f", "NEEDLE" * 2000)
    with store._database.engine.begin() as connection:
        connection.exec_driver_sql("pragma secure_delete = off")
        connection.exec_driver_sql("delete from facts")
    assert found([tmp_path / "own"], {"f": b"NEEDLE"})
    assert not purging(store, home).counts
    store.remember(UNDER_WAY, True)
    purging(store, home)
    assert not found([tmp_path / "own"], {"f": b"NEEDLE"})
    assert store.recall(UNDER_WAY) is False
    store.close()


def test_what_is_young_stays(store: Store, home: Path) -> None:
    made(store, home, "j")
    assert not purging(store, home, 1.0).counts
    assert codes(store, "j") == [True] * 3
    assert purging(store, home, 1.0, ahead=DAY + 60).counts["edits and findings"] == 2


def test_a_rule_that_was_confirmed_stays_and_another_goes_by_its_age(store: Store, home: Path) -> None:
    store.save_plan("j", Plan(()))
    now = time.time()
    asked = {"text": "ASKED", "author": "ada", "where": "u", "thread": "t", "by": ""}
    for one, confirmed, at in (("old", "", {}), ("young", "", {"at": now}), ("confirmed", "bob", {})):
        known = store.recall("rules j") or []
        store.remember("rules j", [*known, {**asked, "id": one, "confirmed": confirmed, **at}])
    assert purging(store, home, 1.0).counts == {"words of jobs": 1}
    assert [one["id"] for one in store.recall("rules j")] == ["young", "confirmed"]
    assert purging(store, home, 1.0, ahead=DAY + 60).counts == {"words of jobs": 1}
    assert [one["id"] for one in store.recall("rules j")] == ["confirmed"]


def test_comments_that_forges_remember_go_once_their_requests_are_over(store: Store, home: Path) -> None:
    now = time.time()
    states = {
        "umbau/j/merged": ("merged", now - 3 * DAY),
        "umbau/j/young": ("closed", now),
        "umbau/j/open": ("open", 0.0),
        "umbau/k/merged": ("merged", now - 3 * DAY),
    }
    old, new = Comment("line-1", "ada", "OLD", at=now - 4 * DAY), Comment("line-2", "ada", "NEW", at=now)
    review = Review(3, "bob", "APPROVED", "c", "REVIEW", now - 4 * DAY)
    gitlab, github = "gitlab https://gitlab seen acme/shop umbau/", "github requests https://github acme/shop umbau/"
    seen, listing = {}, Listing()
    for branch, (state, ended) in states.items():
        seen[branch] = {"branch": branch, "state": state, "ended": ended, "comments": [asdict(old), asdict(new)]}
        pull = Pull(1, branch, "main", "c", state, "", "", "me", "j", "", False, 0, 0, (), (), (), "", "", ended)  # type: ignore[arg-type]
        listing.known[branch] = Known(pull, {one.id: one for one in (old, new)}, [review])
    store.remember(gitlab, {"since": 1.0, "requests": seen})
    store.remember(github, TypeAdapter(Listing).dump_python(listing, mode="json"))
    asked = [
        {"repo": "acme/shop", "branch": one, "state": "open", "url": "", "title": "", "owner": ""} for one in states
    ]
    store.save_plan("j", Plan(()))
    store.remember(memories("j")[1], {"at": 0.0, "requests": asked[:3]})

    def said() -> set[str]:
        """Return the branches of which all is remembered that was said."""
        known = TypeAdapter(Listing).validate_python(store.recall(github)).known
        there = {branch for branch, one in known.items() if len(comments(one)) == 3 and "OLD" in repr(one)}
        requests = store.recall(gitlab)["requests"].values()
        texts = {one["branch"]: [comment["text"] for comment in one["comments"]] for one in requests}
        assert all(known[branch].said["line-2"].text == found[1] == "NEW" for branch, found in texts.items())
        assert there == {branch for branch, found in texts.items() if found[0]}
        return there

    assert purging(store, home, 2.0, "j").counts == {"comments on ended requests, by repository": 2}
    assert said() == {*states} - {"umbau/j/merged"}
    assert purging(store, home, 2.0).counts == {"comments on ended requests, by repository": 2}
    assert said() == {"umbau/j/young", "umbau/j/open"}
    assert not purging(store, home, 2.0).counts


def test_one_job_alone(store: Store, home: Path) -> None:
    made(store, home, "j")
    made(store, home, "k")
    purging(store, home, job="j")
    assert codes(store, "j") == [False, True, True]
    assert codes(store, "k") == [True] * 3
    assert store.audit.last("j", "purged")
    assert store.audit.last("k", "purged") is None


def test_what_was_found_of_sums_stays_as_long_as_one_is_open(store: Store, home: Path) -> None:
    made(store, home, "j")
    store.save([(replace(DONE, shard=Shard("sum", "r-j", "c", ("0.py",))), 0)])
    purging(store, home)
    assert store.outcomes(["sum"])["sum"][0].edit
    store.remember(memories("j")[1], {"at": 0.0, "requests": []})
    for number in range(3):
        asked = {"repo": "r-j", "branch": f"umbau/j/{number}", "state": "closed", "url": "", "title": "", "owner": ""}
        known = store.recall(memories("j")[1])["requests"]
        store.remember(memories("j")[1], {"at": 0.0, "requests": [*known, asked]})
    gone = purging(store, home)
    assert codes(store, "j") == [False] * 3
    assert store.outcomes(["sum"])["sum"][0].edit is None
    assert not (home / "mirrors" / "r-j.git").exists()
    assert not (home / "checkouts" / "r-j").exists()
    assert gone.counts["copies of repositories"] == 1


def test_a_job_that_runs_keeps_its_repositories(opening: Open, home: Path) -> None:
    store = opening()
    made(store, home, "j")
    store.remember(memories("j")[1], {"at": 0.0, "requests": []})
    with opening().driving("j"):
        gone = purging(store, home)
    assert (home / "mirrors" / "r-j.git").exists()
    assert any("is being run" in line for line in gone.told)


def test_replies_go_by_their_last_use(store: Store, home: Path) -> None:
    folder = home / "responses" / "ab"
    folder.mkdir(parents=True)
    for name, age in (("old", 3 * DAY), ("new", 0.0)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    assert purging(store, home, 2.0).counts == {"kept replies": 1}
    assert [one.name for one in folder.iterdir()] == ["new"]


def test_by_itself_it_is_done_once_a_day_as_the_site_says(
    store: Store, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(store, home, "j")
    now = time.time() + 40 * DAY
    due(store, home, now)
    assert codes(store, "j") == [True] * 3
    assert not store.audit.count()
    settings = tmp_path / "umbau.yaml"
    settings.write_text("retention: {prompts: 7, code: 30}\n")
    monkeypatch.setenv("UMBAU_SITE", str(settings))
    assert kept(store, now).overdue == 6
    assert "30 days" in " ".join(kept(store, now).lines)
    due(store, home, now)
    assert codes(store, "j") == [False, True, True]
    assert "purged, as the site says" in capsys.readouterr().err
    assert kept(store, now).overdue == 4, "of what is open"
    made(store, home, "k")
    due(store, home, now + DAY / 2)
    assert codes(store, "k") == [True] * 3
    due(store, home, now + 2 * DAY)
    assert codes(store, "k") == [False, True, True]
    assert [row.who for row in store.audit.rows()] == ["umbau", "umbau"]


def test_without_rights_it_says_what_is_left(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    url = server.database()
    name = url.rpartition("/")[2]
    made(Store(url), home, "j")
    server.ask("create role guest login password 'secret'")
    for what in ("select, insert, update, delete on all tables", "usage on all sequences"):
        server.ask(f"grant {what} in schema public to guest", name)
    store = Store(server.url(name, "guest"))
    gone = purging(store, home)
    assert codes(store, "j") == [False, True, True]
    assert any("the table outcomes could not be written anew: we may not" in line for line in gone.told)
    assert any("next checkpoint" in line for line in gone.told)
    store.close()


def test_a_server_that_is_away_while_rows_are_forgotten_is_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    with closing(Store(server.database())) as store:
        store.remember("f", 1)
        left: list[list[str]] = []
        forgetting = Thread(target=lambda: left.append(store.purge.forget()))
        server.stop()
        try:
            forgetting.start()
            time.sleep(0.5)
        finally:
            server.start()
            forgetting.join()
        assert left == [[]]
        assert store.recall("f") == 1


def test_what_a_security_officer_is_told(
    store: Store, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert audit(store).said == "the audit log has no row yet"
    assert [line.state for line in retention(store)] == ["note"]
    made(store, home, "j")
    settings = tmp_path / "umbau.yaml"
    settings.write_text("retention: {prompts: 0, code: 0}\n")
    (line,) = retention(store)
    assert (line.state, "last purged as the site says: never" in line.said) == ("ok", True)
    later = time.time() + 3 * DAY
    (line,) = retention(store, later)
    assert (line.state, "6 rows are older" in line.said) == ("bad", True)
    due(store, home, later)
    (line,) = retention(store, later)
    assert (line.state, "4 rows are older" in line.said) == ("ok", True)
    assert "1 rows of the audit log hold; keep its head elsewhere: 1:" in audit(store).said


def test_an_audit_log_that_lets_itself_be_changed_is_told(store: Store) -> None:
    store.audit.note("ada@host", "paused", "j")
    assert audit(store).state == "ok"
    sqlite = store._database.engine.dialect.name == "sqlite"
    for name, tried in {"audit_no_delete": "delete", "audit_no_update": "update"}.items():
        with store._database.engine.begin() as connection:
            connection.exec_driver_sql(
                f"drop trigger {name}" if sqlite else "drop trigger if exists audit_no_change on audit"
            )
        line = audit(store)
        assert (line.state, f"be changed: {tried if sqlite else 'update'} was tried" in line.said) == ("bad", True)
    assert (store.audit.count(), store.audit.verify().wrong) == (1, ""), "what was tried was taken back"


def test_who_purges_by_cron_has_purged_as_the_site_says(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UMBAU_HOME", str(home))
    (tmp_path / "umbau.yaml").write_text("retention: {prompts: 0, code: 0}\n")
    with closing(Store(home / "store.db")) as store:
        made(store, home, "j")
        for args in ([], ["j", "--yes"], ["--older-than", "0", "--yes"]):
            assert CliRunner().invoke(app, ["purge", *args]).exit_code == 0
            assert not kept(store).last
        assert CliRunner().invoke(app, ["purge", "--yes"]).exit_code == 0
        assert [line.state for line in retention(store, time.time() + DAY + 60)] == ["ok"]


def test_as_it_is_typed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def umbau(*args: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["purge", *args])
        return done.exit_code, done.stdout + done.stderr

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UMBAU_HOME", str(home))
    store = Store(home / "store.db")
    made(store, home, "j")
    assert umbau()[0] == 64
    assert "say --older-than DAYS" in umbau()[1]
    assert "has not been run here" in umbau("k", "--older-than", "0")[1]
    code, said = umbau("--older-than", "0")
    assert (code, codes(store, "j")) == (0, [True] * 3)
    assert "this would be removed for good: add --yes" in said
    assert "j: the code of 2 shards stays" in said
    (tmp_path / "umbau.yaml").write_text("retention: {code: 30}\n")
    assert "nothing is old enough" in umbau("--yes")[1]
    assert "removed for good, and noted in the audit log" in umbau("j", "--older-than", "0", "--yes")[1]
    assert codes(store, "j") == [False, True, True]
    assert json.loads(umbau("--json")[1])["removed"] == {}
    row = store.audit.last("j", "purged")
    assert row
    assert "@" in row.who
    store.close()


def test_an_environment_goes_with_its_repository(store: Store, home: Path) -> None:
    made(store, home, "j")
    for name, mirror in (("own", "r-j"), ("other", "elsewhere")):
        (home / "environments" / name).mkdir(parents=True)
        (home / "environments" / f"{name}.json").write_text(json.dumps({"mirror": mirror}))
    (home / "environments" / "cache" / "r-j").mkdir(parents=True)
    purging(store, home)
    assert (home / "environments" / "own").exists(), "its requests are open"
    (known,) = [store.recall(memories("j")[1])]
    asked = [{**known["requests"][0], "branch": f"umbau/j/{number}", "state": "merged"} for number in range(3)]
    store.remember(memories("j")[1], {"at": 0.0, "requests": asked})
    purging(store, home)
    assert sorted(one.name for one in (home / "environments").iterdir()) == ["cache", "other", "other.json"]
    assert not [*(home / "environments" / "cache").iterdir()]
