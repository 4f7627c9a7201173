"""A job's submissions to a cluster, and which is to be the next. Ray never uses the name of one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import Refused

FAILED, STOPPED = 2, 130


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission of a job."""

    id: str
    job: str
    revision: str
    version: str
    who: str
    status: str
    """Ray's own: PENDING, RUNNING, STOPPED, SUCCEEDED, FAILED."""
    code: int | None
    """Of the driver that has ended by itself."""
    began: int
    """In milliseconds."""

    @property
    def living(self) -> bool:
        return self.status in {"PENDING", "RUNNING"}

    @property
    def exit_code(self) -> int:
        """What `umbau run` has ended with, as far as that is known."""
        if self.status == "STOPPED":
            return STOPPED
        return self.code if self.code is not None else 0 if self.status == "SUCCEEDED" else FAILED

    @property
    def words(self) -> str:
        known = {"PENDING": "is about to start", "RUNNING": "is running", "STOPPED": "was stopped"}
        if self.status in known:
            return known[self.status]
        if self.status == "SUCCEEDED":
            return "has succeeded"
        return f"has ended with exit code {self.exit_code}" + (" (rejected shards)" if self.exit_code == 1 else "")


def following(job: str, revision: str, submissions: Sequence[Submission], *, again: bool) -> Submission | str:
    """Return the name of the submission to make, or the one that makes one needless. `again`: also when the last one
    has ended. Raises Refused."""
    submissions = [one for one in submissions if one.job == job]
    living = next((one for one in submissions if one.living), None)
    if living and living.revision != revision:
        raise Refused(
            f"{living.id} {living.words}, which is another revision of {job} or of Umbau: wait for it, or: "
            f"umbau stop {job}"
        )
    if living:
        return living
    first = f"umbau-{job}-{revision}"
    numbers = {_number(one.id, first): one for one in submissions if one.revision == revision}
    if not numbers:
        return first
    last = numbers[max(numbers)]
    if again:
        return f"{first}-{max(numbers) + 1}"
    if last.status == "SUCCEEDED":
        return last
    raise Refused(f"{last.id} {last.words}. `umbau resume` goes on where it was.")


def named(word: str, submissions: Sequence[Submission]) -> Submission:
    """Return the one of that name, or the last one of the job of that name. Raises Refused."""
    found = [one for one in submissions if one.id == word] or [one for one in submissions if one.job == word]
    if not found:
        jobs = ", ".join(sorted({one.job for one in submissions})) or "none"
        raise Refused(f"no job {word} was submitted to this cluster. There are: {jobs}")
    return max(found, key=lambda one: (one.began, one.id))


def _number(id: str, first: str) -> int:
    rest = id.removeprefix(f"{first}-")
    return int(rest) if rest.isdecimal() else 1
