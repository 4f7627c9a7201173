"""What CI says of a commit on GitHub: check runs and commit statuses together, and the logs of what failed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from github.CheckRun import CheckRun
from github.Repository import Repository
from github.WorkflowJob import WorkflowJob
from github.WorkflowRun import WorkflowRun

from operators.outward import Forbidden
from pipelines.forge import ForgeError, Memory
from pipelines.forges.github.client import TIMEOUT, Client, Refusal
from pipelines.hops import opener
from pipelines.neutral import plain

Ci = Literal["none", "pending", "passed", "failed"]
LOG = 20_000  # bytes of logs that are told, all jobs together
LARGEST = 64 << 20  # bytes of one job's log that are read to get to its end
SETTLED = 600.0  # seconds after which a commit that no CI has taken up is one that none will
_FINE = {"success", "neutral", "skipped"}
_WAITS = "action_required"  # a person must press a button first
_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ?", re.M)


class Checks:
    """What was heard of commits' CI; what has ended is not asked for again."""

    def __init__(self, client: Client, memory: Memory, site: str) -> None:
        self._client, self._memory, self._site = client, memory, site

    def known(self, repo: str, commit: str) -> Ci:
        """Return what was heard last."""
        found = self._memory.recall(self._key(repo, commit))
        return found["ci"] if found else "none"

    def of(self, repository: Repository, repo: str, commit: str, *, again: bool = False) -> Ci:
        """Ask for a commit's CI unless it has ended; `again`: even then, for somebody may have started it anew. Raises
        ForgeError."""
        known, now = self._memory.recall(self._key(repo, commit)), time.time()
        if known and not again and ended(known["ci"], now - known["since"]):
            return self.known(repo, commit)
        runs = [(one.status, one.conclusion) for one in self._runs(repository, repo, commit)]
        status = self._client.read(repo, repository.get_commit(commit).get_combined_status)
        ci = summed(runs, status.state if status.total_count else "")
        if not known or known["ci"] != ci:
            told = {"ci": ci, "since": known["since"] if known else now}
            self._memory.remember(self._key(repo, commit), told)
        return ci

    def log(self, repository: Repository, repo: str, commit: str) -> str:
        """Return the end of what failed checks of a commit said. Raises ForgeError."""
        runs = [one for one in self._runs(repository, repo, commit) if failing(one)]
        statuses = self._client.read(repo, repository.get_commit(commit).get_combined_status).statuses
        bad = [one for one in statuses if one.state in {"failure", "error"}]
        share = LOG // max(1, len(runs) + len(bad))
        parts = [f"{one.context}: {one.description or one.state}\n{one.target_url or ''}"[:share] for one in bad]
        parts += ["\n".join(self._run(repository, repo, run, share)) for run in runs]
        return tail("\n\n".join(printable(part) for part in parts), LOG)

    def _run(self, repository: Repository, repo: str, run: CheckRun | WorkflowRun, share: int) -> Iterator[str]:
        """Yield what a failed run says, its log last; no more than `share` bytes, or a little more."""
        yield f"{run.name}: {run.conclusion}"
        if isinstance(run, WorkflowRun):
            jobs = self._client.read(repo, lambda: [job for job in run.jobs() if failing(job)])
            yield from (f"{job.name}:\n{self._job(repo, job, share // max(1, len(jobs)))}" for job in jobs)
            return
        out = run.output
        said = [text for text in (out.title, out.summary, out.text) if text] if out else []
        if out and out.annotations_count:
            notes = self._client.read(repo, lambda: list(run.get_annotations()))
            said += [f"{one.path}:{one.start_line}: {one.message}" for one in notes]
        yield from (tail("\n".join(said), share // 2),) if said else ()
        if run.app and run.app.slug == "github-actions":  # a job and its check run have one number
            yield self._job(repo, repository.get_workflow_job(run.id), share // 2)

    def _job(self, repo: str, job: WorkflowJob, most: int) -> str:
        try:
            return tail(printable(ending(self._client.read(repo, job.logs_url), 2 * most)), most)
        except Forbidden as why:  # they lie on hosts of their own
            return f"(the job's log is not fetched: {why})"
        except (ForgeError, OSError) as why:  # logs are kept for some time only
            return f"(the job's log cannot be read: {type(why).__name__})"

    def _runs(self, repository: Repository, repo: str, commit: str) -> Sequence[CheckRun | WorkflowRun]:
        """Return the check runs of a commit. Where the token may not see them (there is no such right for fine-grained
        personal tokens) those of GitHub Actions alone, for which there is another right."""
        at = repository.get_commit(commit)
        try:
            return self._client.read(repo, lambda: [*at.get_check_runs()])
        except Refusal as why:
            if why.status != 403:
                raise
            return self._client.read(repo, lambda: [*repository.get_workflow_runs(head_sha=commit)])

    def _key(self, repo: str, commit: str) -> str:
        return f"github ci {self._site} {repo} {commit}"


def summed(runs: Iterable[tuple[str, str | None]], status: str) -> Ci:
    """Return what check runs (status and conclusion) and the combined status ("" for none) come to."""
    found: set[Ci | None] = set()
    waits = False
    for state, conclusion in runs:
        waits |= conclusion == _WAITS
        if conclusion != _WAITS:
            found.add("pending" if state != "completed" else "passed" if conclusion in _FINE else "failed")
    found.add({"success": "passed", "failure": "failed", "error": "failed", "pending": "pending"}.get(status))  # type: ignore[arg-type]
    if "pending" in found:
        return "pending"
    if "failed" in found:
        return "failed"
    return "pending" if waits else "passed" if "passed" in found else "none"


def ended(ci: Ci, seconds: float) -> bool:
    """Say whether CI will say no more by itself, `seconds` after it was first asked for."""
    return ci in {"passed", "failed"} or (ci == "none" and seconds > SETTLED)


def failing(run: CheckRun | WorkflowRun | WorkflowJob) -> bool:
    return run.status == "completed" and run.conclusion not in {*_FINE, _WAITS}


def printable(text: str) -> str:
    """Return a log without colours, times and characters that act on a terminal."""
    return plain(_STAMP.sub("", _ANSI.sub("", text.replace("\r\n", "\n"))))


def tail(text: str, most: int) -> str:
    """Return the last whole lines of a text, `most` bytes of them; of one line that is longer, its end."""
    data = text.encode(errors="replace")
    if len(data) <= most:
        return text
    kept = data[-most:].decode(errors="ignore")
    return kept.partition("\n")[2] or kept


def ending(url: str, most: int) -> str:
    """Return the last `most` bytes of a file on the web, for which the address alone is the key. Raises OSError."""
    kept, left = b"", LARGEST
    with opener("forges", url).open(url, timeout=TIMEOUT) as answer:
        while left > 0 and (part := answer.read(min(1 << 16, left))):
            kept, left = (kept + part)[-most:], left - len(part)
    return kept.decode(errors="replace")
