"""A cluster as a place to submit jobs to: Ray's own client, with its many errors told in words."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from operators import outward
from pipelines.door import stranger
from pipelines.errors import Refused
from pipelines.serve.dashboard import said, use_token
from pipelines.submission.package import Package
from pipelines.submission.submissions import Submission

PAUSE = 1.0  # seconds between two looks
TRIES = 30  # looks at a cluster that does not answer, such as one whose head starts anew
AGENTLESS = 6  # tries, of ten seconds each, to submit to a head that has just begun and has nobody yet to start it
STOPPING = 30  # seconds that a driver has to end by itself before it is killed; Ray's own default are three
ENV = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOPPING)}


class Cluster:
    """Raises Refused when the cluster does not let us in, or goes away."""

    def __init__(self, url: str) -> None:
        self.url = url
        outward.check("cluster", url)
        use_token()
        os.environ["RAY_API_SERVER_ADDRESS"] = url  # it, and RAY_ADDRESS, are stronger than what Ray's client is given
        logging.disable(logging.WARNING)  # Ray tells each step
        try:
            from ray.job_submission import JobSubmissionClient

            self._client: Any = self._asked(JobSubmissionClient, url)
        except ImportError:
            raise Refused("submitting a job needs Ray's client for it: install umbau[cluster]") from None

    @property
    def differs(self) -> str:
        """Say that another Ray is there than here, "" when it is the same."""
        import ray

        there = getattr(self._client, "_server_ray_version", None) or ray.__version__
        if there == ray.__version__:
            return ""
        return f"note: Ray is {there} on the cluster and {ray.__version__} here"

    def submissions(self) -> list[Submission]:
        """Return every submission of Umbau's."""
        return [one for job in self._asked(self._client.list_jobs) if (one := _submission(job))]

    def submission(self, id: str) -> Submission:
        found = _submission(self._asked(self._client.get_job_info, id))
        if not found:
            raise Refused(f"{id} was not submitted by Umbau")
        return found

    def submit(self, id: str, package: Package, version: str, metadata: Mapping[str, str]) -> bool:
        """Submit a package under a name; return False when somebody else just has."""
        with tempfile.TemporaryDirectory() as folder:
            package.write(Path(folder))
            env = {"working_dir": folder, "env_vars": ENV}
            start, left = package.entrypoint(version), AGENTLESS
            while True:
                try:
                    self._asked(
                        self._client.submit_job,
                        entrypoint=start,
                        submission_id=id,
                        runtime_env=env,
                        metadata=dict(metadata),
                    )
                except Refused as why:
                    left -= 1
                    if f"{id} already exists" in str(why):
                        return False
                    if not left or "No available agent" not in str(why):
                        raise
                else:
                    return True

    def stop(self, id: str) -> Submission:
        """Ask the driver to end, and wait until it has."""
        self._asked(self._client.stop_job, id)
        end = time.monotonic() + 2 * STOPPING
        while (one := self.submission(id)).living and time.monotonic() < end:
            time.sleep(PAUSE)
        return one

    def logs(self, id: str) -> str:
        found: str = self._asked(self._client.get_job_logs, id)
        return found

    def follow(self, id: str, say: Callable[[str], None]) -> Submission:
        """Say what a driver says until it has ended; a cluster that is away for a while is waited for."""
        import asyncio

        said_so_far = away = 0

        async def tail() -> None:
            nonlocal said_so_far, away
            seen = 0  # it begins anew each time
            async for text in self._client.tail_job_logs(id):
                seen += len(text)
                if seen > said_so_far:
                    say(text[said_so_far - seen :])
                    said_so_far, away = seen, 0

        while True:
            try:
                asyncio.run(tail())
                one = self.submission(id)
                if not one.living:
                    return one
            except Exception as error:  # Ray's and aiohttp's have no common kind
                away += 1
                if away == TRIES:
                    raise Refused(f"the cluster at {self.url} has gone: {said(error)}") from None
            time.sleep(PAUSE)

    def _asked(self, call: Any, *args: Any, **given: Any) -> Any:
        try:
            return call(*args, **given)
        except ImportError:
            raise
        except Exception as error:  # Ray's have no common kind
            raise Refused(told(self.url, error)) from None


def told(url: str, error: Exception) -> str:
    """Say in words what is wrong when Ray's client raises this."""
    text = str(error)
    if "Authentication required" in text:
        source = _token()
        return (
            f"the Ray cluster at {url} wants its token, and "
            + (f"what {source} names holds none" if source else "there is none here")
            + ": set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or put it into ~/.ray/auth_token, as on the head"
        )
    if "Authentication failed" in text:
        return f"the Ray cluster at {url} does not accept the token in {_token()}: take the one that its head has"
    if "ray[default]" in text:
        return "submitting a job needs Ray's client for it: install umbau[cluster]"
    if type(error.__context__).__name__ == "SSLError":
        return f"the certificate of {url} is not trusted here: name your authority's in REQUESTS_CA_BUNDLE"
    if "Version check" in text or type(error).__name__ in {"JSONDecodeError", "HTTPError"}:
        return stranger(url)
    if isinstance(error, ConnectionError):
        return f"the Ray cluster at {url} has gone"
    return f"the Ray cluster at {url} refused: {said(text)}"


def _token() -> str:
    """Return where Ray's token comes from here, "" when there is none."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        if os.environ.get(name):
            return name
    return "~/.ray/auth_token" if Path("~/.ray/auth_token").expanduser().is_file() else ""


def _submission(found: Any) -> Submission | None:
    """Read Ray's description of a job, None when it is not of Umbau."""
    metadata = found.metadata or {}
    if not (found.submission_id and {"umbau", "job", "revision"} <= metadata.keys()):
        return None
    return Submission(
        found.submission_id,
        metadata["job"],
        metadata["revision"],
        metadata["umbau"],
        metadata.get("who", ""),
        str(getattr(found.status, "value", found.status)),
        found.driver_exit_code,
        found.start_time or 0,
    )
