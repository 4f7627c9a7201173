"""What a generated test must not hold, by its text alone: it is run on code whose edit it is to prove."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from operators.syntax import honest
from operators.syntax.cases import collected, functions
from operators.syntax.marks import Code, within
from operators.syntax.outline import parse
from operators.syntax.reached import asserted

# Of the standard library, what values are made and looked at with.
HARMLESS = {
    *("__future__", "abc", "argparse", "array", "asyncio", "calendar", "cmath", "collections", "contextlib", "copy"),
    *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "io", "itertools", "json", "logging"),
    *("math", "numbers", "operator", "pathlib", "pprint", "pytest", "re", "statistics", "string", "struct", "textwrap"),
    *("types", "typing", "unittest", "warnings", "zoneinfo"),
}
WHY = {
    "wait": "a test must not wait",
    "write": "a test must not touch files",
    "chance": "what it gives is another each time",
    "surroundings": "what it says depends on where the test runs",
    "text": "a test looks at what code does, not at how it is written",
}
_NAMES: dict[str, tuple[str, ...]] = {
    "wait": ("time.sleep", "asyncio.sleep", "asyncio.wait_for", "threading", "sched", "select", "concurrent"),
    "write": (
        *("open", "io.open", "shutil", "tempfile"),
        *(f"os.{name}" for name in ("open", "remove", "unlink", "rename", "replace", "mkdir", "makedirs", "rmdir")),
    ),
    "chance": (
        *("time.time", "time.monotonic", "time.perf_counter", "random", "uuid", "secrets", "id", "hash"),
        *(f"datetime.{name}" for name in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")),
    ),
    "surroundings": (
        "os.environ",
        "os.getenv",
        "os.getcwd",
        "platform",
        "locale",
        "sys.argv",
        "sys.modules",
        "sys.path",
    ),
    "text": ("inspect", "ast", "linecache", "tokenize", "dis"),
}
_INNARDS = {
    *("__code__", "__globals__", "__closure__", "__dict__", "__builtins__", "__subclasses__", "__file__", "__spec__"),
    *("__loader__", "__defaults__", "__kwdefaults__", "__traceback__"),
}
_WRITES = {"write_text", "write_bytes", "mkdir", "touch", "unlink", "rmdir", "rename", "symlink_to", "open", "chmod"}


def faults(text: str, modules: Sequence[str], about: Sequence[str], own: Sequence[str]) -> list[honest.Fault]:
    """Say what is wrong with a generated test. `modules`: the dotted names of what it is about; `about`: their texts,
    whose imports it may use; `own`: top-level modules of the repository. Raises Skip when it does not parse."""
    code = Code(parse(text))
    tests = [(name, case.node) for name, case in collected(code.tree.body).items()]
    if not tests:
        return [(0, "there is no test in it")]
    used = {name.partition(".")[0] for one in about for name in Code(parse(one)).imports.values()}
    found = list(_imports(code, modules, {*HARMLESS, *own, *used}))
    idle = [(node.lineno, f"`{name}` asserts nothing that could fail") for name, node in tests if not _says(code, node)]
    told = [*found, *idle, *_uses(code)]
    return [*honest.faults("", text, True, []), *sorted(dict.fromkeys(told))]


def _says(code: Code, test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a test, or a function of the file that it calls, asserts something."""
    called = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    own = dict(functions(code.tree.body))
    return any(asserted(code, node)[0] for node in (test, *(own[name] for name in called & own.keys())))


def _imports(code: Code, modules: Sequence[str], allowed: Collection[str]) -> Iterator[honest.Fault]:
    names: list[tuple[int, str]] = []
    for spot in code.spots:
        match spot.node:
            case ast.Import(aliases):
                names += [(spot.line, alias.name) for alias in aliases]
            case ast.ImportFrom(module, aliases, level):
                names += [(spot.line, f"{'.' * (level or 0)}{module or ''}.{alias.name}") for alias in aliases]
    for line, name in names:
        if name.partition(".")[0] not in allowed:
            yield line, f"`{name}` is imported, which the code that it is about does not use"
    if not any(within(name, modules) for _, name in names):
        yield 0, f"it does not import `{modules[0]}`, which it is about"


def _uses(code: Code) -> Iterator[honest.Fault]:
    for spot, name in code.named:
        for rule, names in _NAMES.items():
            if spot.line and within(name, names) and (spot.called or "." in name):
                yield spot.line, f"`{name}` is used: {WHY[rule]}"
    for spot in code.spots:
        match spot.node:
            case ast.Attribute(_, name) if spot.called and name in _WRITES:
                yield spot.line, f"`{name}()` is called: {WHY['write']}"
            case ast.Name(name) | ast.Attribute(_, name) | ast.Constant(str(name)) if name in _INNARDS:
                yield spot.line, f"`{name}` is used: {WHY['text']}"
            case ast.Attribute(value, _, ast.Store() | ast.Del()) if code.dotted(value, spot.own):
                yield spot.line, f"`{ast.unparse(spot.node)}` is set: {honest.WHY['patching']}"
            case ast.Call(ast.Name("setattr" | "delattr"), [value, *_]) if code.dotted(value, spot.own):
                yield spot.line, f"`{ast.unparse(spot.node)}` is called: {honest.WHY['patching']}"
