"""The head goes away while a job runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.store import Store
from tests.conftest import Checkout
from tests.pipelines.cluster.setting import Nodes, job, used

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("what", ["all of it", "GCS", "raylets"])
def test_a_head_that_is_gone_is_told_in_words(
    what: str, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(400)})
    file = tmp_path / "job.yaml"
    file.write_text(job(repo.folder, step=used("Slow", marks=tmp_path, seconds=0.5)))
    with closing(Nodes()) as nodes:
        nodes.add("one", num_cpus=2)
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", "--address", nodes.address]
        driver = subprocess.Popen([*argv, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not (tmp_path / "done").exists() or len((tmp_path / "done").read_text().splitlines()) < 20:
            assert driver.poll() is None
            time.sleep(0.2)
        nodes.behead(what)
        gone = time.monotonic()
        try:
            out, said = driver.communicate(timeout=150)
        finally:
            driver.send_signal(signal.SIGKILL)
        print(f"{what}: ended after {time.monotonic() - gone:.0f} s")
    print(out, said)
    assert driver.returncode == 2
    assert "the cluster" in said
    assert "run again" in said
    assert "Traceback" not in said
    with closing(Store(home / "store.db")) as store:
        keys = [one.shard.key for one in store.plan("lanes").planned]  # type: ignore[union-attr]
        assert len(store.outcomes(keys)) >= 10, "what was done is kept"
