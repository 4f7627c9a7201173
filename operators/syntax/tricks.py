"""What makes a green test run worth nothing, or gives code powers that it did not have, in any file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from operators.syntax.marks import Code, Mark, Spot, uses
from operators.syntax.trivial import trivial

NAMED: dict[str, tuple[str, tuple[str, ...]]] = {
    "sys.exit": ("can end a test run early", ("sys.exit", "exit", "quit", "unittest.main")),
    "os._exit": (
        "ends the process with the tests in it",
        ("os._exit", "os.abort", "os.kill", "os.killpg", "signal.raise_signal", "faulthandler"),
    ),
    "atexit": ("runs after the tests and can change how they end", ("atexit", "weakref.finalize")),
    "settrace": (
        "reaches into whatever runs",
        ("sys.settrace", "sys.setprofile", "sys.monitoring", "threading.settrace", "threading.setprofile"),
    ),
    "signal": (
        "can end or outlast the tests",
        ("signal.signal", "signal.alarm", "signal.setitimer", "signal.pthread_kill"),
    ),
    "frames": ("sees who calls it", ("sys._getframe", "inspect.stack", "inspect.currentframe", "gc.get_referrers")),
    "eval": ("runs text as code", ("eval", "exec", "compile", "runpy", "code.InteractiveInterpreter")),
    "import": (
        "imports by a name made up as it runs",
        ("__import__", "importlib.import_module", "importlib.reload", "imp"),
    ),
    "ctypes": ("reaches below Python", ("ctypes", "cffi")),
    "pickle": (
        "runs what it is given",
        ("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal", "dill", "shelve"),
    ),
    "subprocess": (
        "starts programs",
        (
            *("subprocess", "os.system", "os.popen", "os.fork", "os.posix_spawn", "pty", "multiprocessing"),
            *(
                f"os.{how}{kind}"
                for how in ("exec", "spawn")
                for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")
            ),
        ),
    ),
    "network": (
        "talks to the network",
        (
            *(
                "socket",
                "urllib.request",
                "urllib2",
                "httplib",
                "http.client",
                "requests",
                "httpx",
                "aiohttp",
                "urllib3",
            ),
            *("ftplib", "smtplib", "telnetlib", "xmlrpc", "paramiko", "asyncio.open_connection"),
        ),
    ),
    "base64": ("hides what it holds", ("base64", "binascii", "codecs.decode", "zlib.decompress")),
}
"""Rule to why it is one, and the names that it is about."""
RUNNER = (
    *("_pytest", "pluggy", "pytest.hookimpl", "pytest.TestReport", "pytest.CallInfo", "unittest.result"),
    *("unittest.runner", "unittest.loader", "unittest.suite", "unittest.case", "unittest.TestResult"),
    *("unittest.TextTestRunner", "unittest.TextTestResult", "unittest.TestLoader", "unittest.TestSuite"),
)
RUNNERS = ("pytest", "_pytest", "pluggy", "unittest", "nose", "mock", "doctest")  # outside of tests
WHY = {
    **{rule: why for rule, (why, _) in NAMED.items()},
    "sys.modules": "changes what others import",
    "patching": "changes code of another module as it runs",
    "runner": "reaches into what runs the tests",
    "always-equal": "gives the same answer whatever it is asked",
}
_COMPARES = {
    f"__{name}__" for name in ("eq", "ne", "lt", "le", "gt", "ge", "bool", "hash", "contains", "instancecheck")
}
_BLOB = re.compile(r"[A-Za-z0-9+/=_\-]{200,}|(?:\\x[0-9a-f]{2}){50,}")
_CHANGES = {"pop", "update", "setdefault", "clear", "popitem", "__setitem__", "__delitem__"}
_RUNS = {"run", "debug", "__call__", "defaultTestResult", "countTestCases", "load_tests", "pytest_plugins"}
_HIDES = re.compile(r"_pytest|PYTEST_\w+")


def tricks(code: Code, test: bool) -> Iterator[Mark]:
    """Yield what the rules of WHY are about. `test`: it is a file of tests."""
    for rule, (_, prefixes) in NAMED.items():
        yield from uses(code, rule, prefixes)
    yield from uses(code, "runner", RUNNER if test else RUNNERS)
    for spot in code.spots:
        yield from _exit(code, spot)
        yield from _modules(code, spot)
        yield from _patching(code, spot)
        yield from _runner(spot, test)
        yield from _constant(spot)
        if isinstance(spot.node, ast.Constant) and isinstance(spot.node.value, str | bytes):
            value = spot.node.value if isinstance(spot.node.value, str) else spot.node.value.decode("latin-1")
            if _BLOB.search(value):
                yield spot.mark("base64", value, f"{value[:20]}...")


def _exit(code: Code, spot: Spot) -> Iterator[Mark]:
    if isinstance(spot.node, ast.Raise) and spot.node.exc:
        raised = spot.node.exc.func if isinstance(spot.node.exc, ast.Call) else spot.node.exc
        if code.dotted(raised, spot.own) == "SystemExit":
            yield spot.mark("sys.exit", "sys.exit", "SystemExit")


def _modules(code: Code, spot: Spot) -> Iterator[Mark]:
    """`sys.modules` that is written to, or passed on."""
    if code.dotted(spot.node, spot.own) != "sys.modules":
        return
    parent = spot.parent
    read = (isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Load)) or isinstance(parent, ast.Compare)
    if not read and not (isinstance(parent, ast.Attribute) and parent.attr not in _CHANGES):
        yield spot.mark("sys.modules", "sys.modules", "sys.modules")


def _patching(code: Code, spot: Spot) -> Iterator[Mark]:
    node = spot.node
    match node:
        case ast.Attribute(value, name, ast.Store() | ast.Del()):
            given = getattr(spot.parent, "value", None) if isinstance(spot.parent, ast.Assign) else None
        case ast.Call(ast.Name("setattr" | "delattr"), [value, key, *rest]):
            name = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""
            given = rest[0] if rest else None
        case ast.Subscript(value, _, ast.Store() | ast.Del()) | ast.Attribute(value, "update" | "pop" | "setdefault"):
            if what := _namespace(code, spot, value):
                yield spot.mark("patching", what, ast.unparse(node))
            return
        case ast.Name("__builtins__"):
            yield spot.mark("patching", "builtins", "__builtins__")
            return
        case _:
            return
    whose = code.dotted(value, spot.own)
    root = ast.unparse(value).partition(".")[0]
    code_given = isinstance(given, ast.Lambda) or (isinstance(given, ast.Name) and given.id in code.functions)
    special = name.startswith("__") and name.endswith("__")
    if whose and (root in code.modules or (root in code.imports and (code_given or special))):
        yield spot.mark("patching", whose, ast.unparse(node))


def _namespace(code: Code, spot: Spot, value: ast.expr) -> str:
    """Return whose namespace an expression is, as a dictionary; "" for anything else."""
    match value:
        case ast.Call(ast.Name("globals"), []) if "globals" not in spot.own:
            return "globals()"
        case ast.Call(ast.Name("vars"), [whose]) | ast.Attribute(whose, "__dict__"):
            return code.dotted(whose, spot.own)
    return ""


def _runner(spot: Spot, test: bool) -> Iterator[Mark]:
    """Hooks and methods by which tests are run, and code that looks whether tests run."""
    match spot.node:
        case ast.FunctionDef(name) if name.startswith("pytest_") or (test and name in _RUNS):
            yield spot.mark("runner", name, name)
        case ast.Name(name, ast.Store()) if name in _RUNS and not spot.where:
            yield spot.mark("runner", name, name)
        case ast.FunctionDef(name) if (
            test and isinstance(spot.parent, ast.ClassDef) and re.match("assert[A-Z]|fail", name)
        ):
            yield spot.mark("runner", name, name)
        case ast.Constant(str(text)) if not test and _HIDES.fullmatch(text):
            yield spot.mark("runner", text, repr(text))
        case ast.Compare(ast.Constant("pytest" | "unittest" as text)) if not test:
            yield spot.mark("runner", text, repr(text))


def _constant(spot: Spot) -> Iterator[Mark]:
    """Comparisons that always come out the same: an object that equals everything passes any assertion."""
    match spot.node:
        case ast.FunctionDef(name=name, body=body) if name in _COMPARES:
            returned = [one.value for node in body for one in ast.walk(node) if isinstance(one, ast.Return)]
        case ast.Assign([ast.Name(name)], ast.Lambda(body=value)) if name in _COMPARES:
            returned = [value]
        case _:
            return
    shown = {ast.unparse(one) if one else "None" for one in returned}
    if len(shown) == 1 and returned[0] and (isinstance(returned[0], ast.Constant) or trivial(returned[0])):
        whose = spot.parent.name if isinstance(spot.parent, ast.ClassDef) else ""
        yield Mark("always-equal", name, whose, spot.line, name)
