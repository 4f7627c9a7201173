"""A source distribution of the package index as a repository of one commit. Nothing of it is executed."""

from __future__ import annotations

import gzip
import hashlib
import re
import ssl
import tarfile
import tempfile
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

from operators import index, outward
from operators.proc import GitError, git
from pipelines.commit import quoted

MAX_BYTES = 300 << 20  # of the archive
MAX_UNPACKED = 512 << 20  # bytes, headers and padding included
MAX_FILES = 100_000
SIMPLE = "application/vnd.pypi.simple.v1+json"  # https://packaging.python.org/specifications/simple-repository-api/
BRANCH = "refs/heads/main"

_DOT_GIT = re.compile(r"(\.git|git~1)[ .]*(:.*)?")  # what .git may be called on Windows and macOS


def sdist(requirement: str, mirror: Path) -> str:
    """Return the commit that holds `name==version`, fetching it unless the bare repository has it.

    The same archive gives the same commit everywhere. Raises GitError with the reason when it cannot be had.
    """
    try:
        return git(mirror, "rev-parse", "--verify", "--quiet", BRANCH).decode().strip()
    except GitError:
        with tempfile.TemporaryFile() as archive:
            _download(requirement, archive)
            _imported(archive, requirement, mirror)
    return git(mirror, "rev-parse", "--verify", BRANCH).decode().strip()


def _download(requirement: str, archive: IO[bytes]) -> None:
    import httpx

    name, _, version = requirement.partition("==")
    url = index.default()
    if not url:
        raise GitError(f"there is no package index for {requirement}: uv's settings want none, or cannot be read")
    page = f"{url.rstrip('/')}/{_normal(name)}/"
    # No coding of the transfer: a server that calls an archive one would have us hash what is in it.
    plain = {"Accept-Encoding": "identity"}
    outward.drop_proxies()
    try:
        # The system's certificates, not a bundle: an index in the house has a certificate of the house.
        trusted = ssl.create_default_context()
        hooks = {"request": [_allowed]}  # called for each redirect as well, before it is followed
        with httpx.Client(verify=trusted, timeout=60.0, follow_redirects=True, event_hooks=hooks) as client:
            answer = client.get(page, headers={"Accept": SIMPLE})
            if answer.status_code == 404:
                raise GitError(f"the package index has no project {name}")
            _succeeded(answer, "the package index")
            if "json" not in answer.headers.get("content-type", ""):
                raise GitError("the package index has no JSON interface (PEP 691), which Umbau needs")
            found = _file(answer.json()["files"], name, version)
            with client.stream("GET", urljoin(str(answer.url), found["url"]), headers=plain) as response:
                _succeeded(response, found["filename"])
                _save(response.iter_raw(), found, archive)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, outward.Forbidden) as error:
        raise GitError(f"the package index gave no source of {requirement}: {error}") from None


def _allowed(request: Any) -> None:
    url = request.url
    outward.check_at("index", url.host, url.port or {"https": 443, "http": 80}.get(url.scheme, 0))


def _succeeded(response: Any, what: str) -> None:
    if not response.is_success:  # httpx's own message would name the address, which may hold a password
        raise GitError(f"{what}: the server answered {response.status_code}")


def _file(files: list[dict[str, Any]], name: str, version: str) -> dict[str, Any]:
    for file in files:
        stem = str(file["filename"]).removesuffix(".tar.gz")
        project, _, release = stem.rpartition("-")
        if stem != file["filename"] and _normal(project) == _normal(name) and release == version:
            return file
    raise GitError(f"there is no source distribution (.tar.gz) of {name} {version}")


def _save(chunks: Iterator[bytes], file: dict[str, Any], archive: IO[bytes]) -> None:
    seen, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_BYTES:
            raise GitError(f"{file['filename']} is larger than {MAX_BYTES >> 20} MB")
        seen.update(chunk)
        archive.write(chunk)
    if seen.hexdigest() != file["hashes"].get("sha256"):
        raise GitError(f"{file['filename']} is not what the index says it is (its SHA-256 differs)")
    archive.seek(0)


class _Unpacked:
    """Reads what a gzip stream holds, and no more of it than may be worked on."""

    def __init__(self, archive: IO[bytes]) -> None:
        self._plain, self._left = gzip.GzipFile(fileobj=archive), MAX_UNPACKED

    def read(self, size: int) -> bytes:
        data = self._plain.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise GitError(f"the source distribution unpacks to more than {MAX_UNPACKED >> 20} MB")
        return data


def _imported(archive: IO[bytes], requirement: str, mirror: Path) -> None:
    """Build one commit with fixed names and date; the archive is never unpacked to disk."""
    with tempfile.TemporaryFile() as stream:
        who = "Umbau <umbau@localhost> 0 +0000"
        stream.write(f"commit {BRANCH}\ncommitter {who}\ndata <<END\n{requirement}\nEND\n\n".encode())
        try:
            with tarfile.open(fileobj=_Unpacked(archive), mode="r|") as tar:  # type: ignore[call-overload]
                for part in _entries(tar):
                    stream.write(part)
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
            raise GitError(f"the source distribution of {requirement} cannot be read: {error}") from None
        stream.seek(0)
        git(mirror, "-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", stdin=stream.read())


def _entries(tar: tarfile.TarFile) -> Iterator[bytes]:
    """Yield git fast-import commands for the regular files, without the archive's top folder."""
    count = 0
    for member in tar:
        name = member.name.removeprefix("./")
        path = name.partition("/")[2]
        if not member.isreg() or not path or not _harmless(name):
            continue
        count += 1
        if count > MAX_FILES:
            raise GitError(f"the source distribution holds more than {MAX_FILES:,} files")
        file = tar.extractfile(member)
        data = file.read() if file else b""
        mode = b"100755" if member.mode & 0o100 else b"100644"
        yield b"M %s inline %s\ndata %d\n" % (mode, quoted(path), len(data))
        yield data
        yield b"\n"


def _harmless(path: str) -> bool:
    """Say whether git takes a path as one of the working tree, on any system."""
    if any(ord(character) < 32 for character in path):
        return False
    visible = "".join(character for character in path if unicodedata.category(character) != "Cf").lower()
    parts = re.split(r"[/\\]", visible)
    return not {"", ".", ".."} & {*parts} and not any(map(_DOT_GIT.fullmatch, parts))


def _normal(name: str) -> str:
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)
