"""Talks to any OpenAI-compatible endpoint. The only place where a model call is retried."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from operators.data import Completion, Message

if TYPE_CHECKING:
    import httpx

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
TRIES = 6
CONCURRENCY = 32
LONGEST_ANSWER = 16 << 20  # bytes
LONGEST_PAUSE = 60.0  # seconds between two tries, whatever the server asks for


class ModelError(Exception):
    """There is no answer to be had. A fault of ours or of the endpoint, never of the shard."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible `/chat/completions` route.

    Documented at https://platform.openai.com/docs/api-reference/chat; vLLM, Ray Serve LLM, Mistral's API and
    llama.cpp's server answer the same.
    """

    url: str
    """Up to and including /v1."""
    name: str
    key_from: str = "UMBAU_MODEL_KEY"
    """The environment variable that holds the API key; it may be unset. The key itself is in no job, log or store."""
    temperature: float = 0.15
    max_tokens: int = 8192
    timeout: float = 600.0
    """Seconds to wait for one answer."""
    concurrency: int = CONCURRENCY
    """Calls at a time from one machine."""

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int) -> Completion:
        """Ask for one completion. The first attempt is greedy-leaning, later ones are drawn with another seed.

        Raises ModelError when the endpoint refuses, or gives no answer in six tries.
        """
        body = {
            "model": self.name,
            "messages": list(messages),
            "temperature": self.temperature if attempt else 0.0,
            "max_tokens": self.max_tokens,
            "seed": (int(shard[:8] or "0", 16) + attempt) % (1 << 31),
        }
        with _slots(self.url, self.concurrency):
            return _completion(self._post(body))

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        import httpx

        why = ""
        for attempt in range(TRIES):
            pause = random.uniform(0.5, 1.0) * 2**attempt
            try:
                response, data = self._send(body)
            except (httpx.ReadTimeout, httpx.PoolTimeout):
                # Asking again would only queue the same work behind itself.
                raise ModelError(f"{self.url} gave no answer within {self.timeout:.0f} s; see model.timeout") from None
            except httpx.TransportError as error:
                why = f"cannot be reached ({error or type(error).__name__})"
            else:
                if response.is_success:
                    return _json(data, self.url)
                why = f"answered {response.status_code}: {data[:500].decode(errors='replace')}"
                if response.status_code not in RETRIED:
                    break
                pause = _asked_for(response) or pause
            if attempt + 1 < TRIES:
                time.sleep(min(pause, LONGEST_PAUSE))
        raise ModelError(f"{self.url} {why}")

    def _send(self, body: dict[str, Any]) -> tuple[httpx.Response, bytes]:
        """Read the whole answer, however slowly it drips, within `timeout` and `LONGEST_ANSWER`."""
        import httpx

        key = os.environ.get(self.key_from, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        deadline, data = time.monotonic() + self.timeout, bytearray()
        client = _client(self.url, self.timeout, self.concurrency)
        with client.stream("POST", "chat/completions", json=body, headers=headers) as response:
            for chunk in response.iter_bytes():
                data += chunk
                if time.monotonic() > deadline or len(data) > LONGEST_ANSWER:
                    raise httpx.ReadTimeout("the answer does not end")
        return response, bytes(data)


def _completion(answer: dict[str, Any]) -> Completion:
    """Read what came back; a reply without words is a reply too."""
    choice = (answer.get("choices") or [{}])[0]
    usage = answer.get("usage") or {}
    return Completion(
        text=(choice.get("message") or {}).get("content") or "",
        tokens_in=int(usage.get("prompt_tokens") or 0),
        tokens_out=int(usage.get("completion_tokens") or 0),
        cut=choice.get("finish_reason") == "length",
    )


def _json(data: bytes, url: str) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ModelError(f"{url} answered with something that is not a completion: {data[:200]!r}")
    return answer


def _asked_for(response: httpx.Response) -> float:
    """Return the seconds that Retry-After asks for, 0 when it does not."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else 0.0


@lru_cache(maxsize=8)
def _slots(url: str, concurrency: int) -> threading.Semaphore:
    return threading.BoundedSemaphore(concurrency)


@lru_cache(maxsize=8)
def _client(url: str, timeout: float, concurrency: int) -> httpx.Client:
    import httpx

    return httpx.Client(
        base_url=url.rstrip("/") + "/",
        timeout=httpx.Timeout(timeout, connect=10.0),
        limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        follow_redirects=False,
    )
