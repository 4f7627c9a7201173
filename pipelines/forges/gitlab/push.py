"""Makes branch and merge request hold a change, exactly once, whenever it is interrupted.

The branch is the key. Merge requests of the branch are looked up in all states before one is opened; GitLab refuses a
second open one (409), and after an answer that did not come it is looked up again, never opened again blindly.
"""

from __future__ import annotations

import re
import time

from pipelines.data import Change
from pipelines.forge import Description, ForgeError, NotPushed, Request
from pipelines.forges.gitlab import seen
from pipelines.forges.gitlab.api import Api, Json, Refusal, Unsure, instant, project
from pipelines.forges.gitlab.look import inside
from pipelines.forges.gitlab.people import People
from pipelines.forges.gitlab.pushed import Pushed
from pipelines.forges.gitlab.rebase import Rebase
from pipelines.forges.remote import Branches, mark, marked

# Right after a push GitLab may not know the branch yet.
TRIES, APART = 6, 0.5  # seconds
TITLE = 255  # characters, GitLab's limit
BODY = 1_000_000  # characters; GitLab's limit is 1,048,576
_NOT_THERE = re.compile(r"source.branch.*exist", re.I | re.S)
_DRAFT = re.compile(r"^(\s*(\[draft\]|\(draft\)|draft:)\s*)+", re.I)


class Opening:
    def __init__(self, api: Api, people: People, branches: Branches, pushed: Pushed) -> None:
        self._api, self._people, self._branches, self._pushed = api, people, branches, pushed

    def push(self, change: Change, commit: str, text: Description, *, opened: bool) -> Request:
        """Raises NotPushed, ForgeError, GitError."""
        repo, branch = change.repo, change.branch
        try:
            found = self._found(change)
            aside = self._pushed.unopened(repo.name, branch).get(branch, {})
            if not found and not opened and aside.get("commit") != commit:
                # Before it is pushed: killed in between, the branch is told all the same.
                self._pushed.set_aside(repo.name, branch, {"commit": commit, "digest": change.digest})
            if found and not self._branches.ours(repo.name, branch, found["sha"]):  # a rebase was broken off, maybe
                rebase = Rebase(self._api, self._people, self._branches, self._pushed)
                rebase.adopted(repo.name, branch, found["iid"], found["sha"])
            self._branches.push(repo, repo.source, commit, branch, text.replaces)
            if new := self._pushed.last(repo.name, branch).get("commit") != commit:
                self._pushed.note(repo.name, branch, commit=commit, at=self._api.now(), rebasing="")
            if not found and not opened:
                return Request(
                    repo.name, branch, change.digest, "branch", self._page(change), ci="pending", head=commit
                )
            made = self._updated(change, found, text) if found else self._opened(change, text)
        except Refusal as why:
            if why.status in {401, 429}:
                raise
            raise NotPushed(str(why)) from None
        if new and made is not found:  # GitLab has told the time more exactly: nobody approved this before
            self._pushed.note(repo.name, branch, at=instant(made["updated_at"]))
        self._pushed.set_aside(repo.name, branch, None)
        told = {**seen.entry(made), "digest": change.digest, "head": commit}
        return seen.request(repo.name, told, touched=False, stale=True)

    def _found(self, change: Change) -> Json | None:
        """Return the open merge request of the branch, None when there has never been one. Raises NotPushed for what
        is over, and for what is not ours."""
        query = {"state": "all", "scope": "all", "source_branch": change.branch}
        listed = self._api.list(change.repo.name, f"{project(change.repo.name)}/merge_requests", **query)
        me, where = self._people.me["id"], f"{change.branch} of {change.repo.name}"
        here = [one for one in listed if inside(one)]
        ours = [one for one in here if one["author"]["id"] == me]
        for one in here:
            if seen.entry(one)["state"] != "open":
                continue
            if one in ours:
                job = (marked(one.get("description") or "") or (change.job, ""))[0]
                if job != change.job:
                    raise NotPushed(f"{where}: {one['web_url']} belongs to the job {job}")
                return one
            if one["target_branch"] == change.repo.branch:
                raise NotPushed(f"{where}: {one['web_url']} was opened by {one['author']['username']}, not by us")
        if ours:
            raise NotPushed(f"{where} was {seen.entry(ours[0])['state']} meanwhile")
        return None

    def _opened(self, change: Change, text: Description) -> Json:
        fields = self._fields(change, text)
        data = {"source_branch": change.branch, "target_branch": change.repo.branch, **opening(fields)}
        for _ in range(TRIES - 1):
            try:
                made = self._posted(change, data)
            except Refusal as why:
                if why.status == 409 and (found := self._found(change)):
                    return self._updated(change, found, text)
                if why.status != 400 or not _NOT_THERE.search(why.said):
                    raise
                time.sleep(APART)
            except Unsure:
                if found := self._found(change):
                    return self._updated(change, found, text)
                raise
            else:
                self._pushed.note(change.repo.name, change.branch, wanted=wanted(fields))
                return made
        raise ForgeError(f"{change.repo.name}: GitLab has not noticed yet that {change.branch} was pushed")

    def _posted(self, change: Change, data: Json) -> Json:
        path = f"{project(change.repo.name)}/merge_requests"
        return self._api.post(change.repo.name, "open merge requests", path, data)

    def _updated(self, change: Change, found: Json, text: Description) -> Json:
        """Make an open request say what it should, as far as it does not."""
        fields = self._fields(change, text)
        last = self._pushed.last(change.repo.name, change.branch).get("wanted") or {}
        if data := difference(fields, last, found):
            path = f"{project(change.repo.name)}/merge_requests/{found['iid']}"
            found = self._api.put(change.repo.name, "change merge requests", path, data)
        self._pushed.note(change.repo.name, change.branch, wanted=wanted(fields))
        return found

    def _fields(self, change: Change, text: Description) -> Json:
        """Return how the request is to look. Whom GitLab does not know is left out, and the request says so."""
        assignees, strangers = self._people.ids(text.assignees)
        reviewers, others = self._people.ids(text.reviewers)
        milestone = self._people.milestone(change.repo.name, text.milestone) if text.milestone else 0
        missing = [f"no user `{name}`" for name in dict.fromkeys([*strangers, *others])]
        if text.milestone and not milestone:
            missing.append(f"no milestone `{text.milestone.replace('`', '')}`")
        told = f"\n\nLeft out, because GitLab knows {', '.join(missing)} here." if missing else ""
        return {
            "title": text.title,
            "description": f"{text.body[:BODY].rstrip()}{told}\n\n{mark(change.job, change.digest)}",
            "labels": list(text.labels),
            "draft": text.draft,
            "assignees": list(assignees.values()),
            "reviewers": list(reviewers.values()),
            "milestone": milestone,
            "squash": text.squash,
            "delete_branch": text.delete_branch,
        }

    def _page(self, change: Change) -> str:
        return f"{self._api.url}/{change.repo.name}/-/tree/{change.branch}"


