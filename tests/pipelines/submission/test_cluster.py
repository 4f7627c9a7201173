"""A job that is submitted to a real cluster: run there, asked for twice, stopped in the middle, resumed."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.store import Store
from tests.conftest import Checkout
from tests.pipelines.host import Server, smart
from tests.pipelines.submission.cluster import BIN, SECRET, TOKEN, Cluster, ray_cluster

JOB = """\
name: {name}
repos: [{{list: lists/repos.txt}}]
select: {{contains: '\\.format\\('}}
steps: [{{codemod: {{name: mine.kit.Logged, arguments: {{log: {log}, most: {most}}}}}}}]
checks: {checks}
merge_request: {{group: {{by: repository}}}}
"""
KIT = """\
from libcst.codemod.commands.convert_format_to_fstring import ConvertFormatStringCommand

from mine.gate import passed


class Logged(ConvertFormatStringCommand):
    def __init__(self, context, log, most):
        super().__init__(context)
        self.log, self.most = log, most

    def transform_module_impl(self, tree):
        with open(self.log, "a+") as log:
            log.write(f"{self.context.filename}\\n")
            log.seek(0)
            if len(log.readlines()) > self.most:
                passed(self.log + ".gate")
        return super().transform_module_impl(tree)
"""
GATE = """\
import os, time


def passed(gate):
    while not os.path.exists(gate):
        time.sleep(0.1)
"""
FILES = {f"m{number:02}.py": "x = '{}'.format(1)\n" for number in range(20)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ray_cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("forge")
    Checkout(root / "twenty").commit(FILES)
    Checkout(root / "one").commit({"a.py": "x = '{}'.format(1)\n"})
    with Server(smart(root)) as server:
        yield server


def written(folder: Path, name: str, repo: str, *, most: int = 100, checks: str = "[parses]") -> Path:
    """Write a job with all that belongs to it, and what is nobody's business, into a folder."""
    job = JOB.format(name=name, log=folder / "calls", most=most, checks=checks)
    files = {"job.yaml": job, "lists/repos.txt": f"{repo}\n", "mine/kit.py": KIT, "private.txt": "nobody's business"}
    files |= {"mine/__init__.py": "", "mine/gate.py": GATE}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder / "job.yaml"


def calls(job: Path) -> Counter[str]:
    log = job.parent / "calls"
    return Counter(log.read_text().split() if log.exists() else [])


def facts(cluster: Cluster, *args: str) -> Any:
    return json.loads(cluster.umbau(*args, "--json").stdout)


def test_a_job_is_run_on_the_cluster_and_asked_for_twice_is_run_once(
    cluster: Cluster, forge: Server, tmp_path: Path
) -> None:
    job = written(tmp_path, "once", f"{forge.url}/one/.git")
    done = cluster.umbau("submit", str(job), "--follow", MY_PASSWORD="what-the-laptop-knows")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shards   1 accepted" in done.stdout and "merge requests pushed: new (1)" in done.stdout
    assert done.stderr.splitlines()[-1].endswith(" has succeeded")
    assert calls(job) == {"a.py": 1}, "its own codemod, which has travelled"
    assert (cluster.home / "forge" / "one" / "1.html").is_file()

    again = cluster.umbau("submit", str(job))
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("umbau-once-") and "has succeeded already: nothing was started" in again.stdout
    (one,) = [one for one in listed(cluster) if one["submission_id"].startswith("umbau-once")]
    assert one["status"] == "SUCCEEDED"
    assert one["metadata"].keys() == {"umbau", "job", "revision", "who"}
    said = json.dumps(listed(cluster)) + cluster.umbau("logs", "once").stdout
    for secret in (TOKEN, SECRET, "what-the-laptop-knows", "nobody's business"):
        assert secret not in said


