"""Whoever tries to talk to a host that the site does not allow: a server listens there that must see nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from operators import guard
from operators.proc import cut_off
from tests.hostile.town import BAD, BAD6, DNS, GOOD, GOOD6, METADATA, Town, town

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("ip"), reason="two machines on a wire are made by root, with iproute2"
)
# Everybody may talk to good.example, and to names that lead where nobody may.
SITE = {
    purpose: ["good.example", "rebound.example", "both.example", "late.example", "later.example", GOOD6]
    for purpose in ("models", "forges", "index", "store", "cluster", "traces")
}
BEGIN = """
import json, os, socket
from pathlib import Path
Path("umbau.yaml").write_text(json.dumps({"hosts": SITE}))
from pipelines.outbound import put_in_force
ignored = put_in_force()

def tried(call):
    try:
        return f"{call()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def tell(**found):
    print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


def told(wire: Town, script: str, **env: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(wire.run(f"SITE = {SITE!r}{BEGIN}{script}", env))
    return found


def strangers(wire: Town) -> list[tuple[str, str, str]]:
    """Return what came where nobody may go, and whom the name server was asked for of those that nobody may ask."""
    known = {"good.example", "rebound.example", "both.example"}
    return [
        (kind, here, what)
        for kind, here, what in wire.seen()
        if (what not in known if kind == "dns" else here not in {GOOD, GOOD6})
    ]


def test_the_wire_carries(wire: Town) -> None:
    """Without us all of this is reached: what follows proves something."""
    script = """
import socket
for to in TO:
    socket.create_connection((to, 80), 5).close()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.66", 9999))
"""
    to = [GOOD, GOOD6, BAD, BAD6, METADATA, "fd00:ec2::254", "good.example", "evil.example"]
    wire.run(f"TO = {to!r}\n{script}")
    seen = wire.seen()
    assert {here for kind, here, _ in seen if kind == "tcp"} == {GOOD, GOOD6, BAD, BAD6, METADATA, "fd00:ec2::254"}
    assert {what for kind, _, what in seen if kind == "dns"} >= {"evil.example", "good.example"}
    assert any(kind == "udp" for kind, *_ in seen)


SOCKETS = """
def tcp(family, to):
    return lambda: socket.socket(family).connect(to)

def udp(to, *flags):
    return lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", *flags, to)

INET, INET6 = socket.AF_INET, socket.AF_INET6
tell(
    address=tried(tcp(INET, (BAD, 80))),
    address6=tried(tcp(INET6, (BAD6, 80))),
    mapped=tried(tcp(INET6, ("::ffff:203.0.113.66", 80))),
    mapped_metadata=tried(tcp(INET6, ("::ffff:169.254.169.254", 80))),
    metadata=tried(tcp(INET, ("169.254.169.254", 80))),
    metadata6=tried(tcp(INET6, ("fd00:ec2::254", 80))),
    link_local=tried(tcp(INET6, ("fe80::1%wire", 80))),
    connect_ex=tried(lambda: socket.socket().connect_ex((BAD, 80))),
    name=tried(tcp(INET, ("evil.example", 80))),
    created=tried(lambda: socket.create_connection(("evil.example", 80))),
    resolved=tried(lambda: socket.getaddrinfo("evil.example", 80)),
    by_name=tried(lambda: socket.gethostbyname("secret.evil.example")),
    by_name_ex=tried(lambda: socket.gethostbyname_ex("secret.evil.example")),
    backwards=tried(lambda: socket.gethostbyaddr(BAD)),
    name_info=tried(lambda: socket.getnameinfo((BAD, 80), 0)),
    below=tried(lambda: socket.getaddrinfo("sub.good.example", 80)),
    lookalike=tried(lambda: socket.getaddrinfo("good.example.evil.example", 80)),
    decimal=tried(lambda: socket.create_connection(("3405803842", 80))),
    hexadecimal=tried(lambda: socket.create_connection(("0xcb007142", 80))),
    datagram=tried(udp((BAD, 9999))),
    datagram_flags=tried(udp((BAD, 9999), 0)),
    message=tried(lambda: socket.socket(INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, (BAD, 9999))),
    message_name=tried(lambda: socket.socket(INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("evil.example", 9999))),
    raw=tried(lambda: socket.socket(INET, socket.SOCK_RAW, 1).sendto(b"x" * 8, (BAD, 0))),
    packet=tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).sendto(b"x" * 60, ("wire", 0))),
    rebound=tried(lambda: socket.create_connection(("rebound.example", 80))),
    asyncio=tried(lambda: __import__("asyncio").run(__import__("asyncio").open_connection("evil.example", 80))),
    own_dns=tried(udp(("203.0.113.53", 53))),
)
"""


def test_sockets_of_our_process_lead_nowhere_else(wire: Town) -> None:
    found = told(wire, f"BAD, BAD6 = {BAD!r}, {BAD6!r}\n{SOCKETS}")
    assert not [name for name, why in found.items() if not why.startswith(("Forbidden", "gaierror"))], found
    assert not strangers(wire)


def test_what_is_allowed_is_reached(wire: Town) -> None:
    found = told(
        wire,
        """
server = socket.create_server(("203.0.113.1", 7777))
tell(
    name=tried(lambda: socket.create_connection(("good.example", 80), 5).close()),
    upper=tried(lambda: socket.create_connection(("GOOD.example.", 80), 5).close()),
    connect=tried(lambda: socket.socket().connect(("good.example", 80))),
    six=tried(lambda: socket.create_connection(("fd00:1::10", 80), 5).close()),
    known=tried(lambda: socket.socket().connect(("203.0.113.10", 80))),
    own=tried(lambda: socket.socket().connect(("203.0.113.1", 7777))),
)
""",
    )
    assert set(found.values()) == {"None"}, found
    assert not strangers(wire)


CLIENTS = """
import warnings
warnings.simplefilter("ignore")
from tempfile import mkdtemp
from urllib.request import urlopen
from operators.model import Endpoint
from operators.proc import git
from pipelines import sdist
from pipelines.hops import heeding, opener
from pipelines.transport import git_at
import requests
import time
time.sleep = lambda seconds: None
TO = ["http://203.0.113.66/x", "http://evil.example/x", "http://[fd00:1::66]/x", "http://169.254.169.254/x",
      "http://good.example@evil.example/x", "http://good.example.evil.example/x"]
found = {}
for number, to in enumerate(TO):
    at = f"http://good.example/{number}?to={to}"
    ask = lambda url: Endpoint(url, "m", timeout=5).complete([{"role": "user", "content": "x"}], shard="00", attempt=0)
    os.environ["UV_INDEX_URL"] = at
    session = requests.Session()
    session.hooks["response"].append(heeding("traces"))
    found |= {
        f"model {to}": tried(lambda: ask(to)),
        f"model sent on to {to}": tried(lambda: ask(f"{at}#")),
        f"index sent on to {to}": tried(lambda: sdist.sdist("x==1", Path(mkdtemp()))),
        f"urllib sent on to {to}": tried(lambda: opener("cluster", at).open(at, timeout=5).read()),
        f"bare urllib sent on to {to}": tried(lambda: urlopen(at, timeout=5).read()),
        f"requests sent on to {to}": tried(lambda: session.post(at, timeout=5)),
        f"git {to}": tried(lambda: git_at(to, None, "ls-remote", "--", to)),
        f"git sent on to {to}": tried(lambda: git_at(at, None, "ls-remote", "--", at)),
    }
for name in ("rebound.example", "both.example"):
    url = f"http://{name}/x"
    found |= {
        f"model {url}": tried(lambda: ask(url)),
        f"git {url}": tried(lambda: git_at(url, None, "ls-remote", "--", url)),
    }
tell(**found)
"""


ENDS = ("Away: ", "GitError: ", "Forbidden: ", "URLError: ", "HTTPError: ")


def test_clients_go_nowhere_else_and_are_sent_nowhere_else(wire: Town) -> None:
    found = told(wire, CLIENTS)
    assert not [call for call, said in found.items() if not said.startswith(ENDS)], found
    seen = wire.seen()
    assert len({what for kind, here, what in seen if kind == "http" and here in {GOOD, GOOD6}}) >= 20, "they did ask"
    known = {"good.example", "rebound.example", "both.example"}
    assert not [one for one in seen if one[0] == "dns" and one[2] not in known]
    assert {here for kind, here, _ in seen if kind != "dns"} <= {GOOD, GOOD6}
    assert "is not among the hosts that umbau.yaml:1 allows for models" in found["model http://203.0.113.66/x"]
    assert "rebound.example is 169.254.169.254" in found["git http://rebound.example/x"]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_not_allowed_is_not_used(wire: Town, variable: str) -> None:
    script = """
from operators.model import Endpoint
from pipelines.transport import git_at
import time, requests, urllib.request
time.sleep = lambda seconds: None
url = "http://good.example/a"
tell(
    ignored=ignored,
    model=tried(lambda: Endpoint(url, "m", timeout=5).complete([], shard="00", attempt=0)),
    git=tried(lambda: git_at(url, None, "ls-remote", "--", url)),
    requests=tried(lambda: requests.get(url, timeout=5).text),
    urllib=tried(lambda: urllib.request.urlopen(url, timeout=5).read()),
)
"""
    found = told(wire, script, **{variable: f"http://me:secret@{BAD}:3128"})
    assert list(found["ignored"]) == [variable]
    assert found["requests"] == "'ok'" and found["urllib"] == "b'ok'"
    assert not strangers(wire)


def test_the_database_is_not_gone_to_elsewhere(wire: Town) -> None:
    script = """
from pipelines.store.place import database
tell(**{url: tried(lambda: database(url)) for url in (
    "postgresql://u@evil.example/x",
    "postgresql://u@good.example,evil.example/x",
    "postgresql://u@good.example/x?hostaddr=203.0.113.66",
    "postgresql://u@rebound.example/x",
    "postgresql:///x?host=203.0.113.66",
)})
"""
    found = told(wire, script)
    assert all(said.startswith("Refused: the store ") and "is not used" in said for said in found.values()), found
    assert not strangers(wire)


CHILDREN = """
import subprocess
from operators.environment import Environment
from pipelines.session import lanes_at
from pipelines.store.place import database
(here := Path("children")).mkdir()
os.environ["UV_PYTHON_PREFERENCE"] = "only-managed"
Path("services").write_text("[elsewhere]\\nhost=evil.example\\n[odd]\\nhostaddr=203.0.113.66\\n")
os.environ["PGSERVICEFILE"] = "services"
os.environ["RAY_ADDRESS"] = "203.0.113.66:80"
git = "https://evil.example/a/b.git"
row = {"repo_name": "a/b", "repo_url": git, "commit_hash": "0" * 40, "gold_patch": "x", "test_type": "pytest"}
Path("cases.jsonl").write_text(json.dumps({**row, "test_files": "t.py", "test_count": 1}))
umbau = [os.sys.executable, "-c", "from pipelines.cli import main; main()"]

def said(*args):
    done = subprocess.run([*umbau, *args], capture_output=True, text=True, timeout=60)
    return f"{done.returncode} {done.stdout}{done.stderr}"

from pipelines.transport import git_at
late = "http://late.example/x"
tell(
    late=tried(lambda: git_at(late, None, "ls-remote", "--", late)),
    interpreter=tried(lambda: Environment(python="3.12")._made(here / "env")),
    later=tried(lambda: database("postgresql://u@later.example:80/x")),
    service=tried(lambda: database("postgresql://u@/x?service=elsewhere")),
    service_address=tried(lambda: database("postgresql://u@/x?service=odd")),
    cluster=tried(lambda: lanes_at("auto").start()),
    cases=said("eval", "plain-asserts", "cases.jsonl"),
    repo=said("plan", "plain-asserts", "--repo", git),
    ssh=said("plan", "plain-asserts", "--repo", "git@evil.example:a/b.git"),
)
"""


def test_what_we_start_goes_nowhere_else(wire: Town) -> None:
    """Programs and libraries that open connections by themselves, past Python's sockets."""
    found = told(wire, CHILDREN)
    assert "No interpreter is fetched: `uv python install 3.12`" in found["interpreter"]
    assert "evil.example (port 5432) is not among the hosts" in found["service"]
    assert "203.0.113.66 (port 5432) is not among the hosts" in found["service_address"]
    assert found["cluster"].startswith("Forbidden: 203.0.113.66 (port 80)")
    assert "evil.example (port 443) is not among the hosts" in found["cases"]
    assert found["repo"].startswith("64 --repo: evil.example (port 443)")
    assert found["ssh"].startswith("64 --repo: evil.example (port 22)")
    assert found["late"].startswith("GitError: ")
    assert "later.example is 169.254.169.254, which is where" in found["later"], "asked again, and looked at"
    assert set(wire.seen()) == {("dns", DNS, "late.example"), ("dns", DNS, "later.example")}


HOME = """
import socket
import libcst as cst
from libcst.codemod import VisitorBasedCodemodCommand

class Home(VisitorBasedCodemodCommand):
    def transform_module_impl(self, tree):
        socket.create_connection(("127.0.0.1", {port}), 2)
        return tree
"""


@pytest.mark.skipif(not cut_off(), reason="this kernel lets nobody have a network of their own")
def test_code_of_a_codemod_has_no_network_at_all(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        (tmp_path / "phones.py").write_text(HOME.format(port=server.getsockname()[1]))
        with pytest.raises(guard.Broken, match="Network is unreachable"):
            guard.call(
                "transform:transform", name="phones.Home", arguments={}, path="a.py", text="x = 1\n", home=str(tmp_path)
            )
        with pytest.raises(TimeoutError):
            server.accept()
