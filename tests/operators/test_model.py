from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from operators import breaker, model, throttle
from operators.data import Away, Completion, TooLong
from operators.model import TRIES, ModelError
from operators.model import Endpoint as Model
from tests.endpoint import Endpoint, Says

MESSAGES = [{"role": "system", "content": "Do it."}, {"role": "user", "content": "Now."}]
KEY = "sk-very-secret"
Ask = Callable[..., Completion]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have slept, on a clock that goes on by that much."""
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(slept), time=time.time, sleep=slept.append)
    for module in (model, breaker, throttle):
        monkeypatch.setattr(module, "time", clock)
    return slept


@pytest.fixture
def ask(endpoint: Endpoint) -> Ask:
    def complete(*says: Says | str, attempt: int = 0, shard: str = "00ff00ff", **settings: object) -> Completion:
        endpoint.say(*says)
        return Model(endpoint.url, "devstral", **settings).complete(MESSAGES, shard=shard, attempt=attempt)  # type: ignore[arg-type]

    return complete


def body(**answer: object) -> Says:
    return Says(body=json.dumps(answer).encode())


def said(content: object, **more: object) -> Says:
    return body(choices=[{"message": {"role": "assistant", "content": content}, **more}], usage={"prompt_tokens": 7})


def test_a_reply_comes_with_its_tokens(ask: Ask, endpoint: Endpoint) -> None:
    before = time.time()
    reply = ask("Done as you said.")
    assert reply == Completion("Done as you said.", 2, 4)
    assert (reply.model, reply.server) == ("devstral", endpoint.url.split("/")[2])
    assert before <= reply.start <= reply.start + reply.seconds <= time.time() + 0.1
    assert reply.told == (Completion("", 2, 4),), "without the words"
    assert endpoint.requests[0]["messages"] == MESSAGES
    assert endpoint.requests[0]["model"] == "devstral"


def test_a_reply_comes_with_what_it_took(ask: Ask) -> None:
    reply = ask(Says("one", after=0.2), gpus=8)
    assert 0.2 <= reply.seconds < 5
    assert reply.gpu_seconds == pytest.approx(8 * reply.seconds, rel=0.2)
    assert ask("another").gpu_seconds == 0, "nobody said how many there are"


def test_the_first_attempt_is_greedy_and_later_ones_are_drawn_anew(ask: Ask, endpoint: Endpoint) -> None:
    for attempt in range(3):
        ask("yes", attempt=attempt, temperature=0.3, max_tokens=99)
    assert [request["temperature"] for request in endpoint.requests] == [0.0, 0.3, 0.3]
    assert len({request["seed"] for request in endpoint.requests}) == 3
    assert endpoint.requests[0]["max_tokens"] == 99


def test_the_same_shard_asks_with_the_same_seed_and_another_with_another(ask: Ask, endpoint: Endpoint) -> None:
    for shard in ("00ff00ff", "00ff00ff", "0badcafe", "not hex", ""):
        ask("yes", shard=shard)
    seeds = [request["seed"] for request in endpoint.requests]
    assert seeds[0] == seeds[1] != seeds[2]
    assert all(0 <= seed < 1 << 31 for seed in seeds)


def test_a_reply_that_was_cut_says_so(ask: Ask) -> None:
    assert ask(Says("half", finish="length")).cut
    assert not ask(Says("whole")).cut


@pytest.mark.parametrize(
    ("says", "text"),
    [
        (body(choices=[], usage={"prompt_tokens": 7}), ""),
        (said(None), ""),
        (said("", finish_reason="content_filter"), ""),
        (said([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]), "in parts"),
        (said([{"type": "thinking", "thinking": []}, {"type": "text", "text": "spoken"}]), "spoken"),
        (said("odd \ud800 half"), "odd ? half"),
    ],
)
def test_an_odd_reply_is_returned_as_far_as_it_has_words(ask: Ask, says: Says, text: str) -> None:
    assert ask(says) == Completion(text, 7)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": "many"}, []])
def test_tokens_that_were_not_counted_are_none(ask: Ask, usage: object) -> None:
    assert ask(body(choices=[{"message": {"content": "x"}}], usage=usage)) == Completion("x")


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>Sign in</body></html>",
        b"",
        b"[1, 2]",
        b'{"choices": [{"mess',
        b'{"error": {"message": "overloaded"}}',
        b'{"choices": {"0": 1}}',
        b'{"choices": [3]}',
        b'{"choices": [{"message": "text"}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_completion_is_no_answer(ask: Ask, endpoint: Endpoint, pauses: list[float], data: bytes) -> None:
    assert ask(Says(body=data), "whole").text == "whole", "half of one may come from a replica that died"
    endpoint.ping = Says("pong")
    with pytest.raises(ModelError, match="answered with something that is not a completion"):
        ask(Says(body=data))
    endpoint.ping = Says(body=data)
    with pytest.raises(Away, match=r"model endpoint .* answered with something that is not a completion"):
        Model(endpoint.url, "another").complete(MESSAGES, shard="00", attempt=0)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408, 409])
def test_what_passes_is_asked_again(ask: Ask, endpoint: Endpoint, pauses: list[float], status: int) -> None:
    assert ask(Says(status=status, body=b"busy"), Says(status=status, body=b"busy"), "ok").text == "ok"
    assert len(endpoint.requests) == 3
    assert 0.5 <= pauses[0] <= 1.0 <= pauses[1] <= 2.0
    assert endpoint.requests[0] == endpoint.requests[2]


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("7", 7, 7), ("0", 0.5, 1), ("86400", 60, 60), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.5, 1), ("²", 0.5, 1)],
)
def test_the_server_may_say_how_long_to_wait(
    ask: Ask, pauses: list[float], value: str, least: float, most: float
) -> None:
    assert ask(Says(status=429, headers={"retry-after": value}, body=b""), "ok").text == "ok"
    assert least <= pauses[0] <= most


def test_it_is_not_asked_for_ever(ask: Ask, endpoint: Endpoint, pauses: list[float]) -> None:
    endpoint.ping = Says("pong")
    with pytest.raises(ModelError, match="answered 503: still starting"):
        ask(Says(status=503, body=b"still\n starting"))
    assert (len(endpoint.requests), len(endpoint.pings)) == (TRIES, 1)
    assert len(pauses) == TRIES - 1
    assert ask("fine").text == "fine", "it was the fault of that one"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 301])
def test_what_does_not_pass_is_final(ask: Ask, endpoint: Endpoint, pauses: list[float], status: int) -> None:
    refusal = Says(status=status, body=b"no such model", headers={"location": "http://127.0.0.1:9/"})
    endpoint.ping = Says("pong")
    with pytest.raises(ModelError, match=f"^{endpoint.url} answered {status}: no such model"):
        ask(refusal)
    assert (len(endpoint.requests), len(endpoint.pings)) == (1, 1)
    endpoint.ping = refusal
    for _ in range(3):
        with pytest.raises(Away, match=f"^model endpoint {endpoint.url} answered {status}: no such model"):
            ask(refusal)
    assert (len(endpoint.requests), len(endpoint.pings)) == (2, 2), "after that nobody is let through"
    assert pauses == []


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_not_let_in_is_told_where_the_key_comes_from(ask: Ask, status: int) -> None:
    with pytest.raises(Away, match=r"answered \d+: who are you\? \(the key is read from TEAM_KEY\)"):
        ask(Says(status=status, body=b"who are you?"), key_from="TEAM_KEY")


def test_a_short_absence_is_waited_for(ask: Ask, endpoint: Endpoint, pauses: list[float]) -> None:
    gone = Says(status=503, body=b"restarting")
    down = TRIES + 5

    def script(_: object) -> Says:
        asked = len(endpoint.requests) + len(endpoint.pings) - 1
        return gone if 0 < asked <= down else Says("there")

    endpoint.script = script
    assert [ask().text for _ in range(2)] == ["there", "there"], "what failed meanwhile is asked again"
    assert (len(endpoint.requests), len(endpoint.pings)) == (1 + TRIES + 1, 6)
    probing = pauses[TRIES - 1 :]
    assert probing == sorted(probing) and 15 <= sum(probing) <= 31


def test_a_long_absence_is_not(ask: Ask, endpoint: Endpoint, pauses: list[float]) -> None:
    ask("there")
    with pytest.raises(Away, match="answered 503: for good"):
        ask(Says(status=503, body=b"for good"))
    assert breaker.PATIENCE / 2 < sum(pauses) < breaker.PATIENCE + 60


def test_an_endpoint_that_never_answered_is_not_waited_for(ask: Ask, endpoint: Endpoint, pauses: list[float]) -> None:
    with pytest.raises(Away, match="answered 503: loading"):
        ask(Says(status=503, body=b"loading"))
    assert (len(endpoint.requests), len(endpoint.pings)) == (TRIES, 1)


def test_who_is_gone_is_found_out_soon_and_waited_for(ask: Ask, endpoint: Endpoint) -> None:
    """On a real clock: that the last of six tries has failed would be known after half a minute."""
    ask("there")
    own, told = Model(endpoint.url, "devstral"), []
    endpoint.stop()
    asking = threading.Thread(target=lambda: told.append(ask("there again").text))
    asking.start()
    start = time.monotonic()
    while not (found := own.outage()):
        assert time.monotonic() < start + 5
        time.sleep(0.02)
    assert found.url == endpoint.url
    assert found.why.startswith(f"model endpoint {endpoint.url} cannot be reached (")
    assert told == []
    endpoint.start_again()
    asking.join(timeout=20)
    assert (told, own.outage()) == (["there again"], None)


def test_who_takes_the_endpoint_down_again_and_again_is_told_apart(
    ask: Ask, endpoint: Endpoint, pauses: list[float]
) -> None:
    """A prompt of which the server dies, each time: it is back in a while, but it is not asked that for ever."""
    ask("there")
    down = 0

    def script(request: dict[str, Any]) -> Says:
        nonlocal down
        down = down - 1 if request["messages"] != MESSAGES else 2
        return Says("pong") if down < 0 else Says(status=502, body=b"")

    endpoint.script = script
    with pytest.raises(ModelError, match="answered 502"):
        ask()
    assert len(endpoint.requests) == 1 + 2 * TRIES
    endpoint.script = None
    assert ask("there").text == "there"


def test_a_server_that_hangs_up_is_asked_again(ask: Ask, endpoint: Endpoint, pauses: list[float]) -> None:
    assert ask(Says("half a reply", hang_up=True), "ok").text == "ok"
    assert len(endpoint.requests) == 2


def test_a_server_that_never_answers_is_asked_once(ask: Ask, endpoint: Endpoint, pauses: list[float]) -> None:
    start = time.monotonic()
    endpoint.ping = Says("pong")
    with pytest.raises(ModelError, match=r"gave no answer within 0 s; see model.timeout"):
        ask(Says("too late", after=30.0), timeout=0.3)
    endpoint.ping = Says("too late", after=30.0)
    with pytest.raises(Away, match=r"gave no answer within 0 s; see model.timeout"):
        ask(Says("too late", after=30.0), timeout=0.4)
    assert time.monotonic() - start < 10
    assert len(endpoint.requests) == 2


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends a byte of its answer now and then, and never the last one."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "1000000")
            self.end_headers()
            while not stop.wait(0.05):
                self.wfile.write(b" ")

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        stop.set()
        server.shutdown()


def test_an_answer_that_drips_is_not_waited_for(dripping: str) -> None:
    start = time.monotonic()
    with pytest.raises(Away, match="gave no answer within 1 s"):
        Model(dripping, "devstral", timeout=0.6).complete(MESSAGES, shard="00", attempt=0)
    assert time.monotonic() - start < 10


def test_an_answer_without_end_is_not_read(ask: Ask, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint.ping = Says("pong")
    monkeypatch.setattr(model, "LONGEST_ANSWER", 1000)
    with pytest.raises(ModelError, match="answered with more than"):
        ask("long " * 1000)


def test_a_server_that_is_not_there_is_asked_again(pauses: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(Away, match=f"model endpoint {url} cannot be reached"):
        Model(url, "devstral").complete(MESSAGES, shard="00", attempt=0)
    assert len(pauses) == TRIES - 1


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://127.0.0.1/v1", "http://[::1/v1"])
def test_a_url_that_cannot_be_asked_is_final(url: str, pauses: list[float]) -> None:
    with pytest.raises(Away, match="cannot be reached"):
        Model(url, "devstral").complete(MESSAGES, shard="00", attempt=0)
    assert pauses == []


def test_the_key_is_sent_and_is_nowhere_else(ask: Ask, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    ask("without")
    monkeypatch.setenv("UMBAU_MODEL_KEY", KEY)
    ask("with")
    monkeypatch.setenv("OTHER_KEY", f"{KEY}-2\n")
    ask("with another, as it stands in a file", key_from="OTHER_KEY")
    assert endpoint.keys == ["", f"Bearer {KEY}", f"Bearer {KEY}-2"]
    own = Model(endpoint.url, "devstral")
    assert KEY not in repr(own)
    assert KEY not in json.dumps(endpoint.requests)


@pytest.mark.parametrize("key", [f"{KEY}\nx: y", f"{KEY}\r\n\r\n.", f"{KEY}é", f"{KEY}\0"])
def test_a_key_that_cannot_be_sent_is_not_shown(
    ask: Ask, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, pauses: list[float], key: str
) -> None:
    if "\0" in key:
        monkeypatch.setattr(model.os, "environ", {"UMBAU_MODEL_KEY": key})  # type: ignore[attr-defined]
    else:
        monkeypatch.setenv("UMBAU_MODEL_KEY", key)
    with pytest.raises(Away, match="UMBAU_MODEL_KEY") as error:
        ask("never")
    assert KEY not in str(error.value)
    assert endpoint.requests == []


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("status", [401, 200])
def test_a_server_that_repeats_the_key_is_not_quoted(
    ask: Ask, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, pauses: list[float], there: bool, status: int
) -> None:
    monkeypatch.setenv("UMBAU_MODEL_KEY", KEY)
    endpoint.ping = Says("pong") if there else None
    with pytest.raises(ModelError if there else Away, match=r"your key is \*\*\*") as error:
        ask(Says(status=status, body=f"your key is {KEY}".encode()))
    assert KEY not in str(error.value)


def test_models_of_one_endpoint_hold_back_together(
    ask: Ask, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they differ in how many calls at a time they are worth: the smaller number holds for both."""
    url = f"{endpoint.url}/"
    assert model._throttle(url, 4) is model._throttle(url, 2) is model._throttle(url, 64)
    assert model._throttle(url, 64).allowed == 2
    start = time.monotonic()
    slow = Says(status=429, headers={"retry-after": "1"}, body=b"")
    assert ask(slow, "ok", concurrency=3).text == "ok"
    assert time.monotonic() - start > 0.9
    endpoint.say(slow, "ok")
    first = threading.Thread(
        target=lambda: Model(endpoint.url, "devstral", concurrency=3).complete(MESSAGES, shard="0", attempt=0)
    )
    first.start()
    while len(endpoint.requests) != 3:
        time.sleep(0.005)
    time.sleep(0.1)
    start = time.monotonic()
    assert Model(endpoint.url, "fallback", concurrency=5).complete(MESSAGES, shard="1", attempt=0).text == "ok"
    assert time.monotonic() - start > 0.5, "though it was another that was told to come back later"
    first.join()


