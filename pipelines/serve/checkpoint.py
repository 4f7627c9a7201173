"""Looks at a folder of weights before a replica does, which would take minutes to say less."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import Refused

LARGEST_HEADER = 100_000_000  # bytes: the format's own limit, https://github.com/huggingface/safetensors
AGAIN = "copy or download it again"
TRANSFORMERS = (("config.json",), ("tokenizer.json", "tokenizer.model", "tekken.json"), ("*.safetensors",))
# Mistral's own layout; config.json besides, because Ray Serve LLM looks into it.
MISTRAL = (("params.json",), ("config.json",), ("tekken.json", "tokenizer.model*"), ("consolidated*.safetensors",))


def weights(folder: Path, architectures: Sequence[str], *, mistral: bool) -> int:
    """Return the bytes of a checkpoint's weights, of the layout that is loaded. Raises Refused."""
    if not folder.is_dir():
        raise Refused(
            f"{folder} is not a folder on this machine: put the weights there, on every machine that may run a replica,"
            " or say with --dir where they are"
        )
    try:
        return _weights(folder, architectures, mistral)
    except OSError as error:
        raise Refused(f"{error.filename or folder} cannot be read: {error.strerror}") from None


def _weights(folder: Path, architectures: Sequence[str], mistral: bool) -> int:
    needed = MISTRAL if mistral else TRANSFORMERS
    if missing := [" or ".join(names) for names in needed if not any(_files(folder, name) for name in names)]:
        layout = "in Mistral's own format (load_format: mistral)" if mistral else "as Transformers saves it"
        raise Refused(f"{folder} holds no whole checkpoint {layout}: {', '.join(missing)} missing; {AGAIN}")
    found = _json(folder / "config.json").get("architectures") or []
    if not set(found) & set(architectures):
        raise Refused(
            f"{folder / 'config.json'} says architectures {', '.join(map(str, found)) or 'nothing'}; this model has"
            f" {' or '.join(architectures)}: is it the right folder?"
        )
    shards = _files(folder, needed[-1][0])
    if not mistral:
        shards = [file for file in shards if not file.name.startswith("consolidated")] or shards
    for index in _files(folder, "*.safetensors.index.json"):
        named = set(map(str, dict(_json(index).get("weight_map") or {}).values()))
        if absent := sorted(name for name in named if not (folder / name).is_file()):
            raise Refused(f"{folder} lacks {', '.join(absent[:3])}, which {index.name} names: {AGAIN}")
    for file in shards:
        _whole(file)
    return sum(file.stat().st_size for file in shards)


def _whole(file: Path) -> None:
    """Raise Refused when a safetensors file is not as long as its header says: eight bytes of length, JSON, data."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
        length = int.from_bytes(start, "little")
        if start.startswith(b"version "):
            raise Refused(f"{file} is a pointer of git-lfs and not the weights: run `git lfs pull` there")
        if len(start) < 8 or not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise Refused(f"{file} is truncated, or is no safetensors file: {AGAIN}")
        header = opened.read(length)
    try:
        tensors = [value for name, value in json.loads(header).items() if name != "__metadata__"]
        end = 8 + length + max(int(tensor["data_offsets"][1]) for tensor in tensors)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{file} has a header that cannot be read: {AGAIN}") from None
    if end != size:
        what = "truncated" if size < end else "longer than it should be"
        raise Refused(f"{file} is {what}: it has {size:,} bytes and its header says {end:,}; {AGAIN}")


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(f"{file} is not JSON with keys and values: {AGAIN}")
    return found


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(file for file in folder.glob(pattern) if file.is_file())
