"""The dashboard as an ASGI application, to be served by uvicorn alone or by Ray Serve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from pipelines.dashboard.acting import acting, entering
from pipelines.dashboard.desk import Desk, policy, script
from pipelines.dashboard.gate import Doorman, Gate
from pipelines.dashboard.looking import looking
from pipelines.errors import Refused
from pipelines.store import Store


def app(store: Store, doorman: Doorman) -> FastAPI:
    """Return the application. The store is the caller's to close."""
    desk = Desk(store, doorman)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.ledger.close()

    made = FastAPI(title="umbau", docs_url=None, redoc_url=None, openapi_url=None, lifespan=living)
    made.include_router(looking(desk))
    made.include_router(acting(desk))
    made.include_router(entering(desk))
    made.add_middleware(Gate, doorman=doorman, policy=policy())

    @made.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @made.get("/live.js")
    async def live() -> Response:
        return Response(script(), media_type="text/javascript")

    @made.exception_handler(HTTPException)
    def wrong(request: Request, error: HTTPException) -> Response:
        return desk.page(request, "wrong", error.status_code, said=error.detail)

    @made.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return desk.page(request, "wrong", 400, said="That is no address of a page here.")

    @made.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> Response:
        return desk.page(request, "wrong", 503, said=str(error))

    return made
