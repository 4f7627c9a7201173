"""Python environments of target repositories, built once with uv and found again by content.

Building runs the repository's build backend and needs the package index, which is all of the network that it reaches.
What was built is hostile from then on: nothing of it is run or written to but in a box.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from operators import index, takeout
from operators.data import Base, Trouble
from operators.egress import INSIDE, PORT, gate
from operators.folders import alone, scratch, seen
from operators.pristine import MAX_FILES
from operators.proc import Result, git_records, run
from operators.sandbox import Outside
from operators.stage import own
from operators.workspace import Workspace

SECONDS = 1800.0
LARGEST = 16 << 30  # bytes of the largest file in a wheel: libraries of torch take some
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PASSED = ("LANG", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
PROXIES = {
    **dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), f"http://127.0.0.1:{PORT}"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
}
FROM_HERE = {"UV_PYTHON_DOWNLOADS": "never", "UV_OFFLINE": "1"}
PREFIXES = ("UV_", "PIP_", "SSL_")
OURS = ("UV_PUBLISH_",)  # of these, what a build has no use for
SETTINGS = {"XDG_CONFIG_HOME": "uv/uv.toml", "UV_CONFIG_FILE": "uv.toml"}  # of uv, by variable and name in a box
MADE = 2  # counts up when an environment is made in another way
TRACING = "umbau-tracing"  # folder within an environment
MANIFESTS = (
    *("pyproject.toml", "setup.py", "setup.cfg", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"),
    *("requirements*.txt", "*requirements.txt", "requirements/*.txt", "constraints*.txt"),
)
_ASKED = """\
import json, os, sys
print(json.dumps(['%d.%d' % sys.version_info[:2], os.path.realpath(sys.executable), sys.base_prefix]))
"""


class NotBuilt(Trouble):
    """uv could not build the environment; the message ends with what it said."""


@dataclass(frozen=True, slots=True)
class Environment:
    python: str = ""
    """Version, such as "3.12"; empty: that of Umbau's own interpreter."""
    install: tuple[str, ...] = ()
    """What `uv pip install` is given, "." being the repository itself."""

    def build(self, base: Base) -> Base:
        """Return `base` with its interpreter, building the environment unless it is there. Raises NotBuilt,
        NoSandbox."""
        version = self.python or VERSION
        key = hashlib.sha256(json.dumps([MADE, base.repo, version, self.install, _manifests(base)]).encode())
        folder = Path(base.mirror).parents[1] / "environments" / key.hexdigest()[:16]
        made = folder.with_suffix(".json")  # beside it, where no build can write
        with alone(folder.with_suffix(".lock")):
            if not made.exists():
                made.with_suffix(".new").write_text(json.dumps(self._build(base, folder)))
                made.with_suffix(".new").replace(made)
        found = json.loads(made.read_text())
        return replace(
            base,
            python=str(folder / "bin" / "python"),
            parser="" if found["version"] == VERSION else found["parser"],
            path=tuple(dict.fromkeys([*found["path"], *base.path])),
            needs=(str(folder), found["prefix"]),
        )

    def _build(self, base: Base, folder: Path) -> dict[str, object]:
        """Return the version of the environment's Python, its interpreter and folder outside of the environment, and
        the folders of the checkout that hold what was installed from there."""
        version, parser, prefix = self._made(folder)
        found: list[str] = []
        if self.install:
            ws = Workspace(replace(base, needs=(prefix,)))
            _installed(ws, folder, self.install)
            found = _taken_out(ws, folder)
        told = {"version": version, "parser": parser, "prefix": prefix, "path": found}
        return {**told, "mirror": Path(base.mirror).stem}  # with which it goes when it is purged

    def _made(self, folder: Path) -> tuple[str, str, str]:
        """Make an empty environment, with which nobody's code has anything to do yet."""
        from uv import find_uv_bin

        folder.parent.mkdir(parents=True, exist_ok=True)
        # Always named: else a .python-version or requires-python above would choose. What is not here is not fetched:
        # it would come from where uv's maker keeps interpreters, past the way out that builds have.
        python = self.python or sys.executable
        argv = [find_uv_bin(), "venv", "--quiet", "--clear", "--no-project", "--python", python, str(folder)]
        passed = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        made = run(argv, cwd=folder.parent, env={**_env(), **passed, **FROM_HERE}, timeout=SECONDS)
        hint = f"No interpreter is fetched: `uv python install {python}`, on each machine that builds"
        _well(replace(made, out=f"{made.out.strip()}\n{hint if self.python else ''}"), "uv venv")
        said = run([str(folder / "bin" / "python"), "-I", "-c", _ASKED], cwd=folder, env={}, timeout=60)
        version, parser, prefix = json.loads(_well(said, "python"))
        below = seen(folder)
        for path in ("", *below.folders, *below.files):
            own(folder / path)
        return version, parser, prefix


