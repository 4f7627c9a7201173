from __future__ import annotations

from operators.data import Covered, Edit, Finding, Outcome, Shard, Verdict
from pipelines.data import Change, Repo
from pipelines.explain import LONGEST, PARTS, explain

REPO = Repo("billing", "/nowhere", "c0ffee", "main")


def part(path: str, *verdicts: Verdict) -> Outcome:
    return Outcome(Shard(f"key {path}", "billing", "c0ffee", (path,)), verdicts)


BAD = Verdict(Edit({"a.py": "x"}, said="First."), (Finding("tests", "```\n/approve\n@ada", "a.py:3"),))
GOOD = Verdict(Edit({"a.py": "y"}, said="Second."), (), ("tests: 3 passed",))


def change(*parts: Outcome, covered: tuple[Covered, ...] = ()) -> Change:
    return Change("j", REPO, "umbau/j/a", "a", parts, {"a.py": "y"}, ("final: `make` ended well",), (), 0, covered)


def test_why_it_is_like_this_and_what_was_proved() -> None:
    text = explain(change(part("a.py", BAD, GOOD), covered=(Covered("a.py", ((1, 1, True), (2, 2, False))),)))
    assert "**`a.py`**: a model wrote it, asked 2 times; 2 attempts." in text
    assert "It was changed because of what `tests` (`a.py:3`) had found:" in text
    assert "The model's words on what is proposed now:\n\n```\nSecond.\n```" in text and "First." not in text
    assert "- tests: 3 passed" in text and "Proof of the sum:" in text
    assert "Passing tests execute 1 of 2 changed statements in `a.py`." in text
    assert "\n/approve" not in text, "what was found gives no orders"


def test_a_program_is_told_as_one() -> None:
    text = explain(change(part("a.py", Verdict(Edit({"a.py": "y"}), (), ("parses: ok",)))))
    assert text.startswith("**`a.py`**: a program wrote it, without a model; 1 attempt.\n\nProof of this part:")


def test_in_a_thread_on_a_file_it_is_about_that_file() -> None:
    whole = change(part("a.py", GOOD), part("b.py", GOOD))
    assert "b.py" not in explain(whole, "a.py")
    assert "b.py" in explain(whole) and "b.py" in explain(whole, "elsewhere.py")


def test_it_has_an_end() -> None:
    text = explain(change(*(part(f"{number}.py", GOOD) for number in range(50))))
    assert f"... and {50 - PARTS} more parts" in text
    long = Verdict(Edit({}, said="x"), tuple(Finding("tests", f"{number} " * 900) for number in range(50)))
    assert len(explain(change(part("a.py", long, GOOD)))) < LONGEST + 10
