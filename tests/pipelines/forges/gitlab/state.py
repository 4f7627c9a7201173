"""What a GitLab holds: projects with real git repositories, users, merge requests, pipelines; and what people do there.

Part of the double beside it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Json = dict[str, Any]
MAINTAINER, DEVELOPER, REPORTER = 40, 30, 20


def told(at: float | None) -> str | None:
    """Write a time as GitLab does."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@dataclass
class User:
    id: int
    username: str
    bot: bool = False

    def json(self, url: str) -> Json:
        shown = {"id": self.id, "username": self.username, "name": self.username.title(), "state": "active"}
        return {**shown, "locked": False, "avatar_url": None, "web_url": f"{url}/{self.username}"}


@dataclass
class Request:
    iid: int
    author: User
    source: str
    target: str
    title: str
    description: str
    created: float
    updated: float
    sha: str
    state: str = "opened"
    labels: list[str] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    reviewers: list[User] = field(default_factory=list)
    milestone: Json | None = None
    squash: bool = False
    remove: bool = False
    merge_status: str = "unchecked"
    merged_by: User | None = None
    merge_error: str | None = None
    merge_commit: str | None = None
    rebasing: int = 0
    """How often it is told yet that a rebase is in progress."""
    fork: int = 0
    """The project that the source branch is in, when it is another."""
    discussions: list[Json] = field(default_factory=list)
    approvals: list[tuple[User, float]] = field(default_factory=list)
    versions: list[Json] = field(default_factory=list)


