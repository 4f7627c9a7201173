from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.checkout import tree
from operators.proc import GitError, git
from pipelines import sdist as module
from pipelines.bare import bare
from pipelines.job import Source
from pipelines.repos import NoRepo, resolve
from pipelines.sdist import sdist
from tests.pipelines.host import Answer, Server

Member = tuple[tarfile.TarInfo, bytes]


class Index:
    """A package index: files by name, and what is said of each."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.hashes: dict[str, str] = {}
        self.page: Answer | None = None

    def add(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.hashes[name] = hashlib.sha256(data).hexdigest()

    def __call__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path.startswith("/files/"):
            data = self.files.get(path.removeprefix("/files/"))
            return Answer(data) if data is not None else Answer(status=404)
        if self.page:
            return self.page
        if path != "/simple/six-kit/":
            return Answer(status=404)
        files = [
            {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": self.hashes[name]}}
            for name in self.files
        ]
        found = {"meta": {"api-version": "1.1"}, "name": "six-kit", "files": files}
        return Answer(json.dumps(found).encode(), headers={"content-type": headers["accept"]})


def plain(name: str, data: bytes = b"x = 1\n", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, 1_700_000_000
    return info, data


def special(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def archive(*members: Member) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    found = Index()
    found.add("six_kit-1.0.tar.gz", archive(plain("six_kit-1.0/six.py"), plain("six_kit-1.0/run.sh", mode=0o755)))
    with Server(found) as server:
        found.asked = server.asked  # type: ignore[attr-defined]
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{server.url}/simple")
        yield found


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return bare(tmp_path / "mirrors" / "m.git")


def names(mirror: Path, commit: str) -> dict[str, str]:
    listed = git(mirror, "ls-tree", "-r", "-z", commit).decode(errors="surrogateescape").split("\0")[:-1]
    return {line.partition("\t")[2]: line[:6] for line in listed}


def refused(requirement: str, mirror: Path) -> str:
    with pytest.raises(GitError) as caught:
        sdist(requirement, mirror)
    return str(caught.value)


def imported(index: Index, mirror: Path, *members: Member) -> dict[str, str]:
    index.add("six_kit-2.0.tar.gz", archive(*members))
    return names(mirror, sdist("six-kit==2.0", mirror))


def test_a_source_distribution_is_a_repository_of_one_commit(index: Index, mirror: Path) -> None:
    commit = sdist("six-kit==1.0", mirror)
    assert names(mirror, commit) == {"six.py": "100644", "run.sh": "100755"}
    assert git(mirror, "cat-file", "blob", f"{commit}:six.py") == b"x = 1\n"
    assert git(mirror, "rev-list", "--count", commit) == b"1\n"
    assert git(mirror, "fsck", "--strict") == b""
    assert git(mirror, "show", "--no-patch", "--format=%s %ct %cn", commit) == b"six-kit==1.0 0 Umbau\n"


def test_the_same_archive_is_the_same_commit_everywhere(index: Index, mirror: Path, tmp_path: Path) -> None:
    assert sdist("six-kit==1.0", mirror) == sdist("six-kit==1.0", bare(tmp_path / "other" / "n.git"))


def test_nothing_is_asked_for_twice(index: Index, home: Path, tmp_path: Path) -> None:
    source = Source(pypi="six-kit==1.0")
    first = resolve(source, home, tmp_path)
    assert (first.name, first.branch) == ("six-kit", "main")
    count = len(index.asked)  # type: ignore[attr-defined]
    assert resolve(source, home, tmp_path) == first
    assert len(index.asked) == count == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("spelt", ["Six_Kit==1.0", "six.kit==1.0", "SIX--KIT==1.0"])
def test_names_are_normalised(spelt: str, index: Index, mirror: Path) -> None:
    assert names(mirror, sdist(spelt, mirror))


def test_versions_and_projects_that_are_not_there(index: Index, mirror: Path) -> None:
    index.add("six_kit-3.0-py3-none-any.whl", b"")
    index.add("six_kit-4.0.zip", b"")
    for version in ("2.0", "3.0", "4.0"):
        assert (
            refused(f"six-kit=={version}", mirror) == f"there is no source distribution (.tar.gz) of six-kit {version}"
        )
    assert refused("sevenkit==1.0", mirror) == "the package index has no project sevenkit"
    assert sdist("six-kit==1.0", mirror), "a refusal leaves the mirror usable"


def test_the_reason_is_told_with_the_repository(index: Index, home: Path, tmp_path: Path) -> None:
    with pytest.raises(NoRepo, match=r"sevenkit==1\.0: the package index has no project sevenkit"):
        resolve(Source(pypi="sevenkit==1.0"), home, tmp_path)


def test_another_archive_than_the_index_says(index: Index, mirror: Path) -> None:
    index.files["six_kit-1.0.tar.gz"] += b"x"
    assert "is not what the index says it is" in refused("six-kit==1.0", mirror)
    index.hashes["six_kit-1.0.tar.gz"] = ""
    assert "is not what the index says it is" in refused("six-kit==1.0", mirror)


PAGES = {
    "error": (Answer(status=503), "the package index: the server answered 503"),
    "html": (Answer(b"<a href=x>", headers={"content-type": "text/html"}), "no JSON interface (PEP 691)"),
    "half": (Answer(b'{"files": [', headers={"content-type": "application/json"}), "gave no source of six-kit==1.0"),
    "a list": (Answer(b"[]", headers={"content-type": "application/json"}), "gave no source of six-kit==1.0"),
    "null": (Answer(b'{"files": null}', headers={"content-type": "application/json"}), "gave no source"),
    "no names": (Answer(b'{"files": [{}]}', headers={"content-type": "application/json"}), "gave no source"),
    "no hashes": (
        Answer(b'{"files": [{"filename": "six_kit-1.0.tar.gz", "url": "x"}]}', headers={"content-type": "a/json"}),
        "gave no source of six-kit==1.0",
    ),
    "elsewhere": (
        Answer(
            b'{"files": [{"filename": "six_kit-1.0.tar.gz", "url": "file:///etc/passwd"}]}',
            headers={"content-type": "a/json"},
        ),
        "gave no source",
    ),
}


@pytest.mark.parametrize("page", PAGES)
def test_an_index_that_talks_nonsense(page: str, index: Index, mirror: Path) -> None:
    index.page, why = PAGES[page]
    assert why in refused("six-kit==1.0", mirror)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/simple", "nowhere", "http://[", "file:///srv", "http://a b/"])
def test_no_index(address: str, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    assert "the package index gave no source of six-kit==1.0" in refused("six-kit==1.0", mirror)


def test_where_uv_wants_no_index_none_is_asked(
    index: Index, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv.toml").write_text("no-index = true")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    assert "uv's settings want none" in refused("six-kit==1.0", mirror) and not index.asked  # type: ignore[attr-defined]


def test_the_index_may_have_a_name(index: Index, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"house={os.environ['UV_DEFAULT_INDEX']}")
    assert names(mirror, sdist("six-kit==1.0", mirror))


def test_a_password_of_the_index_is_not_told(index: Index, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(lambda *_: Answer(status=403)) as server:
        monkeypatch.setenv("UV_DEFAULT_INDEX", server.url.replace("//", "//ada:secret@"))
        assert "secret" not in refused("six-kit==1.0", mirror)
    assert "secret" not in refused("six-kit==1.0", mirror)


ODD = ["a b.py", "-x.py", "'\"\\.py", "größe.py", "d/e/f.py", "c:d.py", "a\u202eb.py", "x" * 200 + ".py", "con.py"]


def test_odd_names(index: Index, mirror: Path) -> None:
    assert set(imported(index, mirror, *(plain(f"k/{name}") for name in ODD))) == set(ODD)


def test_names_that_are_not_utf_8_are_kept_for_planning_to_leave_out(index: Index, mirror: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        info, data = plain("k/caf\xe9.py")
        tar.addfile(info, io.BytesIO(data))
    index.add("six_kit-2.0.tar.gz", out.getvalue())
    assert list(names(mirror, sdist("six-kit==2.0", mirror))) == ["caf\udce9.py"]


HOSTILE = [
    plain("k/../../up.py"),
    plain("k/a/../../up.py"),
    plain("../up.py"),
    plain("/etc/passwd"),
    plain("k/.git/config"),
    plain("k/.GIT/config"),
    plain("k/a/.git"),
    plain("k/.git /config"),
    plain("k/.git./config"),
    plain("k/.git::$INDEX_ALLOCATION/config"),
    plain("k/GIT~1/config"),
    plain("k/.g\u200cit/config"),
    plain("k/a\\.git\\config"),
    plain("k/a\nb.py"),
    plain("k/./x.py"),
    plain("k//x.py"),
    plain("loose.py"),
    special("k/link.py", tarfile.SYMTYPE, "/etc/passwd"),
    special("k/hard.py", tarfile.LNKTYPE, "/etc/passwd"),
    special("k/pipe", tarfile.FIFOTYPE),
    special("k/device", tarfile.CHRTYPE),
    special("k/block", tarfile.BLKTYPE),
    special("k/folder", tarfile.DIRTYPE),
]


def test_what_is_no_file_of_the_project_is_left_out(index: Index, mirror: Path) -> None:
    assert imported(index, mirror, *HOSTILE, plain("k/good.py")) == {"good.py": "100644"}
    commit = git(mirror, "rev-parse", "main").decode().strip()
    assert git(mirror, "fsck", "--strict") == b""
    assert [path.name for path in tree(str(mirror), commit).folder.iterdir()] == ["good.py"]


def test_a_file_twice_and_a_file_that_becomes_a_folder(index: Index, mirror: Path) -> None:
    found = imported(index, mirror, plain("k/a.py", b"1"), plain("k/a.py", b"2"), plain("k/b"), plain("k/b/c.py"))
    assert set(found) == {"a.py", "b/c.py"}
    assert git(mirror, "cat-file", "blob", "main:a.py") == b"2"


def test_an_empty_archive(index: Index, mirror: Path) -> None:
    assert imported(index, mirror) == {}


def zeros(size: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        info = tarfile.TarInfo("k/zeros.bin")
        info.size = size
        file.write(info.tobuf())
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return out.getvalue()


def header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("k/x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "data",
    [
        zeros(20 << 20),
        gzip.compress(header(b"x", 1 << 40) + bytes(20 << 20)),
        gzip.compress(header(b"g", 1 << 40) + bytes(20 << 20)),
        gzip.compress(header(b"L", 1 << 40) + bytes(20 << 20)),
        gzip.compress(header(b"0", 1 << 62) + bytes(20 << 20)),
    ],
    ids=["file", "pax header", "global header", "long name", "declared"],
)
def test_bombs(data: bytes, index: Index, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNPACKED", 10 << 20)
    index.add("six_kit-2.0.tar.gz", data)
    start = time.monotonic()
    assert "unpacks to more than 10 MB" in refused("six-kit==2.0", mirror)
    assert time.monotonic() - start < 5
    assert sdist("six-kit==1.0", mirror)


def test_too_many_files(index: Index, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    index.add("six_kit-2.0.tar.gz", archive(*(plain(f"k/{number}") for number in range(4))))
    assert "holds more than 3 files" in refused("six-kit==2.0", mirror)


def test_too_large_an_archive(index: Index, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    index.add("six_kit-2.0.tar.gz", bytes(2 << 20))
    assert "is larger than 1 MB" in refused("six-kit==2.0", mirror)


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", gzip.compress(b"no tar" * 1000), archive(plain("k/a.py", b"x" * 5000))[:-40]],
    ids=["empty", "text", "no tar", "half"],
)
def test_archives_that_cannot_be_read(data: bytes, index: Index, mirror: Path) -> None:
    index.add("six_kit-2.0.tar.gz", data)
    assert "the source distribution of six-kit==2.0 cannot be read" in refused("six-kit==2.0", mirror)


GOOD = archive(*(plain(f"k/{number}.py", bytes([number]) * 600) for number in range(8)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=12), st.booleans())
def test_damaged_archives_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], packed: bool
) -> None:
    damaged = bytearray(GOOD if packed else gzip.decompress(GOOD))
    for place, value in flips:
        damaged[place % len(damaged)] = value
    data = bytes(damaged) if packed else gzip.compress(bytes(damaged))
    target = bare(tmp_path_factory.mktemp("damaged") / "m.git")
    try:
        module._imported(io.BytesIO(data), "six-kit==1.0", target)
    except GitError as error:
        assert str(error)
    else:
        assert git(target, "fsck", "--strict") == b""
