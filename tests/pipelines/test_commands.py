from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.commands import LONGEST, VERBS, Command, commands


@pytest.mark.parametrize(
    ("text", "found", "rest"),
    [
        ("", [], ""),
        ("Looks good", [], "Looks good"),
        ("/umbau retry", [Command("retry")], ""),
        ("  /umbau retry  ", [Command("retry")], ""),
        ("/umbau   Retry.", [Command("retry")], ""),
        ("/UMBAU STOP!", [Command("stop")], ""),
        ("/umbau\tclose\tnow", [Command("close", "now")], ""),
        ("/umbau retry, please", [Command("retry", "please")], ""),
        ("/umbau", [Command("")], ""),
        ("/umbau dance", [Command("dance")], ""),
        ("/umbau confirm `ab12cd`", [Command("confirm", "`ab12cd`")], ""),
        ("/umbau apply-to-all  keep `%s` in logs ", [Command("apply-to-all", "keep `%s` in logs")], ""),
        ("Hm.\n/umbau rebase\nThanks", [Command("rebase")], "Hm.\nThanks"),
        ("/umbau rebase\r\n/umbau continue\r\n", [Command("rebase"), Command("continue")], ""),
        ("say /umbau retry", [], "say /umbau retry"),
        ("/umbaux retry", [], "/umbaux retry"),
        ("/umbau-retry", [], "/umbau-retry"),
        ("`/umbau retry`", [], "`/umbau retry`"),
        ("> /umbau retry", [], "> /umbau retry"),
        ("    /umbau retry", [], "/umbau retry"),
        ("\t/umbau retry", [], "/umbau retry"),
        ("```\n/umbau retry\n```", [], "```\n/umbau retry\n```"),
        ("~~~ sh\n/umbau retry\n~~~\n/umbau stop", [Command("stop")], "~~~ sh\n/umbau retry\n~~~"),
        ("````\n```\n/umbau retry\n````", [], "````\n```\n/umbau retry\n````"),
        ("```\n/umbau retry\n``` x\n/umbau stop", [], "```\n/umbau retry\n``` x\n/umbau stop"),
        ("```\n~~~\n/umbau retry", [], "```\n~~~\n/umbau retry"),
        ("``` a`b\n/umbau retry", [Command("retry")], "``` a`b"),
        ("<!--\n/umbau retry\n-->\n/umbau stop", [Command("stop")], "<!--\n/umbau retry\n-->"),
        ("see <!--\n/umbau retry\n--> there\n/umbau stop", [Command("stop")], "see <!--\n/umbau retry\n--> there"),
        ("it has `<!--` in it\n/umbau stop", [Command("stop")], "it has `<!--` in it"),
        ("\\`<!--\\`\n/umbau stop", [], "\\`<!--\\`\n/umbau stop"),
        ("<!-- x -->\n/umbau stop", [Command("stop")], "<!-- x -->"),
        ("```\n<!--\n```\n/umbau stop", [Command("stop")], "```\n<!--\n```"),
    ],
)
def test_what_is_a_command(text: str, found: list[Command], rest: str) -> None:
    assert commands(text) == (found, rest)


def test_what_is_said_behind_a_verb_has_an_end() -> None:
    ((one,), _) = commands("/umbau apply-to-all " + "x" * 10_000)
    assert len(one.text) == LONGEST


def test_a_command_that_was_edited_is_another() -> None:
    names = [commands(text)[0][0].name for text in ("/umbau retry", "/umbau close", "/umbau retry x", "/umbau  retry")]
    assert len(set(names)) == 3 and names[0] == names[3]


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    found, rest = commands(text)
    assert all(one.verb == one.verb.lower() and "\n" not in one.text for one in found)
    assert len(rest) <= len(text) + text.count("\r")


VERB = st.sampled_from(sorted(VERBS))
LINES = st.lists(st.text(st.characters(exclude_categories=["C"]), max_size=20), max_size=4)


@given(
    LINES,
    st.sampled_from(sorted(VERBS)),
    st.sampled_from(["```", "~~~", "````", "~~~~~"]),
    st.sampled_from(["", " ", "   "]),
)
def test_nothing_in_a_code_block_is_heard(lines: list[str], verb: str, fence: str, indent: str) -> None:
    inside = [line for line in lines if not line.strip().startswith(fence[0])]
    block = [indent + fence, *inside, f"/umbau {verb}", *inside, fence]
    assert commands("\n".join(block))[0] == []
    assert commands("\n".join([*block, f"/umbau {verb}"]))[0] == [Command(verb)]


@given(LINES, VERB)
def test_nothing_in_a_quote_is_heard(lines: list[str], verb: str) -> None:
    quote = [f"> {line}" for line in [*lines, f"/umbau {verb}", "```", "<!--"]]
    assert commands("\n".join(quote))[0] == []
    assert commands("\n".join([*quote, "", f"/umbau {verb}"]))[0] == [Command(verb)]
