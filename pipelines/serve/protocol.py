"""What is asked and answered on `/v1/chat/completions`, as far as the Transformers engine goes.

Documented at https://platform.openai.com/docs/api-reference/chat; errors have the form of OpenAI's too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, BeforeValidator, Field, model_validator

# Fields that would change the answer and are not heard here, each with the values that change nothing.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("auto", "none"),
}
DONE = "data: [DONE]\n\n"


def _joined(content: Any) -> Any:
    """Return the text of a message's content that is given in parts; what is no text is left to be refused."""
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    return content


class ChatMessage(BaseModel):
    role: str
    content: Annotated[str, BeforeValidator(_joined)]


class StreamOptions(BaseModel):
    include_usage: bool = False


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop or []


class Chat(BaseModel):
    """A request. What is not named here nor in NEUTRAL (`user`, `metadata`, ...) has no effect on an answer."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: float = Field(1.0, ge=0, le=2)
    """0 is greedy."""
    max_tokens: int | None = Field(None, ge=1)
    """None: as many as the context has room for; more than that are never given."""
    max_completion_tokens: int | None = Field(None, ge=1)
    """What newer clients call `max_tokens`."""
    seed: int | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_listed)] = Field([], max_length=4)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        for name, neutral in NEUTRAL.items():
            if given.get(name) not in (None, *neutral):
                raise ValueError(f"`{name}` is not supported here, except for {json.dumps(neutral[0])}: leave it out")
        return {name: value for name, value in given.items() if value is not None}

    @property
    def limit(self) -> int | None:
        """How many tokens the answer may have."""
        return self.max_completion_tokens or self.max_tokens


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer: an HTTP status and what OpenAI's clients read."""

    status: int
    message: str
    code: str
    param: str | None = None

    def body(self) -> dict[str, Any]:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that was generated, with the tokens that were read and written so far."""

    text: str
    tokens_in: int
    tokens_out: int
    finish: Literal["", "stop", "length"] = ""
    """Why there is no more to come; "" when there is."""

    def usage(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.tokens_in,
            "completion_tokens": self.tokens_out,
            "total_tokens": self.tokens_in + self.tokens_out,
        }


class Form:
    """Puts the pieces of one answer into the form of a completion, or of the events of a stream."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": model}

    def completion(self, whole: Piece) -> dict[str, Any]:
        message = {"role": "assistant", "content": whole.text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": whole.finish}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": whole.usage()}

    def begun(self) -> str:
        return self._event([_choice({"role": "assistant", "content": ""})])

    def event(self, piece: Piece) -> str:
        """Return the events of a piece; of the last one two, as clients expect no text next to `finish_reason`."""
        text = self._event([_choice({"content": piece.text})]) if piece.text else ""
        return text + (self._event([_choice({}, piece.finish)]) if piece.finish else "")

    def usage(self, last: Piece) -> str:
        """Return the event that a client gets who asks for `stream_options.include_usage`."""
        return self._event([], usage=last.usage())

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> str:
        return event({**self._head, "object": "chat.completion.chunk", "choices": choices, **more})


def event(data: Mapping[str, Any]) -> str:
    """Return one server-sent event: https://html.spec.whatwg.org/multipage/server-sent-events.html."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _choice(delta: Mapping[str, str], finish: str = "") -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish or None}


def models(name: str) -> dict[str, Any]:
    return {"object": "list", "data": [model(name)]}


def model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "umbau"}
