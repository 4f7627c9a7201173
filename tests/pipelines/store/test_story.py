"""A job on a PostgreSQL store from end to end, through the command line and Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from operators.data import Edit, Shard, Verdict
from operators.workspace import Workspace
from pipelines.store import Store
from tests.conftest import Checkout
from tests.pipelines.store.server import Server

JOB = """
name: spy
repos: [{{git: {repo}}}]
select: {{contains: 'x = '}}
steps: [{{use: tests.pipelines.store.test_story.Spy}}]
"""


class Spy:
    """Says what its worker's environment holds."""

    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        return None if past else Edit({shard.paths[0]: "x = 2\n"}, json.dumps(dict(os.environ)))


def umbau(*args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", "from pipelines.cli import main; main()", *args]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
def test_a_job_whose_facts_are_in_postgresql(
    server: Server, home: Path, tmp_path: Path, checkout: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, file = checkout({"a.py": "x = 1\n", "b.py": "y = 1\n"}), tmp_path / "job.yaml"
    file.write_text(JOB.format(repo=repo.folder))
    url = server.database()
    monkeypatch.setenv("UMBAU_STORE", url)
    monkeypatch.setenv("PGPASSWORD", "secret")
    ran = umbau("run", str(file))
    assert ran.returncode == 0, ran.stderr
    assert "1 accepted" in ran.stdout
    assert not [*home.glob("store.db*")]
    with closing(Store(url)) as store:
        ((_, key),) = store.find("a.py")
        (outcome,) = store.outcomes([key])[key]
        saw = json.loads(outcome.verdicts[0].edit.said)
        assert "PATH" in saw and not {"UMBAU_STORE", "PGPASSWORD"} & {*saw}
        assert url not in saw.values() and "secret" not in saw.values()
        with store.driving("spy"):
            busy = umbau("run", str(file))
            assert busy.returncode == 2
            assert "spy is being run by another process" in busy.stderr
            shown = umbau("status", str(file))
            assert shown.returncode == 0 and "1 accepted" in shown.stdout
            assert "merge requests: open (1)" in shown.stdout
    again = umbau("run", str(file))
    assert again.returncode == 0
    assert "1 accepted" in again.stdout
    with closing(Store(url)) as store:
        assert store.outcomes([key]) == {key: [outcome]}
