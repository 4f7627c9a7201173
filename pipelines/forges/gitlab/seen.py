"""What GitLab's answers say of a merge request, in our words. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from pipelines.forge import Comment, Request, State
from pipelines.forges.gitlab.api import Json, instant
from pipelines.forges.remote import marked, silenced

Ci = Literal["none", "pending", "passed", "failed"]
_STATES: Mapping[str, State] = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}
_CI: Mapping[str, Ci] = {"success": "passed", "failed": "failed", "canceled": "failed", "skipped": "none"}
# Whether it can be merged is still being found out: https://docs.gitlab.com/api/merge_requests/#merge-status
_UNSETTLED = frozenset({"unchecked", "checking", "preparing", "approvals_syncing", "cannot_be_merged_recheck"})


def ci(status: str | None) -> Ci:
    """Return what a pipeline's status means for a request.

    `manual` is what GitLab calls a pipeline that stops at a job which somebody has to start and which must not fail:
    it is neither green nor red, and a project where pipelines must succeed does not merge it.
    """
    return _CI.get(status, "pending") if status else "none"


def entry(request: Json) -> Json:
    """Return what is remembered of a merge request from any answer that tells of one."""
    return {
        "branch": request["source_branch"],
        "digest": (marked(request.get("description") or "") or ("", ""))[1],
        "state": _STATES.get(request["state"], "closed"),
        "url": request["web_url"],
        "title": request["title"],
        "number": request["iid"],
        "head": request.get("sha") or "",
        "draft": bool(request.get("draft") or request.get("work_in_progress")),
        "opened": instant(request.get("created_at")),
        "ended": instant(request.get("merged_at") or request.get("closed_at")),
        "reviewers": [user["username"] for user in request.get("reviewers") or []],
        "merged": _merged(request),
        "updated": request.get("updated_at") or "",
        **mergeability(request),
    }


def _merged(request: Json) -> str:
    """Return the commit with which a request got into its target: its own, where that was only moved on to it."""
    made = request.get("merge_commit_sha") or request.get("squash_commit_sha") or request.get("sha")
    return str(made or "") if request["state"] == "merged" else ""


def mergeability(request: Json) -> Json:
    """Return whether it conflicts, and whether that is settled: it is told as free of conflicts until then."""
    status = request.get("detailed_merge_status") or request.get("merge_status") or ""
    conflicts = bool(request.get("has_conflicts")) or status == "conflict"
    return {"conflicts": conflicts, "settled": conflicts or status not in _UNSETTLED}


def pipeline(request: Json) -> Json:
    """Return what the answer to one merge request says of its pipeline: the one that GitLab itself goes by, be it of
    the branch, of the request or of the merged result."""
    found = request.get("head_pipeline") or {}
    return {"ci": ci(found.get("status")), "pipeline": found.get("id") or 0}


def people(discussions: Sequence[Json], mine: int, robot: Callable[[Json], bool]) -> list[tuple[str, Json]]:
    """Return what people did, with the discussion it is in: GitLab's own words on what they did, `system` notes, are
    among it. `mine`: our user."""
    notes = [(str(discussion["id"]), note) for discussion in discussions for note in discussion["notes"]]
    return [(thread, note) for thread, note in notes if note["author"]["id"] != mine and not robot(note["author"])]


def comments(said: Sequence[tuple[str, Json]], approved: float) -> tuple[Comment, ...]:
    """Return what people said. `approved`: when the last of them approved."""
    return tuple(_comment(thread, note, approved) for thread, note in said if not note["system"])


def _comment(thread: str, note: Json, approved: float) -> Comment:
    place, at = note.get("position") or {}, instant(note["created_at"])
    path = place.get("new_path") or place.get("old_path") or ""
    line = place.get("new_line") or place.get("old_line") or 0
    settled = bool(note.get("resolved")) or at < approved
    return Comment(str(note["id"]), note["author"]["username"], note["body"], path, line, settled, thread, at)


def approvals(told: Json, said: Sequence[tuple[str, Json]], mine: int) -> list[float]:
    """Return when each of those approved who still stand to it. Where GitLab does not tell the time, its note on it
    does; 0 where neither does."""
    noted = {
        note["author"]["id"]: instant(note["created_at"])
        for _, note in said
        if note["system"] and note["body"].startswith("approved this merge request")
    }
    given = [one for one in told.get("approved_by") or [] if one["user"]["id"] != mine]
    return [instant(one.get("approved_at")) or noted.get(one["user"]["id"], 0.0) for one in given]


def approved(told: Json, times: Sequence[float], pushed: float) -> bool:
    """Say whether the request is approved as it stands now. `pushed`: when we last changed it.

    Where approvals are required, GitLab itself knows which of them a push has taken away. Where none is, it takes none
    away, and calls approved what was approved before the push.
    """
    if not times or not told.get("approved", True):
        return False
    return bool(told.get("approvals_required")) or max(times) >= pushed


def details(request: Json, told: Json, said: Sequence[tuple[str, Json]], mine: int, pushed: float) -> Json:
    """Return what is remembered of an open request beyond its entry."""
    times = approvals(told, said, mine)
    return {
        **pipeline(request),
        "approved": approved(told, times, pushed),
        "approvers": [one["user"]["username"] for one in told.get("approved_by") or [] if one["user"]["id"] != mine],
        "comments": [asdict(one) for one in comments(said, max(times, default=0.0))],
        "active": max([instant(note["created_at"]) for _, note in said] + times, default=0.0),
    }


def request(repo: str, told: Mapping[str, Any], *, touched: bool, stale: bool) -> Request:
    """Return a request from what is remembered of it. `stale`: GitLab has not noticed yet what we pushed last."""
    return Request(
        repo,
        told["branch"],
        told["digest"],
        told["state"],
        told["url"],
        ci="pending" if stale else told.get("ci", "pending"),
        approved=bool(told.get("approved")) and not stale,
        conflicts=bool(told.get("conflicts")) and told["state"] == "open",
        touched=touched,
        comments=tuple(Comment(**one) for one in told.get("comments", ())),
        title=told["title"],
        number=told["number"],
        head=told["head"],
        draft=told["draft"],
        opened=told["opened"],
        ended=told.get("ended", 0.0),
        active=told.get("active", 0.0),
        reviewers=tuple(told["reviewers"]),
        approvers=tuple(told.get("approvers", ())) if told.get("approved") and not stale else (),
        merged=told.get("merged", ""),
    )


def without_texts(memory: Json, before: float, mine: Callable[[str], bool]) -> Json:
    """Return what is remembered of a project's requests without what people had said by then on those that were over.
    `before`: seconds since 1970. `mine`: says of a branch whether it is meant."""

    def bare(one: Json) -> Json:
        over = one["state"] != "open" and one.get("ended", 0.0) <= before and mine(one["branch"])
        return {**one, "comments": silenced(one["comments"], before)} if over and "comments" in one else one

    return {**memory, "requests": {number: bare(one) for number, one in memory["requests"].items()}}
