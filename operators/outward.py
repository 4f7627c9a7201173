"""Who may be talked to: what each client of ours asks before it connects, and a guard over the whole process.

The guard sees what Python's own sockets do: an audit hook that refuses addresses and does not even let names be
resolved that are not allowed. It keeps honest code where it belongs (libraries, telemetry, redirects, plugins that mean
no harm). Code that calls the C library itself goes past it; what is not trusted runs without a network.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from operators.hosts import Address, NoHost, Pattern, host, literal, never, pattern, region, target

PURPOSES = ("models", "forges", "index", "store", "cluster", "traces", "proxies")
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "grpc_proxy", "ws_proxy", "wss_proxy"})
# What the libraries that we use would tell their makers, and what keeps it to itself.
QUIET = {
    "DO_NOT_TRACK": "1",  # vLLM, and more and more others: https://donottrack.sh
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""Where weights may not be fetched."""
_LOCAL = frozenset({socket.AF_UNIX, socket.AF_NETLINK, socket.AF_ALG})
CLUSTER = "this cluster"  # the source of a host that we are part of, whoever else is allowed
MOST = 100_000  # addresses of allowed names that are remembered


class Forbidden(PermissionError):
    """It may not be talked to; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Allowed:
    purpose: str
    pattern: Pattern
    source: str
    """The file and line, or the variable, that says so."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may be talked to, and for what. Without anything: this machine alone."""

    allowed: tuple[Allowed, ...] = ()
    file: str = "umbau.yaml"
    """The site's file, which there may not be."""
    lists: Mapping[str, str] = field(default_factory=dict)
    """By purpose: file and line of the list. Empty where the file lists no hosts and the environment counts."""
    regions: tuple[tuple[Pattern, str], ...] = ()
    region: tuple[str, ...] = ()
    """Where prompts may be processed; empty: wherever."""
    region_at: str = ""
    here: bool = True
    """Whether this machine may be talked to; only a trial of the guard says no."""

    def refusal(self, purpose: str, to: str | Address, port: int, wanted: Sequence[Allowed] = ()) -> str:
        """Return why a host may not be talked to and what to do, "" when it may. `wanted`: whoever else would have to
        be allowed."""
        shown = f"[{to}]" if ":" in str(to) else str(to)
        if not isinstance(to, str) and (why := never(to)):
            return f"{shown} {why}: nothing goes there, whatever a site allows"
        if purpose != "proxies" and self.ours(to):  # a proxy goes on to anybody, wherever it is itself
            return ""
        if not any(one.purpose == purpose and one.pattern.fits(to, port) for one in self.allowed):
            return self._stranger(purpose, shown, port, wanted)
        return self._away(to, port, shown) if purpose == "models" else ""

    def ours(self, to: str | Address) -> bool:
        """Say whether it is this machine."""
        if isinstance(to, str):
            return self.here and to in {"localhost", socket.gethostname().lower()}
        return self.here and (to.is_loopback or _own(to))

    def known(self, to: str | Address, port: int) -> bool:
        """Say whether a host is allowed for anything at all."""
        return self.ours(to) or any(one.pattern.fits(to, port) for one in self.allowed)

    def _stranger(self, purpose: str, shown: str, port: int, wanted: Sequence[Allowed]) -> str:
        if self.lists:
            at = f"{shown} (port {port})" if port else shown
            return (
                f"{at} is not among the hosts that {self.lists[purpose]} allows for {purpose}: "
                "whoever answers for this site adds it there, if it may be talked to"
            )
        named: dict[str, list[str]] = {name: [] for name in PURPOSES}
        for one in (*self.allowed, *wanted):  # what is allowed now, too, as it is not once the file has a list
            if one.source != CLUSTER:
                named[one.purpose].append(one.pattern.text)
        named[purpose].append(shown)
        lists = ", ".join(
            f"{name}: [{', '.join(map(_quoted, dict.fromkeys(found)))}]" for name, found in named.items() if found
        )
        return (
            f"{shown} is not among the hosts that this site allows for {purpose}. If it may be talked to, write into "
            f"{self.file}: `hosts: {{{lists}}}`"
        )

    def _away(self, to: str | Address, port: int, shown: str) -> str:
        if not self.region:
            return ""
        found = region(self.regions, to, port)
        if found in self.region:
            return ""
        where = f"lies in {found}" if found else "lies in no region that is known"
        return f"{shown} {where}, and prompts go to {', '.join(self.region)} only: {self.region_at}"


