"""The routes that do something: operators pause, resume and retry, and everybody comes and goes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from pipelines import steering
from pipelines.aside import lift
from pipelines.dashboard.access import Person, by_key
from pipelines.dashboard.desk import Desk
from pipelines.dashboard.gate import COOKIE, address_of, root_of
from pipelines.dashboard.sessions import LASTS

LARGEST = 64 << 10  # bytes of a form
MOST = 500  # shards that are opened again at a time
WORDS = 300  # characters of a reason


async def form(request: Request) -> dict[str, list[str]]:
    """Read a form. Raises HTTPException."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413, f"A form has {LARGEST:,} bytes at most.")
    try:
        return parse_qs(body.decode(errors="replace"), max_num_fields=MOST + 10)
    except ValueError:
        raise HTTPException(400, f"A form of ours has {MOST + 10} fields at most.") from None


Form = Annotated[dict[str, list[str]], Depends(form)]


def acting(desk: Desk) -> APIRouter:
    """Return what operators do to jobs."""
    routes = APIRouter()

    def back(request: Request, job: str, given: dict[str, list[str]]) -> Response:
        desk.ledger.stale(job)
        to = _one(given, "back")
        inside = to.startswith(f"{root_of(request)}/job/") and "\\" not in to and to.isprintable()
        return RedirectResponse(to if inside else f"{root_of(request)}/job/{job}", 303)

    @routes.post("/job/{job}/pause")
    def pause(request: Request, job: str, given: Form) -> Response:
        person = _ours(desk, request, given)
        desk.number(job)
        steering.pause(desk.store, job, person.name, _one(given, "why")[:WORDS], by=_called(person.name))
        return back(request, job, given)

    @routes.post("/job/{job}/resume")
    def resume(request: Request, job: str, given: Form) -> Response:
        person = _ours(desk, request, given)
        desk.number(job)
        steering.resume(desk.store, job, person.name, by=_called(person.name))
        return back(request, job, given)

    @routes.post("/job/{job}/retry")
    def retry(request: Request, job: str, given: Form) -> Response:
        person = _ours(desk, request, given)
        reopened(desk, job, given.get("shard", []), person.name)
        return back(request, job, given)

    return routes


def entering(desk: Desk) -> APIRouter:
    """Return how people come in and leave."""
    routes = APIRouter()

    @routes.post("/logout")
    def logout(request: Request, given: Form) -> Response:
        if request.state.person:
            desk.doorman.sessions.end(_ours(desk, request, given))
        answer = RedirectResponse(f"{root_of(request)}/login", 303)
        answer.delete_cookie(COOKIE, path=root_of(request) or "/")
        return answer

    @routes.get("/login")
    def ask(request: Request) -> Response:
        return desk.page(request, "login", wrong="")

    @routes.post("/login")
    def login(request: Request, given: Form) -> Response:
        doorman, address = desk.doorman, address_of(request)
        if left := doorman.patience.wait(address):
            retry_after = {"Retry-After": f"{left + 1:.0f}"}
            return PlainTextResponse("Too many wrong keys: try again in a minute.\n", 429, retry_after)
        person = by_key(doorman.access, _one(given, "key").strip())
        if person is None:
            doorman.patience.wrong(address)
            return desk.page(request, "login", 401, wrong="Nobody has this key.")
        answer = RedirectResponse(f"{root_of(request)}/", 303)
        https = "https" in {request.url.scheme, request.headers.get("x-forwarded-proto", "")}
        answer.set_cookie(
            COOKIE,
            doorman.sessions.begin(person, doorman.access),
            max_age=int(LASTS),
            path=root_of(request) or "/",
            secure=https,
            httponly=True,
            samesite="strict",
        )
        return answer

    return routes


def _ours(desk: Desk, request: Request, given: dict[str, list[str]]) -> Person:
    """Return who sent a form of ours. Raises HTTPException."""
    person: Person = request.state.person
    if not (person.bearer or desk.doorman.sessions.ours(person, _one(given, "token"))):
        raise HTTPException(403, "This form is not of this session: load the page again.")
    return person


def reopened(desk: Desk, job: str, wanted: list[str], who: str) -> int:
    """Give shards of a job another go, as `umbau retry` does; return how many. `wanted`: `REPO KEY`. Raises
    HTTPException."""
    if not wanted or len(wanted) > MOST:
        raise HTTPException(400, f"Between 1 and {MOST} shards can be retried at a time.")
    store, outline = desk.store, desk.store.browse.outline(desk.number(job))
    parts, given = (
        {part.repo: part for part in outline.parts},
        {(one.rpartition(" ")[0], one.rpartition(" ")[2]) for one in wanted},
    )
    repos = {repo for repo, _ in given}
    there = {(repo, one.shard.key) for repo in repos & parts.keys() for one in store.browse.shards(parts[repo])}
    if not given <= there:
        raise HTTPException(404, f"Some of these shards are not, or not any more, part of {job}: load the page again.")
    lift(repos, outline.plan, job, store)
    keys = sorted(key for _, key in given)
    ends, goes = store.browse.ends(keys), store.goes(keys)
    done = [key for key in keys if ends[key].status != "waiting"]  # asked for twice is asked for once
    count = sum(store.reopen(key, f"retry {goes.get(key, 0) + 1}") for key in done)
    repo = next(iter(repos)) if len(repos) == 1 else ""
    store.log.note(job, "retried", repo, {"who": who, "shards": count})
    store.audit.note(_called(who), "retried", job, {"shards": count, "repos": sorted(repos)})
    return count


def _called(name: str) -> str:
    """Return what the audit log calls somebody who steers from here."""
    return f"dashboard/{name}"


def _one(given: dict[str, list[str]], name: str) -> str:
    return given.get(name, [""])[0]
