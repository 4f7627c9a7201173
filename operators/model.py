"""Talks to any OpenAI-compatible endpoint. The only place where a model call is retried."""

from __future__ import annotations

import json
import os
import random
import re
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zlib import crc32

from operators import outward
from operators.breaker import Breaker
from operators.data import Completion, Drawn, Message, Outage, TooLong, Trouble, called
from operators.metered import admitted, answered
from operators.throttle import Throttle

if TYPE_CHECKING:
    import httpx

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
BUSY = frozenset({429, 503})
TOO_LONG = frozenset({400, 413, 422})
_LENGTH = re.compile(r"context[ _-]?(length|size|window)|prompt is too long|too many (input )?tokens", re.I)
FINER = "cut the shards finer (`shard`: `by: symbol`, or a smaller `max_lines` or `max_files`)"
TRIES = 6
SUSPECT = 1  # the try, counted from 0, after whose failure the endpoint is probed: seconds before the last
CONCURRENCY = 32
NAME = 200  # characters that a server's name of its model may have
SHOWN = 4_096  # bytes of an answer that are looked at for what to say
LONGEST_ANSWER = 16 << 20  # bytes
PING = 60.0  # seconds that a question of one word may take, behind all that is queued
LONGEST_PAUSE = 60.0  # seconds between two tries, whatever the server asks for


class ModelError(Trouble):
    """There is no answer to be had. A fault of ours or of the endpoint, never of the shard."""

    since = 0.0
    """When the last try began, on the monotonic clock."""


class _Passing(ModelError):
    """One that may be gone in a while."""

    def __init__(self, why: str, pause: float = 0.0, *, busy: bool = False, again: bool = True) -> None:
        """`pause`: seconds that the server asks for. `busy`: it has more to do than it can. `again`: whether to ask the
        same again soon."""
        super().__init__(why)
        self.pause, self.busy, self.again = pause, busy, again


