"""With the real uv, and a project that is its own build backend, so that no index is needed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from operators.data import Base
from operators.environment import VERSION, Environment, NotBuilt
from operators.proc import run
from operators.workspace import Workspace
from tests.conftest import Checkout, Files
from tests.operators.conftest import MakeBase, base_of

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
import time
import zipfile
from pathlib import Path

INFO = "billing-1.dist-info"
TOLD = Path(os.environ["UV_CACHE_DIR"])


def build_wheel(folder, config_settings=None, metadata_directory=None):
    with (TOLD / "builds").open("a") as builds:
        builds.write(" ".join(os.environ) + "\\n")
    if (TOLD / "broken").exists():
        raise SystemExit("there is no compiler here")
    time.sleep(float(os.environ.get("UV_SECONDS", 0)))
    with zipfile.ZipFile(Path(folder) / "billing-1-py3-none-any.whl", "w") as wheel:
        wheel.write(next(Path().glob("**/billing.py")), "billing.py")
        wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\\nName: billing\\nVersion: 1\\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return "billing-1-py3-none-any.whl"
"""
PROJECT = {"pyproject.toml": PYPROJECT, "backend.py": BACKEND, "billing.py": "paid = 'in full'\n"}
ITSELF = Environment(install=(".",))


@pytest.fixture(autouse=True)
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the backend says what it does, uv's own for the repository; uv has no network."""
    settings = {
        "UV_TOLD": 1,
        "UV_OFFLINE": 1,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    return tmp_path / "umbau" / "environments" / "cache" / "billing"


def builds(told: Path) -> list[str]:
    return (told / "builds").read_text().splitlines()


def says(base: Base, code: str) -> str:
    """Run code in the environment of a base."""
    return run([base.python, "-I", "-c", code], cwd=Path("/"), env={}, timeout=60).out.strip()


def imports(base: Base, path: str = "billing.py", text: str = PROJECT["billing.py"]) -> str:
    """Say what a command of a job imports, with an edit in the checkout."""
    ws = Workspace(base, {path: text})
    with ws.box() as box:
        done = ws.run(box, "python -c 'import billing; print(billing.paid, billing.__file__)'", (), 60)
        return done.out.strip().replace(box.code, "checkout")


INSTALLED = "from importlib.metadata import version; print(version('billing'))"


def test_the_repository_itself_is_installed_and_imported_from_the_checkout(base: MakeBase) -> None:
    built = ITSELF.build(base(PROJECT))
    assert says(built, INSTALLED) == "1"
    assert imports(built) == "in full checkout/billing.py"
    assert built.parser == "", "its Python has the syntax of ours"


@pytest.mark.parametrize("folder", ["", "src/", "lib/", "packages/billing/python/"])
def test_an_edit_is_imported_wherever_the_sources_are(base: MakeBase, folder: str) -> None:
    files = {name: text for name, text in PROJECT.items() if name != "billing.py"}
    built = ITSELF.build(base({**files, f"{folder}billing.py": "paid = 'in full'\n", "tests/other.py": ""}))
    assert imports(built, f"{folder}billing.py", "paid = 'never'\n") == f"never checkout/{folder}billing.py"


def test_it_stands_beside_the_mirrors_and_nothing_else_of_the_base_changes(base: MakeBase) -> None:
    before = base({"a.py": ""})
    built = Environment().build(before)
    assert Path(built.python).parents[3] == Path(before.mirror).parents[1]
    assert replace(built, python="", needs=()) == before
    assert built.needs[0] == str(Path(built.python).parents[1])


def test_it_is_built_once_and_found_again(base: MakeBase, told: Path) -> None:
    before = base(PROJECT)
    built = ITSELF.build(before)
    assert ITSELF.build(replace(before, facts={"pytest": {}})) == replace(built, facts={"pytest": {}})
    assert len(builds(told)) == 1


def moved(checkout: Callable[..., Checkout], tmp_path: Path, files: Files) -> tuple[str, str]:
    """Return the environment's Python of a commit, and of the next one with other files."""
    made = checkout({"app.py": "x = 1\n", "uv.lock": "version = 1\n"})
    first = base_of(made, tmp_path)
    made.commit(files)
    shutil.rmtree(first.mirror)
    second = base_of(made, tmp_path)
    assert first.commit != second.commit
    return Environment().build(replace(first, mirror=second.mirror)).python, Environment().build(second).python


@pytest.mark.parametrize(
    "files",
    [
        {"uv.lock": "version = 2\n"},
        {"uv.lock": None},
        {"poetry.lock": ""},
        {"requirements-dev.txt": "pytest\n"},
        {"requirements/ümlaut.txt": "pytest\n"},
        {"libs/core/pyproject.toml": PYPROJECT},
    ],
    ids=str,
)
def test_what_says_what_to_install_makes_another_environment(
    files: Files, checkout: Callable[..., Checkout], tmp_path: Path
) -> None:
    first, second = moved(checkout, tmp_path, files)
    assert first != second
    assert Path(first).exists(), "shards of the older commit may still need it"


@pytest.mark.parametrize("files", [{"app.py": "x = 2\n"}, {"README.md": "# App\n", "docs/lock.txt": "1\n"}], ids=str)
def test_other_files_do_not(files: Files, checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    first, second = moved(checkout, tmp_path, files)
    assert first == second


def test_other_settings_and_other_repositories_have_their_own(base: MakeBase) -> None:
    one, other = base(PROJECT), base(PROJECT, "shop")
    built = [
        Environment().build(one),
        ITSELF.build(one),
        replace(ITSELF, install=(".", "--no-deps")).build(one),
        Environment().build(other),
    ]
    assert len({made.python for made in built}) == len(built)


def test_a_build_that_breaks_is_told_with_its_own_words_and_tried_again(base: MakeBase, told: Path) -> None:
    before = base(PROJECT)
    told.mkdir(parents=True)
    (told / "broken").touch()
    for _ in range(2):
        with pytest.raises(NotBuilt, match=r"(?s)`uv pip install` ended with exit code 1:.*there is no compiler here"):
            ITSELF.build(before)
    (told / "broken").unlink()
    assert says(ITSELF.build(before), INSTALLED) == "1"
    assert len(builds(told)) == 3


@pytest.mark.parametrize(
    ("files", "environment", "said"),
    [
        ({"a.py": ""}, Environment(install=("no-such-package==1.0",)), r"`uv pip install` .*no-such-package"),
        ({"a.py": ""}, Environment(install=(".",)), r"`uv pip install` .*(pyproject\.toml|setup\.py)"),
        ({"a.py": ""}, Environment(install=("-r", "requirements.txt")), r"`uv pip install` .*requirements\.txt"),
        ({"a.py": ""}, Environment("3.99"), r"`uv venv` .*3\.99"),
        (
            {**PROJECT, "pyproject.toml": PYPROJECT + 'requires-python = ">=3.99"\n'},
            ITSELF,
            r"`uv pip install` .*>=3\.99",
        ),
    ],
    ids=lambda given: str(getattr(given, "install", "")),
)
def test_what_cannot_be_had_is_told(base: MakeBase, files: Files, environment: Environment, said: str) -> None:
    with pytest.raises(NotBuilt, match=f"(?s){said}"):
        environment.build(base(files))


def test_a_backend_is_told_nothing_of_our_environment(
    base: MakeBase, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UMBAU_MODEL_KEY", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, "secret")
    ITSELF.build(base(PROJECT))
    (seen,) = builds(told)
    assert "UV_TOLD" in seen.split(), "uv's own settings are passed: an index of the house, a proxy"
    assert not {"UMBAU_MODEL_KEY", "AWS_SECRET_ACCESS_KEY"} & set(seen.split())


def test_pips_variable_names_the_index_where_uv_is_told_of_none(
    base: MakeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, named = base({"a.py": ""}), Environment(install=("no-such-package==1.0",))
    for name in ("UV_OFFLINE", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.nobody.example/simple")
    with pytest.raises(NotBuilt, match=r"https://index\.nobody\.example/simple/no-such-package"):
        named.build(before)
    monkeypatch.setenv("UV_INDEX_URL", "https://other.nobody.example/simple")
    with pytest.raises(NotBuilt, match=r"https://other\.nobody\.example/simple/no-such-package"):
        named.build(before)


def test_what_the_build_leaves_in_the_checkout_does_not_stay(base: MakeBase) -> None:
    littering = BACKEND.replace(
        "    return ", '    Path("billing.py").write_text("")\n    Path("new").touch()\n    return '
    )
    built = ITSELF.build(base({**PROJECT, "backend.py": littering}))
    folder = Workspace(built).tree().folder
    assert (folder / "billing.py").read_text() == PROJECT["billing.py"]
    assert not (folder / "new").exists()


def test_unless_the_job_says_so_the_python_is_ours(base: MakeBase) -> None:
    built = ITSELF.build(base({**PROJECT, ".python-version": "3.99\n"}))
    assert says(built, "import sys; print(sys.version, sys.base_prefix)") == f"{sys.version} {sys.base_prefix}"
    assert built.parser == ""


def others() -> list[tuple[str, Path]]:
    """Return other versions of Python that this machine has, and the folders that hold them."""
    versions = [version for version in ("3.10", "3.11", "3.12", "3.13") if version != VERSION]
    folders = [*Path.home().glob(".pyenv/versions/*/bin"), *map(Path, os.get_exec_path())]
    found = [(version, folder) for version in versions for folder in folders if (folder / f"python{version}").exists()]
    return [(version, folder) for version, folder in found if "shims" not in folder.parts]


@pytest.mark.skipif(not others(), reason="this machine has one version of Python")
def test_another_python_has_a_syntax_of_its_own(base: MakeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    version, folder = others()[0]
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    before = base({"a.py": ""})
    for _ in range(2):
        built = Environment(version).build(before)
        assert built.parser == str(Path(built.python).resolve())
    assert says(built, "import sys; print('%d.%d' % sys.version_info[:2])") == version


def test_two_processes_at_once_build_it_once(base: MakeBase, told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = base(PROJECT)
    monkeypatch.setenv("UV_SECONDS", "0.5")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        first, second = pool.map(ITSELF.build, [before, before])
    assert first == second
    assert len(builds(told)) == 1
    assert says(first, INSTALLED) == "1"