def listed(cluster: Cluster) -> list[dict[str, Any]]:
    """Return what Ray tells of all jobs, as its own client shows it."""
    code = "from ray.job_submission import *; print([one.json() for one in JobSubmissionClient().list_jobs()])"
    done = cluster.call(str(BIN / "python"), "-c", code, RAY_AUTH_MODE="token")
    assert done.returncode == 0, done.stderr
    return [json.loads(one) for one in eval(done.stdout)]


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"RAY_AUTH_TOKEN": ""}, "wants its token, and there is none here: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"),
        ({"RAY_AUTH_TOKEN": "0" * 64}, "does not accept the token in RAY_AUTH_TOKEN: take the one that its head has"),
    ],
)
def test_who_is_not_let_in_is_told_why(cluster: Cluster, env: dict[str, str], words: str) -> None:
    done = cluster.umbau("logs", "once", **env)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_stopped_in_the_middle_it_goes_on_where_it_was(cluster: Cluster, forge: Server, tmp_path: Path) -> None:
    job = written(tmp_path, "paced", f"{forge.url}/twenty/.git", most=4)
    begun = facts(cluster, "submit", str(job))
    assert begun["started"] and begun["status"] in {"PENDING", "RUNNING"}
    end = time.monotonic() + 120
    while len(calls(job)) < 5 or not done(cluster, "paced"):
        assert time.monotonic() < end, cluster.umbau("logs", begun["id"]).stdout
        time.sleep(0.2)
    assert not facts(cluster, "submit", str(job))["started"], "it runs already"

    stopped = cluster.umbau("stop", "paced")
    assert stopped.returncode == 0, stopped.stderr
    assert f"{begun['id']} was stopped. What is done is kept" in stopped.stdout
    kept = done(cluster, "paced")
    assert 1 <= len(kept) <= 4
    said = cluster.umbau("logs", begun["id"], "--follow")
    assert said.returncode == 130
    assert f"Stopped: {len(kept)} of 20 shards are done and kept." in said.stdout

    refused = cluster.umbau("submit", str(job))
    assert refused.returncode == 2 and "was stopped. `umbau resume` goes on where it was" in refused.stderr
    job.with_name("calls.gate").touch()
    resumed = cluster.umbau("resume", str(job), "--follow")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert f"{begun['id']}-2 has succeeded" in resumed.stderr and "20 accepted" in resumed.stdout
    found = calls(job)
    assert found.keys() == FILES.keys()
    assert {found[path] for path in kept} == {1}, "what was done is not done again"


def done(cluster: Cluster, job: str) -> set[str]:
    """Return the files that have an outcome."""
    if not (cluster.home / "store.db").exists():
        return set()
    with closing(Store(cluster.home / "store.db")) as store:
        plan = store.plan(job)
        keys = {one.shard.key: one.shard.paths[0] for one in plan.planned} if plan else {}
        return {keys[key] for key in store.outcomes(list(keys))}


@pytest.mark.slow
def test_it_ends_as_the_run_has_ended(cluster: Cluster, forge: Server, tmp_path: Path) -> None:
    job = written(tmp_path, "strict", f"{forge.url}/one/.git", checks="[parses, {scope: {names: [nothing]}}]")
    done = cluster.umbau("submit", str(job), "--follow")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "has ended with exit code 1 (rejected shards)" in done.stderr
    assert cluster.umbau("logs", "strict", "--follow").returncode == 1
    assert facts(cluster, "logs", "strict")["code"] == 1

    (tmp_path / "lists" / "repos.txt").write_text(f"{forge.url}/gone/.git\n")
    gone = cluster.umbau("submit", str(job), "--follow")
    assert gone.returncode == 2, gone.stdout + gone.stderr
    assert cluster.umbau("stop", "strict").returncode == 0
    assert "no job strictly was submitted" in cluster.umbau("stop", "strictly").stderr


@pytest.mark.slow
def test_two_who_submit_at_once_start_one(cluster: Cluster, forge: Server, tmp_path: Path) -> None:
    job = written(tmp_path, "twins", f"{forge.url}/one/.git")
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: facts(cluster, "submit", str(job)), range(2)))
    assert both[0]["id"] == both[1]["id"]
    assert sorted(one["started"] for one in both) == [False, True]
    assert cluster.umbau("logs", "twins", "--follow").returncode == 0
    assert calls(job) == {"a.py": 1}


@pytest.mark.slow
def test_rays_own_submission_does_as_well(cluster: Cluster, forge: Server, tmp_path: Path) -> None:
    written(tmp_path, "plainly", f"{forge.url}/one/.git")
    ray = [str(BIN / "ray"), "job", "submit", "--working-dir", str(tmp_path), "--", str(BIN / "umbau")]
    done = cluster.call(*ray, "run", "job.yaml", RAY_AUTH_MODE="token")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shards   1 accepted" in done.stdout + done.stderr
    with closing(Store(cluster.home / "store.db")) as store:
        assert store.plan("plainly"), "it is kept when the job's own folder is gone"


@pytest.mark.slow
def test_a_cluster_that_lets_everybody_in_is_told_of(forge: Server, tmp_path: Path) -> None:
    warning = "lets everybody in: who reaches its ports runs any code on all its nodes."
    with ray_cluster(tmp_path, token=False) as cluster:
        job = written(tmp_path / "job", "openly", f"{forge.url}/one/.git")
        submitted = cluster.umbau("submit", str(job), "--follow")
        assert submitted.returncode == 0, submitted.stdout + submitted.stderr
        assert f"warning: the Ray cluster at {cluster.dashboard} {warning}" in submitted.stderr
        joined = cluster.umbau("run", str(job), "--address", cluster.gcs, UMBAU_HOME=str(tmp_path / "mine"))
        assert joined.returncode == 0, joined.stdout + joined.stderr
        assert warning in joined.stderr
