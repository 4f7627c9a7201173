"""Holds what was sent against GitHub's own description of its REST API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.pipelines.forges.github.double import Call

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class Description:
    """GitHub's OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        # A path with more fixed words is the better match: `issues/comments` before `issues/{number}`.
        self._paths = sorted(document["paths"], key=lambda path: path.count("{"))
        self._shapes = {path: self._shape(path) for path in self._paths}

    def faults(self, calls: Iterable[Call]) -> list[str]:
        """Return what is wrong with calls; GraphQL is described elsewhere."""
        return [
            f"{call.method} {call.path}: {fault}"
            for call in calls
            if call.path != "/api/graphql"
            for fault in self._call(call)
        ]

    def _shape(self, path: str) -> re.Pattern[str]:
        """Return what a path looks like; some parameters, such as names of refs, have slashes in them."""
        told = [one for verb in self._document["paths"][path].values() for one in verb.get("parameters", ())]
        wide = {one["name"] for one in map(self._found, told) if one.get("x-multi-segment")}
        return re.compile(re.sub(r"\{([^}]+)\}", lambda name: ".+" if name[1] in wide else "[^/]+", path))

    def _call(self, call: Call) -> Iterator[str]:
        path = next((one for one in self._paths if self._shapes[one].fullmatch(call.path)), None)
        method = call.method.lower()
        if path is None or method not in self._document["paths"][path]:
            yield "no such call"
            return
        at = self._document["paths"][path]
        told = at[method]
        listed = [self._found(one) for one in [*at.get("parameters", ()), *told.get("parameters", ())]]
        known = {one["name"] for one in listed if one["in"] == "query"}
        yield from (f"no parameter {name}" for name in call.query if name not in known)
        if "requestBody" not in told:
            if call.body is not None:
                yield "takes no body"
            return
        schema = self._found(told["requestBody"])["content"]["application/json"]["schema"]
        body = call.body
        if path.endswith("/labels") and isinstance(body, list):
            body = {"labels": body}  # "You can also pass an `array` of labels directly"
        if body is not None:
            yield from self._value(body, schema)
        elif told["requestBody"].get("required"):
            yield "needs a body"

    def _value(self, value: Any, schema: dict[str, Any]) -> Iterator[str]:
        schema = self._found(schema)
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                found = [[*self._value(value, one)] for one in schema[choice]]
                if all(found):
                    yield from found[0]
                return
        kinds = schema.get("type", list(TYPES))
        allowed = [kind for one in ([kinds] if isinstance(kinds, str) else kinds) for kind in TYPES[one]]
        if not isinstance(value, tuple(allowed)) or (isinstance(value, bool) and bool not in allowed):
            yield f"{value!r} is no {kinds}"
        if "enum" in schema and value not in schema["enum"]:
            yield f"{value!r} is none of {schema['enum']}"
        if isinstance(value, list) and "items" in schema:
            for one in value:
                yield from self._value(one, schema["items"])
        if isinstance(value, dict):
            known = schema.get("properties", {})
            yield from (f"{name} is missing" for name in schema.get("required", ()) if name not in value)
            yield from (f"no field {name}" for name in value if known and name not in known)
            for name in value.keys() & known.keys():
                yield from self._value(value[name], known[name])

    def _found(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Follow a reference."""
        while "$ref" in schema:
            at: Any = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                at = at[part]
            schema = at
        return schema
