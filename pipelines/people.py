"""In whose name a request stands, and who could be asked about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pipelines.data import Change
from pipelines.forge import Request
from pipelines.job import Job
from pipelines.owners import NOBODY, owner_of, owners_at
from pipelines.reviewers import reviewers

ALL = 100  # candidates, at most


def owner(change: Change) -> str:
    """Return whom CODEOWNERS names for most of the files, or who owns the repository. Raises GitError."""
    found = owner_of(owners_at(change.repo), change.whole)
    return owner_of_repo(change.repo.name) if found == NOBODY else found


def owner_of_repo(repo: str) -> str:
    """Return the group or user that a repository belongs to; itself when its name does not say."""
    return repo.rpartition("/")[0] or repo


def load(requests: Iterable[Request]) -> Counter[str]:
    """Return for each user how many open requests wait for them."""
    return Counter(name for one in requests if one.state == "open" for name in one.reviewers)


def candidates(job: Job, change: Change, busy: Mapping[str, int], bot: str) -> Sequence[str]:
    """Return all who could be asked to review a change, those with the least to do first. `bot`: the user that opened
    the request. Raises GitError."""
    settings = job.merge_request.reviewers.model_copy(update={"most": ALL})
    key = f"{change.repo.name}/{change.branch}"
    return reviewers(settings, owners_at(change.repo), sorted(change.whole), busy, bot, key)
