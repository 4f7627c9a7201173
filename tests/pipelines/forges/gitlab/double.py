"""A double of GitLab: a real HTTP server that answers as its REST API (version 4) is documented to, field by field for
what clients of merge requests read (https://docs.gitlab.com/api/merge_requests/, discussions, notes, pipelines, jobs,
merge_request_approvals, members, users, branches, projects, rest#pagination), and that serves real git repositories on
the same port. It is no GitLab: what the documentation does not say, it does not know.

Tests make it refuse, break off, lose answers and be slow with `fault`.
"""

from __future__ import annotations

import base64
import json
import math
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.pipelines.forges.gitlab.state import DEVELOPER, Json, Project, Request, State, User, told
from tests.pipelines.host import Answer as Served
from tests.pipelines.host import smart

_DRAFT = re.compile(r"^\s*(\[draft\]|\(draft\)|draft:)", re.I)


@dataclass
class Answer(Exception):
    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong with calls that match (`GET /projects/...`, without `/api/v4`)."""

    match: str
    status: int = 0
    """0: no answer; the connection ends."""
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    """What was asked for is done before."""
    cut: bool = False
    """Half of the true answer is sent."""
    garbled: bool = False
    """Half of the true answer is sent, as if that were all."""
    delay: float = 0.0
    times: int = 1


@dataclass
class Call:
    """One call to the API, and what its path matched."""

    user: User
    query: dict[str, list[str]]
    data: Json
    project: Project | None
    rest: tuple[str, ...]

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    @property
    def of(self) -> Project:
        assert self.project
        return self.project

    @property
    def request(self) -> Request:
        found = self.of.requests.get(int(self.rest[0]))
        if not found:
            raise Answer(404, {"message": "404 Not found"})
        return found


_ROUTES: list[tuple[str, re.Pattern[str], Callable[[GitLabDouble, Call], Any]]] = []


def route(method: str, pattern: str) -> Callable[[Callable[[GitLabDouble, Call], Any]], Any]:
    def kept(call: Callable[[GitLabDouble, Call], Any]) -> Any:
        _ROUTES.append((method, re.compile(pattern), call))
        return call

    return kept


class GitLabDouble(State):
    """Everything is reached through HTTP by the client; through methods by the tests, as people."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls: list[str] = []
        """Method and path with query of each call to the API."""
        self.pushes = 0
        """Times that git sent commits."""
        self.faults: list[Fault] = []
        self.allowed: tuple[int, float] | None = None
        """Writes that are taken within so many seconds; the others are told to wait."""
        self.refused = 0
        """Writes that were told to wait."""
        self.unnoticed = 0
        """How often GitLab does not know yet that a branch is there, after it was pushed."""
        self._writes: deque[float] = deque()
        self._lock = threading.RLock()
        self.server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def fault(self, match: str, status: int = 0, **facts: Any) -> None:
        self.faults.append(Fault(match, status, **facts))

    def count(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, call)) for call in self.calls)

    def heals(self, method: str, path: str) -> Fault | None:
        """Take the fault that this call meets."""
        for fault in self.faults:
            if re.search(fault.match, f"{method} {path}"):
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                return fault
        return None

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        with self._lock:
            self.calls.append(f"{method} {path}")
            try:
                return self._answered(method, path, headers, body)
            except Answer as answer:
                return answer

    def _answered(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(path)
        secret = headers.get("private-token") or headers.get("authorization", "").removeprefix("Bearer ")
        if secret not in self.tokens:
            raise Answer(401, {"message": "401 Unauthorized"})
        number, scopes = self.tokens[secret]
        if "api" not in scopes and not (method == "GET" and "read_api" in scopes):
            asked = {"error": "insufficient_scope", "scope": "api read_api"}
            why = "The request requires higher privileges than provided by the access token."
            raise Answer(403, {**asked, "error_description": why})
        if method != "GET":
            self._limit()
        data = json.loads(body) if body and "json" in headers.get("content-type", "") else {}
        project, rest = None, parts.path
        if found := re.match(r"/projects/([^/]+)(.*)", parts.path):
            project, rest = self._project(found[1], path, self.users[number]), f"/projects/:id{found[2]}"
        for verb, pattern, call in _ROUTES:
            if verb == method and (match := pattern.fullmatch(rest)):
                groups = tuple(unquote(one) for one in match.groups())
                asked_for = Call(self.users[number], parse_qs(parts.query), data, project, groups)
                made = call(self, asked_for)
                return made if isinstance(made, Answer) else self._paged(made, path, asked_for)
        raise Answer(404, {"error": "404 Not Found"})

    def _limit(self) -> None:
        if not self.allowed:
            return
        most, within = self.allowed
        now = time.monotonic()
        while self._writes and self._writes[0] <= now - within:
            self._writes.popleft()
        if len(self._writes) >= most:
            self.refused += 1
            wait = math.ceil(self._writes[0] + within - now)
            limits = {"ratelimit-limit": str(most), "ratelimit-remaining": "0", "ratelimit-name": "throttle_api"}
            raise Answer(429, {"message": {"error": "Too many"}}, {"retry-after": str(wait), **limits})
        self._writes.append(now)

    def _project(self, name: str, path: str, user: User) -> Project:
        wanted = unquote(name)
        if wanted in self.moved:
            number = self.at(self.moved[wanted]).id
            raise Answer(301, "", {"location": f"{self.url}/api/v4{path.replace(name, str(number), 1)}"})
        for project in self.projects.values():
            if wanted in {project.path, str(project.id)} and project.members.get(user.id):
                return project
        raise Answer(404, {"message": "404 Project Not Found"})

    def _paged(self, made: Any, path: str, call: Call) -> Answer:
        if not isinstance(made, list):
            return Answer(200, made)
        size, page = min(100, int(call.one("per_page", "20"))), int(call.one("page", "1"))
        shown, more = made[(page - 1) * size : page * size], len(made) > page * size
        query = {name: values[0] for name, values in call.query.items()}
        following = f"{self.url}/api/v4{urlsplit(path).path}?{urlencode({**query, 'page': page + 1, 'per_page': size})}"
        headers = {
            "x-page": str(page),
            "x-per-page": str(size),
            "x-prev-page": str(page - 1) if page > 1 else "",
            "x-next-page": str(page + 1) if more else "",
            "x-total": str(len(made)),
            "x-total-pages": str(-(-len(made) // size)),
        }
        if call.one("pagination") == "keyset":
            headers = {}
        return Answer(200, shown, headers | ({"link": f'<{following}>; rel="next"'} if more else {}))

    # What is shown of things.

    def shown(self, project: Project, request: Request, *, full: bool = False) -> Json:
        page = f"{self.url}/{project.path}/-/merge_requests/{request.iid}"
        draft = bool(_DRAFT.match(request.title))
        conflicts = request.merge_status == "cannot_be_merged"
        detailed = {"unchecked": "unchecked", "checking": "checking", "cannot_be_merged": "conflict"}
        status = detailed.get(request.merge_status) or self.detailed(project, request, draft)
        found: Json = {
            "id": request.iid + 1000,
            "iid": request.iid,
            "project_id": project.id,
            "title": request.title,
            "description": request.description,
            "state": request.state,
            "created_at": told(request.created),
            "updated_at": told(request.updated),
            "merged_by": request.merged_by.json(self.url) if request.merged_by else None,
            "target_branch": request.target,
            "source_branch": request.source,
            "author": request.author.json(self.url),
            "assignees": [user.json(self.url) for user in request.assignees],
            "assignee": request.assignees[0].json(self.url) if request.assignees else None,
            "reviewers": [user.json(self.url) for user in request.reviewers],
            "source_project_id": request.fork or project.id,
            "target_project_id": project.id,
            "labels": list(request.labels),
            "draft": draft,
            "work_in_progress": draft,
            "milestone": request.milestone,
            "merge_when_pipeline_succeeds": False,
            "merge_status": request.merge_status,
            "detailed_merge_status": status,
            "sha": request.sha,
            "merge_commit_sha": request.merge_commit,
            "squash_commit_sha": None,
            "user_notes_count": sum(not note["system"] for one in request.discussions for note in one["notes"]),
            "should_remove_source_branch": None,
            "force_remove_source_branch": request.remove,
            "web_url": page,
            "references": {"short": f"!{request.iid}", "full": f"{project.path}!{request.iid}"},
            "squash": request.squash,
            "has_conflicts": conflicts,
            "blocking_discussions_resolved": True,
        }
        if full:
            runs = [one for one in project.pipelines if self._is_of(one, project, request)]
            last = max(runs, key=lambda one: ("merge_request" in one["source"], one["id"]), default=None)
            found |= {"head_pipeline": last, "pipeline": last, "merge_error": request.merge_error}
            found |= {"user": {"can_merge": True}, "first_contribution": False, "changes_count": "1"}
        return found

    def _is_of(self, run: Json, project: Project, request: Request) -> bool:
        kind = run["ref"].removeprefix(f"refs/merge-requests/{request.iid}/")
        if kind == "merge":
            return request.sha in project.git("show", "--no-patch", "--format=%P", run["sha"])
        return run["sha"] == request.sha and (kind == "head" or run["ref"] == request.source)

    def detailed(self, project: Project, request: Request, draft: bool) -> str:
        if request.state != "opened":
            return "not_open"
        if draft:
            return "draft_status"
        return "not_approved" if len(request.approvals) < project.required else "mergeable"


@route("GET", "/user")
def _user(double: GitLabDouble, call: Call) -> Json:
    return {**call.user.json(double.url), "bot": call.user.bot, "email": "bot@localhost", "is_admin": False}


@route("GET", "/users")
def _users(double: GitLabDouble, call: Call) -> list[Json]:
    name = call.one("username").lower()
    return [user.json(double.url) for user in double.users.values() if user.username.lower() == name]


@route("GET", r"/users/(\d+)")
def _one_user(double: GitLabDouble, call: Call) -> Json:
    if not (found := double.users.get(int(call.rest[0]))):
        raise Answer(404, {"message": "404 User Not Found"})
    return {**found.json(double.url), "bot": found.bot, "bio": "", "location": "", "job_title": ""}


def _listed(double: GitLabDouble, projects: list[Project], call: Call) -> list[Json]:
    found = []
    for project in sorted(projects, key=lambda one: one.id):
        wanted = call.one("topic").split(",") if call.one("topic") else []
        if not set(wanted) <= {*project.topics} or call.one("search") not in project.path.rpartition("/")[2]:
            continue
        if call.one("visibility", project.visibility) != project.visibility:
            continue
        if call.one("archived") and (call.one("archived") == "true") != project.archived:
            continue
        empty = not project.heads()
        shown: Json = {"id": project.id, "path_with_namespace": project.path, "name": project.path.rpartition("/")[2]}
        shown |= {"default_branch": None if empty else project.default, "empty_repo": empty}
        shown |= {"topics": project.topics, "tag_list": project.topics, "visibility": project.visibility}
        shown |= {"http_url_to_repo": f"{double.url}/{project.path}.git", "archived": project.archived}
        if project.forked_from:
            shown["forked_from_project"] = {"id": project.forked_from}
        found.append(shown)
    return found


@route("GET", "/projects")
def _projects(double: GitLabDouble, call: Call) -> list[Json]:
    mine = [one for one in double.projects.values() if call.user.id in one.members or call.one("membership") != "true"]
    return _listed(double, mine, call)


@route("GET", "/groups/([^/]+)/projects")
def _group(double: GitLabDouble, call: Call) -> list[Json]:
    inside = [one for one in double.projects.values() if one.path.startswith(f"{call.rest[0]}/")]
    if not inside:
        raise Answer(404, {"message": "404 Group Not Found"})
    if call.one("include_subgroups") != "true":
        inside = [one for one in inside if one.path.rpartition("/")[0] == call.rest[0]]
    return _listed(double, inside, call)


@route("GET", r"/projects/:id/members/all/(\d+)")
def _member(double: GitLabDouble, call: Call) -> Json:
    number = int(call.rest[0])
    if not (level := call.of.members.get(number)):
        raise Answer(404, {"message": "404 Not found"})
    return {**double.users[number].json(double.url), "access_level": level, "expires_at": None}


@route("GET", "/projects/:id/milestones")
def _milestones(double: GitLabDouble, call: Call) -> list[Json]:
    return [one for one in call.of.milestones if one["title"] == call.one("title", one["title"])]


def _branch(double: GitLabDouble, project: Project, name: str, commit: str) -> Json:
    shown = {"name": name, "merged": False, "protected": name == project.default, "default": name == project.default}
    page = f"{double.url}/{project.path}/-/tree/{name}"
    return {**shown, "can_push": True, "web_url": page, "commit": {"id": commit, "short_id": commit[:8]}}


@route("GET", "/projects/:id/repository/branches")
def _branches(double: GitLabDouble, call: Call) -> list[Json]:
    begin = call.one("search").removeprefix("^")
    heads = call.of.heads().items()
    return [_branch(double, call.of, name, commit) for name, commit in heads if name.startswith(begin)]


@route("GET", "/projects/:id/repository/branches/([^/]+)")
def _one_branch(double: GitLabDouble, call: Call) -> Json:
    if not (head := call.of.head(call.rest[0])):
        raise Answer(404, {"message": "404 Branch Not Found"})
    return _branch(double, call.of, call.rest[0], head)


@route("GET", "/projects/:id/repository/commits/([0-9a-f]+)")
def _commit(double: GitLabDouble, call: Call) -> Json:
    names = (
        "id",
        "author_name",
        "author_email",
        "authored_date",
        "committer_name",
        "committer_email",
        "committed_date",
    )
    formats = "%H%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
    told_of = call.of.git("show", "--no-patch", f"--format={formats}", call.rest[0]).split("\0")
    return {**dict(zip(names, told_of, strict=False)), "message": told_of[-1], "short_id": told_of[0][:8]}


def _since(value: str, at: str | None) -> bool:
    return not value or not at or datetime.fromisoformat(at) >= datetime.fromisoformat(value)


@route("GET", "/projects/:id/merge_requests")
def _requests(double: GitLabDouble, call: Call) -> list[Json]:
    found = list(call.of.requests.values())
    if (state := call.one("state", "all")) != "all":
        found = [one for one in found if one.state == state]
    if name := call.one("author_username"):
        found = [one for one in found if one.author.username == name]
    if branch := call.one("source_branch"):
        found = [one for one in found if one.source == branch]
    found = [one for one in found if _since(call.one("updated_after"), told(one.updated))]
    by = call.one("order_by", "created_at")
    found.sort(key=lambda one: one.updated if by == "updated_at" else one.created, reverse=call.one("sort") != "asc")
    shown = [double.shown(call.of, one) for one in found]
    if call.one("with_merge_status_recheck") == "true":
        for one in found:
            if one.merge_status == "unchecked":
                double.find_out(call.of, one)  # asynchronously: the next answer tells
    return shown


def _people(double: GitLabDouble, ids: list[int]) -> list[User]:
    return [double.users[one] for one in ids if one in double.users]


def _apply(double: GitLabDouble, project: Project, request: Request, data: Json) -> None:
    request.title = data.get("title", request.title).strip()
    request.description = data.get("description", request.description) or ""
    split = {name: [one for one in data.get(name, "").split(",") if one] for name in data if name.endswith("labels")}
    if "labels" in data:
        request.labels = split["labels"]
    request.labels += [one for one in split.get("add_labels", []) if one not in request.labels]
    request.labels = [one for one in request.labels if one not in split.get("remove_labels", [])]
    for name, held in (("assignee_ids", "assignees"), ("reviewer_ids", "reviewers")):
        if name in data:
            setattr(request, held, _people(double, data[name])[: 1 if project.tier == "free" else None])
    if "milestone_id" in data:
        request.milestone = next((one for one in project.milestones if one["id"] == data["milestone_id"]), None)
    request.squash = data.get("squash", request.squash)
    request.remove = data.get("remove_source_branch", request.remove)


def _may(call: Call, level: int = DEVELOPER) -> None:
    if call.of.members.get(call.user.id, 0) < level or call.of.archived:
        raise Answer(403, {"message": "403 Forbidden"})


@route("POST", "/projects/:id/merge_requests")
def _open(double: GitLabDouble, call: Call) -> Answer:
    _may(call)
    for name in ("source_branch", "target_branch", "title"):
        if not call.data.get(name):
            raise Answer(400, {"error": f"{name} is missing"})
    if len(call.data["title"]) > 255:
        raise Answer(400, {"message": {"title": ["is too long (maximum is 255 characters)"]}})
    source, target, now = call.data["source_branch"], call.data["target_branch"], double.now()
    if double.unnoticed or not call.of.head(source):
        double.unnoticed = max(0, double.unnoticed - 1)
        raise Answer(400, {"message": {"source_branch": ["does not exist"]}})
    for one in call.of.requests.values():
        if (one.state, one.source, one.target, one.fork) == ("opened", source, target, 0):
            why = f"Another open merge request already exists for this source branch: !{one.iid}"
            raise Answer(409, {"message": [why]})
    made = Request(len(call.of.requests) + 1, call.user, source, target, "", "", now, now, "")
    _apply(double, call.of, made, call.data)
    call.of.requests[made.iid] = made
    double.versioned(made, call.of.head(source))
    return Answer(201, double.shown(call.of, made, full=True))


@route("GET", r"/projects/:id/merge_requests/(\d+)")
def _one_request(double: GitLabDouble, call: Call) -> Json:
    request = call.request
    shown = double.shown(call.of, request, full=True)
    if call.one("include_rebase_in_progress") == "true":
        shown["rebase_in_progress"] = bool(request.rebasing)
        if request.rebasing:
            request.rebasing -= 1
            if not request.rebasing:
                double.do_rebase(call.of, request, call.user)
    if call.one("include_diverged_commits_count") == "true":
        behind = call.of.git("rev-list", "--count", f"{request.sha}..{call.of.head(request.target)}")
        shown["diverged_commits_count"] = int(behind)
    if request.state == "opened" and request.merge_status == "unchecked":
        double.find_out(call.of, request)
    return shown


@route("PUT", r"/projects/:id/merge_requests/(\d+)")
def _change(double: GitLabDouble, call: Call) -> Json:
    _may(call)
    request, event = call.request, call.data.get("state_event")
    before = dict(vars(request))
    _apply(double, call.of, request, call.data)
    if event == "close" and request.state == "opened":
        double.set_state(call.of, request, "closed", call.user)
    if event == "reopen" and request.state == "closed":
        if not call.of.head(request.source):
            raise Answer(409, {"message": ["Source branch does not exist"]})
        double.set_state(call.of, request, "opened", call.user)
    if vars(request) != before:
        request.updated = double.now()
    return double.shown(call.of, request, full=True)


@route("PUT", r"/projects/:id/merge_requests/(\d+)/merge")
def _merge(double: GitLabDouble, call: Call) -> Json:
    request = call.request
    if call.of.members.get(call.user.id, 0) < (40 if call.of.protected else DEVELOPER):
        raise Answer(401, {"message": "401 Unauthorized"})
    if request.state != "opened" or double.detailed(call.of, request, bool(_DRAFT.match(request.title))) != "mergeable":
        raise Answer(405, {"message": "405 Method Not Allowed"})
    if call.data.get("sha", request.sha) != call.of.head(request.source):
        raise Answer(409, {"message": f"SHA does not match HEAD of source branch: {request.sha}"})
    if not call.of.merged_tree(call.of.head(request.target), request.sha):
        request.merge_status = "cannot_be_merged"
        raise Answer(422, {"message": "Branch cannot be merged"})
    double.do_merge(call.of, request, call.user)
    return double.shown(call.of, request, full=True)


@route("PUT", r"/projects/:id/merge_requests/(\d+)/rebase")
def _rebase(double: GitLabDouble, call: Call) -> Answer:
    _may(call)
    request = call.request
    if request.rebasing:
        raise Answer(409, {"message": "Failed to enqueue the rebase operation."})
    request.rebasing, request.merge_error = 2, None
    return Answer(202, {"rebase_in_progress": True})


@route("GET", r"/projects/:id/merge_requests/(\d+)/approvals")
def _approvals(double: GitLabDouble, call: Call) -> Json:
    request, required = call.request, call.of.required
    given = [{"user": user.json(double.url), "approved_at": told(at)} for user, at in request.approvals]
    if call.of.tier == "free":
        given = [{"user": one["user"]} for one in given]
        mine = any(user.id == call.user.id for user, _ in request.approvals)
        shown = {"user_has_approved": mine, "user_can_approve": not mine, "approved": bool(given)}
        return {**shown, "approved_by": given}
    left = max(0, required - len(given))
    about = {"id": request.iid + 1000, "iid": request.iid, "project_id": call.of.id, "title": request.title}
    counted = {"approved": not left, "approvals_required": required, "approvals_left": left}
    return {**about, "state": request.state, **counted, "require_password_to_approve": False, "approved_by": given}


@route("GET", r"/projects/:id/merge_requests/(\d+)/versions")
def _versions(double: GitLabDouble, call: Call) -> list[Json]:
    return call.request.versions[::-1]


@route("GET", r"/projects/:id/merge_requests/(\d+)/discussions")
def _discussions(double: GitLabDouble, call: Call) -> list[Json]:
    return call.request.discussions


@route("GET", r"/projects/:id/merge_requests/(\d+)/notes")
def _notes(double: GitLabDouble, call: Call) -> list[Json]:
    found = [note for one in call.request.discussions for note in one["notes"]]
    return sorted(found, key=lambda note: note["id"], reverse=call.one("sort", "desc") == "desc")


@route("POST", r"/projects/:id/merge_requests/(\d+)/notes")
def _say(double: GitLabDouble, call: Call) -> Answer:
    if call.of.members.get(call.user.id, 0) < 10:
        raise Answer(403, {"message": "403 Forbidden"})
    note = double.note(call.request, call.user, call.data["body"])
    double.discuss(call.request, note)
    return Answer(201, note)


@route("POST", r"/projects/:id/merge_requests/(\d+)/discussions/([^/]+)/notes")
def _reply(double: GitLabDouble, call: Call) -> Answer:
    found = next((one for one in call.request.discussions if one["id"] == call.rest[1]), None)
    if not found:
        raise Answer(404, {"message": "404 Discussion Not Found"})
    note = double.note(call.request, call.user, call.data["body"], kind="DiscussionNote")
    found["notes"].append(note)
    return Answer(201, note)


@route("GET", "/projects/:id/pipelines")
def _pipelines(double: GitLabDouble, call: Call) -> list[Json]:
    found = [one for one in call.of.pipelines if _since(call.one("updated_after"), one["updated_at"])]
    found = [one for one in found if all(call.one(name, one[name]) == one[name] for name in ("ref", "sha"))]
    by = call.one("order_by", "id")
    return sorted(found, key=lambda one: one[by], reverse=call.one("sort", "desc") == "desc")


@route("GET", r"/projects/:id/pipelines/(\d+)/jobs")
def _jobs(double: GitLabDouble, call: Call) -> list[Json]:
    wanted = call.query.get("scope[]")
    found = [job for job in call.of.jobs.values() if job["pipeline"]["id"] == int(call.rest[0])]
    return [{**job, "trace": None} for job in found if not wanted or job["status"] in wanted]


@route("GET", r"/projects/:id/pipelines/(\d+)/bridges")
def _bridges(double: GitLabDouble, call: Call) -> list[Json]:
    return [one for one in call.of.bridges if one["pipeline"]["id"] == int(call.rest[0])]


@route("GET", r"/projects/:id/jobs/(\d+)/trace")
def _trace(double: GitLabDouble, call: Call) -> Answer:
    if call.of.jobs[int(call.rest[0])]["trace"] is None:
        raise Answer(404, {"message": "404 Not found"})
    return Answer(200, call.of.jobs[int(call.rest[0])]["trace"], {"content-type": "text/plain"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients that hang up are part of the tests
            super().handle_error(request, client_address)


def _handler(double: GitLabDouble) -> type[BaseHTTPRequestHandler]:
    git = smart(double.root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits 40 ms for the headers to be confirmed

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if not self.path.startswith("/api/v4/"):
                return self.git(headers, body)
            path = self.path.removeprefix("/api/v4")
            fault = double.heals(self.command, path)
            if fault and fault.delay:
                time.sleep(fault.delay)
            if fault and not (fault.after or fault.cut or fault.garbled or fault.delay):
                return self.broken(fault)
            answer = double.answer(self.command, path, headers, body)
            if fault and fault.after:
                return self.broken(fault)
            return self.reply(answer, fault)

        do_POST = do_PUT = do_DELETE = do_GET

        def broken(self, fault: Fault) -> None:
            if not fault.status:
                self.close_connection = True
                return
            self.reply(Answer(fault.status, fault.body, {"content-type": "text/html", **fault.headers}), None)

        def reply(self, answer: Answer, fault: Fault | None) -> None:
            text = isinstance(answer.body, str)
            sent = (answer.body if text else json.dumps(answer.body)).encode()
            length = len(sent)
            if fault and (fault.cut or fault.garbled):
                sent = sent[: length // 2]
                length = len(sent) if fault.garbled else length
                self.close_connection = True
            self.send_response(answer.status)
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(length))
            self.end_headers()
            self.wfile.write(sent)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time(), usegmt=True)

        def git(self, headers: dict[str, str], body: bytes) -> None:
            found = double_git(double, git, self.command, self.path, headers, body)
            self.send_response(found.status)
            for name, value in {**found.headers, "content-length": str(len(found.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *args: Any) -> None: ...

    return Handler


def double_git(double: GitLabDouble, git: Any, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
    """Serve git to whoever gives a token as password, as far as the role goes, and notice what was pushed."""
    name = urlsplit(path).path.partition(".git")[0].strip("/")
    given = headers.get("authorization", "").removeprefix("Basic ")
    secret = base64.b64decode(given).decode().partition(":")[2]
    if secret not in double.tokens:
        return Served(b"HTTP Basic: Access denied", 401, {"www-authenticate": 'Basic realm="GitLab"'})
    user = double.users[double.tokens[secret][0]]
    with double._lock:
        project = next((one for one in double.projects.values() if one.path == name), None)
        level = project.members.get(user.id, 0) if project else 0
        if not project or not level:
            return Served(b"The project you were looking for could not be found", 404)
        if "receive-pack" in path and (level < DEVELOPER or project.archived):
            return Served(b"You are not allowed to push code to this project.", 403)
        answer = git(method, path, headers, body)
        if method == "POST" and path.endswith("git-receive-pack"):
            double.pushes += 1
            double.refresh(project, user)
        return answer
