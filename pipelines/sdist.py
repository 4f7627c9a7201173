"""A source distribution of the package index as a repository of one commit. Nothing of it is executed."""

from __future__ import annotations

import hashlib
import os
import ssl
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

from operators.proc import GitError, git
from pipelines.commit import quoted

MAX_BYTES = 300 << 20  # of the archive, and ten times that unpacked
MAX_FILES = 100_000
INDEX_FROM = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
INDEX = "https://pypi.org/simple"
SIMPLE = "application/vnd.pypi.simple.v1+json"  # https://packaging.python.org/specifications/simple-repository-api/
BRANCH = "refs/heads/main"


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
    index = next((os.environ[variable] for variable in INDEX_FROM if os.environ.get(variable)), INDEX)
    page = f"{index.rstrip('/')}/{_normal(name)}/"
    # The system's certificates, not a bundle: an index in the house has a certificate of the house.
    with httpx.Client(verify=ssl.create_default_context(), timeout=60.0, follow_redirects=True) as client:
        try:
            answer = client.get(page, headers={"Accept": SIMPLE})
            if answer.status_code == 404:
                raise GitError(f"the package index has no project {name}")
            found = _file(answer.raise_for_status().json()["files"], name, version)
            _save(client.stream("GET", urljoin(str(answer.url), found["url"])), found, archive)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise GitError(f"the package index gave no source of {requirement}: {error}") from None


def _file(files: list[dict[str, Any]], name: str, version: str) -> dict[str, Any]:
    for file in files:
        stem = str(file["filename"]).removesuffix(".tar.gz")
        project, _, release = stem.rpartition("-")
        if stem != file["filename"] and _normal(project) == _normal(name) and release == version:
            return file
    raise GitError(f"there is no source distribution (.tar.gz) of {name} {version}")


def _save(stream: Any, file: dict[str, Any], archive: IO[bytes]) -> None:
    seen, size = hashlib.sha256(), 0
    with stream as response:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > MAX_BYTES:
                raise GitError(f"{file['filename']} is larger than {MAX_BYTES >> 20} MB")
            seen.update(chunk)
            archive.write(chunk)
    if seen.hexdigest() != file["hashes"]["sha256"]:
        raise GitError(f"{file['filename']} is not what the index says it is (its SHA-256 differs)")
    archive.seek(0)


def _imported(archive: IO[bytes], requirement: str, mirror: Path) -> None:
    """Build one commit with fixed names and date; the archive is never unpacked to disk."""
    with tempfile.TemporaryFile() as stream:
        who = "Umbau <umbau@localhost> 0 +0000"
        stream.write(f"commit {BRANCH}\ncommitter {who}\ndata <<END\n{requirement}\nEND\n\n".encode())
        try:
            with tarfile.open(fileobj=archive, mode="r:gz") as tar:
                for part in _entries(tar):
                    stream.write(part)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise GitError(f"the source distribution of {requirement} cannot be read: {error}") from None
        stream.seek(0)
        git(mirror, "-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", stdin=stream.read())


def _entries(tar: tarfile.TarFile) -> Iterator[bytes]:
    """Yield git fast-import commands for the regular files, without the archive's top folder."""
    count = size = 0
    for member in tar:
        path = member.name.removeprefix("./").partition("/")[2]
        parts = path.split("/")
        if not member.isreg() or not path or {"", ".", ".."} & set(parts):
            continue
        if any(part.lower() == ".git" for part in parts) or any(ord(character) < 32 for character in path):
            continue
        count, size = count + 1, size + member.size
        if count > MAX_FILES or size > 10 * MAX_BYTES:
            raise GitError("the source distribution unpacks to more than may be worked on")
        file = tar.extractfile(member)
        data = file.read() if file else b""
        mode = b"100755" if member.mode & 0o100 else b"100644"
        yield b"M %s inline %s\ndata %d\n%s\n" % (mode, quoted(path), len(data), data)


def _normal(name: str) -> str:
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)
