"""Between the bytes of a file and the text that operators see, so that what is not edited comes back byte for byte."""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from dataclasses import dataclass

from operators.data import Skip

MAX_BYTES = 1 << 20  # LibCST needs about 260 MB of memory per MB of ordinary source
# Codecs in which ASCII stands for itself. Others (utf-7, idna, rot13 ...) can hide code from whoever reads the diff.
_PLAIN = re.compile(r"utf-8(-sig)?|ascii|iso8859-\d+|cp125\d|cp85\d|cp437|koi8-[rut]|mac-roman|gb2312|gbk|euc_\w+|big5")
_GENERATED = re.compile(
    r"@generated|generated\b.{0,40}\bdo not (edit|modify)|do not (edit|modify)\b.{0,40}generated", re.I | re.S
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file's text, with its own line endings, and how it stood in bytes."""

    text: str
    encoding: str = "utf-8"
    bom: bool = False

    def encode(self, text: str) -> bytes:
        """Return the bytes of a new `text` of this file. Raises UnicodeEncodeError."""
        return (codecs.BOM_UTF8 if self.bom else b"") + text.encode(self.encoding)


def decode(data: bytes, path: str) -> Source:
    """Read a file as Python does. Raises Skip with the reason why it is to be left alone."""
    if len(data) > MAX_BYTES:
        raise Skip(f"larger than {MAX_BYTES >> 20} MB")
    if b"\0" in data:
        raise Skip("binary")
    if data.startswith(b"version https://git-lfs.github.com/spec/"):
        raise Skip("Git LFS pointer")
    encoding, bom = _encoding(data, path)
    try:
        text = data[len(codecs.BOM_UTF8) if bom else 0 :].decode(encoding)
    except UnicodeDecodeError:
        raise Skip("not UTF-8" if encoding == "utf-8" else f"not {encoding}, which it says it is") from None
    source = Source(text, encoding, bom)
    if source.encode(text) != data:
        raise Skip(f"does not come back byte for byte from {encoding}")
    if "\r" in text and "\n" not in text:
        raise Skip("lines end with a carriage return only")
    return source


def generated(text: str) -> bool:
    """Say whether the first lines declare that a program wrote the file."""
    return bool(_GENERATED.search("".join(split(text)[:10])[:2000]))


def split(text: str) -> list[str]:
    r"""Split where Python counts lines (\n, \r\n, \r), endings kept; `str.splitlines` also splits at form feeds."""
    return list(io.StringIO(text, newline=""))


def ending(line: str) -> str:
    r"""Return the line's own ending: "\n", "\r\n", "\r" or ""."""
    return line[len(line.rstrip("\r\n")) :]


def newline(text: str) -> str:
    """Return the line ending that the text uses most."""
    crlf = text.count("\r\n")
    return "\r\n" if crlf * 2 > text.count("\n") else "\n"


def _encoding(data: bytes, path: str) -> tuple[str, bool]:
    bom = data.startswith(codecs.BOM_UTF8)
    if not path.endswith((".py", ".pyi")):
        return "utf-8", bom
    try:
        name = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError as error:
        raise Skip("not UTF-8" if "invalid or missing" in str(error) else str(error)) from None
    name = codecs.lookup(name.removesuffix("-sig")).name
    if not _PLAIN.fullmatch(name):
        raise Skip(f"encoding {name}")
    return name, bom
