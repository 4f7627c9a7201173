"""Whether a model fits: weights and the tokens in hand against the memory that Ray sees, before anything is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

GB = 10**9
OVERHEAD = 3 * GB  # of each GPU, or of a replica on the CPU: activations, CUDA graphs, libraries
# GB of one GPU by Ray's accelerator_type, from the makers' data sheets. Ray calls both kinds of A100 the same, so the
# smaller one is assumed unless the node says which.
GPU_GB = {
    "T4": 16,
    "A10G": 24,
    "L4": 24,
    "L40S": 48,
    "A100": 40,
    "A100-40G": 40,
    "A100-80G": 80,
    "H100": 80,
    "H200": 141,
    "B200": 180,
}


@dataclass(frozen=True, slots=True)
class Node:
    """A machine as Ray sees it, all of it, whatever already runs there."""

    gpus: int
    accelerators: tuple[str, ...]
    """Ray's accelerator_type; more than one where somebody said more exactly which."""
    memory: float
    """Bytes that Ray may give to workers."""


@dataclass(frozen=True, slots=True)
class Need:
    """What the replicas of a model take."""

    name: str
    weight_bytes: int
    kv_bytes_per_token: int
    requests: int
    """That one replica works on at a time."""
    tokens: int
    """Of each: question and answer."""
    longest: int
    """Tokens that a single request may have; vLLM does not start when it could not hold one of them."""
    replicas: int = 1
    tensor: int = 0
    """GPUs that share each layer, on one machine; 0: it runs on the CPU."""
    pipeline: int = 1
    """Groups of such GPUs."""
    accelerator: str = ""
    """What it asks for; empty: any GPU."""
    utilization: float = 0.9
    """Share of a GPU's memory that may be used."""
    kv_space: int = 0
    """On the CPU: bytes set aside for keys and values; 0: what is needed."""

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline

    @property
    def kv_bytes(self) -> int:
        return max(self.longest, self.requests * self.tokens) * self.kv_bytes_per_token


def kv_room(weight_bytes: int, gpus: int, gpu_bytes: float, utilization: float = 0.9) -> float:
    """Return the bytes left for keys and values on all GPUs of a replica; negative if the weights do not fit."""
    return gpus * (utilization * gpu_bytes - OVERHEAD) - weight_bytes


def shortage(need: Need, nodes: Sequence[Node], gpu_gb: float | None = None) -> str:
    """Return why the replicas cannot fit and what would, or "". `gpu_gb`: a GPU's memory where it is not known."""
    return _on_gpus(need, nodes, gpu_gb) if need.tensor else _on_cpus(need, nodes)


