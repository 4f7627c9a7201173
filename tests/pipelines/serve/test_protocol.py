"""What is heard of a request to `/v1/chat/completions`, and the form of what is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.serve.protocol import Chat, Form, Piece, Refusal, event

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ({}, "temperature", 1.0),
        ({"temperature": None}, "temperature", 1.0),
        ({"temperature": 0}, "temperature", 0.0),
        ({}, "limit", None),
        ({"max_tokens": 7}, "limit", 7),
        ({"max_completion_tokens": 8}, "limit", 8),
        ({"stop": "x"}, "stop", ["x"]),
        ({"stop": ["x", "y"]}, "stop", ["x", "y"]),
        ({"stop": None}, "stop", []),
        ({"n": 1, "top_p": 1.0, "tools": [], "tool_choice": "none", "presence_penalty": 0.0}, "stream", False),
        ({"response_format": {"type": "text"}, "user": "ada", "metadata": {"a": "b"}}, "stream", False),
    ],
)
def test_what_is_heard(more: dict[str, Any], field: str, value: object) -> None:
    assert getattr(Chat.model_validate({**ASKED, **more}), field) == value


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"n": 2}, "`n` is not supported here, except for 1"),
        ({"top_p": 0.9}, "`top_p` is not supported"),
        ({"tools": [{"type": "function"}]}, "`tools` is not supported"),
        ({"response_format": {"type": "json_object"}}, "`response_format` is not supported"),
        ({"logprobs": True}, "`logprobs` is not supported"),
        ({"temperature": -1}, "greater than or equal to 0"),
        ({"temperature": 2.5}, "less than or equal to 2"),
        ({"temperature": "hot"}, "valid number"),
        ({"temperature": float("nan")}, "less than or equal to 2"),
        ({"max_tokens": 0}, "greater than or equal to 1"),
        ({"stop": [""]}, "at least 1 character"),
        ({"stop": list("abcde")}, "at most 4 items"),
        ({"stop": {"a": "b"}}, "valid list"),
        ({"messages": []}, "at least 1 item"),
        ({"messages": None}, "required"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "valid string"),
        ({"model": None}, "required"),
        ({"seed": "x"}, "valid integer"),
    ],
)
def test_what_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Chat.model_validate({**ASKED, **more})


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValidationError):
        Chat.model_validate([ASKED])


def test_text_in_parts_is_text() -> None:
    content = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    chat = Chat.model_validate({"model": "m", "messages": [{"role": "user", "content": content}]})
    assert chat.messages[0].content == "one two"


def test_a_completion_has_text_reason_and_usage() -> None:
    answer = Form("m").completion(Piece("hi", 5, 2, "stop"))
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "hi"}
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_a_stream_is_of_events_with_one_id() -> None:
    form, last = Form("m"), Piece("é\u2028b", 5, 2, "length")
    text = form.begun() + form.event(Piece("a\n", 5, 1)) + form.event(last) + form.usage(last)
    lines = text.split("\n\n")
    assert lines.pop() == ""
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert all(line.startswith("data: {") and "\n" not in line for line in lines)
    assert len({one["id"] for one in events}) == 1
    choices = [one["choices"][0] for one in events[:-1]]
    assert [one["delta"] for one in choices] == [
        {"role": "assistant", "content": ""},
        {"content": "a\n"},
        {"content": "é\u2028b"},
        {},
    ]
    assert [one["finish_reason"] for one in choices] == [None, None, None, "length"]
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["total_tokens"] == 7


@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request_error"), (500, "server_error")])
def test_a_refusal_is_what_clients_read(status: int, kind: str) -> None:
    body = Refusal(status, "no", "c", "p").body()
    assert body == {"error": {"message": "no", "type": kind, "param": "p", "code": "c"}}
    assert event(body).endswith("}\n\n")