def tracing(base: Base) -> str:
    """Return the folder that holds a `coverage` for the base's interpreter, as a command sees it."""
    own_folder = Path(base.python).parents[1] / TRACING if base.python else None
    return str(own_folder or Path(find_spec("coverage").origin).parents[1])  # type: ignore[union-attr, arg-type]


def _manifests(base: Base) -> list[str]:
    """Return mode, blob id and path of each file that says what to install."""
    from pathspec import GitIgnoreSpec

    wanted = GitIgnoreSpec.from_lines(MANIFESTS)
    entries = git_records(Path(base.mirror), "ls-tree", "-r", "-z", "--full-tree", base.commit, limit=MAX_FILES)
    listed = [entry.decode(errors="replace") for entry in entries]
    return [entry for entry in listed if wanted.match_file(entry.partition("\t")[2])]


def _installed(ws: Workspace, folder: Path, install: Sequence[str]) -> None:
    """Install into an environment, with a way to the package index and a cache that no other repository's build can
    write to."""
    from uv import find_uv_bin

    uv, cache = find_uv_bin(), folder.parent / "cache" / Path(ws.base.mirror).stem
    cache.mkdir(parents=True, exist_ok=True)
    own(cache)
    env, read = _env(), [str(Path(uv).parent)]
    read += [place for place in env.get("UV_FIND_LINKS", "").replace(",", " ").split() if Path(place).is_dir()]
    # Neither is the checkout that it is built in everybody's or there for long, nor the cache on the same mount.
    env |= {"UV_NO_EDITABLE": "1", "UV_CACHE_DIR": str(cache), "UV_LINK_MODE": "copy", "PATH": os.defpath}
    texts = {name: place.read_text() for name, place in _settings().items()}
    with scratch() as way, gate(way / "out", index.may) as found:
        way.chmod(0o755)
        outside = Outside(kept=(str(folder), str(cache)), read=(*read, str(way)), largest=LARGEST)
        with ws.box(outside) as box:
            env |= {"HOME": box.home, "TMPDIR": box.home}
            for variable, text in texts.items():
                name = SETTINGS.get(variable, "certificates.pem")
                box.give(name, text)
                env[variable] = f"{box.given}/{name}".removesuffix("/uv/uv.toml")
            argv = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
            if ws.sandbox:
                box.give("way_out.py", INSIDE)
                argv = [sys.executable, "-I", "-S", f"{box.given}/way_out.py", str(way / "out"), str(PORT), *argv]
                env |= PROXIES
            done = box.start([*argv, *install], env, SECONDS)
            _well(replace(done, out=f"{done.out.strip()}\n{found.told()}"), "uv pip install")
            # For the map of what tests execute; where there is none to be had, all tests are run.
            box.start([*argv, "--target", str(folder / TRACING), "coverage"], env, SECONDS)


def _taken_out(ws: Workspace, folder: Path) -> list[str]:
    with ws.box(Outside(kept=(str(folder),))) as box:
        box.give("takeout.py", Path(takeout.__file__).read_text())
        argv = [sys.executable, "-I", "-S", f"{box.given}/takeout.py", str(folder), box.code]
        found: list[str] = json.loads(_well(box.start(argv, {}, SECONDS), "python"))
    return found


def _well(done: Result, what: str) -> str:
    if done.code:
        raise NotBuilt(f"`{what}` {done.how(SECONDS)}:\n{done.out.strip()[-3000:]}")
    return done.out


def _env() -> dict[str, str]:
    """Return of our environment what uv may see: where the index is, and how to get there."""
    names = [name for name in os.environ if name in PASSED or name.startswith(PREFIXES)]
    env = {name: os.environ[name] for name in names if not name.startswith(OURS)}
    pips = os.environ.get(index.PIPS)  # which uv does not read
    return env | ({"UV_DEFAULT_INDEX": pips} if pips and pips == index.default() else {})


def _settings() -> dict[str, Path]:
    """Return the user's settings of uv, or else the machine's, and certificates: by the variable that says where they
    are."""
    certificates = Path(os.environ.get("SSL_CERT_FILE", ""))
    return index.settings() | ({"SSL_CERT_FILE": certificates} if certificates.is_file() else {})