def _quoted(text: str) -> str:
    """Return a pattern as it may stand in a list of YAML."""
    return f'"{text}"' if ":" in text or text.startswith("*") else text


_policy = Policy()
_guarding = False
_answers: dict[Address, set[str]] = {}  # what allowed names were resolved to
_inside = threading.local()
_installing = threading.Lock()


def current() -> Policy:
    return _policy


def enforce(policy: Policy, *, downloads: bool = False) -> dict[str, str]:
    """Put a policy in force for this process, and what it starts as far as variables go: from now on its sockets reach
    nobody else, proxies that are not allowed are forgotten, telemetry is off. Returns the variables of such proxies,
    with why."""
    global _policy, _guarding
    _policy = policy
    os.environ.update(QUIET if downloads else QUIET | OFFLINE)
    forgotten = drop_proxies()
    with _installing:
        if not _guarding:
            _guarding = True
            _install()
    return forgotten


def admit(purpose: str, url: str, source: str) -> None:
    """Allow the host that somebody at the command line names, unless the site's file says who is allowed. Raises
    Forbidden when it is not."""
    global _policy
    try:
        to, _ = target(url)
        known = Allowed(purpose, pattern(str(to)), source)
    except NoHost as why:
        raise Forbidden(f"{url}: {why}") from None
    if not _policy.lists and known not in _policy.allowed:
        _policy = replace(_policy, allowed=(*_policy.allowed, known))
    check(purpose, url)


def belong(address: str) -> None:
    """Allow the head of the Ray cluster that this process is part of, `host:port`."""
    global _policy
    to, _ = target(f"ray://{address}")
    _policy = replace(_policy, allowed=(*_policy.allowed, Allowed("cluster", pattern(str(to)), CLUSTER)))


def check(purpose: str, url: str, wanted: Sequence[Allowed] = ()) -> None:
    """Raise Forbidden unless a URL may be talked to for this. `wanted`: whoever else would have to be allowed."""
    try:
        to, port = target(url)
    except NoHost as why:
        raise Forbidden(f"{url}: {why}") from None
    check_at(purpose, to, port, wanted)


def check_at(purpose: str, to: str | Address, port: int, wanted: Sequence[Allowed] = ()) -> None:
    """Raise Forbidden unless a host may be talked to for this. `to`: as a URL has it, too."""
    drop_proxies()
    try:
        why = _policy.refusal(purpose, host(to) if isinstance(to, str) else to, port, wanted)
    except NoHost as error:
        why = str(error)
    if why:
        raise Forbidden(why)


def resolved(name: str, port: int) -> list[str]:
    """Return the addresses of a host, for programs that would resolve it by themselves. Raises Forbidden when one is
    never allowed, and OSError when there is none."""
    found = [str(info[4][0]) for info in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)]
    for one in found:
        address = literal(one)
        if address and (why := never(address)):
            raise Forbidden(f"{name} is {one}, which {why}: nothing goes there, whatever a site allows")
    return list(dict.fromkeys(found))


def drop_proxies() -> dict[str, str]:
    """Take variables of proxies that are not allowed out of the environment, which every library reads for itself."""
    found: dict[str, str] = {}
    for name in [name for name in os.environ if name.lower() in PROXIES]:
        value = os.environ[name]
        scheme, _, rest = (value if "://" in value else f"http://{value}").partition("://")
        try:
            why = _policy.refusal("proxies", *target(f"{scheme}://{rest.rpartition('@')[2]}"))
        except NoHost as error:
            why = str(error)
        if why:
            del os.environ[name]
            found[name] = why
    return found


# What follows is the guard.