def _on_gpus(need: Need, nodes: Sequence[Node], gpu_gb: float | None) -> str:
    fitting = [node for node in nodes if node.gpus and (not need.accelerator or need.accelerator in node.accelerators)]
    groups = sum(node.gpus // need.tensor for node in fitting)
    if groups < need.pipeline * need.replicas:
        wanted = f"{need.tensor} {need.accelerator or 'GPU'} on one machine"
        times = need.pipeline * need.replicas
        return f"{need.name} needs {times} times {wanted}, for {_replicas(need)}; Ray sees {_seen(nodes)}."
    sizes = {_gpu_gb(node, gpu_gb) for node in fitting if node.gpus >= need.tensor}
    if None in sizes:
        kinds = ", ".join(sorted({kind for node in fitting for kind in node.accelerators})) or "these GPUs"
        return f"the memory of {kinds} is not known here: say it with --gpu-memory GB"
    size = min(gb for gb in sizes if gb) * GB
    room = kv_room(need.weight_bytes, need.gpus, size, need.utilization)
    if room >= need.kv_bytes:
        return ""
    here = f"{need.gpus} x {need.accelerator or 'GPU'} of {size / GB:.0f} GB"
    sums = (
        f"{need.name} does not fit on {here}: {need.utilization:g} of {need.gpus * size / GB:.0f} GB, less"
        f" {need.weight_bytes / GB:.1f} GB of weights and {need.gpus * OVERHEAD / GB:.0f} GB of overhead, leaves"
        f" {max(0.0, room) / GB:.1f} GB; {_tokens(need)} need {need.kv_bytes / GB:.1f} GB."
    )
    more = next(
        (n for n in (1, 2, 4, 8, 16) if kv_room(need.weight_bytes, n, size, need.utilization) >= need.kv_bytes), 0
    )
    return _with(sums, need, room, f"{more} GPUs per replica (tensor_parallel_size)" if more else "")


def _on_cpus(need: Need, nodes: Sequence[Node]) -> str:
    space = need.kv_space or need.kv_bytes
    each, places = _places(need, space, nodes)
    if need.kv_bytes > space:
        sums = f"{_tokens(need)} need {need.kv_bytes / GB:.1f} GB; kv_cache_memory_bytes holds {space / GB:.1f} GB."
        enough = _places(need, need.kv_bytes, nodes)[1] >= need.replicas
        larger = "a larger kv_cache_memory_bytes" + ("" if enough else " and more memory")
        return _with(f"{need.name}: {sums}", need, space if places >= need.replicas else 0, larger)
    if places >= need.replicas:
        return ""
    largest = max((node.memory for node in nodes), default=0)
    sums = (
        f"{need.name} takes {each / GB:.1f} GB of a machine's memory for each replica ({need.weight_bytes / GB:.1f} of"
        f" weights, {space / GB:.1f} for keys and values, {OVERHEAD / GB:.0f} of overhead), for {_replicas(need)};"
        f" Ray sees {len(nodes)} machine{'s' * (len(nodes) != 1)}, the largest with {largest / GB:.1f} GB."
    )
    if places:
        return f"{sums} It would fit with {_replicas(replace(need, replicas=places))}."
    if need.kv_space:
        return f"{sums} It would fit with more memory, or a smaller kv_cache_memory_bytes."
    return _with(sums, need, largest - need.weight_bytes - OVERHEAD, "more memory")


def _places(need: Need, space: int, nodes: Sequence[Node]) -> tuple[int, int]:
    """Return the bytes of a replica with so many for keys and values, and how many such replicas the machines hold."""
    each = need.weight_bytes + space + OVERHEAD
    return each, sum(int(node.memory // each) for node in nodes)


def _with(sums: str, need: Need, room: float, other: str) -> str:
    """Add what would fit: fewer requests if one is enough to be of use, or the `other` way."""
    each = max(need.tokens, need.longest if room < need.longest * need.kv_bytes_per_token else 0)
    fewer = int(max(0.0, room) // (each * need.kv_bytes_per_token))
    ways = []
    if fewer:
        ways.append(f"--concurrency {min(fewer, need.requests)}")
    elif room > need.kv_bytes_per_token:
        ways.append(f"max_model_len {int(room // need.kv_bytes_per_token)} with --concurrency 1")
    ways += [other] if other else []
    return (
        f"{sums} It would fit with {', or '.join(ways)}." if ways else f"{sums} Take a smaller model, or larger GPUs."
    )


def _tokens(need: Need) -> str:
    if need.longest > need.requests * need.tokens:
        return f"{need.longest} tokens of one request (max_model_len)"
    return f"{need.requests} requests of {need.tokens} tokens"


def _replicas(need: Need) -> str:
    return f"{need.replicas} replica{'s' * (need.replicas != 1)}"


def _gpu_gb(node: Node, said: float | None) -> float | None:
    if said:
        return said
    known = {kind: GPU_GB[kind] for kind in node.accelerators if kind in GPU_GB}
    return max(known.values(), default=None)


def _seen(nodes: Sequence[Node]) -> str:
    kinds: dict[str, list[int]] = {}
    for node in nodes:
        if node.gpus:
            kinds.setdefault(max(node.accelerators, key=len, default="GPU"), []).append(node.gpus)
    told = [f"{len(counts)} with {' or '.join(map(str, sorted(set(counts))))} {kind}" for kind, counts in kinds.items()]
    return f"{len(nodes)} machine{'s' * (len(nodes) != 1)}, {', '.join(told) or 'none with a GPU'}"
