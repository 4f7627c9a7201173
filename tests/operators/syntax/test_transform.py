from __future__ import annotations

from pathlib import Path

import pytest

from operators import guard
from operators.data import Skip
from operators.guard import Broken
from operators.hunks import add, diff
from operators.source import split
from operators.syntax.cut import cut
from operators.syntax.outline import Lines
from operators.syntax.transform import examples, load, refused
from tests.operators.syntax.samples import LIBRARY, text_of

FORMAT = "convert_format_to_fstring.ConvertFormatStringCommand"
HITS = r"\.format\("
OWN = '''
"""Codemods for tests."""
import libcst as cst
from libcst.codemod import CodemodContext, VisitorBasedCodemodCommand
from libcst.codemod.visitors import AddImportsVisitor, RemoveImportsVisitor

EXAMPLES = [("a\\n", "b\\n")]


class Use(VisitorBasedCodemodCommand):
    """Calls of old() become new() of `source`; `old` is no longer imported."""

    def __init__(self, context: CodemodContext, source: str = "tools", drop: bool = False) -> None:
        super().__init__(context)
        self.source, self.drop = source, drop

    def leave_Call(self, was: cst.Call, call: cst.Call) -> cst.Call:
        if not isinstance(call.func, cst.Name) or call.func.value != "old":
            return call
        self.warn(f"{self.context.full_module_name} of {self.context.full_package_name}")
        AddImportsVisitor.add_needed_import(self.context, self.source, "new")
        if self.drop:
            RemoveImportsVisitor.remove_unused_import(self.context, "tools", "old")
        return call.with_changes(func=cst.Name("new"))


class Join(VisitorBasedCodemodCommand):
    """Three statements become one."""

    def leave_Module(self, was: cst.Module, module: cst.Module) -> cst.Module:
        return cst.parse_module("import os\\n\\nnew()\\n")


class NotOne:
    pass
'''
MODULE = """\
from tools import kept, old


def f():
    return old()


class A:
    def g(self):
        return old(kept)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("job")
    (folder / "own_codemods.py").write_text(OWN)
    (folder / "broken_codemods.py").write_text("import no_such_module\n")
    (folder / "odd_codemods.py").write_text("def f(:\n")
    return str(folder)


def use(
    home: str,
    text: str,
    *,
    reach: str = "module",
    spans: tuple[Lines, ...] = (),
    hits: str = r"old\(",
    **arguments: object,
) -> str:
    after, _ = guard.call(
        "transform:transform",
        name="own_codemods.Use",
        arguments=arguments,
        path="app/a.py",
        text=text,
        reach=reach,
        hits=hits,
        spans=spans,
        home=home,
    )
    return str(after)


def formatted(text: str, reach: str, spans: tuple[Lines, ...] = ()) -> str:
    after, _ = guard.call(
        "transform:transform", name=FORMAT, arguments={}, path="a.py", text=text, reach=reach, hits=HITS, spans=spans
    )
    return str(after)


WITH_FORMAT = [
    path
    for path in sorted([*LIBRARY.glob("*.py"), *LIBRARY.glob("*/*.py")])
    if "site-packages" not in path.parts and 1_000 < path.stat().st_size < 20_000 and b".format(" in path.read_bytes()
][::9]


@pytest.mark.parametrize("path", WITH_FORMAT, ids=lambda path: path.stem)
def test_what_sees_only_symbols_makes_the_same_bytes_as_what_sees_the_module(path: Path) -> None:
    text = text_of(path)
    assert formatted(text, "symbol") == formatted(text, "module")


@pytest.mark.parametrize("path", WITH_FORMAT[:6], ids=lambda path: path.stem)
def test_the_edits_of_all_symbols_make_the_edit_of_the_module(path: Path) -> None:
    text = after = text_of(path)
    for name, first, last in reversed(cut(text, HITS, 50)):  # from below, so that the lines above stay where they are
        assert name
        after = formatted(after, "symbol", ((first, last),))
    assert after == formatted(text, "module")


@pytest.mark.parametrize("text", ["", "x = 1\n", "# only\n", "'{}'.format(1)", "x = '{}'.format(1)\r\ny = 2\r\n"])
@pytest.mark.parametrize("reach", ["module", "symbol"])
def test_small_files_come_back_with_their_own_ends(text: str, reach: str) -> None:
    assert formatted(text, reach) == text.replace("'{}'.format(1)", "f'{1}'")


@pytest.mark.parametrize("reach", ["module", "symbol"])
def test_a_whole_file_may_change_its_imports(home: str, reach: str) -> None:
    after = MODULE.replace("old(", "new(").replace("kept, old", "new, kept, old")
    assert use(home, MODULE, reach=reach) == after


@pytest.mark.parametrize("reach", ["module", "symbol"])
def test_an_import_that_nothing_needs_any_more_goes_only_when_nothing_does(home: str, reach: str) -> None:
    assert "import new, kept\n" in use(home, MODULE, reach=reach, drop=True)
    used = MODULE + "\n\nlast = map(old, [])\n"
    assert "import new, kept, old\n" in use(home, used, reach=reach, drop=True)


@pytest.mark.parametrize("reach", ["module", "symbol"])
@pytest.mark.parametrize(
    ("text", "source", "added"),
    [
        (MODULE, "tools", "from tools import kept, old\nfrom tools import new\n"),
        (MODULE, "more.tools", "from tools import kept, old\nfrom more.tools import new\n"),
        (
            MODULE.replace("import kept, old", "import (\n    kept,\n    old,\n)"),
            "tools",
            "from tools import (\n    kept,\n    old,\n)\nfrom tools import new\n",
        ),
    ],
)
def test_a_symbol_changes_alone_and_what_it_needs_is_imported_on_a_line_of_its_own(
    home: str, text: str, source: str, added: str, reach: str
) -> None:
    last = len(text.splitlines())
    after = use(home, text, reach=reach, spans=((last - 2, last),), source=source, drop=True)
    rest = text[text.index("\n\n") + 1 :].replace("old(kept)", "new(kept)")
    assert after == added + rest


def test_what_is_imported_already_is_not_imported_again(home: str) -> None:
    text = MODULE.replace("old\n", "new, old\n")
    assert use(home, text, spans=((4, 5),)) == text.replace("    return old()", "    return new()")


def test_carriage_returns_are_kept_where_an_import_is_added(home: str) -> None:
    after = use(home, MODULE.replace("\n", "\r\n"), spans=((4, 5),))
    assert after.startswith("from tools import kept, old\r\nfrom tools import new\r\n\r\n")


NEIGHBOURS = """\
import os
C1 = '{} x'.format(os.name)
C2 = '{} x'.format(os.name)
C3, D = '{} x'.format(
    os.name), 1
