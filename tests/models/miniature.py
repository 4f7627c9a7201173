"""A case of our own, small enough for every test run: a package that says hello has moved from 1.0 to 2.0, and a
repository still uses it as it was. The wheels are made here and given to uv as its only source of packages."""

from __future__ import annotations

import json
import zipfile
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Checkout

CODE = """\
\"\"\"Says hello.\"\"\"

import hello


def welcome(name):
    return hello.say(name) + "!"


def count(names):
    if not names:
        return 0
    return len(names)
"""
RIGHT = CODE.replace("hello.say(name)", 'hello.say("hello", name)')
TESTS = """\
import unittest

import welcome


class TestWelcome(unittest.TestCase):
    def test_welcome(self):
        self.assertEqual(welcome.welcome("Ada"), "hello Ada!")

    def test_each(self):
        for name in ("Ada", "Grace"):
            with self.subTest(name):
                self.assertEqual(welcome.welcome(name), f"hello {name}!")

    def test_count(self):
        self.assertEqual(welcome.count(["Ada"]), 1)
        self.assertEqual(welcome.count([]), 0)

    @unittest.skip("not yet")
    def test_later(self):
        self.fail()
"""
FILES = {"welcome.py": CODE, "tests/__init__.py": "", "tests/test_welcome.py": TESTS, "setup.cfg": "hello==1.0\n"}
PYTEST = ("iniconfig==2.3.0", "packaging==25.0", "pluggy==1.6.0", "pygments==2.19.2", "pytest==9.0.1")


def patch(path: str, before: str, after: str) -> str:
    """Return a patch in the form of the rows: without prefixes to its paths."""
    return "".join(unified_diff(before.splitlines(True), after.splitlines(True), path, path))


def row(commit: str, **other: Any) -> dict[str, Any]:
    return {
        "repo_name": "ada/welcome",
        "repo_url": "https://example.eu/ada/welcome",
        "commit_hash": commit,
        "patch": patch("setup.cfg", "hello==1.0\n", "hello\n"),
        "test_patch": "",
        "gold_patch": patch("welcome.py", CODE, RIGHT),
        "dependency_versions": "hello==2.0\n",
        "test_type": "unittest",
        "test_files": "tests/test_welcome.py",
        "test_count": 3,
        "reproduction_target_version": "3.6.4",
        "migration_target_version": "",
        "license": "MIT",
        **other,
    }


def wheels(folder: Path) -> None:
    """Make both versions of the package."""
    folder.mkdir()
    for version, code in (
        ("1.0", "def say(name):\n    return f'hello {name}'\n"),
        ("2.0", "def say(word, name):\n    return f'{word} {name}'\n"),
    ):
        with zipfile.ZipFile(folder / f"hello-{version}-py3-none-any.whl", "w") as wheel:
            info = f"hello-{version}.dist-info"
            wheel.writestr("hello.py", code)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: hello\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")


class Miniature:
    """The repository as `repos`/ada/welcome, and a file of cases."""

    def __init__(self, folder: Path) -> None:
        self.repos, self.file = folder / "repos", folder / "cases.jsonl"
        self.checkout = Checkout(self.repos / "ada" / "welcome")
        self.commit = self.checkout.commit(FILES)
        self.checkout.commit({"later.py": "x = 1\n"})  # a case need not be about the last commit
        self.rows()

    def rows(self, *others: dict[str, Any]) -> Path:
        """Write a row for each of `others`, told against the row as it is."""
        rows = [row(self.commit) | other for other in others or ({},)]
        self.file.write_text("".join(f"{json.dumps(one)}\n" for one in rows))
        return self.file


def offline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let uv know of these wheels alone."""
    wheels(folder / "wheels")
    for name in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = folder / "uv.toml"
    settings.write_text(f'no-index = true\nfind-links = ["{folder / "wheels"}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))
    monkeypatch.setenv("UV_FIND_LINKS", str(folder / "wheels"))  # which builds see: they are told by this name
