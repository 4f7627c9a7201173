"""From `self.fail` and `self.skipTest` to `pytest.fail` and `pytest.skip`."""

from __future__ import annotations

import libcst as cst

from operators.codemods.assertions import bind
from operators.codemods.layout import is_string

_FUNCTIONS = {"fail": ("fail", "msg"), "skipTest": ("skip", "reason")}


def outcome(call: cst.Call, method: str) -> cst.Call | None:
    """The call of pytest's function, which unlike unittest's takes nothing but a string."""
    function, name = _FUNCTIONS[method]
    given = bind(call.args, [name])
    if given is None or (method == "skipTest" and not given):
        return None
    called = call.with_changes(func=cst.Attribute(cst.Name("pytest"), cst.Name(function)))
    if not given:
        return called
    arg = given[name]
    value = arg.value if is_string(arg.value) else cst.Call(cst.Name("str"), [cst.Arg(arg.value)])
    return called.with_changes(args=[arg.with_changes(value=value, keyword=None, equal=cst.MaybeSentinel.DEFAULT)])
