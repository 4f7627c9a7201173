"""The routes that show something. Each is answered in a thread: none of them keeps another waiting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from operators.data import Shard
from pipelines.dashboard.attempts import attempts
from pipelines.dashboard.charts import burndown
from pipelines.dashboard.desk import Desk
from pipelines.dashboard.ledger import Known
from pipelines.dashboard.search import Wanted, search
from pipelines.dashboard.standing import standing

SHOWN = 200  # rows of repositories and requests on a page


def looking(desk: Desk) -> APIRouter:
    routes = APIRouter()

    @routes.get("/")
    def jobs(request: Request) -> Response:
        numbers = desk.store.browse.jobs()
        known = desk.ledger.known(numbers)
        rows = [standing(desk.store, job, known.get(job), desk.clock()) for job in numbers]
        return desk.page(request, "jobs", rows=rows)

    @routes.get("/job/{job}")
    def job(request: Request, job: str) -> Response:
        known = desk.known(job)
        row = standing(desk.store, job, known, desk.clock())
        chart = burndown(known.counted.done, row.size, known.remaining, desk.clock()) if known else None
        return desk.page(request, "job", job=job, row=row, known=known, chart=chart)

    @routes.get("/job/{job}/repositories")
    def repositories(request: Request, job: str, after: str = "") -> Response:
        return desk.page(request, "repositories", job=job, **_repositories(desk.known(job), after))

    @routes.get("/job/{job}/requests")
    def requests(request: Request, job: str, state: str = "", repo: str = "", skip: int = 0) -> Response:
        known = desk.known(job)
        facts = _requests(known, state, repo.strip(), max(0, skip))
        repos = list({one.repo for one in facts["told"]})
        facts["stated"] = desk.store.evidence.latest(job, "change", repos)
        return desk.page(request, "requests", job=job, known=known, state=state, repo=repo, skip=skip, **facts)

    @routes.get("/job/{job}/shards")
    def shards(
        request: Request,
        job: str,
        status: str = "",
        fault: str = "",
        repo: str = "",
        name: str = "",
        after_repo: str = "",
        after_key: str = "",
    ) -> Response:
        known, wanted = desk.known(job), Wanted(status, fault, repo.strip(), name.strip())
        after = (after_repo, after_key) if after_repo else None
        found = search(known, desk.store.browse, wanted, after) if known else None
        return desk.page(request, "shards", job=job, known=known, wanted=wanted, found=found, later=bool(after))

    @routes.get("/job/{job}/shard/{key}")
    def shard(request: Request, job: str, key: str, repo: str = "") -> Response:
        return desk.page(request, "shard", job=job, **_shard(desk, job, key, repo))

    return routes


def _repositories(known: Known | None, after: str) -> dict[str, Any]:
    names = [part.repo for part in known.outline.parts] if known else []
    first = names.index(after) + 1 if after in names else 0
    shown = names[first : first + SHOWN]
    more = shown[-1] if len(names) > first + SHOWN else ""
    return {"known": known, "names": shown, "first": first, "more": more, "all": len(names)}


def _requests(known: Known | None, state: str, repo: str, skip: int) -> dict[str, Any]:
    """Return the requests that are wanted, as many as a page shows."""
    told = known.requests if known else ()
    wanted = [one for one in told if state in {"", one.state} and repo in {"", one.repo}]
    more = skip + SHOWN if len(wanted) > skip + SHOWN else 0
    return {"told": wanted[skip : skip + SHOWN], "count": len(wanted), "more": more}


def _shard(desk: Desk, job: str, key: str, repo: str) -> Mapping[str, Any]:
    """Return all that is known of a shard. Raises HTTPException."""
    known, outcomes = desk.known(job), desk.store.outcomes([key]).get(key, [])
    planned = search(known, desk.store.browse, Wanted(repo=repo, name=key)).hits if known and repo else ()
    found: list[Shard] = [*(one.shard for one in outcomes[-1:]), *(hit.planned.shard for hit in planned)]
    if not found:
        raise HTTPException(404, f"There is no shard {key[:80]} of {job} in this store.")
    there = {one.name: one for one in known.outline.plan.repos} if known else {}
    return {
        "shard": found[0],
        "end": desk.store.browse.ends([key])[key],
        "goes": [(one, attempts(one, there.get(one.shard.repo))) for one in outcomes],
        "reasons": desk.store.reopenings([key]).get(key, []),
    }
