"""The routes of an OpenAI-compatible server, in front of the Transformers engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle

from pipelines.serve import protocol
from pipelines.serve.key import KeyCheck
from pipelines.serve.protocol import DONE, Chat, Form, Piece, Refusal
from pipelines.serve.settings import Settings

RETRY_AFTER = 2  # seconds: about what a batch of short answers takes
FULL = Refusal(429, "too many requests are waiting: ask again later", "rate_limit_exceeded")
BROKEN = Refusal(500, "the engine failed: see the log of its replica", "internal_error")


def api(settings: Settings, engine: DeploymentHandle[Any]) -> FastAPI:
    """Return the ASGI application. `engine` is of `pipelines.serve.transformers.Replica`."""
    app = FastAPI(title="umbau", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(KeyCheck, digest=settings.key_digest)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _refused(_invalid(error))

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "ok", "running": await engine.running.remote()})

    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse(protocol.models(settings.model_id))

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        return JSONResponse(protocol.model(name)) if name == settings.model_id else _refused(_unknown(name))

    @app.post("/v1/chat/completions")
    async def completions(chat: Chat) -> Response:
        if chat.model != settings.model_id:
            return _refused(_unknown(chat.model))
        try:
            return await (_streamed if chat.stream else _whole)(engine, chat)
        except BackPressureError:
            return _refused(FULL)
        except Exception:  # of a replica: its log has it in full
            return _refused(BROKEN)

    return app


async def _whole(engine: DeploymentHandle[Any], chat: Chat) -> Response:
    answer: Piece | Refusal = await engine.complete.remote(chat)
    return _refused(answer) if isinstance(answer, Refusal) else JSONResponse(Form(chat.model).completion(answer))


async def _streamed(engine: DeploymentHandle[Any], chat: Chat) -> Response:
    pieces: Any = engine.options(stream=True).stream.remote(chat)
    first = await anext(pieces)  # before it is there, nothing is said: it may be a refusal
    if isinstance(first, Refusal):
        return _refused(first)
    return StreamingResponse(_events(pieces, first, chat), media_type="text/event-stream")


async def _events(pieces: Any, piece: Piece, chat: Chat) -> AsyncIterator[str]:
    form = Form(chat.model)
    try:
        yield form.begun() + form.event(piece)
        async for piece in pieces:  # noqa: PLR1704
            yield form.event(piece)
        if chat.stream_options.include_usage:
            yield form.usage(piece)
    except Exception:  # the status is sent already; clients look for an error among the events
        yield protocol.event(BROKEN.body())
    finally:
        pieces.cancel()  # when the client has gone; else of no effect
    yield DONE


def _refused(why: Refusal) -> Response:
    headers = {"retry-after": str(RETRY_AFTER)} if why.status == 429 else None
    return JSONResponse(why.body(), why.status, headers)


def _unknown(name: str) -> Refusal:
    return Refusal(404, f"The model `{name}` does not exist.", "model_not_found", "model")


def _invalid(error: RequestValidationError) -> Refusal:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return Refusal(400, "the body is not JSON", "invalid_json")
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    message = str(first["msg"]).removeprefix("Value error, ")
    return Refusal(400, f"{place}: {message}" if place else message, "invalid_value", place or None)
