"""Requests per second of the Transformers engine on two cores, one for the replica, over real HTTP: batched, and one at
a time. And how often its greedy answers are those of mistral.rs in process, from the same checkpoint.

Target: with 32 clients at least three times as many with a batch of 32 as with one of 1.

`python -m tests.benchmarks.serving CHECKPOINT [FOLDER]`: a folder as Transformers saves it, of a model that knows
statements; and one with Python files to take them from, the standard library's tests when none is given.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from operators.data import Skip
from operators.embedded import Embedded
from operators.syntax.pieces import pieces
from pipelines.serve.key import digest_of, new_key
from tests.benchmarks.setting import Clock, ray

HITS = r"\bself\.assert[A-Z]"
MANY, LONGEST, PORT = 100, 128, 8123  # statements; tokens of an answer
KEY = new_key()


def main(checkpoint: str, folder: str = sysconfig.get_path("stdlib") + "/test") -> None:
    asked = statements(Path(folder))
    speeds, served = {}, []
    with ray():
        for batch in (1, 32):
            with up(checkpoint, batch) as client:
                served = [ask(client, code) for code in asked]  # one after another, and warm
                for clients in (1, 8, 32):
                    speeds[batch, clients] = speed(client, asked, clients)
    embedded = Embedded(checkpoint, max_tokens=LONGEST)
    own = [embedded.complete([{"role": "user", "content": code}], shard="", attempt=0).text for code in asked]
    same = sum(one.strip() == other.strip() for one, other in zip(served, own, strict=True))
    for clients in (1, 8, 32):
        one, many = speeds[1, clients], speeds[32, clients]
        print(f"serving    {clients:2} clients, batch of 1 {one:14.1f} requests/s")
        print(f"           {clients:2} clients, batch of 32 {many:13.1f} requests/s   {many / one:.1f} x")
    print(f"           as the embedded engine {same:12} of {len(asked)} statements")


def statements(folder: Path) -> list[str]:
    """Return distinct statements of test methods, spread over the files of a folder."""
    found: dict[str, None] = {}
    for file in sorted(folder.rglob("*test*.py")):
        try:
            own = [code for _, _, code in pieces(file.read_text("utf-8"), HITS) if code and len(code) < 200]
        except (UnicodeDecodeError, Skip):
            continue
        found.update(dict.fromkeys(own))
    every = list(found)
    return every[:: max(1, len(every) // MANY)][:MANY]


@contextmanager
def up(checkpoint: str, batch: int) -> Iterator[httpx.Client]:
    from ray import serve

    from pipelines.serve.transformers import app

    given = {"model_id": "m", "model_source": checkpoint, "key_digest": digest_of(KEY), "dtype": "float32"}
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(app({**given, "max_batch_size": batch}), name="bench", route_prefix="/")
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", headers=headers, timeout=120) as client:
        yield client
    serve.shutdown()


def ask(client: httpx.Client, code: str) -> str:
    messages = [{"role": "user", "content": code}]
    body: dict[str, Any] = {"model": "m", "messages": messages, "temperature": 0, "max_tokens": LONGEST}
    text: str = (
        client.post("/v1/chat/completions", json=body).raise_for_status().json()["choices"][0]["message"]["content"]
    )
    return text


def speed(client: httpx.Client, asked: list[str], clients: int) -> float:
    """Return requests per second."""
    with ThreadPoolExecutor(clients) as pool, Clock() as clock:
        list(pool.map(lambda code: ask(client, code), asked))
    return len(asked) / clock.seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
