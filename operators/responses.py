"""Keeps a model's replies by what it was asked: the same question costs nothing the second time."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from operators.behind import Behind
from operators.data import Asked, Completion, Message
from operators.gauge import Gauge

LARGEST = 1 << 30  # bytes of all replies that are kept in one folder
UNANSWERED = Gauge()  # questions that this process waits to have answered
FOLDERS = 256  # by the first two digits of the names, which spread evenly


@dataclass(frozen=True, slots=True)
class Remembering(Behind):
    """A model whose replies are kept in a folder of this machine, one file each, compressed.

    A question is its messages, the grammar, the model's revision and how the reply is drawn: greedily at the first
    attempt, so that shards which show the same code share a reply, later by shard and attempt. What was cut or is
    empty is not kept, and no error is. That the folder cannot be written to is no reason to fail.
    """

    folder: str

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        """Return the reply to the same question where it is known, without tokens. Raises as the model does."""
        drawn = [shard, attempt] if attempt else []
        question = [[dict(message) for message in messages], self.revision, drawn, grammar]
        name = sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        file = Path(self.folder, name[:2], name)
        text = _read(file)
        if text is not None:
            reply = Completion(text, cached=True)
        else:
            with UNANSWERED.one():
                reply = self.model.complete(messages, shard=shard, attempt=attempt, grammar=grammar)
            if reply.text.strip() and not reply.cut:
                with suppress(OSError):
                    _write(file, reply.text)
        prompt, said = prompt_digest(messages, grammar), sha256(reply.text.encode(errors="replace")).hexdigest()
        asked = Asked(prompt, said, self.revision, attempt, self.drawn(shard, attempt), reply.served, reply.cached)
        return replace(reply, asked=asked)


def prompt_digest(messages: Sequence[Message], grammar: str) -> str:
    """Return the SHA-256, in hex, of what a model is asked, as JSON with sorted keys."""
    question = [[dict(message) for message in messages], grammar]
    return sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def _read(file: Path) -> str | None:
    """Return a text that is there and whole, and note that it was of use."""
    try:
        text = zlib.decompress(file.read_bytes()).decode()
    except (OSError, zlib.error, UnicodeDecodeError):  # not there, or the machine died while it was written
        return None
    with suppress(OSError):
        os.utime(file)
    return text


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = file.with_name(f".{file.name}.{token_hex(4)}")
    try:
        half.write_bytes(zlib.compress(text.encode()))
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)
    if file.name[2] == "0":  # one write in 16 looks after the size
        _tidy(file.parent, LARGEST // FOLDERS)


def _tidy(folder: Path, largest: int) -> None:
    """Remove what has been of no use for longest, until no more than `largest` bytes are left."""
    found = []
    for file in folder.iterdir():
        with suppress(OSError):  # another process may do the same
            stat = file.stat()
            found.append((stat.st_mtime_ns, stat.st_size, file))
    size = sum(size for _, size, _ in found)
    for _, bytes_, file in sorted(found):
        if size <= largest:
            break
        file.unlink(missing_ok=True)
        size -= bytes_
