"""Hosts and patterns of hosts, read so that there is one way only to read each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_ODD = re.compile(r"[\s\\\x00-\x20\x7f]")
_PORTS = {"https": 443, "http": 80, "ssh": 22, "postgresql": 5432, "postgres": 5432, "ray": 10001}
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# Where clouds tell a machine's secrets to whoever asks from it: AWS over IPv6, Alibaba, Oracle, Azure.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")))


class NoHost(ValueError):
    """It is no host, or one that others might read as another; the message says why."""


def host(name: str) -> str | Address:
    """Return a host in its one form: an address, or a name in lower case without the last dot. Raises NoHost."""
    text = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    text = text.lower().removesuffix(".")
    if not text.isascii():
        raise NoHost(f"{name!r} is not written as DNS has it, which is xn--...")
    if found := literal(text):
        return found
    labels = text.split(".")
    if len(text) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise NoHost(f"{name!r} is no name of a host")
    if _NUMBER.fullmatch(labels[-1]):  # 127.1, 0x7f.1, 2130706433, 0177.0.0.1: addresses to some
        raise NoHost(f"{name!r} is no address in its usual form")
    return text


def literal(text: str) -> Address | None:
    """Return the address that a text is, None when it is none. IPv4 within IPv6 is IPv4."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def target(url: str) -> tuple[str | Address, int]:
    """Return host and port that a URL leads to, 0 for a port that nobody knows. Raises NoHost for what one program
    reads so and another otherwise."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        raise NoHost("it is no URL") from None
    if _ODD.search(url) or not name:
        raise NoHost("it is no URL with a host")
    if "@" in parts.netloc:
        raise NoHost("a URL with a user or password in it leads who knows where")
    return host(name), port or _PORTS.get(parts.scheme, 0)


def never(address: Address) -> str:
    """Say why nothing may ever go to an address, "" when that depends: it is where clouds keep secrets, or is no
    single machine."""
    if isinstance(address, IPv6Address) and address in _NAT64:
        return never(IPv4Address(int(address) & 0xFFFF_FFFF))
    if address.is_link_local or address in _METADATA:
        return "is where a cloud tells a machine's secrets, or link-local"
    if address.is_multicast or address == IPv4Address("255.255.255.255"):
        return "is many machines at once"
    return "is no address of any machine" if address.is_unspecified else ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Hosts that are allowed."""

    text: str = field(compare=False)
    """As it was written."""
    name: str = ""
    """Exact; where `below`, the end of names, which it is not itself."""
    below: bool = False
    network: Any = None
    """Of the ipaddress module, for addresses."""
    port: int = 0
    """0: any."""

    def fits(self, host: str | Address, port: int) -> bool:
        """Say whether a host, in its one form, is meant. `port` 0: whatever the port."""
        if self.port and port and self.port != port:
            return False
        if not isinstance(host, str):
            return self.network is not None and host in self.network
        return host.endswith(f".{self.name}") if self.below else bool(self.name) and host == self.name

    @property
    def narrow(self) -> tuple[bool, int, bool]:
        """Orders patterns that fit the same host: the greatest is the closest."""
        return (not self.below, self.network.prefixlen if self.network else len(self.name), bool(self.port))


def pattern(text: str) -> Pattern:
    """Read a pattern: a name, `*.` and the end of names, an address or a network; then, perhaps, a port. Raises
    NoHost."""
    if "://" in text:
        raise NoHost(f"{text!r} is a URL: write its host alone")
    if text == "*":
        raise NoHost(f"{text!r} is everywhere: name what you mean")
    if found := re.fullmatch(r"\[([^\[\]]+)\](?::(\d+))?", text):
        body, port = found[1], found[2]
    elif text.count(":") > 1:
        body, port = text, None
    else:
        body, colon, port = text.partition(":")
        port = port if colon else None
    number = int(port) if port is not None and re.fullmatch(r"[0-9]{1,5}", port) else 0
    if port is not None and not 0 < number < 1 << 16:
        raise NoHost(f"{text!r} ends in no port")
    if "/" in body:
        return _network(text, body, number)
    below = body.startswith("*.")
    known = host(body.removeprefix("*."))
    if isinstance(known, str):
        return Pattern(text, known, below, port=number)
    if below:
        raise NoHost(f"{text!r}: nothing lies below an address")
    if why := never(known):
        raise NoHost(f"{text!r} {why}: nothing goes there")
    return Pattern(text, network=ip_network(known), port=number)


def _network(text: str, body: str, port: int) -> Pattern:
    try:
        network = ip_network(body)
    except ValueError as error:
        hint = "bits behind its length are set" if "host bits" in str(error) else "write one as 10.1.0.0/16"
        raise NoHost(f"{text!r} is no network: {hint}") from None
    if network.prefixlen == 0:
        raise NoHost(f"{text!r} is everywhere: name what you mean")
    if why := never(network.network_address):
        raise NoHost(f"{text!r} {why}: nothing goes there")
    return Pattern(text, network=network, port=port)


def region(regions: Iterable[tuple[Pattern, str]], host: str | Address, port: int) -> str:
    """Return where a host is by what the closest pattern says; "" when none fits."""
    fitting = [(one.narrow, where) for one, where in regions if one.fits(host, port)]
    return max(fitting, key=lambda one: one[0])[1] if fitting else ""
