"""The many rows of a page, packed: JSON, compressed, in base64, in scripts that are data and never run.

They are written to a temporary file as they come, and read from there when the page is put together, so that memory
holds one piece at a time. Nothing in base64 can end a script, whatever it was made from.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterator
from typing import IO, Any, Literal

from pipelines.pages import visible

PIECE = 400_000  # characters of JSON that are packed together
MOST = 14_000_000  # bytes of a page that diffs may take

Kind = Literal["rows", "details"]
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Bulk:
    def __init__(self, file: IO[bytes]) -> None:
        """`file`: an empty one, for writing and reading."""
        self._file = file
        self._waiting: dict[Kind, list[str]] = {"rows": [], "details": []}
        self._sizes: dict[Kind, int] = {"rows": 0, "details": 0}
        self._pieces: dict[Kind, int] = {"rows": 0, "details": 0}
        self.taken = 0
        """Bytes of details so far."""

    @property
    def full(self) -> bool:
        """Whether there is no more room for diffs."""
        return self.taken >= MOST

    def add(self, kind: Kind, value: Any) -> tuple[int, int]:
        """Take something that JSON can hold; return in which piece of its kind it is, and where in there."""
        text = _JSON.encode(value)
        if not text.isprintable() or r"\u00" in text:  # as JSON has control characters
            text = _JSON.encode(_shown(value))
        place = self._pieces[kind], len(self._waiting[kind])
        self._waiting[kind].append(text)
        self._sizes[kind] += len(text)
        if self._sizes[kind] > PIECE:
            self._flush(kind)
        return place

    def pieces(self) -> Iterator[str]:
        """Yield the scripts; nothing is added after that."""
        for kind in self._waiting:
            if self._waiting[kind]:
                self._flush(kind)
        self._file.seek(0)
        for line in self._file:
            yield line.decode()

    def _flush(self, kind: Kind) -> None:
        body = zlib.compress(f"[{','.join(self._waiting[kind])}]".encode(), 6)
        line = b'<script type="text/plain" class="%s">%s</script>\n' % (kind.encode(), b64encode(body))
        self._file.write(line)
        self.taken += len(line) if kind == "details" else 0
        self._waiting[kind], self._sizes[kind] = [], 0
        self._pieces[kind] += 1


def _shown(value: Any) -> Any:
    """Return a value whose texts have nothing hidden in them."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items()}
    return [_shown(one) for one in value] if isinstance(value, list | tuple) else value
