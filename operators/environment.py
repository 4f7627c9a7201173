"""Python environments of target repositories, built once with uv and found again by content.

Building runs the repository's build backend and needs the package index: the only step with a network.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from operators.checkout import Tree
from operators.data import Base, Trouble
from operators.folders import alone, seen
from operators.pristine import MAX_FILES
from operators.proc import ended, git_records, run
from operators.workspace import Workspace

SECONDS = 1800.0
LARGEST = 16 << 30  # bytes of the largest file in a wheel: libraries of torch take some
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
        made = folder / "made.json"
        with alone(folder.with_suffix(".lock")):
            if not made.exists():
                made.with_suffix(".new").write_text(json.dumps(self._build(base, folder)))
                made.with_suffix(".new").replace(made)
        found, python = json.loads(made.read_text()), str(folder / "bin" / "python")
        path = tuple(dict.fromkeys([*found["path"], *base.path]))
        return replace(base, python=python, parser="" if found["version"] == VERSION else python, path=path)

    def _build(self, base: Base, folder: Path) -> dict[str, object]:
        """Return the version of the environment's Python, and the folders of the checkout that hold what was installed
        from there."""
        own = Workspace(base).tree() if self.install else None
        cwd = own.folder if own else folder.parent
        # Always named: else the repository's .python-version or requires-python would choose, or have one downloaded.
        _uv(["venv", "--quiet", "--clear", "--python", self.python or sys.executable, str(folder)], cwd)
        python = str(folder / "bin" / "python")
        if self.install:
            _uv(["pip", "install", "--quiet", "--python", python, *self.install], cwd)
        asked = "import sys; print('%d.%d' % sys.version_info[:2])"
        said = run([python, "-I", "-c", asked], cwd=folder, env={}, timeout=60).out
        return {"version": said.strip(), "path": _taken_out(folder, own) if own else []}


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
    env["UV_NO_EDITABLE"] = "1"  # the checkout that it is built in is neither everybody's nor there for long
    done = run([find_uv_bin(), *args], cwd=cwd, env=env, timeout=SECONDS, largest=LARGEST, contain=True)
    if done.code:
        what = " ".join(args[: args.index("--quiet")])
        raise NotBuilt(f"`uv {what}` ended with {ended(done.code)}:\n{done.out.strip()[-3000:]}")


def _taken_out(environment: Path, own: Tree) -> list[str]:
    """Remove the modules that were installed from the checkout: an edit would change nothing in them, and they may be
    those of an older commit. Return the folders of the checkout where they are imported from instead."""
    files: dict[str, list[str]] = defaultdict(list)
    for path in seen(own.base).files:
        files[path.rpartition("/")[2]].append(path)
    missing: dict[str, set[str]] = {}
    for site, module in _installed(environment, own.folder.as_uri()):
        places = [path for path in files[module.rpartition("/")[2]] if f"/{path}".endswith(f"/{module}")]
        data = (site / module).read_bytes()
        same = [path for path in places if (own.base / path).read_bytes() == data]
        missing[module] = {path.removesuffix(module).rstrip("/") for path in same or places}
        (site / module).unlink()
    found: list[str] = []
    while counts := Counter(folder for folders in missing.values() for folder in folders):
        most = max(counts.values())
        found.append(
            min((folder for folder, count in counts.items() if count == most), key=lambda one: (len(one), one))
        )
        missing = {module: folders for module, folders in missing.items() if found[-1] not in folders}
    return found


def _installed(environment: Path, url: str) -> Iterator[tuple[Path, str]]:
    """Yield site-packages and path of each module that was installed from the folder at `url`, or one below it."""
    for origin in environment.glob("lib/python*/site-packages/*.dist-info/direct_url.json"):
        came = json.loads(origin.read_text())
        if "dir_info" not in came or not f"{came['url']}/".startswith(f"{url}/"):
            continue
        with (origin.parent / "RECORD").open(newline="") as record:
            for path, *_ in csv.reader(record):
                if path.endswith(".py") and not path.startswith(("/", "..")):
                    yield origin.parents[1], path
