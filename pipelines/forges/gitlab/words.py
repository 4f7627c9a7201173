"""Why GitLab does not merge, in words."""

from __future__ import annotations

from pipelines.forge import Request
from pipelines.forges.gitlab.api import Json, Refusal

# https://docs.gitlab.com/api/merge_requests/#merge-status
_WHY = {
    "approvals_syncing": "its approvals are being counted",
    "blocked_status": "another merge request blocks it",
    "checking": "GitLab is still finding out whether it can be merged",
    "ci_must_pass": "its pipeline must pass first",
    "ci_still_running": "its pipeline is still running",
    "commits_status": "its branch is gone or has no commit of its own",
    "conflict": "it conflicts with its base branch",
    "discussions_not_resolved": "threads are not resolved",
    "draft_status": "it is a draft",
    "external_status_checks": "checks outside GitLab have not passed",
    "jira_association_missing": "it must name a Jira issue",
    "locked_lfs_files": "somebody has locked files of it",
    "locked_paths": "somebody has locked paths of it",
    "merge_request_blocked": "another merge request blocks it",
    "merge_time": "it must not be merged before a certain time",
    "need_rebase": "it must be rebased first",
    "not_approved": "it needs more approvals",
    "not_open": "it is not open",
    "preparing": "GitLab is still preparing it",
    "requested_changes": "a reviewer has requested changes",
    "security_policy_violations": "a security policy forbids it",
    "status_checks_must_pass": "checks outside GitLab have not passed",
    "title_regex": "the project wants another title",
    "unchecked": "GitLab is still finding out whether it can be merged",
}


def unmerged(there: Json, looked_at: Request, why: Refusal) -> str:
    """Return why what was looked at was not merged, given what is `there` now."""
    if there["state"] not in {"opened", "locked"}:
        return f"it was {there['state']} meanwhile"
    if why.status == 409 or there["sha"] != looked_at.head:
        return "somebody pushed to it: the next tick looks at it again"
    status = there.get("detailed_merge_status") or ""
    if status in _WHY:
        return _WHY[status]
    return f"GitLab says {why.status}: {why.said}"
