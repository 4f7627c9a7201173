"""Searches all bytes of files, those of compressed streams as well."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from sqlalchemy import select

from pipelines.store import Store
from pipelines.store.tables import META

_BEGINS = re.compile(rb"\x78[\x01\x5e\x9c\xda]")  # RFC 1950: deflate with a window of 32 KiB
LARGEST = 1 << 24  # bytes of one stream


def found(folders: Iterable[Path], wanted: Mapping[str, bytes], without: Collection[str] = ()) -> dict[str, list[str]]:
    """Return the names of the byte strings that are somewhere below the folders, with the files. `without`: folders
    that are left out."""
    where: dict[str, list[str]] = {}
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink() and not {*without} & {*file.parts}:
                held = file.read_bytes()
                for name, text in wanted.items():
                    if text in held or any(text in stream for stream in streams(held)):
                        where.setdefault(name, []).append(str(file.relative_to(folder)))
    return where


def streams(held: bytes) -> Iterator[bytes]:
    """Yield what each zlib stream in it holds, as far as that can be read: its end may be elsewhere."""
    for begin in _BEGINS.finditer(held):
        reader, out = zlib.decompressobj(), b""
        at = begin.start()
        try:
            while at < len(held) and not reader.eof and len(out) < LARGEST:
                out += reader.decompress(held[at : at + 64])
                at += 64
        except zlib.error:
            pass
        if out:
            yield out


def rows(store: Store) -> Iterator[tuple[str, bytes]]:
    """Yield table and content of all that a store holds, unpacked, and what signed envelopes hold: a database keeps
    what is large in pieces, between which a stream of bytes breaks off."""
    for table in META.sorted_tables:
        with store._database.engine.connect() as connection:
            for row in connection.execute(select(table)):
                for value in row:
                    packed = isinstance(value, bytes) and value[:1] == b"x"
                    data = zlib.decompress(value) if packed else str(value).encode()
                    yield from ((table.name, data), (table.name, payload(data)))


def payload(data: bytes) -> bytes:
    """Return what a signed envelope holds, kept as it is or as a text in JSON; b"" for all else."""
    try:
        held = json.loads(data)
        return base64.b64decode((json.loads(held) if isinstance(held, str) else held)["payload"])
    except (ValueError, LookupError, TypeError):
        return b""
