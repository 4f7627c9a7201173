"""The arithmetic, against figures that were worked out by hand for the models that we host."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.catalogue import catalogue
from pipelines.serve.memory import GB, Need, Node, kv_room, shortage

MODELS = catalogue()
H100 = Node(8, ("H100",), 1e12)


# Model, GPUs, GB of each, and what is known to be left for keys and values: GB, and requests of 32k tokens.
@pytest.mark.parametrize(
    ("name", "gpus", "size", "room", "requests"),
    [
        ("devstral-small-2", 1, 80, 44, 8),
        ("devstral-2", 4, 80, 145, 12),
        ("devstral-2", 2, 141, 118, 10),
    ],
)
def test_room_for_keys_and_values(name: str, gpus: int, size: int, room: float, requests: int) -> None:
    found = kv_room(MODELS[name].weight_bytes, gpus, size * GB)
    assert found / GB == pytest.approx(room, rel=0.03)
    assert int(found // (MODELS[name].kv_bytes_per_token * 32 * 1024)) == requests


def test_keys_and_values_of_a_token() -> None:
    assert MODELS["devstral-small-2"].kv_bytes_per_token == 40 * 2 * 8 * 128 * 2 == 160 << 10
    assert MODELS["devstral-2"].kv_bytes_per_token == 88 * 2 * 8 * 128 * 2 == 352 << 10
    assert MODELS["umbau-asserts"].kv_bytes_per_token == 4 * 2 * 8 * 32 * 2


def need(name: str = "devstral-small-2", **changes: object) -> Need:
    model = MODELS[name]
    known = Need(name, model.weight_bytes, model.kv_bytes_per_token, 32, 8192, 65536, tensor=1, accelerator="H100")
    return replace(known, **changes)  # type: ignore[arg-type]


FITS = [
    (need(), [H100]),
    (need(replicas=8), [H100]),
    (need(accelerator=""), [H100]),
    (need(accelerator="A100-80G"), [Node(1, ("A100", "A100-80G"), 1e12)]),
    (need(accelerator="A100"), [Node(1, ("A100", "A100-80G"), 1e12)]),
    (need("devstral-2", tensor=4, requests=48), [H100]),
    (need("devstral-2", tensor=4, requests=48, replicas=2), [H100]),
    (need("devstral-2", tensor=2, requests=32, accelerator="H200"), [Node(2, ("H200",), 1e12)]),
    (need("devstral-2", tensor=2, pipeline=2), [Node(2, ("H100",), 1e12)] * 2),
    (need("umbau-asserts", tensor=0, longest=1024, tokens=1024, kv_space=1 << 30), [Node(0, (), 5e9)]),
]


@pytest.mark.parametrize(("wanted", "nodes"), FITS)
def test_what_fits(wanted: Need, nodes: list[Node]) -> None:
    assert shortage(wanted, nodes) == ""


# What is wanted, what Ray sees, and words of the refusal: the numbers, and what would fit.
REFUSED = [
    (need(), [Node(0, (), 1e12)], "Ray sees 1 machine, none with a GPU"),
    (need(), [], "Ray sees 0 machines"),
    (
        need(),
        [Node(1, ("L4",), 1e12)],
        "needs 1 times 1 H100 on one machine, for 1 replica; Ray sees 1 machine, 1 with",
    ),
    (need(replicas=9), [H100], "for 9 replicas; Ray sees 1 machine, 1 with 8 H100"),
    (need("devstral-2", tensor=4), [Node(2, ("H100",), 1e12)] * 2, "2 machines, 2 with 2 H100"),
    (need(requests=64), [H100], "leaves 44.1 GB; 64 requests of 8192 tokens need 85.9 GB"),
    (need(requests=64), [H100], "fit with --concurrency 32, or 2 GPUs per replica"),
    (need(accelerator="L40S"), [Node(1, ("L40S",), 1e12)], "fit with --concurrency 11, or 2 GPUs per replica"),
    (need(accelerator="L4"), [Node(1, ("L4",), 1e12)], "leaves 0.0 GB"),
    (need(accelerator="A100"), [Node(1, ("A100",), 1e12)], "1 x A100 of 40 GB"),
    (need(accelerator=""), [H100, Node(1, ("L4",), 1e12)], "1 x GPU of 24 GB"),
    (need("devstral-2", tensor=2), [H100], "fit with max_model_len 27743 with --concurrency 1, or 4 GPUs"),
    (need("devstral-2", tensor=1), [H100], "It would fit with 4 GPUs per replica"),
    (need(longest=262144, requests=1, accelerator="L40S"), [Node(1, ("L40S",), 1e12)], "262144 tokens of one request"),
    (need(accelerator="MI300"), [Node(8, ("MI300",), 1e12)], "the memory of MI300 is not known here: say it with"),
    (need("umbau-asserts", tensor=0), [Node(0, (), 3.1e9)], "fit with max_model_len 22"),
    (need("devstral-2", tensor=0), [Node(0, (), 16e9)], "Ray sees 1 machine, the largest with 16.0 GB"),
    (
        need("umbau-asserts", tensor=0, longest=1024, tokens=1024, requests=500, kv_space=1 << 30),
        [Node(0, (), 16e9)],
        "fit with --concurrency 256, or a larger kv_cache_memory_bytes",
    ),
    (
        need("umbau-asserts", tensor=0, longest=1024, tokens=1024, requests=500, kv_space=1 << 30),
        [Node(0, (), 4.5e9)],
        "fit with --concurrency 256, or a larger kv_cache_memory_bytes and more memory.",
    ),
    (
        need("umbau-asserts", tensor=0, longest=1024, tokens=1024, requests=500, kv_space=1 << 30),
        [Node(0, (), 4e9)],
        "holds 1.1 GB. It would fit with a larger kv_cache_memory_bytes and more memory.",
    ),
    (
        need("umbau-asserts", tensor=0, longest=1024, tokens=1024, requests=500, replicas=2, kv_space=1 << 30),
        [Node(0, (), 4.5e9)],
        "holds 1.1 GB. It would fit with a larger kv_cache_memory_bytes and more memory.",
    ),
    (
        need("umbau-asserts", tensor=0, longest=8, requests=1, kv_space=1 << 30),
        [Node(0, (), 4e9)],
        "or a smaller kv_cache_memory_bytes",
    ),
    (
        need("umbau-asserts", tensor=0, longest=1024, tokens=1024, replicas=4, kv_space=1 << 30),
        [Node(0, (), 16e9)],
        "for 4 replicas; Ray sees 1 machine, the largest with 16.0 GB. It would fit with 3 replicas.",
    ),
]


@pytest.mark.parametrize(("wanted", "nodes", "words"), REFUSED)
def test_what_does_not_fit_is_told_with_the_numbers(wanted: Need, nodes: list[Node], words: str) -> None:
    assert words in shortage(wanted, nodes)


def test_the_memory_of_an_unknown_gpu_can_be_said() -> None:
    nodes = [Node(8, ("MI300",), 1e12)]
    assert shortage(need(accelerator="MI300"), nodes, gpu_gb=192) == ""
    assert "of 24 GB" in shortage(need(accelerator="MI300"), nodes, gpu_gb=24)


@given(st.integers(1, 5000), st.integers(1, 65536), st.sampled_from([1, 2, 4, 8]))
def test_the_concurrency_that_is_named_fits_and_one_more_does_not(requests: int, tokens: int, tensor: int) -> None:
    wanted = need(requests=requests, tokens=tokens, tensor=tensor)
    why = shortage(wanted, [H100])
    if not why:
        return
    named = int(why.partition("--concurrency ")[2].partition(",")[0].rstrip("."))
    assert named < requests
    assert shortage(replace(wanted, requests=named), [H100]) == ""
    assert shortage(replace(wanted, requests=named + 1), [H100]) != ""


@given(st.integers(1, 2000), st.integers(1, 1024), st.integers(1, 3), st.integers(1, 1 << 32), st.integers(0, 16 * GB))
def test_the_concurrency_that_is_named_fits_the_machine_too(
    requests: int, tokens: int, replicas: int, space: int, memory: int
) -> None:
    changes = {"requests": requests, "tokens": tokens, "replicas": replicas, "kv_space": space}
    wanted, nodes = need("umbau-asserts", tensor=0, longest=1024, **changes), [Node(0, (), memory)]
    found = re.search(r"fit with --concurrency (\d+)", shortage(wanted, nodes))
    if found:
        assert shortage(replace(wanted, requests=int(found[1])), nodes) == ""