def titled(title: str, draft: bool) -> str:
    return f"{'Draft: ' if draft else ''}{title}"[:TITLE].strip()


def opening(fields: Json) -> Json:
    """Return the fields with which a merge request is created."""
    data = {
        "title": titled(fields["title"], fields["draft"]),
        "description": fields["description"],
        "squash": fields["squash"],
        "remove_source_branch": fields["delete_branch"],
        "labels": ",".join(fields["labels"]),
        "assignee_ids": fields["assignees"],
        "reviewer_ids": fields["reviewers"],
        "milestone_id": fields["milestone"],
    }
    return {name: value for name, value in data.items() if value or isinstance(value, bool)}


def wanted(fields: Json) -> Json:
    """Return what is remembered of the fields: people may change these, and what they did stays."""
    return {name: value for name, value in fields.items() if name != "description"}


def difference(fields: Json, last: Json, there: Json) -> Json:
    """Return what is to be changed of a merge request that is `there`: what it should not look like any more since
    `last`, when it was made to. What people have changed since stays: a title, labels, whether it is a draft. The
    description is ours."""
    data: Json = {}
    if fields["description"].strip() != (there.get("description") or "").strip():
        data["description"] = fields["description"]
    draft = fields["draft"] if fields["draft"] != last.get("draft") else bool(there.get("draft"))
    title = fields["title"] if fields["title"] != last.get("title") else _DRAFT.sub("", there["title"])
    if titled(title, draft) != there["title"]:
        data["title"] = titled(title, draft)
    before = last.get("labels", [])
    if added := [label for label in fields["labels"] if label not in before and label not in there["labels"]]:
        data["add_labels"] = ",".join(added)
    if gone := [label for label in before if label not in fields["labels"] and label in there["labels"]]:
        data["remove_labels"] = ",".join(gone)
    for name in ("assignees", "reviewers"):
        held = [user["id"] for user in there.get(name) or []]
        if new := [one for one in fields[name] if one not in last.get(name, []) and one not in held]:
            data[f"{name[:-1]}_ids"] = [*held, *new]
    if fields["milestone"] != last.get("milestone", 0):
        data["milestone_id"] = fields["milestone"]
    for name, key, shown in (
        ("squash", "squash", "squash"),
        ("delete_branch", "remove_source_branch", "force_remove_source_branch"),
    ):
        if fields[name] != last.get(name) and fields[name] != bool(there.get(shown)):
            data[key] = fields[name]
    return data
