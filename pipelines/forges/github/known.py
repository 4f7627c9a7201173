"""What is known of requests on GitHub, kept from tick to tick so that nothing is asked twice."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from github.IssueComment import IssueComment
from github.PullRequest import PullRequest
from github.PullRequestComment import PullRequestComment
from github.PullRequestReview import PullRequestReview

from pipelines.forge import Comment, State
from pipelines.forges.remote import marked, silenced

Json = dict[str, Any]
GHOST = "ghost"  # what GitHub itself calls an account that is no more
_DECIDES = {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as listings tell it."""

    number: int
    branch: str
    base: str
    """The branch it is to be merged into."""
    head: str
    state: State
    url: str
    title: str
    author: str
    job: str
    """Of the marker in its body; "" when it has none."""
    digest: str
    draft: bool
    opened: float
    updated: float
    reviewers: tuple[str, ...]
    """People by their logins, teams as `org/team`."""
    assignees: tuple[str, ...]
    labels: tuple[str, ...]
    milestone: str
    body: str
    ended: float = 0.0
    """When it was merged or closed."""
    merged: str = ""
    """The commit with which it was merged."""


@dataclass(frozen=True, slots=True)
class Review:
    id: int
    author: str
    state: str
    commit: str
    text: str
    at: float
    counts: bool = False
    """A person who may write to the repository gave it."""


@dataclass(slots=True)
class Known:
    """What is known of one request."""

    pull: Pull
    said: dict[str, Comment] = field(default_factory=dict)
    """Comments by people on it and on its lines, by their ids."""
    reviews: list[Review] = field(default_factory=list)
    looked: float = 0.0
    """When its reviews were asked for last, by GitHub's clock."""
    tried: tuple[str, str, bool] = ("", "", False)
    """Base and head that were merged on trial, and whether they conflict."""
    ours: bool = True
    """Whether its head is ours."""


@dataclass(slots=True)
class Listing:
    """What is known of one repository, and until when its requests and comments were read: seconds since 1970, by
    GitHub's clock."""

    pulls: float = 0.0
    comments: float = 0.0
    asked: float = 0.0
    """When it was asked last and answered at all."""
    known: dict[str, Known] = field(default_factory=dict)
    """By branch."""
    bare: dict[str, str] = field(default_factory=dict)
    """Branches without a request, and the commits that they hold."""

    def take(self, pull: Pull) -> None:
        """Take in what a listing says of a request."""
        old, pull = self.known.get(pull.branch), replace(pull, body="")  # what is kept of it stands beside it
        if old and old.pull.number == pull.number:
            old.pull = pull
        elif old is None or later(old.pull, pull) is pull:
            self.known[pull.branch] = Known(pull)


def later(one: Pull, other: Pull) -> Pull:
    """Return which of two requests for one branch counts: the open one, else the last."""
    return max(one, other, key=lambda pull: (pull.state == "open", pull.number))


def pull_of(pull: PullRequest) -> Pull | None:
    """Return what a listing says of a pull request; None when its branch is not one of the repository itself."""
    if not pull.head.repo or pull.head.repo.full_name != pull.base.repo.full_name:
        return None
    state: State = "merged" if pull.merged_at else "closed" if pull.state == "closed" else "open"
    owner = pull.base.repo.full_name.partition("/")[0]
    job, digest = marked(pull.body or "") or ("", "")
    return Pull(
        number=pull.number,
        branch=pull.head.ref,
        base=pull.base.ref,
        head=pull.head.sha,
        state=state,
        url=pull.html_url,
        title=pull.title,
        author=pull.user.login if pull.user else GHOST,
        job=job,
        digest=digest,
        draft=pull.draft,
        opened=seconds(pull.created_at),
        updated=seconds(pull.updated_at),
        reviewers=(
            *(user.login for user in pull.requested_reviewers),
            *(f"{owner}/{team.slug}" for team in pull.requested_teams),
        ),
        assignees=tuple(user.login for user in pull.assignees),
        labels=tuple(label.name for label in pull.labels),
        milestone=pull.milestone.title if pull.milestone else "",
        body=pull.body or "",
        ended=seconds(pull.merged_at or pull.closed_at) if state != "open" else 0.0,
        merged=(pull.merge_commit_sha or "") if state == "merged" else "",  # of an open one it is a trial
    )


