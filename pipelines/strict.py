"""What all parts of a job have in common: taken by the letter, short where they can be, told what is wrong."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pathspec import GitIgnoreSpec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        where = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise PydanticCustomError("regex", "not a regular expression: {why}", {"why": f"{error.msg}{where}"}) from None
    except (OverflowError, RecursionError) as error:
        raise PydanticCustomError("regex", "not a regular expression: {why}", {"why": str(error)}) from None
    return pattern


def _glob(pattern: str) -> str:
    try:
        usable = pattern.strip() and ".." not in pattern.split("/") and GitIgnoreSpec.from_lines([pattern])
    except (ValueError, re.error):
        usable = False
    if not usable:
        raise PydanticCustomError("glob", "not a path pattern within the repository, such as `**/test_*.py`")
    return pattern


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = not text or (parts.hostname and parts.port != 0)  # which read what may be no number
    except ValueError:
        usable = False
    if not usable:
        raise PydanticCustomError("url", "an http or https URL is needed here")
    return text


# As long as they may be, patterns go to git as arguments: the system takes 128 kB in one and 2 MB in all.
LONGEST = 10_000
Regex = Annotated[str, Field(max_length=LONGEST, json_schema_extra={"format": "regex"}), AfterValidator(_regex)]
Glob = Annotated[str, Field(max_length=1000), AfterValidator(_glob)]
HasHost = AfterValidator(_url)
"""Of a URL, if there is one: that its host and port can be read."""


class Strict(BaseModel):
    """Keys and types are taken by the letter; an unknown key is answered with the nearest known one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key in cls.model_fields:
                continue
            near = get_close_matches(str(key), cls.model_fields, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(cls.model_fields)}"
            raise PydanticCustomError("unknown_key", "unknown key `{key}`; {hint}", {"key": key, "hint": hint})
        return data


class OneOf(Strict):
    """A mapping of which exactly one key is used."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise PydanticCustomError(
                "one_of", "one key is needed here, of {known}", {"known": ", ".join(type(self).model_fields)}
            )
        (key,) = self.model_fields_set
        if getattr(self, key) is None:
            raise PydanticCustomError("one_of", "`{key}` has no value: write one after it", {"key": key})
        return self


def _or_text(schema: dict[str, Any]) -> None:
    original = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, original]


class Short(Strict):
    """May be written as its first field alone."""

    model_config = ConfigDict(json_schema_extra=_or_text)

    @model_validator(mode="before")
    @classmethod
    def _long(cls, data: Any) -> Any:
        return {next(iter(cls.model_fields)): data} if isinstance(data, str) else data
