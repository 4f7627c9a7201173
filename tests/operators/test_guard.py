"""Files that take a parser down, and codemods that take a process down: the caller lives, and is told why."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operators import guard
from operators.data import Skip
from operators.guard import Broken, Guard

COMMAND = """
import libcst
from libcst.codemod import Codemod

class Odd(Codemod):
    def transform_module_impl(self, tree):
        {body}
"""


@pytest.fixture
def child() -> Iterator[Guard]:
    own = Guard()
    yield own
    own.close()


@pytest.fixture
def codemod(child: Guard, tmp_path: Path) -> Callable[[str], object]:
    """Runs a codemod whose body is given on `x = 1`; its own child, because modules are imported once."""

    def apply(body: str) -> object:
        (tmp_path / "odd_one.py").write_text(COMMAND.format(body=body.replace("\n", "\n        ")))
        return child.call(
            "transform:transform", name="odd_one.Odd", arguments={}, path="a.py", text="x = 1\n", home=str(tmp_path)
        )

    return apply


def works(child: Guard) -> bool:
    return bool(child.call("cut:cut", text="def f():\n    hit\n", hits="hit", most=9) == [["f", 1, 2]])


def parses(child: Guard, text: str) -> None:
    """Parse all of `text` with the interpreter and with LibCST, as an edit that makes the file."""
    child.call("module:check", before="", after=text)


LEGAL = {
    "sum of 500": "x = " + "+".join(["1"] * 500),
    "sum of 600": "x = " + "+".join(["1"] * 600),
    "190 parentheses": "x = " + "(" * 190 + "1" + ")" * 190,
    "500 strings": "x = (" + '"a"\n' * 500 + ")",
    "500 minus signs": "x = " + "-" * 500 + "1",
    "200 elifs": "if a:\n    pass\n" + "elif b:\n    pass\n" * 200,
    "500 attributes": "x = a" + ".b" * 500,
    "500 calls": "x = f" + "()" * 500,
    "90 levels": "".join("    " * level + "if a:\n" for level in range(90)) + "    " * 90 + "pass\n",
    "a string of 900 kB": "x = '" + "a" * 900_000 + "'\n",
    "20,000 blank lines": "\n" * 20_000 + "x = 1\n",
    "10,000 integers": "x = [\n" + "1, 2, 3, 4, 5,\n" * 2_000 + "]\n",
    "a form feed": "x = 1\n\x0c\ny = 2\n",
    "no final newline": "def f():\n    return 1",
    "only a comment": "# nothing",
    "a continuation": "x = 1 \\\n    + 2",
    "newer syntax": "f'{x!r:>{width}}'\nmatch x:\n    case [1, *_]:\n        pass\n",
}

TOO_MUCH = {
    "3,000 parentheses": "x = " + "(" * 3_000 + "1" + ")" * 3_000,
    "10,000 lists": "x = " + "[" * 10_000 + "]" * 10_000,
    "sum of 10,000": "x = " + "+".join(["1"] * 10_000),
    "sum of 100,000": "x = " + "+".join(["1"] * 100_000),
    "10,000 minus signs": "x = " + "-" * 10_000 + "1",
    "5,000 powers": "x = " + "2**" * 5_000 + "2",
    "5,000 ternaries": "x = " + "1 if a else " * 5_000 + "2",
    "5,000 nots": "x = " + "not " * 5_000 + "a",
    "5,000 lambdas": "x = " + "lambda: " * 5_000 + "a",
    "10,000 attributes": "x = a" + ".b" * 10_000,
    "10,000 calls": "x = f" + "()" * 10_000,
    "5,000 elifs": "if a:\n    pass\n" + "elif b:\n    pass\n" * 5_000,
    "101 levels": "".join(" " * level + "if a:\n" for level in range(101)) + " " * 101 + "pass\n",
    "an integer of 100,000 digits": "x = " + "1" * 100_000,
    "NUL": "x = 1\0\n",
    "Python 2": "print 'a'\n",
    "a conflict": "<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> other\n",
    "tabs and spaces": "if a:\n\tx = 1\n        y = 2\n",
    "an open string": "x = 'a\n",
    "a lone surrogate": "x = '\ud800'\n",
    "no-break space": "x\xa0= 1\n",
}

EITHER = {
    "sum of 900": "x = " + "+".join(["1"] * 900),  # Python 3.12 has a limit of its own, which cannot be set
    "sum of 2,000": "x = " + "+".join(["1"] * 2_000),
    "1,000 elifs": "if a:\n    pass\n" + "elif b:\n    pass\n" * 1_000,
    "5,000 strings": "x = (" + '"a"\n' * 5_000 + ")",
    "2,000 attributes": "x = a" + ".b" * 2_000,
    "2,000 calls": "x = f" + "()" * 2_000,
    "2,000 minus signs": "x = " + "-" * 2_000 + "1",
}


@pytest.mark.parametrize("name", LEGAL)
def test_legal_files_are_parsed(name: str) -> None:
    parses(guard._guard, LEGAL[name])


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_cannot_be_parsed_is_skipped_with_a_reason_and_the_next_file_is_not(name: str) -> None:
    with pytest.raises(Skip) as why:
        parses(guard._guard, TOO_MUCH[name])
    assert str(why.value)
    assert len(str(why.value)) < 300
    assert works(guard._guard)


@pytest.mark.parametrize("name", EITHER)
def test_what_is_at_the_limit_is_parsed_or_skipped_with_a_reason(name: str) -> None:
    try:
        parses(guard._guard, EITHER[name])
    except Skip as why:
        assert str(why)
    assert works(guard._guard)


@pytest.mark.slow
def test_900_kb_of_integers_do_no_harm() -> None:
    try:
        parses(guard._guard, "x = [\n" + "1, 2, 3, 4, 5,\n" * 60_000 + "]\n")
    except Skip as why:
        assert str(why)
    assert works(guard._guard)


@pytest.mark.parametrize("name", [*TOO_MUCH, *EITHER])
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("cut:cut", {"hits": "x", "most": 50}),
        ("cut:part", {"spans": [(1, 1)]}),
        ("transform:transform", {"name": "noop.NOOPCommand", "arguments": {}, "path": "a.py"}),
    ],
)
def test_whatever_is_asked_of_such_a_file_the_caller_lives(name: str, call: str, arguments: dict[str, object]) -> None:
    text = {**TOO_MUCH, **EITHER}[name]
    try:
        guard.call(call, text=text, **arguments)
    except Skip as why:
        assert str(why)
    assert works(guard._guard)


def test_what_a_codemod_prints_goes_nowhere(
    codemod: Callable[[str], object], capfd: pytest.CaptureFixture[str]
) -> None:
    body = "import os; print('loud'); os.write(1, b'louder'); os.system('echo loudest')\nreturn tree"
    assert codemod(body) == ["x = 1\n", []]
    assert capfd.readouterr() == ("", "")


def test_what_a_codemod_reads_is_empty(codemod: Callable[[str], object]) -> None:
    assert codemod("import sys\nassert sys.stdin.read() == ''\nreturn tree") == ["x = 1\n", []]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ZeroDivisionError('on purpose')", "ZeroDivisionError: on purpose"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("return None", "AttributeError"),
        ("self.warn(object()); return tree", "not JSON serializable"),
        ("import os; os._exit(3)", r"a codemod, or what it uses, ended the process \(exit code 3\)"),
        ("import os; os._exit(0)", r"a codemod, or what it uses, ended the process \(exit code 0\)"),
        ("import os; os.kill(os.getpid(), 9)", r"the parser was killed 2 times \(SIGKILL\)"),
        ("import os; os.kill(os.getpid(), 15)", r"the parser was killed 2 times \(SIGTERM\)"),
    ],
)
def test_a_codemod_that_fails_is_to_blame(codemod: Callable[[str], object], child: Guard, body: str, told: str) -> None:
    with pytest.raises(Broken, match=told):
        codemod(body)
    assert works(child)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import os; os.abort()", "the parser died of it (SIGABRT)"),
        ("import ctypes; ctypes.string_at(0)", "the parser died of it (SIGSEGV)"),
        ("return self.transform_module_impl(tree)", "too deep or too large to parse (RecursionError)"),
        ("x = bytearray(4 << 30)", "too deep or too large to parse (MemoryError)"),
    ],
)
def test_a_codemod_that_takes_its_process_down_ends_the_file_only(
    codemod: Callable[[str], object], child: Guard, body: str, reason: str
) -> None:
    with pytest.raises(Skip) as why:
        codemod(body)
    assert str(why.value) == reason
    assert works(child)


def test_a_codemod_that_hangs_is_ended(
    codemod: Callable[[str], object], child: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert works(child)
    monkeypatch.setattr(guard, "SECONDS", 2.0)
    with pytest.raises(Skip, match="takes the parser more than 2 s"):
        codemod("import time\ntime.sleep(300)")
    monkeypatch.undo()
    assert works(child)


def test_a_codemod_that_asks_to_leave_the_file_out_is_listened_to(codemod: Callable[[str], object]) -> None:
    with pytest.raises(Skip, match="the codemod leaves this file out: not mine"):
        codemod("from libcst.codemod import SkipFile; raise SkipFile('not mine')")


def test_a_child_is_used_again_and_replaced_after_many_calls(child: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    def pid() -> int:
        assert works(child)
        assert child._child
        return child._child.pid

    first = pid()
    assert pid() == first
    monkeypatch.setattr(guard, "CALLS", 2)
    assert pid() != first


def test_a_child_that_was_killed_between_two_calls_is_replaced(child: Guard) -> None:
    assert works(child)
    assert child._child
    os.kill(child._child.pid, 9)
    child._child.wait()
    assert works(child), "the file it was not asked about yet is not to blame"


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_is_killed_in_the_middle_is_asked_again(
    child: Guard, codemod: Callable[[str], object], tmp_path: Path, by: int
) -> None:
    seen = tmp_path / "seen"
    body = f"import os, pathlib\nseen = pathlib.Path({str(seen)!r})\nfirst = not seen.exists()\nseen.touch()\n"
    assert codemod(f"{body}if first: os.kill(os.getpid(), {by:d})\nreturn tree") == ["x = 1\n", []]


def test_a_child_that_cannot_start_is_no_fault_of_the_file(child: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MEMORY", 100 << 20)
    with pytest.raises(Broken, match="the parser cannot be started"):
        works(child)
    monkeypatch.undo()
    assert works(child)


def test_memory_that_runs_out_anywhere_in_the_child_is_the_files_fault(
    child: Guard, codemod: Callable[[str], object]
) -> None:
    assert codemod("def out(*_): raise MemoryError\nimport __main__\n__main__._answer = out\nreturn tree")
    with pytest.raises(Skip, match="SIGABRT"):
        works(child)
    assert works(child)


def test_threads_take_turns(child: Guard) -> None:
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(works(child))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8


def test_a_child_sees_nothing_of_our_environment(
    codemod: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBAU_MODEL_KEY", "secret")
    assert codemod("import os\nassert 'secret' not in os.environ.values()\nreturn tree") == ["x = 1\n", []]


def test_a_call_that_does_not_exist_is_our_fault(child: Guard) -> None:
    with pytest.raises(Broken, match="AttributeError"):
        child.call("cut:nothing")
    assert works(child)
