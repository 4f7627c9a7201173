"""Secrets have placeholders, and come back from them."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.checks.secrets import Secrets
from operators.data import Edit, Finding, Outcome, Shard, Span, Verdict
from operators.spot import MARK, MASKED
from operators.veil import Rules, Slow, Veil, tellable, veil_of
from operators.veiled import Hidden, files_of, hidden, shown
from operators.workspace import Workspace
from tests.operators.conftest import MakeBase

GEHEIM = "s3cr3t!pass99"
TOKEN = "ghp_" + "aB3" * 12
CODE = f'password = "{GEHEIM}"\nTOKEN = "{TOKEN}"\nagain = ["{TOKEN}"]\n'
MAIL = Rules((("mail", r"[\w.]+@[\w.]+\.\w+"),))

pieces = st.sampled_from(
    [
        *('password = "', '"', GEHEIM, TOKEN, MARK, MASKED, "_", "__", "0", "1", "12", "\n", "\\n", "'", " "),
        *("://u:", "@host", "AKIAQWERTYUIOPASDFGH", "-----BEGIN PRIVATE KEY-----", "-----END", "MIIEowIBAAKCAQEA"),
        *("ada@x.eu", "@x.eu"),
    ]
)
texts = st.lists(pieces | st.text(max_size=5), max_size=14).map("".join)


@settings(max_examples=600, deadline=None)
@given(st.lists(texts, max_size=3), texts, st.sampled_from([Rules(), MAIL]))
def test_what_was_hidden_is_shown_again_to_the_letter(others: list[str], text: str, rules: Rules) -> None:
    veil = Veil.of([*others, text], rules)
    assert veil.show(veil.hide(text)) == text
    some = Veil.of(others, rules)
    if not some.strange(text):
        assert some.show(some.hide(text)) == text


@settings(max_examples=300, deadline=None)
@given(texts)
def test_what_is_hidden_is_not_hidden_again_by_whoever_masks(text: str) -> None:
    told = Veil.of([text], Rules()).hide(text)
    assert Rules().masked(told) == told


def test_a_secret_has_one_placeholder_wherever_it_stands_and_code_stays_code() -> None:
    veil = Veil.of([CODE], Rules())
    told = veil.hide(CODE)
    assert told == 'password = "UMBAU_SECRET_1"\nTOKEN = "UMBAU_SECRET_2"\nagain = ["UMBAU_SECRET_2"]\n'
    ast.parse(told)
    assert veil.hide(f"denied: {GEHEIM}, with {TOKEN}_7") == "denied: UMBAU_SECRET_1, with UMBAU_SECRET_2__7"
    assert veil.hide(f"{MARK}_1") == "UMBAU_SECRET_0__1"
    assert veil.show("UMBAU_SECRET_1 UMBAU_SECRET_9") == f"{GEHEIM} UMBAU_SECRET_9"


def test_numbers_go_by_order_and_tell_nothing_of_the_secret() -> None:
    other = CODE.replace(GEHEIM, "other!Pass11").replace(TOKEN, "ghp_" + "zX9" * 12)
    assert Veil.of([CODE], Rules()).hide(CODE) == Veil.of([other], Rules()).hide(other)


def test_one_that_nobody_knows_is_masked_for_good() -> None:
    veil = Veil.of([CODE], Rules())
    assert veil.hide('api_key = "zq81-77aa-kk3d"') == f'api_key = "{MASKED}"'
    assert veil.masked(CODE) == f'password = "{MASKED}"\nTOKEN = "{MASKED}"\nagain = ["{MASKED}"]\n'


def test_a_secret_is_known_as_a_program_prints_it() -> None:
    veil = Veil.of(['password = "ab\\\\cd\\t1234"\n'], Rules())
    assert veil.hide("refused: ab\\cd\t1234") == "refused: UMBAU_SECRET_2"


def test_what_a_site_masks_is_hidden_as_well() -> None:
    text = 'OWNER = "ada.lovelace@example.eu"\n'
    veil = Veil.of([text], MAIL)
    assert veil.hide(text) == 'OWNER = "UMBAU_SECRET_1"\n'
    assert veil.show(veil.hide(text)) == text


def test_of_secrets_that_overlap_nothing_is_told() -> None:
    text = 'DB = "postgres://app:S3cr3t!pw9xyz@db.example.eu/app"\n'
    veil = Veil.of([text], MAIL)
    assert veil.hide(text) == 'DB = "postgres://app:UMBAU_SECRET_3/app"\n'
    assert veil.show(veil.hide(text)) == text
    assert veil.masked(text) == MAIL.masked(text) == f'DB = "postgres://app:{MASKED}/app"\n'
    moved = "S3cr3t!pw9xyz@db.example.eu/app and Fl4gge!S3cr3t!pw9xyz"
    assert veil.hide(moved) == "UMBAU_SECRET_3/app and Fl4gge!UMBAU_SECRET_1"


def test_what_overlaps_in_another_way_than_before_is_strange() -> None:
    veil = Veil.of(["a = 'one@drei.eu'; b = 'drei.eu@zwei.eu'\n"], MAIL)
    assert veil.strange("drei.eu@zwei.eu") == []
    assert [one.kind for one in veil.strange("one@drei.eu@zwei.eu")]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.]+", ""),
        (r"[\w.+-]+@[\w-]+\.[\w.]+", "takes too long"),
        (r"\w+\.corp\.example\.eu", "takes too long"),
        (r"\b\w+\.corp\.example\.eu", ""),
        (r"\bDE\d{20}\b", ""),
        ("(a+)+$", "takes too long"),
        (r"\w+\w+\w+\w+!", "takes too long"),
        (".*", "matches any text"),
        ("(?:a|b)?", "matches any text"),
        ("(", "not a regular expression"),
    ],
)
def test_patterns_are_tried_before_they_are_used(pattern: str, why: str) -> None:
    assert Rules((("one", pattern),)).amiss().get("one", "").startswith(why)
    assert bool(why) == bool(Rules((("one", pattern),)).amiss())


def test_a_pattern_that_takes_too_long_lets_nothing_out() -> None:
    rules = Rules((("slow", r"(?:x+x+)+y"),))
    begin = time.monotonic()
    with pytest.raises(Slow, match=r"mask\.slow of the site takes more than 1 s"):
        rules.masked("x" * 5000)
    assert time.monotonic() - begin < 10
    assert tellable("x" * 5000, rules.masked).startswith("withheld: mask.slow of the site takes more than 1 s")
    assert tellable(f"denied: {TOKEN}", rules.masked) == f"denied: {MASKED}"


def test_an_outcome_leaves_hidden_and_comes_back(base: MakeBase) -> None:
    at = base({"a.py": CODE, "b.py": f"# {GEHEIM}\n"})
    shard = Shard("k", at.repo, at.commit, ("a.py",), context=("b.py",), related=(Span("b.py", "b", 1, 1),))
    veil = veil_of(at, shard, Rules())
    after = CODE.replace("password", "passphrase")
    edit = Edit({"a.py": after}, f"I see {GEHEIM}", (f"note {TOKEN}",), trouble=TOKEN, pairs=((CODE, after),))
    pinned = Verdict(Edit({"t.py": TOKEN}), (Finding("tests", TOKEN),))
    verdict = Verdict(edit, (Finding("tests", f"E  {GEHEIM}", TOKEN),), (f"proof {TOKEN}",), evidence=(pinned,))
    outcome = Outcome(shard, (verdict,), error=f"ValueError: {GEHEIM}", skipped=TOKEN)
    left = hidden(outcome, veil)
    assert GEHEIM not in repr(left)
    assert TOKEN not in repr(left)
    back = shown(left.verdicts, veil)
    assert back[0].findings == verdict.findings
    assert back[0].edit.files == edit.files
    assert back[0].edit.said == edit.said
    assert back[0].evidence[0].edit == pinned.edit
    assert MASKED in back[0].edit.pairs[0][0], "placeholders of one shard are others in the next"
    hid = left.verdicts[0].edit.files
    assert files_of(at, shard, hid, Rules()) == edit.files
    assert Hidden.of(at, shard, Rules()).base_text("a.py") == veil.hide(CODE)


ELSEWHERE = "woanders-31-wort"  # only a context file says what it is
ADDED = "Line 4 now holds what looks like a secret (assigned), and did not before. "


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("a.py", CODE.replace("again", "more"), []),
        ("a.py", CODE + f'copy = "{GEHEIM}"\n', []),
        ("a.py", CODE + 'api_key = "zq81-77aa-kk3d"\n', [("a.py:4", ADDED)]),
        ("t.py", f"\n\n\nTOKEN = '{GEHEIM}'\n", [("t.py:4", ADDED)]),
        (
            "a.py",
            CODE.replace(GEHEIM, "UMBAU_SECRET_7"),
            [("a.py:1", "`UMBAU_SECRET` stands for")],
        ),
        ("a.py", CODE.replace(GEHEIM, MASKED), [("a.py:1", "`UMBAU_MASKED` stands for")]),
        ("a.py", CODE.replace(GEHEIM, "umbau_secret_1"), [("a.py:1", "`UMBAU_SECRET` stands for")]),
        ("a.py", CODE + f'copy = "{ELSEWHERE}"\n', [("a.py:4", ADDED.replace("assigned", "known"))]),
        ("t.py", f"\n\n\nx = '{GEHEIM}'\n", [("t.py:4", ADDED.replace("assigned", "known"))]),
        (f"{TOKEN}.py", "x = 1\n", [(f"{TOKEN}.py", "The file's name holds")]),
        ("UMBAU_MASKED.py", "x = 1\n", [("UMBAU_MASKED.py", "The file's name holds")]),
    ],
)
def test_an_edit_adds_no_secret(base: MakeBase, path: str, text: str, found: list[tuple[str, str]]) -> None:
    at = base({"a.py": CODE, "settings.py": f'db_password = "{ELSEWHERE}"\n'})
    shard, edit = Shard("k", at.repo, at.commit, ("a.py",), context=("settings.py",)), Edit({path: text})
    ruling = Secrets().judge(Workspace(at).over(edit), shard, edit)
    assert [
        (one.place, one.message[: len(told)]) for one, (_, told) in zip(ruling.findings, found, strict=True)
    ] == found
    assert not [one for one in ruling.findings if GEHEIM in one.message or "zq81" in one.message]


def test_it_is_quick_enough_to_be_asked_always() -> None:
    shard = 'def find(user: str, token: str | None = None) -> str:\n    return f"{user}:{token}"\n' * 100
    veil = Veil.of([CODE, shard], Rules())
    begin = time.process_time()
    for _ in range(20):
        veil.hide(shard)
    assert (time.process_time() - begin) / 20 < 0.02, "about 1 ms; a busy machine has its time"
