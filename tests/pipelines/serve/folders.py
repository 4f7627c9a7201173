"""Folders of weights that are whole but for the numbers in them: a tensor of zeros."""

from __future__ import annotations

import json
from pathlib import Path


def safetensors(file: Path, numbers: int = 64) -> None:
    """Write a file of the format: length of the header, header, data."""
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}
    ).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * numbers))


def small(folder: Path) -> Path:
    """Make what looks like the embedded model's folder, as Transformers saves it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["MistralForCausalLM"]}))
    (folder / "tokenizer.json").write_text("{}")
    safetensors(folder / "model.safetensors")
    return folder


def devstral(folder: Path, architecture: str = "Mistral3ForConditionalGeneration") -> Path:
    """Make what looks like Devstral's folder: Mistral's own format, and that of Transformers besides."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    (folder / "params.json").write_text("{}")
    (folder / "tekken.json").write_text("{}")
    for name in ("consolidated-00001-of-00002", "consolidated-00002-of-00002", "model"):
        safetensors(folder / f"{name}.safetensors")
    return folder