class A:
    def f(self): return '{}'.format(1)
    def g(self): return '{}'.format(2)
    def h(self):
        return '{}'.format(3)
print('{}'.format(4))
print('{}'.format(5))
"""


@pytest.mark.parametrize("reach", ["module", "symbol"])
def test_symbols_on_neighbouring_lines_change_each_alone_and_together_all(reach: str) -> None:
    symbols = cut(NEIGHBOURS, HITS, 2)
    edits = [formatted(NEIGHBOURS, reach, ((first, last),)) for _, first, last in symbols]
    assert len(symbols) == 8
    for (_, first, last), after in zip(symbols, edits, strict=True):
        changed = [hunk.first + 1 for hunk in diff(split(NEIGHBOURS), split(after))]
        assert len(changed) == 1
        assert first <= changed[0] <= last
    assert add(NEIGHBOURS, edits) == formatted(NEIGHBOURS, "module")


@pytest.mark.parametrize("reach", ["module", "symbol"])
def test_the_header_of_a_class_changes_with_the_class(home: str, reach: str) -> None:
    text = "from tools import new, old\n\n\n@old(1)\nclass A:\n    x = 1\n\n    def g(self):\n        return old(2)\n"
    expected = text.replace("@old", "@new").replace("return old", "return new")
    assert use(home, text, reach=reach, spans=((4, 9),), hits=r"return old") == expected


def test_a_change_that_cannot_be_told_apart_from_that_of_a_neighbour_is_left_out_with_a_note(home: str) -> None:
    text = "import os\n\nold(1)\nx = 1\nold(2)\n"
    after, notes = guard.call(
        "transform:transform",
        name="own_codemods.Join",
        arguments={},
        path="app/a.py",
        text=text,
        spans=((3, 3),),
        home=home,
    )
    assert after == text
    assert notes == ["app/a.py: a change of lines 3 to 5 was left out, because it reaches beyond what may change"]


@pytest.mark.parametrize("reach", ["module", "symbol"])
def test_a_symbol_without_a_hit_changes_nothing_not_even_imports(home: str, reach: str) -> None:
    text = MODULE + "\n\ndef h():\n    pass\n"
    assert use(home, text, reach=reach, spans=((14, 15),)) == text


def test_a_second_run_changes_nothing(home: str) -> None:
    once = use(home, MODULE, spans=((4, 5),))
    assert use(home, once, spans=((5, 6),)) == once


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("app/a.py", "app.a of app"),
        ("app/sub/__init__.py", "app.sub of app.sub"),
        ("a.py", "a of None"),
        ("__init__.py", "None of None"),
    ],
)
def test_a_codemod_knows_which_module_it_sees_and_its_warnings_are_told(home: str, path: str, names: str) -> None:
    _, warnings = guard.call(
        "transform:transform", name="own_codemods.Use", arguments={}, path=path, text="old()\n", home=home
    )
    assert warnings == [names]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("def f(:\n", "syntax error on line 1"), ("print 'a'\n", "syntax error on line 1"), ("x = '\0'\n", "null bytes")],
)
def test_a_file_that_does_not_parse_is_skipped(text: str, reason: str) -> None:
    with pytest.raises(Skip, match=reason):
        formatted(text, "symbol")


def test_a_codemod_that_fails_is_told_with_its_traceback(home: str) -> None:
    with pytest.raises(Broken, match=r"^AttributeError(.*\n)*.*own_codemods.py"):
        use(home, MODULE, source=3)


def test_codemods_are_found_by_short_and_long_names(home: str) -> None:
    short, long = load(FORMAT), load(f"libcst.codemod.commands.{FORMAT}")
    assert short is long
    assert load("own_codemods.Use", home).__name__ == "Use"


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("own_codemods.Use", {}, ""),
        ("own_codemods.Use", {"source": "a", "drop": True}, ""),
        ("own_codemods.Use", {"sauce": "a"}, "got an unexpected keyword argument 'sauce'"),
        ("own_codemods.NotOne", {}, "no LibCST codemod is called own_codemods.NotOne"),
        ("own_codemods.Missing", {}, "no LibCST codemod is called own_codemods.Missing"),
        ("nowhere.Missing", {}, "no LibCST codemod is called nowhere.Missing"),
        ("Missing", {}, "no LibCST codemod is called Missing"),
        ("", {}, "no LibCST codemod is called "),
        (
            "broken_codemods.Use",
            {},
            "broken_codemods cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        (
            "odd_codemods.Use",
            {},
            "odd_codemods cannot be imported: SyntaxError: invalid syntax (odd_codemods.py, line 1)",
        ),
    ],
)
def test_a_job_is_told_why_it_cannot_use_a_codemod(
    home: str, name: str, arguments: dict[str, object], why: str
) -> None:
    assert guard.call("transform:refused", name=name, arguments=arguments, home=home) == why
    if name.startswith("own"):
        assert refused(name, arguments, home) == why


def test_examples_are_those_of_the_module(home: str) -> None:
    assert examples("own_codemods", home) == [("a\n", "b\n")]
    assert examples("unittest_to_pytest")
    with pytest.raises(Skip, match="no module nowhere with EXAMPLES"):
        examples("nowhere", home)