@dataclass
class Project:
    id: int
    path: str
    folder: Path
    default: str = "main"
    topics: list[str] = field(default_factory=list)
    visibility: str = "private"
    archived: bool = False
    forked_from: int = 0
    required: int = 0
    """Approvals."""
    resets: bool = False
    """Whether a push takes approvals away."""
    tier: str = "premium"
    protected: bool = False
    """Developers may not merge into the default branch."""
    members: dict[int, int] = field(default_factory=dict)
    """User to access level."""
    milestones: list[Json] = field(default_factory=list)
    requests: dict[int, Request] = field(default_factory=dict)
    pipelines: list[Json] = field(default_factory=list)
    jobs: dict[int, Json] = field(default_factory=dict)
    bridges: list[Json] = field(default_factory=list)

    def git(self, *args: str, check: bool = True, **extra: str) -> str:
        env = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{role}_NAME": "GitLab" for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": "gitlab@localhost" for role in ("AUTHOR", "COMMITTER")},
            **extra,
        }
        done = subprocess.run(
            ["git", "-C", str(self.folder), *args], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def head(self, branch: str) -> str:
        return self.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False)

    def heads(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads").splitlines()
        return dict(line.split(" ") for line in lines)

    def merged_tree(self, target: str, source: str) -> str:
        """Return the tree of both together, "" when they conflict."""
        done = self.git("merge-tree", "--write-tree", target, source, check=False).splitlines()
        return done[0] if len(done) == 1 else ""


class State:
    """Everything but HTTP."""

    def __init__(self, root: Path) -> None:
        self.root, self.url = root, ""
        self.users: dict[int, User] = {}
        self.projects: dict[int, Project] = {}
        self.moved: dict[str, str] = {}
        self.tokens: dict[str, tuple[int, tuple[str, ...]]] = {}
        """Token to user and scopes."""
        self._ids, self._last = 0, 0.0

    def number(self) -> int:
        self._ids += 1
        return self._ids

    def now(self) -> float:
        """Return a time later than any before, in whole milliseconds, as GitLab tells them."""
        self._last = max(round(time.time(), 3), round(self._last + 0.001, 3))
        return self._last

    # What an administrator does.

    def user(self, name: str, *, bot: bool = False) -> User:
        found = User(self.number(), name, bot)
        self.users[found.id] = found
        return found

    def person(self, name: str) -> User:
        return next(user for user in self.users.values() if user.username == name)

    def token(self, secret: str, user: User, *scopes: str) -> str:
        self.tokens[secret] = user.id, scopes or ("api", "write_repository")
        return secret

    def project(self, path: str, source: Path | None = None, **facts: Any) -> Project:
        """Make a project of what is in a repository."""
        folder = self.root / f"{path}.git"
        folder.parent.mkdir(parents=True, exist_ok=True)
        where = ["clone", "--quiet", "--bare", str(source)] if source else ["init", "--quiet", "--bare"]
        subprocess.run(["git", *where, str(folder)], check=True, capture_output=True)
        made = Project(self.number(), path, folder, **facts)
        made.git("config", "http.receivepack", "true")
        self.projects[made.id] = made
        return made

    def at(self, path: str) -> Project:
        return next(project for project in self.projects.values() if project.path == path)

    def rename(self, path: str, to: str) -> None:
        project = self.at(path)
        folder = self.root / f"{to}.git"
        folder.parent.mkdir(parents=True, exist_ok=True)
        project.folder = project.folder.rename(folder)
        project.path, self.moved[path] = to, to

    # What people do.

    def push_as(self, name: str, path: str, branch: str, files: dict[str, str], message: str = "by hand") -> str:
        """Somebody commits to a branch, which is made of the default branch if it is not there."""
        project = self.at(path)
        with tempfile.TemporaryDirectory() as folder:
            base = project.head(branch) or project.head(project.default)
            index = {"GIT_INDEX_FILE": f"{folder}/index"}
            project.git("read-tree", base, **index)
            for file, text in files.items():
                (Path(folder) / "blob").write_text(text)
                blob = project.git("hash-object", "-w", f"{folder}/blob")
                project.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{file}", **index)
            tree = project.git("write-tree", **index)
        commit = project.git("commit-tree", tree, "-p", base, "-m", message)
        project.git("update-ref", f"refs/heads/{branch}", commit)
        self.refresh(project, self.person(name))
        return commit

    def approve(self, name: str, path: str, number: int) -> None:
        request, user = self.at(path).requests[number], self.person(name)
        request.approvals.append((user, self.now()))
        self.system(request, user, "approved this merge request")

    def comment(
        self, name: str, path: str, number: int, text: str, *, file: str = "", line: int = 0, thread: str = ""
    ) -> str:
        """Return the discussion it is in."""
        request, user = self.at(path).requests[number], self.person(name)
        if thread:
            found = next(one for one in request.discussions if one["id"] == thread)
            found["notes"].append(self.note(request, user, text, kind="DiscussionNote"))
            return thread
        note = self.note(request, user, text, kind="DiffNote" if file else None)
        if file:
            note |= {
                "resolvable": True,
                "resolved": False,
                "resolved_by": None,
                "position": self._place(request, file, line),
            }
        return self.discuss(request, note, individual=not file)

    def _place(self, request: Request, file: str, line: int) -> Json:
        shas = {"base_sha": "0" * 40, "start_sha": "0" * 40, "head_sha": request.sha}
        return {**shas, "old_path": file, "new_path": file, "position_type": "text", "old_line": None, "new_line": line}

    def resolve(self, name: str, path: str, number: int, thread: str) -> None:
        request, user = self.at(path).requests[number], self.person(name)
        for note in next(one for one in request.discussions if one["id"] == thread)["notes"]:
            note |= {"resolved": True, "resolved_by": user.json(self.url)}
        self.system(request, user, "resolved all threads")

    def close(self, name: str, path: str, number: int) -> None:
        self.set_state(self.at(path), self.at(path).requests[number], "closed", self.person(name))

    def merge(self, name: str, path: str, number: int) -> None:
        self.do_merge(self.at(path), self.at(path).requests[number], self.person(name))

    def pipeline(self, path: str, branch: str, status: str, trace: str = "", *, kind: str = "branch") -> Json:
        """A pipeline of a branch, its request (`head`) or what merging it would give (`merge`) gets a status; one that
        is over is followed by a new one."""
        project = self.at(path)
        request = next((one for one in project.requests.values() if one.source == branch), None)
        sha = project.head(branch)
        ref = branch if kind == "branch" or not request else f"refs/merge-requests/{request.iid}/{kind}"
        if kind == "merge":
            tree = project.merged_tree(project.head(project.default), sha)
            sha = project.git("commit-tree", tree, "-p", project.head(project.default), "-p", sha, "-m", "both")
        found = next((one for one in project.pipelines if (one["ref"], one["sha"]) == (ref, sha)), None)
        now = self.now()
        if not found or found["status"] in {"success", "failed", "canceled", "skipped"}:
            number = self.number()
            page = f"{self.url}/{path}/-/pipelines/{number}"
            found = {"id": number, "iid": number, "project_id": project.id, "sha": sha, "ref": ref, "status": status}
            found |= {"source": "push" if kind == "branch" else "merge_request_event", "name": None, "web_url": page}
            found |= {"created_at": told(now), "updated_at": told(now)}
            project.pipelines.append(found)
        found |= {"status": status, "updated_at": told(now)}
        if trace:
            job = self.number()
            why = "script_failure" if status == "failed" else None
            shown = {"id": job, "name": "test", "stage": "test", "status": status, "allow_failure": False}
            project.jobs[job] = {**shown, "failure_reason": why, "pipeline": {"id": found["id"]}, "trace": trace}
        return found

    # What GitLab does then.

    def note(self, request: Request, user: User, text: str, *, kind: str | None = None, system: bool = False) -> Json:
        now = self.now()
        request.updated = now
        about = {"noteable_id": request.iid, "noteable_type": "MergeRequest", "noteable_iid": request.iid}
        shown = {"id": self.number(), "type": kind, "body": text, "attachment": None, "author": user.json(self.url)}
        times = {"created_at": told(now), "updated_at": told(now)}
        return {**shown, **times, "system": system, **about, "resolvable": False, "internal": False}

    def discuss(self, request: Request, note: Json, *, individual: bool = True) -> str:
        thread = f"{self.number():040x}"
        request.discussions.append({"id": thread, "individual_note": individual, "notes": [note]})
        return thread

    def system(self, request: Request, user: User, text: str) -> None:
        self.discuss(request, self.note(request, user, text, system=True))

    def set_state(self, project: Project, request: Request, state: str, user: User) -> None:
        if request.state != state:
            request.state = state
            self.system(request, user, {"closed": "closed", "opened": "reopened", "merged": "merged"}[state])

    def versioned(self, request: Request, sha: str) -> None:
        request.sha = sha
        request.versions.append(
            {"id": self.number(), "head_commit_sha": sha, "created_at": told(self.now()), "state": "collected"}
        )

    def refresh(self, project: Project, by: User, *, rebased: bool = False) -> None:
        """Notice where branches are now. A merge request whose base moves is not changed by that; whether it can be
        merged has to be found out again."""
        heads = project.heads()
        for request in project.requests.values():
            if request.state != "opened" or request.fork:
                continue
            head = heads.get(request.source, "")
            request.merge_status = "unchecked"
            if head and head != request.sha:
                self.versioned(request, head)
                self.system(request, by, "added 1 commit")
                if project.resets and not rebased:
                    request.approvals.clear()
            elif not head:
                self.set_state(project, request, "closed", by)

    def find_out(self, project: Project, request: Request) -> None:
        """Find out whether a request can be merged."""
        mergeable = request.state == "opened" and project.merged_tree(project.head(request.target), request.sha)
        request.merge_status = "can_be_merged" if mergeable else "cannot_be_merged"

    def do_merge(self, project: Project, request: Request, by: User) -> None:
        base = project.head(request.target)
        tree = project.merged_tree(base, request.sha)
        assert tree, "conflicts"
        request.merge_commit = project.git(
            "commit-tree", tree, "-p", base, "-p", request.sha, "-m", f"Merge branch '{request.source}'"
        )
        project.git("update-ref", f"refs/heads/{request.target}", request.merge_commit)
        request.merged_by = by
        self.set_state(project, request, "merged", by)
        if request.remove:
            project.git("update-ref", "-d", f"refs/heads/{request.source}")
        self.refresh(project, by)

    def do_rebase(self, project: Project, request: Request, by: User) -> None:
        request.merge_error, request.rebasing = None, 0
        base, head = project.head(request.target), request.sha
        fork = project.git("merge-base", base, head)
        commits = project.git("rev-list", "--reverse", f"{fork}..{head}").splitlines()
        for commit in commits:
            if not (tree := self._replayed(project, base, commit)):
                request.merge_error = "Rebase failed: Rebase locally, resolve all conflicts, then push the branch."
                return
            about = project.git("show", "--no-patch", "--format=%an%x00%ae%x00@%at +0000%x00%B", commit).split("\0")
            kept = dict(zip(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"), about, strict=False))
            who = {"GIT_COMMITTER_NAME": by.username.title()}
            base = project.git("commit-tree", tree, "-p", base, "-m", about[3], **kept, **who)
        project.git("update-ref", f"refs/heads/{request.source}", base)
        self.refresh(project, by, rebased=True)

    def _replayed(self, project: Project, base: str, commit: str) -> str:
        """Return the tree of a commit's change made to another base, "" when it conflicts."""
        # merge-tree takes the merge base from the history: one in which the commit's parent is the base's ancestor.
        parent = project.git("rev-parse", f"{commit}^")
        side = project.git("commit-tree", f"{base}^{{tree}}", "-p", parent, "-m", "side")
        return project.merged_tree(side, commit)
