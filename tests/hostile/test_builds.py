"""Build backends that mean harm: they have a way to the package index, an environment to fill and the wish for more."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest

from operators.data import Base
from operators.environment import Environment, NotBuilt
from operators.workspace import Workspace
from tests.conftest import Checkout
from tests.operators.conftest import base_of

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "billing"
version = "1"
"""
BACKEND = """\
import os
import sys
import zipfile
from pathlib import Path

INFO = "billing-1.dist-info"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    environment = next(Path({environments!r}).glob("*/pyvenv.cfg")).parent
    site = next(environment.glob("lib/python*/site-packages"))
    {harm}
    with zipfile.ZipFile(Path(folder) / "billing-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("billing.py", "paid = 1\\n")
        wheel.writestr(f"{{INFO}}/METADATA", "Metadata-Version: 2.1\\nName: billing\\nVersion: 1\\n")
        wheel.writestr(f"{{INFO}}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{{INFO}}/RECORD", "")
    return "billing-1-py3-none-any.whl"
"""
Build = Callable[[str], Base]


@pytest.fixture
def build(tmp_path: Path, checkout: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setenv("UV_OFFLINE", "1")

    def built(harm: str) -> Base:
        backend = BACKEND.format(environments=str(tmp_path / "umbau" / "environments"), harm=harm)
        files = {"pyproject.toml": PYPROJECT, "backend.py": backend, "billing.py": "paid = 1\n"}
        names = (f"billing{number}" for number in count())
        name = next(name for name in names if not (tmp_path / name).exists())
        return Environment(install=(".",)).build(base_of(checkout(files, name), tmp_path))

    return built


def test_a_file_of_the_user_is_neither_read_nor_written_by_a_build(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "precious.py"
    own.write_text("hush-4711")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "hush-4711")
    monkeypatch.setenv("UMBAU_MODEL_KEY", "hush-4711")
    build(f"Path({str(own)!r}).write_text('')")  # which is a file of its own
    for reach in (f"{str(own)!r}).read_text()", "'/proc/1/root/x').touch()"):
        with pytest.raises(NotBuilt, match=r"No such file|Read-only|Permission denied"):
            build(f"Path({reach}")
    with pytest.raises(NotBuilt) as told:
        build("raise SystemExit(str(os.environ) + Path('/proc/1/environ').read_text())")
    assert "hush-4711" not in str(told.value)
    assert own.read_text() == "hush-4711"


@pytest.mark.parametrize(
    "harm",
    [
        # what is removed from the environment afterwards leads out of it
        "(site / 'x').symlink_to({folder!r}); (site / 'h-1.dist-info').mkdir(); "
        "(site / 'h-1.dist-info' / 'RECORD').write_text('x/precious.py,,\\na/../../../../../../precious.py,,\\n'); "
        "(site / 'h-1.dist-info' / 'direct_url.json').write_text('{{\"url\": \"file:///ws\", \"dir_info\": {{}}}}')",
        # what is written after the build would be written through a link
        "[(environment / name).symlink_to({own!r}) for name in ('made.json', 'made.new')]",
        # what starts with Python would start on the node
        "(site / 'x.pth').write_text('import os; open({own!r}, \"w\").close()\\n')",
        "(site / 'sitecustomize.py').write_text('open({own!r}, \"w\").close()\\n')",
        # another interpreter
        "python = environment / 'bin' / 'python'; python.unlink(); "
        "python.write_text('#!/bin/sh\\n: > {own}\\n'); python.chmod(0o755)",
    ],
)
def test_what_a_build_leaves_does_nothing_to_the_node(build: Build, tmp_path: Path, harm: str) -> None:
    own = tmp_path / "precious.py"
    own.write_text("precious")
    try:
        base = build(harm.format(folder=str(tmp_path), own=str(own)))
    except NotBuilt:
        base = None
    assert own.read_text() == "precious"
    if base:
        ws = Workspace(replace(base, facts={}))
        with ws.box() as box:
            ws.run(box, "python -c 'import billing'", (), 30.0)
        assert own.read_text() == "precious"
        assert not Path(base.parser or "/nowhere").is_relative_to(tmp_path)


def test_a_build_cannot_write_to_what_other_repositories_builds_use(build: Build, tmp_path: Path) -> None:
    other = tmp_path / "umbau" / "environments" / "cache" / "shop"
    other.mkdir(parents=True)
    os.chmod(other, 0o777)  # noqa: PTH101 - nothing but the walls keeps it
    with pytest.raises(NotBuilt, match=r"No such file|Read-only"):
        build(f"Path({str(other)!r}, 'poison').touch()")
    assert not list(other.iterdir())


class Listens(BaseHTTPRequestHandler):
    """A host that should not hear anything."""

    heard: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.heard.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    Listens.heard.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Listens) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


ASKS = "import urllib.request; urllib.request.urlopen('http://localhost:{port}/hush-4711')"


def test_a_build_reaches_the_index_and_nobody_else(build: Build, host: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotBuilt, match=r"reach localhost; a build reaches files\.pythonhosted\.org, pypi\.org"):
        build(ASKS.format(port=host))
    around = f"import socket; socket.create_connection(('127.0.0.1', {host}), 5)"
    with pytest.raises(NotBuilt, match="Connection refused"):
        build(around)
    assert not Listens.heard
    monkeypatch.setenv("UMBAU_INDEX_HOSTS", "localhost")
    build(ASKS.format(port=host))
    assert Listens.heard == ["/hush-4711"]
