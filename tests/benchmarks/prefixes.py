"""Share of prompt tokens that vLLM serves from its prefix cache on a run of one repository, with shards in the plan's
order, file by file, and shuffled. Read from vLLM's own metrics.

The prompts are those of a real job with search/replace blocks: the system prompt, then path, imports, class header and
a test method or a short class; without examples, and cut at LONGEST tokens, all that the shipped checkpoint can see.
What is cut off is each shard's own code, so that both shares are higher than with whole prompts. The checkpoint only
stands in for a larger model: what it answers does not matter for the figure, and one token of it is asked for. The
smallest cache (ROOMS) holds about the prompts that are worked on at a time, as on a GPU that is used to its limit; the
largest is that of deploy/serve/embedded-cpu.yaml.

`python -m tests.benchmarks.prefixes PYTHON`: the Python of an environment with vLLM for the CPU, as .ci/vllm makes one.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from operators.data import Completion, Message
from operators.embedded import SHIPPED_IN
from operators.rewrite import Rewrite
from operators.workspace import Workspace
from pipelines.plan import plan
from pipelines.recipe import recipe
from pipelines.session import job_of
from tests.benchmarks.setting import folder
from tests.pipelines.serve.cluster import free_port

JOB, REPO = "plain-asserts", "tornado==6.5.2"  # 34 test files, few of which fit into the cache
AT_ONCE, LONGEST, START = 4, 1000, 900  # requests; tokens; seconds
BLOCK = 32  # tokens: vLLM's attention on the CPU takes no smaller blocks
ROOMS = (4_096, 16_384, 131_072)  # tokens that the cache holds
TOKEN = 4 * 2 * 8 * 32 * 4  # bytes: layers, keys and values, heads, their width, float32


@dataclass(frozen=True, slots=True)
class Listener:
    """Notes what it is asked."""

    asked: list[str] = field(default_factory=list)
    bare, revision, concurrency, room = False, "listener", 1, 1 << 30

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        self.asked.append("\n\n".join(message["content"] for message in messages))
        return Completion("")


def main(python: str) -> None:
    with folder() as home:
        asked, shares = prompts(home), {}
        for room in ROOMS:
            with served(python, room, home / "vllm.log") as client:
                every = [cut(client, text) for text in asked]
                mixed = random.Random(1).sample(every, len(every))
                shares[room] = share(client, every), share(client, mixed)
    total, shortened = sum(map(len, every)), sum(len(ids) == LONGEST for ids in every)
    print(f"prefixes   {len(every)} prompts of {JOB} on {REPO}, {shortened} of them cut short at {LONGEST:,} tokens")
    print(f"           {total:,} tokens, {AT_ONCE} prompts at a time; found in vLLM's cache, in blocks of {BLOCK}:")
    for room, (planned, shuffled) in shares.items():
        size = f"cache of {room * TOKEN >> 20:,} MiB, {room:,} tokens"
        print(f"           {size:35} in the plan's order {100 * planned:5.1f} %, shuffled {100 * shuffled:5.1f} %")


def prompts(home: Path) -> list[str]:
    """Return what a model that is no specialist would be asked for each shard, in the plan's order."""
    job, file = job_of(JOB, [REPO])
    planned = plan(job, recipe(job, file), home, home)
    assert not planned.trouble, planned.trouble
    listener = Listener()
    step = Rewrite(next(step.rewrite.prompt for step in job.steps if step.rewrite), listener)
    for one in planned.planned:
        step.propose(Workspace(planned.repos[0].base), one.shard, ())
    return listener.asked


@contextmanager
def served(python: str, room: int, log: Path) -> Iterator[httpx.Client]:
    """Serve the shipped checkpoint by vLLM; it ends with the block."""
    port = free_port()
    options = {
        "model": SHIPPED_IN,
        "served-model-name": "m",
        "host": "127.0.0.1",
        "port": port,
        "dtype": "float32",
        "max-model-len": 1024,
        "max-num-seqs": AT_ONCE,
        "block-size": BLOCK,
        "kv-cache-memory-bytes": room * TOKEN,
    }
    argv = [python, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager", "--enable-prefix-caching"]
    argv += [text for name, value in options.items() for text in (f"--{name}", str(value))]
    env = {
        **os.environ,
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_SERVER_DEV_MODE": "1",  # it can be told to forget its cache
    }
    with log.open("wb") as out:
        server = subprocess.Popen(argv, cwd=log.parent, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
            wait(client, server, log)
            yield client
    finally:
        server.terminate()
        server.wait(60)


def wait(client: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START
    while server.poll() is None and time.monotonic() < end:
        try:
            client.get("/health").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(1)
    raise RuntimeError(f"vLLM does not start: {log.read_text(errors='replace')[-2000:]}")


def cut(client: httpx.Client, text: str) -> list[int]:
    ids: list[int] = client.post("/tokenize", json={"model": "m", "prompt": text}).raise_for_status().json()["tokens"]
    return ids[:LONGEST]


def share(client: httpx.Client, asked: Sequence[list[int]]) -> float:
    """Ask for one token to each prompt, beginning with an empty cache; return the share of tokens that it knew."""
    client.post("/reset_prefix_cache").raise_for_status()
    before = counters(client)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda ids: ask(client, ids), asked))
    queries, hits = (after - then for after, then in zip(counters(client), before, strict=True))
    assert queries == sum(map(len, asked)), "vLLM counts other tokens than were sent"
    return hits / queries


def ask(client: httpx.Client, ids: list[int]) -> None:
    client.post("/v1/completions", json={"model": "m", "prompt": ids, "max_tokens": 1}).raise_for_status()


def counters(client: httpx.Client) -> tuple[float, float]:
    """Return vLLM's counts of tokens looked for in the cache, and of those found there."""
    text = client.get("/metrics").text
    names = ("queries", "hits")
    queries, hits = (float(re.findall(rf"^vllm:prefix_cache_{name}_total\S* (\S+)", text, re.M)[0]) for name in names)
    return queries, hits


if __name__ == "__main__":
    main(*sys.argv[1:])
