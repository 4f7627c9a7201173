"""Check: tests claim what they claimed."""

from __future__ import annotations

from dataclasses import dataclass

from operators.checks.compared import faults
from operators.data import Edit, Ruling, Shard
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Claims:
    """Each assertion, in the words of unittest or of pytest, has the condition and the message that it had, each
    expectation its exception and its pattern: what a green test run alone does not show, since a test that claims less
    passes as well. Bounds: `operators.syntax.claims.differences`."""

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        findings = faults(ws, edit, "claims", "claims:differences")
        return Ruling(findings, "claims: every assertion says what it said")
