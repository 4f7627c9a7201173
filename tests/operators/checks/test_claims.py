from __future__ import annotations

from operators.checks.claims import Claims
from operators.data import Edit, Finding, Ruling
from tests.operators.conftest import MakeWorkspace, shard_of


def test_a_test_that_claims_less_is_found(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "def test(self):\n    self.assertEqual(slug('a b'), 'a-b')\n", "b.txt": "x\n"})

    def judge(line: str) -> Ruling:
        edit = Edit({"a.py": f"def test(self):\n    {line}\n", "b.txt": "y\n"})
        return Claims().judge(ws.over(edit), shard_of(ws.base, "a.py"), edit)

    assert judge("assert slug('a b') == 'a-b'") == Ruling((), "claims: every assertion says what it said")
    assert judge("assert slug('a b'), 'a-b'").findings == (
        Finding("claims", "Not as before: in test, the claim `slug('a b') == 'a-b'` is gone.", "a.py"),
        Finding("claims", "Not as before: in test, the claim `slug('a b'), 'a-b'` is new.", "a.py"),
    )
    (finding,) = judge("assert (").findings
    assert "the file cannot be compared: syntax error" in finding.message
