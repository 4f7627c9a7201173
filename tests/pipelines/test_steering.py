"""A job is paused and resumed from another process, at the command line, while it is driven and while it is not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.data import Plan
from pipelines.steering import pause, paused, resume, spent_up
from pipelines.store import Store
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says
from tests.pipelines.host import Answer, Server
from tests.test_cli import umbau

JOB = """\
name: count
repos: [{{git: {repo}}}]
select: {{contains: "= 1$"}}
steps: [{{rewrite: {{prompt: Count., model: {{url: "{url}", name: scripted, concurrency: 1}}}}}}]
checks: [inside]
"""
BLOCK = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with closing(Store(home / "store.db")) as made:
        yield made


def test_pause_and_resume_are_told_once_and_end_each_other(store: Store) -> None:
    assert paused(store, "j") == ""
    resume(store, "j", "ada")
    assert store.log.events("j") == []
    pause(store, "j", "ada", "a release\nis due")
    pause(store, "j", "bob", "me too")
    assert paused(store, "j").startswith("paused by ada on 2")
    assert paused(store, "j").endswith(": a release is due") and paused(store, "other") == ""
    resume(store, "j", "bob")
    assert paused(store, "j") == ""
    pause(store, "j", "bob", "")
    assert ": " not in paused(store, "j")
    told = [(one.kind, one.body["who"], one.body["kind"]) for one in store.log.events("j")]
    assert told == [("paused", "ada", "person"), ("resumed", "bob", "person"), ("paused", "bob", "person")]


def test_a_budget_neither_lifts_nor_makes_a_pause_that_a_person_has_to_lift(store: Store) -> None:
    spent_up(store, "j", "")
    spent_up(store, "j", "all is spent")
    spent_up(store, "j", "all is spent")
    assert paused(store, "j") == ""
    pause(store, "j", "ada", "")
    spent_up(store, "j", "")
    assert paused(store, "j").startswith("paused by ada")
    spent_up(store, "j", "all is spent again")
    resume(store, "j", "ada")
    kinds = [(one.kind, one.body["kind"]) for one in store.log.events("j")]
    budget, person = [("paused", "budget"), ("resumed", "budget")], [("paused", "person"), ("resumed", "person")]
    assert kinds == [budget[0], person[0], budget[1], budget[0], person[1]]


def test_a_pause_does_not_break_the_turn_of_who_drives_the_job(store: Store, home: Path) -> None:
    with store.driving("j"), closing(Store(home / "store.db")) as other:
        pause(other, "j", "ada", "")
        store.confirm()
        store.save_plan("j", Plan(()))
        resume(other, "j", "ada")
        store.confirm()


@pytest.fixture
def file(home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint) -> Path:
    made = checkout({f"m{number}.py": "x = 1\n" for number in range(8)})
    written = tmp_path / "job.yaml"
    written.write_text(JOB.format(repo=made.folder, url=endpoint.url))
    return written


@pytest.mark.slow
def test_from_another_process_while_it_runs(file: Path, endpoint: Endpoint) -> None:
    """Eight shards are in hand, one call at a time: no more calls are made, and what was answered is kept."""
    endpoint.say(Says(BLOCK, after=5))
    refused = umbau("pause", str(file))
    assert refused.returncode == 2 and "count has not been run yet: there is nothing to pause" in refused.stderr
    argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(file)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        while len(endpoint.requests) < 2:
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.1)
        said = umbau("pause", "count", "--why", "a release is due")
        assert said.returncode == 0, said.stderr
        assert "a release is due. A run that is under way ends within seconds." in said.stdout
        out, err = driver.communicate(timeout=120)
    assert driver.returncode == 2, err
    assert "a release is due; no model is asked any more, and what was answered is judged and kept" in err
    asked = len(endpoint.requests)
    assert asked < 8
    assert f"a release is due. {asked} of 8 shards are done, {8 - asked} wait. It goes on after: umbau resume" in out
    assert umbau("resume", str(file)).returncode == 0
    endpoint.say(BLOCK)
    ran = umbau("run", str(file))
    assert ran.returncode == 0 and "8 accepted" in ran.stdout, ran.stderr
    assert len(endpoint.requests) == 8


@pytest.mark.slow
def test_a_paused_job_does_nothing_until_it_is_resumed(file: Path, endpoint: Endpoint) -> None:
    endpoint.say(BLOCK)
    with closing(Store(Path(file.parent / "home" / "store.db"))) as store:
        store.save_plan("count", Plan(()))
    assert umbau("pause", str(file), "--why", "wait \x1b[2J for me").returncode == 0
    ran = umbau("run", str(file))
    assert ran.returncode == 2 and endpoint.requests == []
    assert "wait" in ran.stdout and "\x1b" not in ran.stdout
    assert "0 of 8 shards are done, 8 wait. It goes on after: umbau resume count" in ran.stdout
    assert umbau("status", str(file)).returncode == 2
    told = json.loads(umbau("resume", str(file), "--json").stdout)
    assert (told["job"], told["started"]) == ("count", False) and "wait" in told["lifted"]
    again = umbau("resume", "count")
    assert again.returncode == 2 and "count is not paused, and no Ray cluster is on this machine" in again.stderr
    ran = umbau("run", str(file))
    assert ran.returncode == 0, ran.stderr
    assert "8 accepted" in ran.stdout


def dashboard(*jobs: str) -> Server:
    """Return the dashboard of a Ray cluster to which these jobs were submitted, and which takes no more."""
    told = {"type": "SUBMISSION", "status": "STOPPED", "entrypoint": "sh"}
    named = [
        {**told, "submission_id": f"umbau-{one}-1", "metadata": {"umbau": "1", "job": one, "revision": "1"}}
        for one in jobs
    ]
    answers: dict[str, object] = {
        "/api/authentication_mode": {"authentication_mode": "token"},
        "/api/version": {"version": "4", "ray_version": "2", "ray_commit": "", "session_name": ""},
        "/api/jobs/": named,
    }

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return Answer(json.dumps(answers[path]).encode()) if path in answers and method == "GET" else Answer(status=404)

    return Server(answer)


@pytest.mark.slow
def test_a_pause_is_lifted_only_where_nothing_is_refused(file: Path, store: Store) -> None:
    def resumed(*args: str) -> tuple[int, str, bool]:
        done = umbau("resume", *args)
        return done.returncode, done.stdout + done.stderr, not paused(store, "count")

    pause(store, "count", "ada", "")
    code, said, lifted = resumed(str(file), "--address", "http://127.0.0.1:9")
    assert (code, lifted) == (2, False) and "no Ray dashboard answers" in said
    with dashboard("count") as there:
        code, said, lifted = resumed("count", "--address", there.url)
        assert (code, lifted) == (2, False)
        assert (
            f"count was submitted: give its job file to start it again, umbau resume FILE --address {there.url}" in said
        )
        code, said, lifted = resumed(str(file), "--address", there.url)
        assert (code, lifted) == (64, False) and "is a path on this machine" in said
        file.write_text(JOB.format(repo="https://127.0.0.1/a/b", url="http://127.0.0.1:9"))
        code, said, lifted = resumed(str(file), "--address", there.url)
        assert (code, lifted) == (2, True) and ", and that is lifted; the Ray cluster at" in said
    pause(store, "count", "ada", "")
    with dashboard() as there:
        code, said, lifted = resumed("count", "--address", there.url)
        assert (code, lifted) == (0, True) and "count goes on; it was paused by ada" in said
        code, said, _ = resumed("count", "--address", there.url)
        assert code == 2 and f"count is not paused, and was not submitted to {there.url}" in said
