from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import Refused
from pipelines.serve.checkpoint import weights
from tests.pipelines.serve.folders import devstral, safetensors, small

SMALL, DEVSTRAL = ["MistralForCausalLM"], ["Mistral3ForConditionalGeneration"]


def test_whole_checkpoints(tmp_path: Path) -> None:
    folder = small(tmp_path / "small")
    assert weights(folder, SMALL, mistral=False) == (folder / "model.safetensors").stat().st_size
    folder = devstral(tmp_path / "devstral")
    one = (folder / "model.safetensors").stat().st_size
    assert weights(folder, DEVSTRAL, mistral=True) == 2 * one
    assert weights(folder, DEVSTRAL, mistral=False) == one


def cut(name: str, size: int) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        file = folder / name
        file.write_bytes(file.read_bytes()[:size])

    return do


def written(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 9\n"
INDEX = json.dumps({"weight_map": {"w": "model.safetensors", "v": "model-00002-of-00002.safetensors"}}).encode()
# What happened to the folder, and what is said.
SPOILT = {
    "no tokenizer": (removed("tokenizer.json"), "tokenizer.json or tokenizer.model or tekken.json missing"),
    "no config": (removed("config.json"), "config.json missing; copy or download it again"),
    "no weights": (removed("model.safetensors"), "*.safetensors missing"),
    "other architecture": (
        written("config.json", b'{"architectures": ["LlamaForCausalLM"]}'),
        "says architectures LlamaForCausalLM; this model has MistralForCausalLM: is it the right folder?",
    ),
    "no architecture": (written("config.json", b"{}"), "says architectures nothing"),
    "config is no JSON": (written("config.json", b"{"), "is not JSON with keys and values"),
    "config is a list": (written("config.json", b"[]"), "is not JSON with keys and values"),
    "truncated": (cut("model.safetensors", -1), "is truncated: it has"),
    "truncated in the header": (cut("model.safetensors", 40), "is truncated, or is no safetensors file"),
    "truncated in the length": (cut("model.safetensors", 5), "is truncated, or is no safetensors file"),
    "empty": (written("model.safetensors", b""), "is truncated, or is no safetensors file"),
    "git-lfs": (
        written("model.safetensors", POINTER),
        "is a pointer of git-lfs and not the weights: run `git lfs pull`",
    ),
    "a web page": (written("model.safetensors", b"<!DOCTYPE html>" * 99), "is truncated, or is no safetensors file"),
    "other bytes": (
        written("model.safetensors", bytes([9, *[0] * 7]) + b"not json!"),
        "has a header that cannot be read",
    ),
    "no tensors": (written("model.safetensors", bytes([2, *[0] * 7]) + b"{}"), "has a header that cannot be read"),
    "a shard is missing": (
        written("model.safetensors.index.json", INDEX),
        "lacks model-00002-of-00002.safetensors, which model.safetensors.index.json names",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_is_wrong_with_a_folder(case: str, tmp_path: Path) -> None:
    spoil, words = SPOILT[case]
    folder = small(tmp_path / "weights")
    spoil(folder)
    with pytest.raises(Refused) as caught:
        weights(folder, SMALL, mistral=False)
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["params.json", "tekken.json", "config.json"])
def test_mistrals_own_format_needs_its_own_files(name: str, tmp_path: Path) -> None:
    folder = devstral(tmp_path / "weights")
    (folder / name).unlink()
    with pytest.raises(Refused, match=rf"Mistral's own format .*{name}"):
        weights(folder, DEVSTRAL, mistral=True)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not a folder on this machine: put the weights there"):
        weights(tmp_path / "absent", SMALL, mistral=False)


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_weights_or_end_in_a_traceback(data: bytes) -> None:
    folder = small(FOLDER)
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(Refused, match=r"model\.safetensors"):
        weights(folder, SMALL, mistral=False)


@given(st.integers(0, 400))
def test_every_length_but_the_right_one_is_noticed(size: int) -> None:
    folder = small(FOLDER)
    file = folder / "model.safetensors"
    safetensors(file)
    whole = file.read_bytes()
    file.write_bytes((whole + b"x" * 400)[:size])
    if size == len(whole):
        assert weights(folder, SMALL, mistral=False) == size
        return
    with pytest.raises(Refused, match=r"truncated|longer than it should be"):
        weights(folder, SMALL, mistral=False)


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("weights")


FOLDER = Path()
