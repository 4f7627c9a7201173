"""A site that looks like GitHub Enterprise on one port: repositories over authenticated smart HTTP, served by git's own
backend, and below /api/v3 the REST API, answered by the third-party emulator `emulate`.

The emulator holds requests, comments, reviews, labels and check runs. It knows nothing of git: it invents the names of
commits, and lets everything pass. So between it and the client
- names of commits are translated both ways, and its branches follow the repository's own;
- times are cut to whole seconds, and `since` and a request's `updated_at` mean what GitHub's documentation says;
- comments of a whole repository are put together from those of its requests (the emulator's own route is never
  reached: it takes `pulls/comments` for the request called `comments`);
- annotations of a check run are told as a list, as GitHub tells them;
- what GitHub checks is checked: one open request for a branch, something to merge, a branch that is there, who may
  review, bodies of 65,536 characters at most; merging answers 405 and 409; reopening without a branch 422.

What the emulator lacks is answered here, field by field as https://docs.github.com/rest and /graphql describe it:
commit statuses (`statuses`, `status`), `comments/{id}/replies`, `collaborators/{user}/permission`, milestones and
assignees of requests, merging and `update-branch` (done for real, in git), runs, jobs and logs of GitHub Actions, the
GraphQL query `viewer` and the mutations for drafts, an organisation as an account and its repositories, and the
redirect of a repository that was renamed.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
import signal
import socket
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock, Thread
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from tests.conftest import GIT
from tests.pipelines.forges.github.emulator import BASE
from tests.pipelines.host import Answer, smart

API = "/api/v3"
_SHA = re.compile(r"\b[0-9a-f]{40}\b")
_MILLIS = re.compile(r"(\d\dT\d\d:\d\d:\d\d)\.\d{3}Z")
_PULL = re.compile(r"/repos/([^/]+/[^/]+)/(?:pulls|issues)/(\d+)")
_REPO = re.compile(r"/repos/([^/?]+/[^/?]+)(.*)")


@dataclass
class Call:
    """What the client asked for."""

    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    body: Any = None


@dataclass
class Fault:
    """How the calls that `match` are answered instead, `times` times. lost: the effect takes place, the answer does not
    arrive; unsent: not even the effect."""

    match: str
    kind: str = "answer"
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"message": "Server Error"}'


class Site:
    """The site, and the people who work on it."""

    def __init__(self, emulator: str, root: Path, account: int) -> None:
        self.root, self.account, self.lock = root, account, RLock()
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.kill: tuple[int, int, bool] | None = None
        """A process, the number of calls from now on at which it is killed, and whether that call has its effect."""
        self.allowed: list[tuple[int, float]] = []
        """Numbers of writes, each within so many seconds, above which there is a secondary limit."""
        self.refused = 0
        """Times that there was."""
        self._written: list[float] = []
        self.moved: dict[str, str] = {}
        self.logs: dict[str, str] = {}
        self.writers = {"acme", "umbau", "ada", "bo"}
        self.secret = f"umbau-{account}"
        self._up = httpx.Client(base_url=emulator, timeout=30)
        self._emulator = emulator
        self._to: dict[tuple[str, str], str] = {}
        self._from: dict[str, str] = {}
        self._refs: dict[str, dict[str, str]] = {}
        self._heads: dict[tuple[str, int], str] = {}
        self._statuses: dict[str, list[dict[str, Any]]] = {}
        self._extra: dict[tuple[str, int], dict[str, Any]] = {}
        self._trees: dict[str, str] = {}
        self._commented: dict[str, set[int]] = {}
        self.errors: list[str] = []
        """Of the site itself."""
        self._server = _server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._up.close()

    # What people do.

    def bare(self, repo: str) -> Path:
        return self.root / f"{repo}.git"

    def git(self, repo: str, *args: str, stdin: str = "") -> str:
        env = {**os.environ, **GIT}
        argv = ["git", f"--git-dir={self.bare(repo)}", *args]
        done = subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def new(self, repo: str, source: Path) -> None:
        """Make a repository of `acme` with what a checkout holds."""
        self.up("POST", "/user/repos", {"name": repo.partition("/")[2]}, "acme")
        self.bare(repo).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", "--bare", str(source), str(self.bare(repo))], check=True)
        self.git(repo, "config", "http.receivepack", "true")

    def person(self, who: str, method: str, path: str, body: Any = None) -> Any:
        """Do something through the API as another person; what GitHub would count as activity on a request is."""
        with self.lock:
            if found := _REPO.match(path):
                self._sync(found[1])
            answer = self._api(method, path, body, who)
            assert answer.status < 400, answer.body
            return json.loads(answer.body or b"null")

    def say(self, repo: str, number: int, who: str, text: str) -> int:
        return int(self.person(who, "POST", f"/repos/{repo}/issues/{number}/comments", {"body": text})["id"])

    def say_at(self, repo: str, number: int, who: str, text: str, path: str, line: int) -> int:
        body = {"body": text, "path": path, "line": line, "side": "RIGHT"}
        return int(self.person(who, "POST", f"/repos/{repo}/pulls/{number}/comments", body)["id"])

    def review(self, repo: str, number: int, who: str, event: str, text: str = "", commit: str = "") -> int:
        body = {"event": event, "body": text, "commit_id": commit or self.pull(repo, number)["head"]["sha"]}
        return int(self.person(who, "POST", f"/repos/{repo}/pulls/{number}/reviews", body)["id"])

    def check(self, repo: str, commit: str, conclusion: str = "", **more: Any) -> int:
        done = {"status": "completed", "conclusion": conclusion} if conclusion else {"status": "in_progress"}
        body = {"name": "tests", "head_sha": commit, **done, **more}
        return int(self.person("acme", "POST", f"/repos/{repo}/check-runs", body)["id"])

    def status(self, repo: str, commit: str, state: str) -> None:
        self.person("acme", "POST", f"/repos/{repo}/statuses/{commit}", {"state": state, "context": "ci/old"})

    def pull(self, repo: str, number: int) -> dict[str, Any]:
        return dict(self.person("acme", "GET", f"/repos/{repo}/pulls/{number}"))

    def pulls(self, repo: str) -> list[dict[str, Any]]:
        return list(self.person("acme", "GET", f"/repos/{repo}/pulls?state=all&per_page=100"))

    def comments(self, repo: str, number: int) -> list[dict[str, Any]]:
        return list(self.person("acme", "GET", f"/repos/{repo}/issues/{number}/comments?per_page=100"))

    def commit(self, repo: str, branch: str, files: dict[str, str], message: str = "by hand", onto: str = "") -> str:
        """Commit to a branch of the repository itself, as a person does by pushing."""
        parent = self.git(repo, "rev-parse", f"refs/heads/{onto or branch}")
        index = {"GIT_INDEX_FILE": str(self.bare(repo) / "test-index")}
        env = {**os.environ, **GIT, **index}
        git = ["git", f"--git-dir={self.bare(repo)}"]
        subprocess.run([*git, "read-tree", parent], env=env, check=True)
        for path, text in files.items():
            blob = self.git(repo, "hash-object", "-w", "--stdin", stdin=text)
            subprocess.run([*git, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"], env=env, check=True)
        done = subprocess.run([*git, "write-tree"], env=env, check=True, capture_output=True, text=True)
        made = self.git(repo, "commit-tree", done.stdout.strip(), "-p", parent, "-m", message)
        self.git(repo, "update-ref", f"refs/heads/{branch}", made)
        return made

    # What the client sees.

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """Answer a call; None when the connection is to break instead."""
        path = urlsplit(target).path
        api = path.startswith((f"{API}/", "/api/graphql"))
        with self.lock:
            call = None
            if api:
                query = parse_qs(urlsplit(target).query)
                call = Call(method, path.removeprefix(API), query, json.loads(body) if body else None)
                self.calls.append(call)
            before, after = self._killed()
            if before:
                return None
            if call and path != "/api/graphql" and method != "GET" and (limited := self._limited()):
                return limited
            fault = self._fault(method, path)
            if fault and fault.kind in {"answer", "unsent", "slow"}:
                time.sleep(float(fault.headers.get("seconds", 0)) if fault.kind == "slow" else 0)
                return None if fault.kind != "answer" else Answer(fault.body, fault.status, fault.headers)
            found = self._told(method, target, headers, call) if call else self._git(method, target, headers, body)
            if after:
                os.kill(after, signal.SIGKILL)
            return None if after or (fault and fault.kind == "lost") else found

    def _killed(self) -> tuple[int, int]:
        """Return the process that was killed before this call, or that is to be after it; 0 for none."""
        if self.kill is None:
            return 0, 0
        process, left, effect = self.kill
        self.kill = (process, left - 1, effect) if left > 1 else None
        if left > 1:
            return 0, 0
        if not effect:
            os.kill(process, signal.SIGKILL)
        return (0, process) if effect else (process, 0)

    def _limited(self) -> Answer | None:
        """Refuse a write when there were too many: docs.github.com/rest/using-the-rest-api, "About secondary rate
        limits"."""
        now = time.monotonic()
        waits = [
            self._written[-most] + seconds - now
            for most, seconds in self.allowed
            if len(self._written) >= most and self._written[-most] + seconds > now
        ]
        if not waits:
            self._written.append(now)
            return None
        self.refused += 1
        return _json(
            {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."},
            403, **{"retry-after": str(math.ceil(max(waits)))})  # fmt: skip

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.search(fault.match, f"{method} {path}"):
                fault.times -= 1
                return fault
        return None

    def _git(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        given = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        if given.partition(":")[2] != self.secret:
            return Answer(status=401, headers={"www-authenticate": 'Basic realm="GitHub"'})
        owner, name, rest = target.lstrip("/").split("/", 2)
        if f"{owner}/{name}" in self.moved:
            return Answer(status=301, headers={"location": f"{self.url}/{self.moved[f'{owner}/{name}']}/{rest}"})
        return smart(self.root)(method, f"/{owner}/{name.removesuffix('.git')}.git/{rest}", headers, body)

    def _told(self, method: str, target: str, headers: dict[str, str], call: Call) -> Answer:
        if headers.get("authorization") not in {f"token {self.secret}", f"bearer {self.secret}"}:
            return _json({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, 401)
        if call.path == "/api/graphql":
            return self._graphql(call.body["query"], call.body["variables"])
        path = target.removeprefix(API)
        found = _REPO.match(path)
        if found and found[1] in self.moved:
            return _json({"message": "Moved Permanently"}, 301, location=f"{self.url}{API}/repositories/{found[1]}")
        if path.startswith("/repositories/"):
            path = f"/repos/{self.moved[path.removeprefix('/repositories/')]}"
        if found:
            self._sync(found[1])
        return self._api(method, path, call.body, "umbau")

    def _api(self, method: str, path: str, body: Any, who: str) -> Answer:
        """Answer what the emulator does not, ask it for the rest, and let its answer say what GitHub's would."""
        found = _REPO.match(path)
        if found and found[2].partition("?")[0] in {"/issues/comments", "/pulls/comments"}:
            return self._all_comments(found[1], found[2])
        if (owned := re.match(r"/(?:users|orgs)/(\w+)(/repos)?", path)) and self.up(
            "GET", f"/orgs/{owned[1]}"
        ).is_success:
            return self._organisation(owned[1], bool(owned[2]))
        if found and (own := self._own(method, found[1], found[2], body, who)) is not None:
            return own
        path = path.replace("fork%3Atrue", "").replace("fork:true", "")  # it would tell forks alone, not forks as well
        repo, numbered = found[1] if found else "", _PULL.match(path)
        answer = self.up(
            method, self._outward(repo, path), body and json.loads(self._outward(repo, json.dumps(body))), who
        )
        text = _MILLIS.sub(r"\1Z", answer.text)
        text = _SHA.sub(lambda sha: self._from.get(sha[0], sha[0]), text)
        text = re.sub(rf"{BASE}/(repos|users|orgs)/", rf"{self.url}{API}/\1/", text).replace(BASE, self.url)
        told = _json(self._real(json.loads(text)) if text else None, answer.status_code)
        if link := answer.headers.get("link"):
            told.headers["link"] = re.sub(r"<http://[^/>]+", f"<{self.url}{API}", link)
        if method != "GET" and numbered and answer.status_code < 400:
            self._touch(numbered[1], int(numbered[2]))
        if method == "POST" and numbered and "/comments" in path and answer.status_code < 400:
            self._commented.setdefault(repo, set()).add(int(numbered[2]))
        return told

    def _organisation(self, name: str, repos: bool) -> Answer:
        if repos:
            return _json(
                json.loads(self._api("GET", f"/search/repositories?q=user:{name}", None, "acme").body)["items"]
            )
        told = self.up("GET", f"/orgs/{name}").json()
        return _json({**told, "type": "Organization", "url": f"{self.url}{API}/orgs/{name}"})

    def _all_comments(self, repo: str, rest: str) -> Answer:
        kind, query = rest.split("/")[1], parse_qs(urlsplit(rest).query)
        found = [
            one
            for number in sorted(self._commented.get(repo, ()))
            for one in self.person("acme", "GET", f"/repos/{repo}/{kind}/{number}/comments?per_page=100")
            if one["updated_at"] >= query.get("since", [""])[0]
        ]
        assert len(found) <= 100, "pages are not needed so far"
        return _json(sorted(found, key=lambda one: one["updated_at"]))

    def up(self, method: str, path: str, body: Any = None, who: str = "acme") -> httpx.Response:
        """Ask the emulator itself."""
        auth = {"authorization": f"token {who}-{self.account}"}
        return self._up.request(method, path, json=body, headers=auth)

    def _own(self, method: str, repo: str, rest: str, body: Any, who: str) -> Answer | None:
        path = rest.partition("?")[0]
        for pattern, handler in self._handlers.items():
            verb, _, shape = pattern.partition(" ")
            if verb == method and (match := re.fullmatch(shape, path)):
                done = handler(self, repo, *match.groups(), body, who)
                return done if isinstance(done, Answer | None) else _json(done, 201 if method == "POST" else 200)
        return None

    def _open_pull(self, repo: str, body: Any, who: str) -> Any:
        owner, _, head = body["head"].rpartition(":")
        branches = self._branches(repo)
        if len(body.get("body") or "") > 65_536:
            return _invalid("body is too long (maximum is 65536 characters)")
        if head not in branches:
            return _invalid(None, resource="PullRequest", field="head", code="invalid")
        if body["base"] not in branches:
            return _invalid(None, resource="PullRequest", field="base", code="invalid")
        if not self.git(repo, "rev-list", "--max-count=1", f"{branches[body['base']]}..{branches[head]}"):
            return _invalid(f"No commits between {body['base']} and {head}")
        for pull in self.up("GET", f"/repos/{repo}/pulls?state=open&per_page=100&head={owner}:{head}").json():
            if pull["base"]["ref"] == body["base"]:
                return _invalid(f"A pull request already exists for {owner or repo.partition('/')[0]}:{head}.")
        return None

    def _edit_pull(self, repo: str, number: str, body: Any, who: str) -> Any:
        pull = self.up("GET", f"/repos/{repo}/pulls/{number}").json()
        if body.get("state") == "open" and pull["head"]["ref"] not in self._branches(repo):
            return _invalid(f"state cannot be changed. The {pull['head']['ref']} branch has been deleted.")
        return None

    def _reply(self, repo: str, number: str, comment: str, body: Any, who: str) -> Any:
        there = self.up("GET", f"/repos/{repo}/pulls/comments/{comment}")
        if there.status_code == 404:
            return _json({"message": "Not Found"}, 404)
        reply = {**body, "in_reply_to_id": int(comment), "path": there.json()["path"], "line": there.json()["line"]}
        return self._api("POST", f"/repos/{repo}/pulls/{number}/comments", reply, who)

    def _reviewers(self, repo: str, number: str, body: Any, who: str) -> Any:
        if bad := [one for one in body["reviewers"] if one not in self.writers]:
            return _json(
                {"message": f"Reviews may only be requested from collaborators. One or more of the users or teams you "
                 f"specified is not a collaborator of the {repo} repository. {bad[0]}"}, 422)  # fmt: skip
        return None

    def _merge(self, repo: str, number: str, body: Any, who: str) -> Any:
        pull = self.pull(repo, int(number))
        head, base = pull["head"]["sha"], pull["base"]["ref"]
        if body.get("sha") not in {None, head}:
            return _json({"message": "Head branch was modified. Review and try the merge again."}, 409)
        if pull["state"] != "open" or pull["draft"]:
            return _json({"message": "Pull Request is not mergeable"}, 405)
        made = self._merged(
            repo, self._branches(repo)[base], head, f"Merge pull request #{number}", body["merge_method"]
        )
        if not made:
            return _json({"message": "Pull Request is not mergeable"}, 405)
        answer = self.up("PUT", f"/repos/{repo}/pulls/{number}/merge", {"merge_method": body["merge_method"]}, who)
        assert answer.status_code == 200, answer.text
        self.git(repo, "update-ref", f"refs/heads/{base}", made)
        self._extra.setdefault((repo, int(number)), {})["merge_commit_sha"] = made
        self._refs[repo].pop(base)
        self._sync(repo)
        return {"sha": made, "merged": True, "message": "Pull Request successfully merged"}

    def _update_branch(self, repo: str, number: str, body: Any, who: str) -> Any:
        pull = self.pull(repo, int(number))
        head, branch, base = pull["head"]["sha"], pull["head"]["ref"], pull["base"]["ref"]
        if body["expected_head_sha"] != head:
            return _invalid("expected_head_sha mismatch")
        made = self._merged(repo, head, self._branches(repo)[base], f"Merge branch '{base}' into {branch}", "merge")
        if not made:
            return _json({"message": "merge conflict between base and head", "errors": None}, 422)
        self.git(repo, "update-ref", f"refs/heads/{branch}", made)
        self._sync(repo)
        return _json({"message": "Updating pull request branch.", "url": pull["url"]}, 202)

    def _merged(self, repo: str, into: str, what: str, message: str, way: str) -> str:
        try:
            tree = self.git(repo, "merge-tree", "--write-tree", into, what).splitlines()[0]
        except AssertionError:
            return ""
        parents = ["-p", into] + (["-p", what] if way == "merge" else [])
        return self.git(repo, "commit-tree", tree, *parents, "-m", message)

    def _permission(self, repo: str, user: str, body: Any, who: str) -> Any:
        found = self.up("GET", f"/users/{user}")
        if found.status_code == 404:
            return _json({"message": "Not Found"}, 404)
        role = "admin" if user == repo.partition("/")[0] else "write" if user in self.writers else "read"
        return {"permission": role, "role_name": role, "user": {"login": user, "type": _kind(user)}}

    def _add_status(self, repo: str, commit: str, body: Any, who: str) -> Any:
        told = {"state": body["state"], "context": body["context"], "description": None, "target_url": None}
        self._statuses.setdefault(commit, []).insert(0, told)
        return told

    def _combined(self, repo: str, commit: str, body: Any, who: str) -> Any:
        last = {one["context"]: one for one in reversed(self._statuses.get(commit, []))}
        states = {one["state"] for one in last.values()}
        bad = "failure" if states & {"failure", "error"} else "pending" if "pending" in states or not last else ""
        told = {"state": bad or "success", "statuses": [*last.values()], "sha": commit, "total_count": len(last)}
        return {**told, "url": f"{self.url}{API}/repos/{repo}/commits/{commit}/status"}

    def _assign(self, repo: str, number: str, body: Any, who: str) -> Any:
        pull, extra = self.pull(repo, int(number)), self._extra.setdefault((repo, int(number)), {})
        new = [one for one in body["assignees"] if one in self.writers]  # others are left out silently
        extra["assignees"] = [*pull["assignees"], *({"login": one, "type": _kind(one)} for one in new)]
        self._touch(repo, int(number))
        return self.pull(repo, int(number))

    def _issue(self, repo: str, number: str, body: Any, who: str) -> Any:
        stone = self.up("GET", f"/repos/{repo}/milestones/{body['milestone']}").json()
        self._extra.setdefault((repo, int(number)), {})["milestone"] = stone
        self._touch(repo, int(number))
        return self.pull(repo, int(number))

    def _job_log(self, repo: str, job: str, body: Any, who: str) -> Any:
        if job not in self.logs:
            return _json({"message": "Not Found"}, 404)
        return Answer(status=302, headers={"location": f"{self.url}/logs/{job}"})

    def _workflow_runs(self, repo: str, body: Any, who: str) -> Any:
        api = f"{self.url}{API}/repos/{repo}/actions/runs/7"
        run = {"id": 7, "name": "CI", "status": "completed", "conclusion": "failure", "jobs_url": f"{api}/jobs"}
        return {"total_count": 1, "workflow_runs": [{**run, "url": api}]}

    def _workflow_jobs(self, repo: str, number: str, body: Any, who: str) -> Any:
        jobs = [
            {"id": int(job), "name": f"job {job}", "status": "completed", "conclusion": "failure"} for job in self.logs
        ]
        api = f"{self.url}{API}/repos/{repo}/actions/jobs"
        return {"total_count": len(jobs), "jobs": [{**job, "url": f"{api}/{job['id']}"} for job in jobs]}

    def _annotations(self, repo: str, run: str, body: Any, who: str) -> Any:
        told = self.up("GET", f"/repos/{repo}/check-runs/{run}/annotations?per_page=100").json()
        return told["check_annotations"]

    def _delete_ref(self, repo: str, branch: str, body: Any, who: str) -> Any:
        if unquote(branch) not in self._branches(repo):
            return _json({"message": "Reference does not exist"}, 422)
        self.git(repo, "update-ref", "-d", f"refs/heads/{unquote(branch)}")
        self._sync(repo)
        return Answer(status=204)

    _handlers: ClassVar[dict[str, Callable[..., Any]]] = {
        "POST /pulls": _open_pull,
        r"PATCH /pulls/(\d+)": _edit_pull,
        r"PUT /pulls/(\d+)/merge": _merge,
        r"PUT /pulls/(\d+)/update-branch": _update_branch,
        r"POST /pulls/(\d+)/requested_reviewers": _reviewers,
        r"POST /pulls/(\d+)/comments/(\d+)/replies": _reply,
        r"GET /collaborators/([^/]+)/permission": _permission,
        r"POST /statuses/(\w+)": _add_status,
        r"GET /commits/(\w+)/status": _combined,
        r"POST /issues/(\d+)/assignees": _assign,
        r"PATCH /issues/(\d+)": _issue,
        r"GET /check-runs/(\d+)/annotations": _annotations,
        r"GET /actions/jobs/(\d+)/logs": _job_log,
        r"GET /actions/runs": _workflow_runs,
        r"GET /actions/runs/(\d+)/jobs": _workflow_jobs,
        r"DELETE /git/refs/heads/(.+)": _delete_ref,
    }

    def _graphql(self, query: str, variables: dict[str, Any]) -> Answer:
        if "viewer" in query:
            return _json({"data": {"viewer": {"login": "umbau"}}})
        name = "convertPullRequestToDraft" if "convertPullRequestToDraft" in query else "markPullRequestReadyForReview"
        draft, node = name.startswith("convert"), variables["input"]["pullRequestId"]
        for repo in self._refs:
            for pull in self.pulls(repo):
                if pull["node_id"] == node:
                    self.up("PATCH", f"/repos/{repo}/pulls/{pull['number']}", {"draft": draft}, "umbau")
                    told = {"clientMutationId": None, "pullRequest": {"isDraft": draft}}
                    return _json({"data": {name: told}})
        return _json({"errors": [{"type": "NOT_FOUND", "message": "Could not resolve to a node"}]})

    def _branches(self, repo: str) -> dict[str, str]:
        listed = self.git(repo, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads").splitlines()
        return dict(line.split() for line in listed)

    def _sync(self, repo: str) -> None:
        """Let the emulator's branches be where git's are. A request whose branch moved was active; one whose branch is
        gone is closed."""
        if not self.bare(repo).exists():
            return
        now, before = self._branches(repo), self._refs.setdefault(repo, {})
        changed = {branch for branch in now | before if now.get(branch) != before.get(branch)}
        for branch in changed:
            path = f"/repos/{repo}/git/refs/heads/{branch}"
            if branch not in now:
                self.up("DELETE", path)
            else:
                told = {"ref": f"refs/heads/{branch}", "sha": self._named(repo, now[branch]), "force": True}
                if self.up("PATCH", path, told).status_code == 404:
                    answer = self.up("POST", f"/repos/{repo}/git/refs", told)
                    assert answer.status_code == 201, answer.text
        self._refs[repo] = now
        if before and changed:
            for pull in self.up("GET", f"/repos/{repo}/pulls?state=open&per_page=100").json():
                if pull["head"]["ref"] in changed:
                    self._touch(repo, pull["number"])
                    if pull["head"]["ref"] not in now:
                        self.up("PATCH", f"/repos/{repo}/pulls/{pull['number']}", {"state": "closed"})

    def _named(self, repo: str, commit: str) -> str:
        """Return what the emulator calls a commit."""
        if (repo, commit) not in self._to:
            if repo not in self._trees:
                blob = {"path": "a", "mode": "100644", "type": "blob", "content": "a"}
                self._trees[repo] = self.up("POST", f"/repos/{repo}/git/trees", {"tree": [blob]}).json()["sha"]
            told = {"message": "a commit", "tree": self._trees[repo], "parents": []}
            made = self.up("POST", f"/repos/{repo}/git/commits", told).json()["sha"]
            self._to[repo, commit], self._from[made] = made, commit
        return self._to[repo, commit]

    def _outward(self, repo: str, text: str) -> str:
        return _SHA.sub(lambda sha: self._to.get((repo, sha[0]), sha[0]), text)

    def _touch(self, repo: str, number: int) -> None:
        self.up("PATCH", f"/repos/{repo}/pulls/{number}", {})

    def _real(self, data: Any) -> Any:
        """Let requests tell what git holds, and accounts what they are."""
        if isinstance(data, list):
            return [self._real(one) for one in data]
        if isinstance(data, dict):
            if "head" in data and "base" in data and "number" in data:
                self._pulled(data)
            if data.get("login") and "type" in data:
                data["type"] = _kind(data["login"]) if data["type"] == "User" else data["type"]
            if "check_suite" in data and str(data.get("id")) in self.logs:
                data["app"] = {"slug": "github-actions", "name": "GitHub Actions"}
            for key in ("user", "requested_reviewers", "assignees", "check_runs"):
                if key in data:
                    data[key] = self._real(data[key])
        return data

    def _pulled(self, pull: dict[str, Any]) -> None:
        repo, place = pull["base"]["repo"]["full_name"], (pull["base"]["repo"]["full_name"], pull["number"])
        if pull["state"] == "open" and (head := self._refs.get(repo, {}).get(pull["head"]["ref"])):
            self._heads[place] = head
        pull["head"]["sha"] = self._heads.get(place, pull["head"]["sha"])
        pull.update(self._extra.get(place, {}))

    def counted(self) -> Counter[str]:
        """Return how often which kind of call was made."""
        names = (re.sub(r"/[0-9a-f]{40}\b|/\d+\b|/repos/[^/]+/[^/]+", "/#", call.path) for call in self.calls)
        return Counter(f"{call.method} {unquote(name)}" for call, name in zip(self.calls, names, strict=True))


def _invalid(message: str | None, **more: str) -> Answer:
    error = {"resource": "PullRequest", "code": "custom", "message": message} if message else more
    return _json({"message": "Validation Failed", "errors": [error], "status": "422"}, 422)


def _kind(login: str) -> str:
    return "Bot" if login.endswith("[bot]") else "User"


def _json(data: Any, status: int = 200, **headers: str) -> Answer:
    told = {"content-type": "application/json; charset=utf-8", **headers}
    return Answer(b"" if data is None else json.dumps(data).encode(), status, told)


def _server(site: Site) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits 40 ms for the headers to be confirmed

        def do_GET(self) -> None:
            body = self._body()
            headers = {name.lower(): value for name, value in self.headers.items()}
            if self.path.startswith("/logs/"):
                found: Answer | None = Answer(site.logs[self.path.removeprefix("/logs/")].encode())
            else:
                try:
                    found = site.answer(self.command, self.path, headers, body)
                except Exception:
                    site.errors.append(traceback.format_exc())
                    found = _json({"message": "the double itself has failed"}, 400)
            if found is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response_only(found.status)
            told = {"date": formatdate(usegmt=True), "content-length": str(len(found.body)), **found.headers}
            for name, value in told.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError):  # whoever asked was killed
                self.wfile.write(found.body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server
