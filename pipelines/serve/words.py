"""Text as it grows, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32


class Words:
    """Cuts the text at the first stop string, and holds back what may be the beginning of one."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._text = ""
        self._told = 0
        self.stopped = False

    def grow(self, text: str) -> str:
        """Add text and return what can be told of it now. Nothing is told after a stop string."""
        if self.stopped:
            return ""
        seen = max(0, len(self._text) - self._longest + 1)
        self._text += text
        found = [at for stop in self._stops if (at := self._text.find(stop, seen)) >= 0]
        if found:
            self._text, self.stopped = self._text[: min(found)], True
        return self._tell(len(self._text) - (0 if self.stopped else self._held()))

    def end(self) -> str:
        """Return what was held back."""
        return self._tell(len(self._text))

    def _held(self) -> int:
        """Return how many characters at the end begin a stop string."""
        tail = self._text[self._told :][-self._longest :] if self._longest else ""
        return max((n for stop in self._stops for n in range(1, len(stop)) if tail.endswith(stop[:n])), default=0)

    def _tell(self, until: int) -> str:
        told, self._told = self._text[self._told : until], until
        return told


def draw(seed: int, position: int) -> int:
    """Return the seed (1 to 2**31 - 1) of one token's draw: neighbouring seeds share nothing, nor do positions."""
    return 1 + crc32(f"{seed} {position}".encode()) % (2**31 - 1)
