"""How values lie in the store: compressed JSON."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from operators.data import Finding, Outcome
from pipelines.data import Plan

PLAN = TypeAdapter(Plan)
OUTCOME, FINDING = TypeAdapter(Outcome), TypeAdapter(Finding | None)
ANY: TypeAdapter[Any] = TypeAdapter(Any)


def packed(kind: TypeAdapter[Any], value: Any) -> bytes:
    try:
        body = kind.dump_json(value)
    except PydanticSerializationError:
        body = kind.dump_json(kind.validate_python(_whole(kind.dump_python(value))))
    return zlib.compress(body, 1)


def _whole(value: Any) -> Any:
    """Return a value without halves of characters: a model can write them in JSON, but no database can keep them."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list | tuple) else value


def unpacked(kind: TypeAdapter[Any], body: bytes) -> Any:
    return kind.validate_json(zlib.decompress(body))


def unzipped(body: bytes) -> str:
    return zlib.decompress(body).decode()
