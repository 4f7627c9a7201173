"""Makes a checkpoint that is real in all but what it knows: the files of a tiny Mistral network with drawn weights."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from itertools import count
from math import prod
from pathlib import Path

SIZE, INNER, HEADS, LAYERS = 32, 64, 2, 1
SPECIAL = ("<s>", "</s>", "[INST]", "[/INST]")
TEMPLATE = "{{ bos_token }}{% for message in messages %}[INST]{{ message['content'] }}[/INST]{% endfor %}"


def checkpoint(folder: Path) -> Path:
    """Write config, weights and tokenizer (a token for each byte) into a new folder."""
    folder.mkdir()
    tokens = [*SPECIAL, *_alphabet()]
    config = {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "vocab_size": len(tokens),
        "hidden_size": SIZE,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": SIZE // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(tokens)))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": "<s>", "eos_token": "</s>", "chat_template": TEMPLATE})
    )
    (folder / "model.safetensors").write_bytes(_weights(len(tokens)))
    return folder


def _tokenizer(tokens: list[str]) -> dict[str, object]:
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    marks = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": token, **marks} for number, token in enumerate(SPECIAL)],
        "pre_tokenizer": level,
        "decoder": level,
        "model": {"type": "BPE", "vocab": {token: number for number, token in enumerate(tokens)}, "merges": []},
    }


def _alphabet() -> list[str]:
    """Return a printable character for each byte, as byte-level BPE has them since GPT-2."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (chr(256 + number) for number in count())
    return [chr(byte) if byte in shown else next(others) for byte in range(256)]


def _weights(vocabulary: int) -> bytes:
    """Return the weights in the safetensors format: https://github.com/huggingface/safetensors#format."""
    rng, header, data = random.Random(0), {}, bytearray()
    for name, shape in _shapes(vocabulary):
        values = [1.0 if "norm" in name else rng.gauss(0, 0.2) for _ in range(prod(shape))]
        start = len(data)
        data += struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(data)]}
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + bytes(data)


def _shapes(vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "model.embed_tokens.weight", (vocabulary, SIZE)
    yield "model.norm.weight", (SIZE,)
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        for name in ("q", "k", "v", "o"):
            yield f"{layer}.self_attn.{name}_proj.weight", (SIZE, SIZE)
        yield f"{layer}.mlp.gate_proj.weight", (INNER, SIZE)
        yield f"{layer}.mlp.up_proj.weight", (INNER, SIZE)
        yield f"{layer}.mlp.down_proj.weight", (SIZE, INNER)
        yield f"{layer}.input_layernorm.weight", (SIZE,)
        yield f"{layer}.post_attention_layernorm.weight", (SIZE,)