def test_threads_that_ask_at_once_share_one_client_and_its_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    url, made, start = "http://127.0.0.1:9/of-threads", [], threading.Barrier(16)
    slow = httpx.Client.__init__

    def init(self: httpx.Client, **settings: Any) -> None:
        made.append(self)
        time.sleep(0.05)
        slow(self, **settings)

    def ask() -> None:
        start.wait()
        got.add(id(model._throttle(url, 4)))
        model._client(url, 4)

    monkeypatch.setattr(httpx.Client, "__init__", init)
    got: set[int] = set()
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(got)) == (1, 1)


def test_no_more_calls_at_a_time_than_were_allowed(endpoint: Endpoint) -> None:
    busy, most, lock = 0, 0, threading.Lock()

    def script(_: object) -> str:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.05)
        with lock:
            busy -= 1
        return "ok"

    endpoint.script = script
    own = Model(endpoint.url, "devstral", concurrency=3)
    asks = [
        threading.Thread(target=own.complete, args=(MESSAGES,), kwargs={"shard": "00", "attempt": 0}) for _ in range(12)
    ]
    for thread in asks:
        thread.start()
    for thread in asks:
        thread.join()
    assert most == 3
    assert len(endpoint.requests) == 12


def test_a_busy_endpoint_is_given_rest_by_all_and_then_less_to_do(endpoint: Endpoint) -> None:
    """Six at a time are too many for it; the one that is refused has all of them wait."""
    busy, refusals, calls, lock = 0, [], [], threading.Lock()

    def script(_: object) -> Says:
        nonlocal busy
        with lock:
            calls.append(time.monotonic())
            busy += 1
            full = busy > 6 and not refusals
            if full:
                refusals.append(time.monotonic())
        time.sleep(0.1 if refusals else 0.5)  # so long that all have come, however slow the machine is
        with lock:
            busy -= 1
        return Says(status=429, headers={"retry-after": "1"}, body=b"slow down") if full else Says("ok")

    endpoint.script = script
    own = Model(endpoint.url, "devstral", concurrency=8)
    asks = [
        threading.Thread(target=own.complete, args=(MESSAGES,), kwargs={"shard": "00", "attempt": 0}) for _ in range(40)
    ]
    for thread in asks:
        thread.start()
    for thread in asks:
        thread.join()
    (refused,) = refusals
    assert [call for call in calls if 0.7 < call - refused < 1.0] == []
    assert len(endpoint.requests) == 41
    first = next(call for call in calls if call - refused > 1.0)
    assert len([call for call in calls if 0 <= call - first < 0.09]) <= 4, "half as many as before"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that no authority knows, with its key."""
    file = tmp_path / "server.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    subprocess.run([*made, "-keyout", str(file), "-out", f"{file}.crt"], check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def test_a_certificate_that_is_not_trusted_is_told_at_once(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    with Endpoint("ok").behind_tls(certificate) as endpoint:
        with pytest.raises(
            Away, match=r"its certificate is not trusted \(self-signed certificate\); see SSL_CERT_FILE"
        ):
            Model(endpoint.url, "devstral").complete(MESSAGES, shard="00", attempt=0)
        assert (pauses, endpoint.requests) == ([], [])
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        model._new_client.cache_clear()  # as in the next process
        assert Model(endpoint.url, "again").complete(MESSAGES, shard="00", attempt=0).text == "ok"


def test_a_server_that_speaks_no_tls_cannot_be_reached(endpoint: Endpoint, pauses: list[float]) -> None:
    with pytest.raises(Away, match=r"cannot be reached \(.*SSL"):
        Model(endpoint.url.replace("http", "https"), "devstral").complete(MESSAGES, shard="00", attempt=0)


def test_a_name_that_nobody_knows_cannot_be_reached(pauses: list[float], allow: Callable[..., None]) -> None:
    allow(models=["no-such-host.invalid"])
    with pytest.raises(Away, match=r"http://no-such-host.invalid/v1 cannot be reached"):
        Model("http://no-such-host.invalid/v1", "devstral").complete(MESSAGES, shard="00", attempt=0)


def test_a_replica_that_dies_while_it_answers_costs_a_try(ask: Ask, endpoint: Endpoint, pauses: list[float]) -> None:
    half = Says(body=b'{"choices": [{"message": {"role": "assistant", "content": "hal')
    assert ask(Says("half a reply", hang_up=True), half, Says("half", hang_up=True), "whole").text == "whole"
    assert (len(endpoint.requests), len(pauses)) == (4, 3)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens"),
        (400, '{"error": {"code": "context_length_exceeded"}}'),
        (400, "the request exceeds the available context size. try increasing the context size"),
        (400, "Prompt contains 70000 tokens, too large for model with 32768 maximum context length"),
        (413, "prompt is too long"),
        (422, "Too many input tokens"),
    ],
)
def test_what_the_endpoint_finds_too_long_is_about_that_shard_alone(
    ask: Ask, endpoint: Endpoint, pauses: list[float], status: int, words: str
) -> None:
    with pytest.raises(TooLong, match=r"the model cannot see that much: cut the shards finer .*tokens|context|prompt"):
        ask(Says(status=status, body=words.encode()))
    assert (len(endpoint.requests), endpoint.pings) == (1, [])
    assert ask("fine").text == "fine"
