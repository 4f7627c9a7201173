"""Python environments of target repositories, built once with uv and found again by content.

Building runs the repository's build backend and needs the package index: the only step with a network.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from operators.checkout import MAX_FILES
from operators.data import Base, Trouble
from operators.proc import git_records, run
from operators.workspace import Workspace

SECONDS = 1800.0
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PASSED = ("HOME", "PATH", "LANG", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
PREFIXES = ("UV_", "PIP_", "SSL_")
MANIFESTS = (
    *("pyproject.toml", "setup.py", "setup.cfg", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"),
    *("requirements*.txt", "*requirements.txt", "requirements/*.txt", "constraints*.txt"),
)


class NotBuilt(Trouble):
    """uv could not build the environment; the message ends with what it said."""


@dataclass(frozen=True, slots=True)
class Environment:
    python: str = ""
    """Version, such as "3.12"; empty: that of Umbau's own interpreter."""
    install: tuple[str, ...] = ()
    """What `uv pip install` is given, "." being the repository itself."""

    def build(self, base: Base) -> Base:
        """Return `base` with its interpreter, building the environment unless it is there. Raises NotBuilt."""
        version = self.python or VERSION
        key = hashlib.sha256(json.dumps([base.repo, version, self.install, _manifests(base)]).encode())
        folder = Path(base.mirror).parents[1] / "environments" / key.hexdigest()[:16]
        python = folder / "bin" / "python"
        with _alone(folder):
            if not (folder / "complete").exists():
                self._build(base, folder)
                (folder / "complete").touch()
        own = (folder / "version").read_text()
        return replace(base, python=str(python), parser="" if own == VERSION else str(python))

    def _build(self, base: Base, folder: Path) -> None:
        cwd = Workspace(base).tree().folder if self.install else folder.parent
        # Always named: else the repository's .python-version or requires-python would choose, or have one downloaded.
        _uv(["venv", "--quiet", "--clear", "--python", self.python or sys.executable, str(folder)], cwd)
        python = str(folder / "bin" / "python")
        if self.install:
            _uv(["pip", "install", "--quiet", "--python", python, *self.install], cwd)
        asked = "import sys; print('%d.%d' % sys.version_info[:2])"
        said = run([python, "-I", "-c", asked], cwd=folder, env={}, timeout=60).out
        (folder / "version").write_text(said.strip())


def _manifests(base: Base) -> list[str]:
    """Return mode, blob id and path of each file that says what to install."""
    from pathspec import GitIgnoreSpec

    wanted = GitIgnoreSpec.from_lines(MANIFESTS)
    entries = git_records(Path(base.mirror), "ls-tree", "-r", "-z", "--full-tree", base.commit, limit=MAX_FILES)
    listed = [entry.decode(errors="replace") for entry in entries]
    return [entry for entry in listed if wanted.match_file(entry.partition("\t")[2])]


def _uv(args: Sequence[str], cwd: Path) -> None:
    from uv import find_uv_bin

    cwd.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if name in PASSED or name.startswith(PREFIXES)}
    done = run([find_uv_bin(), *args], cwd=cwd, env=env, timeout=SECONDS)
    if done.code:
        what = " ".join(args[: args.index("--quiet")])
        raise NotBuilt(f"`uv {what}` ended with exit code {done.code}:\n{done.out.strip()[-3000:]}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