def remark(comment: IssueComment) -> tuple[int, str, Comment]:
    """Return the request that something was said on, the account's type, and what was said."""
    number, user = int(comment.issue_url.rpartition("/")[2]), comment.user
    kind, who = (user.type, user.login) if user else ("User", GHOST)
    return number, kind, Comment(f"comment-{comment.id}", who, comment.body or "", at=seconds(comment.created_at))


def inline(comment: PullRequestComment) -> tuple[int, str, Comment]:
    """Likewise for a comment on a line. A thread is called by its first comment."""
    number, user = int(comment.pull_request_url.rpartition("/")[2]), comment.user
    kind, who = (user.type, user.login) if user else ("User", GHOST)
    line = comment.line or comment.original_line or 0  # it has no line any more once that was changed
    thread = str(comment.in_reply_to_id or comment.id)
    at = seconds(comment.created_at)
    said = Comment(f"line-{comment.id}", who, comment.body or "", comment.path or "", line, thread=thread, at=at)
    return number, kind, said


def review_of(review: PullRequestReview) -> Review | None:
    """Return a review that a person has handed in; whether it counts is another question."""
    if not review.user or review.user.type == "Bot" or review.state == "PENDING":
        return None
    who, at = review.user.login, seconds(review.submitted_at)
    return Review(review.id, who, review.state, review.commit_id or "", review.body or "", at)


def approvers(reviews: Iterable[Review], commits: Container[str]) -> tuple[str, ...]:
    """Return who approved one of `commits`; nobody while somebody who has a say wants changes: of each person's reviews
    the last that decides something counts."""
    last = {one.author: one for one in sorted(reviews, key=_order) if one.counts and one.state in _DECIDES}
    if any(one.state == "CHANGES_REQUESTED" for one in last.values()):
        return ()
    return tuple(one.author for one in last.values() if one.state == "APPROVED" and one.commit in commits)


def comments(known: Known) -> tuple[Comment, ...]:
    """Return what people said, oldest first, on the request, on lines and with reviews. What is said with an approval
    is settled by it."""
    approvals = {one.id: one.at for one in known.reviews if one.counts and one.state == "APPROVED"}
    approval = max(approvals.values(), default=0.0)
    with_reviews = [
        Comment(f"review-{one.id}", one.author, one.text, settled=one.id in approvals, at=one.at)
        for one in known.reviews
        if one.text
    ]
    found = sorted([*known.said.values(), *with_reviews], key=_said)
    return tuple(replace(one, settled=one.settled or one.at < approval) for one in found)


def without_texts(memory: Json, before: float, mine: Callable[[str], bool]) -> Json:
    """Return what is remembered of a repository, a Listing in JSON, without what people had said by then on requests
    that were over. `before`: seconds since 1970. `mine`: says of a branch whether it is meant."""

    def bare(branch: str, one: Json) -> Json:
        pull, said = one["pull"], one["said"]
        if pull["state"] == "open" or pull.get("ended", 0.0) > before or not mine(branch):
            return one
        silent = dict(zip(said, silenced(said.values(), before), strict=True))
        return {**one, "said": silent, "reviews": silenced(one["reviews"], before)}

    return {**memory, "known": {branch: bare(branch, one) for branch, one in memory["known"].items()}}


def active(known: Known) -> float:
    """Return when a person last did something, 0.0 if nobody did."""
    times = [one.at for one in known.said.values()] + [one.at for one in known.reviews]
    return max((*times, 0.0 if known.ours else known.pull.updated))


def seconds(when: datetime | None) -> float:
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp() if when else 0.0


def _said(comment: Comment) -> tuple[float, int]:
    """Return what comments go by: GitHub's times are whole seconds."""
    return comment.at, int(comment.id.rpartition("-")[2])


def _order(review: Review) -> tuple[float, int]:
    return review.at, review.id