@dataclass(slots=True)
class _Cost:
    """What the tries of one call take, those in vain included."""

    seconds: float = 0.0
    gpu_seconds: float = 0.0


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
    """Calls at a time from one machine, at most; how many there are follows from how the endpoint answers."""
    context: int = 65_536
    """Tokens that question and answer may have together."""
    bare: bool = False
    """It serves a model that knows one task only and is shown nothing but the code."""
    gpus: float = 0.0
    """GPUs behind it, all replicas together; 0 when nobody said."""
    weights: str = ""
    """Their revision, as the site states it."""

    @property
    def server(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def revision(self) -> str:
        return f"{called(self)} {self.temperature} {self.max_tokens}"

    @property
    def room(self) -> int:
        return self.context - self.max_tokens

    def drawn(self, shard: str, attempt: int) -> Drawn:
        return Drawn(self.temperature if attempt else 0.0, (crc32(shard.encode()) + attempt) % (1 << 31))

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        """Ask for one completion. The first attempt is greedy-leaning, later ones are drawn with another seed. A
        grammar is not passed on: not every server could be held to it.

        Raises Away when the endpoint answers nobody, ModelError when it answers others but, in six tries, not this,
        TooLong when it says so.
        """
        drawn = self.drawn(shard, attempt)
        body = {
            "model": self.name,
            "messages": list(messages),
            "temperature": drawn.temperature,
            "max_tokens": self.max_tokens,
            "seed": drawn.seed,
        }
        breaker, cost = _breaker(self), _Cost()
        try:
            for again in (True, False):
                try:
                    return self._tried(body, breaker, cost)
                except ModelError as fault:
                    if not (breaker.doubt(fault.since) and again):  # it was away, and is back
                        raise
        except Trouble as fault:
            fault.seconds, fault.gpu_seconds = cost.seconds, cost.gpu_seconds
            raise
        raise AssertionError("the last round returns or raises")

    def ping(self) -> tuple[str, bool]:
        """Ask for one word. Returns why there is no answer, "" when there is one, and whether waiting may help."""
        question: Message = {"role": "user", "content": "ping"}
        try:
            self._send({"model": self.name, "messages": [question], "max_tokens": 1}, min(self.timeout, PING))
        except ModelError as error:
            return f"model endpoint {error}", isinstance(error, _Passing)
        return "", False

    def outage(self) -> Outage | None:
        """Say what this process knows of the endpoint when it does not answer; None when it does."""
        return _breaker(self).outage(self.url)

    def share(self, most: int, of: int) -> None:
        """Send it no more than `most` calls at a time from this process, one of `of` that send it some."""
        _throttle(self.url, most).limit(most, of)

    def _tried(self, body: dict[str, Any], breaker: Breaker, cost: _Cost) -> Completion:
        """Ask until there is an answer, TRIES times at most; what each costs is added to `cost`. Raises ModelError
        with when the last one began."""
        throttle = _throttle(self.url, self.concurrency)
        for attempt in range(TRIES):
            answer: Completion | None = None
            with throttle.turn() as share:
                breaker.wait()
                admitted()
                since, before, start = time.monotonic(), share(), time.time()
                try:
                    answer = self._send(body, self.timeout)
                except ModelError as error:
                    fault = error
                else:
                    breaker.answered()
                    throttle.answered(since, answer.tokens_in, answer.tokens_out)
                finally:
                    cost.seconds += time.monotonic() - since
                    cost.gpu_seconds += (share() - before) * self.gpus
                if answer:
                    answer = replace(answer, seconds=cost.seconds, gpu_seconds=cost.gpu_seconds)
                    answered(answer)
                    return replace(answer, model=self.name, server=self.server, start=start)
            fault.since = since
            if not isinstance(fault, _Passing):
                break
            if fault.busy:
                throttle.refused(since, min(fault.pause, LONGEST_PAUSE))
            if not fault.again or attempt + 1 == TRIES:
                break
            if attempt == SUSPECT and not fault.busy and breaker.suspect(since):
                continue  # it was away, and is back
            time.sleep(min(fault.pause or random.uniform(0.5, 1.0) * 2**attempt, LONGEST_PAUSE))
        raise fault

    def _send(self, body: dict[str, Any], timeout: float) -> Completion:
        """Ask once. Raises ModelError with what is wrong; the key is never part of it."""
        import httpx

        key = os.environ.get(self.key_from, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ModelError(f"{self.url}: the key in {self.key_from} holds characters that cannot be sent")
        try:
            outward.check("models", self.url)
            response, data = self._read(body, {"Authorization": f"Bearer {key}"} if key else {}, timeout)
        except outward.Forbidden as error:
            raise ModelError(f"{self.url} cannot be reached: {error}") from None
        except (httpx.ReadTimeout, httpx.PoolTimeout):
            # Asking again would only queue the same work behind itself.
            raise _Passing(
                f"{self.url} gave no answer within {timeout:.0f} s; see model.timeout", again=False
            ) from None
        except (
            httpx.InvalidURL,
            httpx.UnsupportedProtocol,
            httpx.LocalProtocolError,
            httpx.DecodingError,
        ) as error:
            raise ModelError(f"{self.url} cannot be reached ({error})") from None
        except httpx.TransportError as error:
            if why := _final(error):
                raise ModelError(f"{self.url} cannot be reached: {why}") from None
            raise _Passing(f"{self.url} cannot be reached ({error or type(error).__name__})") from None
        said = " ".join(data[:SHOWN].decode(errors="replace").split())
        said = (said.replace(key, "***") if key else said)[:500]  # in this order: half a key is one as well
        status = response.status_code
        if response.is_success:
            if found := _completion(data):
                return found
            raise _Passing(f"{self.url} answered with something that is not a completion: {said}")
        hint = f" (the key is read from {self.key_from})" if status in {401, 403} else ""
        if status in TOO_LONG and _LENGTH.search(said):
            raise TooLong(f"the model cannot see that much: {FINER} ({said})")
        why = f"{self.url} answered {status}: {said}{hint}"
        if status in RETRIED:
            raise _Passing(why, _asked_for(response), busy=status in BUSY)
        raise ModelError(why)

    def _read(self, body: dict[str, Any], headers: dict[str, str], timeout: float) -> tuple[httpx.Response, bytes]:
        """Read the whole answer, however slowly it drips, within `timeout` and `LONGEST_ANSWER`."""
        import httpx

        deadline, data = time.monotonic() + timeout, bytearray()
        try:
            client = _client(self.url, self.concurrency)
        except (OSError, ValueError, ImportError) as error:  # httpx reads these from the environment
            raise ModelError(f"{self.url}: look at SSL_CERT_FILE, SSL_CERT_DIR and the proxies: {error}") from None
        limit = httpx.Timeout(timeout, connect=10.0)
        with client.stream("POST", "chat/completions", json=body, headers=headers, timeout=limit) as response:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > LONGEST_ANSWER:
                    raise ModelError(f"{self.url} answered with more than {LONGEST_ANSWER:,} bytes")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer does not end")
        return response, bytes(data)


def _completion(data: bytes) -> Completion | None:
    """Read what came back; a reply without words is a reply too. None for anything else."""
    try:
        answer = json.loads(data)
        choice = answer["choices"][0] if answer["choices"] else {}
        usage = answer.get("usage") or {}
        return Completion(
            text=_words((choice.get("message") or {}).get("content")),
            tokens_in=_count(usage, "prompt_tokens"),
            tokens_out=_count(usage, "completion_tokens"),
            cut=choice.get("finish_reason") == "length",
            served=" ".join(said for name in ("model", "system_fingerprint") if (said := _name(answer.get(name)))),
        )
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None


def _words(content: Any) -> str:
    """Return the text of a message: a string, or parts of which some are text."""
    parts = [content or ""] if isinstance(content, str | None) else [part.get("text", "") for part in content]
    return "".join(parts).encode(errors="replace").decode()  # half a surrogate pair could be written nowhere


def _name(said: Any) -> str:
    """Return a name that a server gives, which goes into evidence: one short line of plain characters, or nothing."""
    return said if isinstance(said, str) and len(said) <= NAME and said.isascii() and said.isprintable() else ""


def _count(usage: Any, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else 0
    return count if isinstance(count, int) else 0


def _final(error: BaseException | None) -> str:
    """Say what is wrong that no waiting mends, the server's certificate or its address; "" when it is neither."""
    while error:
        if isinstance(error, outward.Forbidden):
            return str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({error.verify_message}); see SSL_CERT_FILE"
        error = error.__cause__ or error.__context__
    return ""


def _asked_for(response: httpx.Response) -> float:
    """Return the seconds that Retry-After asks for, 0 when it does not."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else 0.0


_making = threading.Lock()  # lru_cache alone makes one for each thread that asks before the first is done
_throttles: dict[str, Throttle] = {}


def _throttle(url: str, concurrency: int) -> Throttle:
    """Return the one throttle of an endpoint, whichever of its models is asked: the smallest concurrency holds."""
    with _making:
        throttle = _throttles.setdefault(url, Throttle(concurrency))
    throttle.limit(concurrency)
    return throttle


def _client(url: str, concurrency: int) -> httpx.Client:
    with _making:
        return _new_client(url, concurrency)


def _breaker(endpoint: Endpoint) -> Breaker:
    with _making:
        return _new_breaker(endpoint)


@lru_cache(maxsize=8)
def _new_breaker(endpoint: Endpoint) -> Breaker:
    return Breaker(endpoint.ping)


@lru_cache(maxsize=8)
def _new_client(url: str, concurrency: int) -> httpx.Client:
    import httpx

    return httpx.Client(
        base_url=url.rstrip("/") + "/",
        limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        follow_redirects=False,
    )
