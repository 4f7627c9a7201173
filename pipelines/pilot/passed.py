"""Whether a job's pilot has been passed. The log says so, for each recipe that one was done with."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pipelines.data import digest

if TYPE_CHECKING:
    from pipelines.job import Job
    from pipelines.pilot.estimate import Estimate
    from pipelines.store import Store

KIND = "pilot"
WAITS = "the pilot has not been passed: umbau run"


def note(store: Store, found: Estimate) -> None:
    """Write a pilot down, once for each result."""
    body = asdict(found)
    mark = digest([found.job, body])
    store.log.note(found.job, KIND, body=body, mark=mark)
    what = "pilot passed" if found.passed else "pilot failed"
    told = {"shards": found.asked, "min_accept": found.min_accept, "recipe": found.fingerprint}
    store.audit.note("umbau", what, found.job, told, mark=f"pilot {mark}")


def waits(job: Job, fingerprint: str, whole: bool, store: Store) -> str:
    """Say why no more than a sample may be done with this recipe, "" if it may: the job asks for no pilot, or it was
    passed, by the bound that the job has now and with as many shards. `whole`: of all repositories of the job."""
    wanted = job.pilot
    if wanted is None:
        return ""
    found = [event.body for event in store.log.events(job.name, [KIND])]
    good = any(
        one["fingerprint"] == fingerprint
        and one["passed"]
        and one["min_accept"] >= wanted.min_accept
        and one["asked"] >= wanted.shards
        and one["whole"] >= whole
        for one in found
    )
    return "" if good else WAITS
