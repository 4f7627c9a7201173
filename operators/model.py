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
from zlib import crc32

from operators.data import Completion, Message, Trouble

if TYPE_CHECKING:
    import httpx

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
TRIES = 6
CONCURRENCY = 32
LONGEST_ANSWER = 16 << 20  # bytes
LONGEST_PAUSE = 60.0  # seconds between two tries, whatever the server asks for


class ModelError(Trouble):
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
    bare: bool = False
    """It serves a model that knows one task only and is shown nothing but the code."""

    @property
    def revision(self) -> str:
        return f"{self.name} {self.temperature} {self.max_tokens}"

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        """Ask for one completion. The first attempt is greedy-leaning, later ones are drawn with another seed. A
        grammar is not passed on: not every server could be held to it.

        Raises ModelError when the endpoint refuses, or gives no answer in six tries.
        """
        body = {
            "model": self.name,
            "messages": list(messages),
            "temperature": self.temperature if attempt else 0.0,
            "max_tokens": self.max_tokens,
            "seed": (crc32(shard.encode()) + attempt) % (1 << 31),
        }
        key = os.environ.get(self.key_from, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ModelError(f"the key in {self.key_from} holds characters that cannot be sent")
        try:
            with _slots(self.url, self.concurrency):
                return self._post(body, {"Authorization": f"Bearer {key}"} if key else {})
        except ModelError as error:  # what the server says may be kept and shown, a key that it repeats may not
            raise ModelError(str(error).replace(key, "***") if key else str(error)) from None

    def _post(self, body: dict[str, Any], headers: dict[str, str]) -> Completion:
        import httpx

        why = ""
        for attempt in range(TRIES):
            pause = random.uniform(0.5, 1.0) * 2**attempt
            try:
                response, data = self._send(body, headers)
            except (httpx.ReadTimeout, httpx.PoolTimeout):
                # Asking again would only queue the same work behind itself.
                raise ModelError(f"{self.url} gave no answer within {self.timeout:.0f} s; see model.timeout") from None
            except (
                httpx.InvalidURL,
                httpx.UnsupportedProtocol,
                httpx.LocalProtocolError,
                httpx.DecodingError,
            ) as error:
                raise ModelError(f"{self.url} cannot be reached ({error})") from None
            except httpx.TransportError as error:
                why = f"cannot be reached ({error or type(error).__name__})"
            else:
                if response.is_success:
                    return _completion(data, self.url)
                why = f"answered {response.status_code}: {data[:500].decode(errors='replace')}"
                if response.status_code not in RETRIED:
                    break
                pause = _asked_for(response) or pause
            if attempt + 1 < TRIES:
                time.sleep(min(pause, LONGEST_PAUSE))
        raise ModelError(f"{self.url} {why}")

    def _send(self, body: dict[str, Any], headers: dict[str, str]) -> tuple[httpx.Response, bytes]:
        """Read the whole answer, however slowly it drips, within `timeout` and `LONGEST_ANSWER`."""
        import httpx

        deadline, data = time.monotonic() + self.timeout, bytearray()
        client = _client(self.url, self.timeout, self.concurrency)
        with client.stream("POST", "chat/completions", json=body, headers=headers) as response:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > LONGEST_ANSWER:
                    raise ModelError(f"{self.url} answered with more than {LONGEST_ANSWER:,} bytes")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer does not end")
        return response, bytes(data)


def _completion(data: bytes, url: str) -> Completion:
    """Read what came back; a reply without words is a reply too. Raises ModelError for anything else."""
    try:
        answer = json.loads(data)
        choice = answer["choices"][0] if answer["choices"] else {}
        usage = answer.get("usage") or {}
        return Completion(
            text=_words((choice.get("message") or {}).get("content")),
            tokens_in=_count(usage, "prompt_tokens"),
            tokens_out=_count(usage, "completion_tokens"),
            cut=choice.get("finish_reason") == "length",
        )
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise ModelError(f"{url} answered with something that is not a completion: {data[:200]!r}") from None


def _words(content: Any) -> str:
    """Return the text of a message: a string, or parts of which some are text."""
    parts = [content or ""] if isinstance(content, str | None) else [part.get("text", "") for part in content]
    return "".join(parts).encode(errors="replace").decode()  # half a surrogate pair could be written nowhere


def _count(usage: Any, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else 0
    return count if isinstance(count, int) else 0


def _asked_for(response: httpx.Response) -> float:
    """Return the seconds that Retry-After asks for, 0 when it does not."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else 0.0


_making = threading.Lock()  # lru_cache alone makes one for each thread that asks before the first is done


def _slots(url: str, concurrency: int) -> threading.Semaphore:
    with _making:
        return _new_slots(url, concurrency)


def _client(url: str, timeout: float, concurrency: int) -> httpx.Client:
    with _making:
        return _new_client(url, timeout, concurrency)


@lru_cache(maxsize=8)
def _new_slots(url: str, concurrency: int) -> threading.Semaphore:
    return threading.BoundedSemaphore(concurrency)


@lru_cache(maxsize=8)
def _new_client(url: str, timeout: float, concurrency: int) -> httpx.Client:
    import httpx

    return httpx.Client(
        base_url=url.rstrip("/") + "/",
        timeout=httpx.Timeout(timeout, connect=10.0),
        limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        follow_redirects=False,
    )
