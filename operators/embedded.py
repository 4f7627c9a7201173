"""Runs a Mistral checkpoint in this process, on the CPU, by mistral.rs."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest, sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from operators.data import Completion, Drawn, Message, Skip, TooLong
from operators.metered import admitted, answered
from operators.model import ModelError

SHIPPED = "umbau-asserts"
"""The model that comes with Umbau; what it can do and cannot stands beside its weights."""
SHIPPED_IN = Path(__file__).parent / "checkpoint"
NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json", "*.safetensors")
READ = ("*.json", "*.jinja", "*.safetensors")  # what the answers depend on
EDGE = 64 << 20  # bytes at both ends of a file that are digested: all of it would take minutes where it is large
SETTINGS = {
    "RUST_LOG": "off",  # it logs to stdout
    "HF_HUB_OFFLINE": "1",  # and would ask a hub for what is missing
    "MISTRALRS_CPU_KV_F32": "1",  # half precision costs a small network some of its copies
}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A checkpoint in a folder of this machine: no line of code leaves the process."""

    folder: str
    temperature: float = 0.15
    """Of the second attempt; the first is greedy, each later one bolder, up to 1. What is drawn is drawn anew each
    time: it takes no seed."""
    max_tokens: int = 8192
    bare: bool = False
    """It knows one task only and is shown nothing but the code."""

    concurrency = 1
    room = 1 << 30  # it says itself what it cannot see

    @property
    def name(self) -> str:
        return SHIPPED if Path(self.folder) == SHIPPED_IN else Path(self.folder).name

    @property
    def weights(self) -> str:
        return _digest(self.folder)[:12]

    @property
    def revision(self) -> str:
        return f"{_digest(self.folder)} {self.temperature} {self.max_tokens}"

    def drawn(self, shard: str, attempt: int) -> Drawn:
        return Drawn(min(attempt * self.temperature, max(1.0, self.temperature)))

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        """Ask for one completion that follows the grammar, if one is given.

        Raises ModelError when the checkpoint cannot be run, Skip when the messages are longer than it can see, or hold
        what it would take for its own signs: it reads a `[/INST]` in a string as the end of the question.
        """
        with _running:
            admitted()
            try:
                reply = self._asked(messages, attempt, grammar)
            except ModelError:
                if not grammar:
                    raise
                reply = self._asked(messages, attempt, "")  # it may not know what to do with one; checks judge anyway
            answered(reply)
        return reply

    def _asked(self, messages: Sequence[Message], attempt: int, grammar: str) -> Completion:
        runner = _loaded(self.folder)
        if sign := next((sign for sign in _signs(self.folder) for one in messages if sign in one["content"]), ""):
            raise Skip(f"it holds {sign!r}, which {Path(self.folder).name} takes for a sign of its own")
        from mistralrs import ChatCompletionRequest

        request = ChatCompletionRequest(
            messages=[dict(message) for message in messages],
            model="default",
            temperature=self.drawn("", attempt).temperature,
            max_tokens=self.max_tokens,
            grammar=grammar or None,
            grammar_type="lark" if grammar else None,
        )
        since, start = time.monotonic(), time.time()
        try:
            answer = runner.send_chat_completion_request(request)
        except (ValueError, RuntimeError) as error:
            if "length is greater than" in str(error):
                raise TooLong(
                    "this is longer than the model can see: cut shards finer, or take another model"
                ) from None
            fault = ModelError(f"{self.folder} gave no answer: {_first(error)}")
            fault.seconds = time.monotonic() - start
            raise fault from None
        choice = answer.choices[0]
        return Completion(
            choice.message.content or "",
            answer.usage.prompt_tokens,
            answer.usage.completion_tokens,
            cut=choice.finish_reason == "length",
            seconds=time.monotonic() - since,
            model=self.name,
            start=start,
        )


_running = threading.Lock()  # it takes one question at a time, and all cores for it


@lru_cache(maxsize=2)
def _loaded(folder: str) -> Any:
    if why := lacking(folder):
        raise ModelError(why)
    os.environ.update(SETTINGS)  # read when it is imported
    from mistralrs import Architecture, Runner, Which

    try:
        which: Any = Which.Plain(model_id=folder, arch=Architecture.Mistral)
        return Runner(which)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{folder} cannot be loaded: {_first(error)}") from None


def lacking(folder: str) -> str:
    """Return why no checkpoint can be run from a folder, or ""."""
    if not find_spec("mistralrs"):
        return "a checkpoint is run by mistralrs, which is not installed: it has wheels for Linux and Apple silicon"
    try:
        missing = [name for name in NEEDED if not _files(folder, name)]
        for file in _files(folder, *READ):
            file.open("rb").close()
    except OSError as error:
        return f"{folder[:200]} cannot be read: {error.strerror}"
    return f"{folder} holds no checkpoint: {', '.join(missing)} missing" if missing else ""


def _files(folder: str, *patterns: str) -> list[Path]:
    return sorted(file for pattern in patterns for file in Path(folder).glob(pattern) if file.is_file())


def weights(folder: str) -> Mapping[str, str]:
    """Return the SHA-256, in hex, of each file of a checkpoint that its answers depend on. The first time all of them
    are read, about a gigabyte a second. Raises OSError."""
    return _hashed(tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _files(folder, *READ)))


@lru_cache(maxsize=4)
def _hashed(files: tuple[tuple[str, int, int], ...]) -> Mapping[str, str]:
    found = {}
    for name, _, _ in files:
        with Path(name).open("rb") as opened:
            found[Path(name).name] = file_digest(opened, "sha256").hexdigest()
    return found


@lru_cache(maxsize=2)
def _digest(folder: str) -> str:
    found = sha256()
    for file in _files(folder, *READ):
        size = file.stat().st_size
        with file.open("rb") as opened:
            found.update(f"{file.name} {size} ".encode() + opened.read(EDGE))
            opened.seek(max(0, size - EDGE))
            found.update(opened.read())
    return found.hexdigest()


@lru_cache(maxsize=2)
def _signs(folder: str) -> tuple[str, ...]:
    """Return what the tokenizer makes one token of wherever it stands, which means something to the network."""
    try:
        known = json.loads(Path(folder, "tokenizer.json").read_bytes())["added_tokens"]
        return tuple(token["content"] for token in known if token["special"] and token["content"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(f"{folder}: tokenizer.json cannot be read: {_first(error)}") from None


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
