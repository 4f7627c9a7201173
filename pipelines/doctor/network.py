"""Who may be talked to, and whether anybody else is reached."""

from __future__ import annotations

import os
from collections.abc import Iterator

from operators import outward
from operators.proc import cut_off
from pipelines.doctor.line import Line
from pipelines.trespass import got_through

WHAT = {
    "models": "prompts go to",
    "forges": "repositories and merge requests lie on",
    "index": "packages come from",
    "store": "the store lies on",
    "cluster": "jobs run on",
    "traces": "traces go to",
    "proxies": "all of it goes directly, or through",
}
_OUTBOUND, _HOSTILE = "tests/pipelines/test_outbound.py::", "tests/hostile/test_egress.py::"


def hosts() -> Iterator[Line]:
    """Tell who may be talked to, by purpose, and who says so."""
    policy = outward.current()
    ends = ("with_hosts_in_the_file_the_environment_names_nobody", "without_hosts_in_the_file_the_environment_counts")
    tests = tuple(f"{_OUTBOUND}test_{end}" for end in ends)
    for purpose in outward.PURPOSES:
        found = [f"{one.pattern.text} ({one.source})" for one in policy.allowed if one.purpose == purpose]
        nobody = "no proxy" if purpose == "proxies" else "this machine alone"
        yield Line(f"{WHAT[purpose]} these hosts only", ", ".join(found) or nobody, tests)
    listed = "lists them" if policy.lists else "lists none, so only those that the environment names are allowed"
    yield Line("nobody is talked to whom the site does not name", f"{policy.file} {listed}", tests)


def strangers() -> Line:
    """Try to talk to somebody who may not be talked to."""
    promise = "nobody else is reached, by redirects, proxies, names or plain sockets"
    names = ("sockets_of_our_process_lead_nowhere_else", "clients_go_nowhere_else_and_are_sent_nowhere_else")
    tests = (
        *(f"{_HOSTILE}test_{name}" for name in names),
        "tests/pipelines/test_trespass.py::test_nobody_gets_through",
    )
    tried, through = got_through()
    if through:
        return Line(promise, f"got through: {', '.join(through)}", tests, "bad", "send nothing secret from here")
    return Line(promise, f"{tried} ways were tried on a server that saw nobody come", tests)


def region() -> Line:
    policy, tests = outward.current(), (f"{_OUTBOUND}test_processing_stays_in_the_region",)
    promise = "prompts are processed in the regions that are named"
    if not policy.region:
        return Line(promise, f"{policy.file} names none, so wherever the hosts of models are", tests)
    return Line(promise, f"{', '.join(policy.region)} ({policy.region_at})", tests)


def parsers() -> Line:
    promise, tests = "code is parsed without a network", (f"{_HOSTILE}test_code_of_a_codemod_has_no_network_at_all",)
    if not cut_off():
        said = "this kernel gives nobody a network of their own, so codemods and parsers have this machine's"
        return Line(promise, said, tests, "bad", "allow network namespaces (unshare --net), or trust your codemods")
    return Line(promise, "children that parse have a network namespace of their own, with nothing in it", tests)


def telemetry() -> Line:
    promise = "no library tells its maker of itself"
    tests = (
        f"{_OUTBOUND}test_telemetry_is_off_and_hubs_are_away",
        "tests/deploy/test_quiet.py::test_nodes_tell_nobody_of_themselves",
    )
    loud = [name for name, value in outward.QUIET.items() if os.environ.get(name) != value]
    if loud:
        return Line(promise, f"{', '.join(loud)} is not set", tests, "bad")
    hubs = "" if outward.OFFLINE.items() <= os.environ.items() else "; the site allows downloads of weights"
    return Line(promise, f"switched off by {', '.join(outward.QUIET)}{hubs}", tests)