def _own(address: Address) -> bool:
    """Say whether an address is one of this machine's: there, a way to it begins at itself. Nothing is sent."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    before, _inside.ours = getattr(_inside, "ours", False), True
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return literal(str(probe.getsockname()[0])) == address
    except OSError:
        return False
    finally:
        _inside.ours = before


def _goes(sock: Any, to: Any) -> None:
    """Refuse an address that a socket is to send to."""
    if to is None or sock.family in _LOCAL:
        return
    if sock.family not in {socket.AF_INET, socket.AF_INET6} or not isinstance(to, tuple):
        raise Forbidden(f"sockets of the kind {sock.family} lead nowhere that a site allows")
    address, port = literal(str(to[0])), int(to[1])
    if address is None:
        raise Forbidden(f"{to[0]!r} is no address: resolve it first")
    if why := never(address):
        raise Forbidden(f"{address} {why}: nothing goes there, whatever a site allows")
    if _policy.known(address, port) or any(_policy.known(name, port) for name in _answers.get(address, ())):
        return
    raise Forbidden(f"{address} (port {port}) is not among the hosts that this site allows")


def _asks(name: Any, *_: Any) -> None:
    """Refuse a name that somebody wants resolved: the question alone would tell."""
    text = name.decode(errors="replace") if isinstance(name, bytes | bytearray) else name
    if not text or literal(text):
        return
    try:
        if _policy.known(host(text), 0):
            return
    except NoHost:
        pass
    raise Forbidden(f"{text!r} is not among the hosts that this site allows, so nobody is asked where it is")


def _backwards(to: Any, *_: Any) -> None:
    """Refuse an address of which somebody wants the name."""
    text = str(to[0] if isinstance(to, tuple) else to)
    address = literal(text)
    if address is None:
        _asks(text)
    elif not (_policy.known(address, 0) or address in _answers):
        raise Forbidden(f"{text} is not among the hosts that this site allows, so nobody is asked who it is")


_LOOKS: dict[str, Callable[..., None]] = {
    "socket.connect": _goes,
    "socket.sendto": _goes,
    "socket.sendmsg": _goes,
    "socket.getaddrinfo": _asks,
    "socket.gethostbyname": _asks,
    "socket.gethostbyaddr": _backwards,
    "socket.getnameinfo": _backwards,
}


def _install() -> None:
    """Hook into what Python does with sockets. A hook hears of an address only after a name was resolved, and never of
    the answer: so the functions that resolve are replaced by ones that look at both."""
    look = _LOOKS.get

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if (judge := look(event)) is not None and not getattr(_inside, "ours", False):
            judge(*args)

    sys.addaudithook(hook)
    asked, by_name = socket.getaddrinfo, socket.gethostbyname

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        found = asked(host, port, *args, **more)
        for info in found:
            _answered(host, str(info[4][0]))
        return found

    def gethostbyname(name: str) -> str:
        _answered(name, found := by_name(name))
        return found

    for function in (getaddrinfo, gethostbyname):
        setattr(socket, function.__name__, function)
    for method, at in (("connect", 0), ("connect_ex", 0), ("sendto", -1), ("sendmsg", 3)):
        setattr(socket.socket, method, _by_address(getattr(socket.socket, method), at))


def _by_address(method: Callable[..., Any], at: int) -> Callable[..., Any]:
    """Return a method of sockets that resolves the name in its argument number `at` as everybody else does."""

    def call(sock: Any, *args: Any, **more: Any) -> Any:
        to = args[at] if len(args) > at else None
        if sock.family in {socket.AF_INET, socket.AF_INET6} and isinstance(to, tuple) and not literal(str(to[0])):
            known = socket.getaddrinfo(to[0], to[1], sock.family)[0][4]
            args = tuple(known if one is to else one for one in args)
        return method(sock, *args, **more)

    return call


def _answered(name: Any, found: str) -> None:
    """Remember an address of an allowed name."""
    address = literal(found)
    text = name.decode(errors="replace") if isinstance(name, bytes | bytearray) else name
    if text and address and not literal(text):
        if len(_answers) >= MOST:
            _answers.clear()
        _answers.setdefault(address, set()).add(str(host(text)))
