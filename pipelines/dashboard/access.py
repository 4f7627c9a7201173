"""Who may look, and who may act: keys, or the word of a proxy in front that has asked an OpenID Connect provider.

The file holds digests alone, so that whoever reads it gets in nowhere. Keys are 256 random bits: there is nothing to
guess, and a plain digest of one will do.
"""

from __future__ import annotations

import hmac
import secrets
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from pipelines.errors import Refused
from pipelines.strict import Strict

Role = Literal["reader", "operator"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Named = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,79}$")]
# Name and groups, as oauth2-proxy and its like call them: in front of everything, or asked by nginx.
SPOKEN = (("x-forwarded-user", "x-forwarded-groups"), ("x-auth-request-user", "x-auth-request-groups"))
SECRET = "x-umbau-proxy"


def _network(text: str) -> str:
    ip_network(text)
    return text


class Key(Strict):
    role: Role
    sha256: Digest
    """Of the key."""


class Proxy(Strict):
    """Believed when it comes from one of the addresses and sends the secret in the header X-Umbau-Proxy."""

    addresses: list[Annotated[str, AfterValidator(_network)]] = Field(min_length=1)
    """Such as `10.0.0.5` or `10.1.0.0/24`."""
    sha256: Digest
    """Of the secret."""
    readers: list[str] = Field(default=[])
    """Groups, as the provider calls them."""
    operators: list[str] = Field(default=[])

    def role(self, groups: set[str]) -> Role | None:
        return "operator" if groups & {*self.operators} else "reader" if groups & {*self.readers} else None


class Access(Strict):
    keys: dict[Named, Key] = Field(default={})
    proxy: Proxy | None = None

    @property
    def anybody(self) -> bool:
        """Whether there is somebody who may look."""
        return bool(self.keys or self.proxy)


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    role: Role
    way: str
    """Tells one way in from another: a session, the proxy, or a key in the header."""
    bearer: bool = False
    """Sent a key with the request itself, which no other site can make a browser do."""

    @property
    def operates(self) -> bool:
        return self.role == "operator"


def read(file: Path) -> Access:
    """Read who has access; nobody when there is no such file. Raises Refused."""
    try:
        return Access.model_validate(tomllib.loads(file.read_text()))
    except FileNotFoundError:
        return Access()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{file} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def made(file: Path, name: str, role: Role) -> str:
    """Make a key for somebody, add its digest to the file, and return it. Raises Refused, the file being as it was."""
    if name in read(file).keys:
        raise Refused(f"{file} has a key for {name} already: take the lines [keys.{name}] out first")
    key = f"umbau_{secrets.token_urlsafe(32)}"
    entry = {"role": role, "sha256": digest(key)}
    try:
        Access.model_validate({"keys": {name: entry}})
    except ValidationError:
        raise Refused(f"{name!r} is no name: letters, digits and . _ @ - are") from None
    new = not file.exists()
    old = "" if new else file.read_text()
    gap = "\n" if old and not old.endswith("\n") else ""
    added = f'{gap}[keys."{name}"]\nrole = "{role}"\nsha256 = "{entry["sha256"]}"\n'
    try:
        tomllib.loads(old + added)
    except tomllib.TOMLDecodeError as error:  # as where all keys stand in one inline table
        raise Refused(f"{file} does not take [keys.{name}] at its end: {error}") from None
    with file.open("a") as out:  # in its place: whose it is and who may read it stay as they are
        out.write(added)
    if new:
        file.chmod(0o600)
    return key


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def by_key(access: Access, given: str) -> Person | None:
    """Return whose key it is. All are compared, each in the same time."""
    told, found = digest(given), None
    for name, key in access.keys.items():
        if hmac.compare_digest(told, key.sha256):
            found = Person(name, key.role, f"key {name}", bearer=True)
    return found


def by_proxy(access: Access, headers: Iterable[tuple[str, str]], address: str) -> Person | None:
    """Return whom the proxy speaks for; nobody when it is not the proxy that speaks, or the person is in no group, or
    when something is said twice: then one of them may be of the person's own making. `headers`: names in lower case.
    `address`: the other end of the connection."""
    proxy = access.proxy
    if proxy is None or not any(_within(address, network) for network in proxy.addresses):
        return None
    known = {SECRET, *(name for pair in SPOKEN for name in pair)}
    given = [(name, value) for name, value in headers if name in known]
    said = dict(given)
    pairs = [pair for pair in SPOKEN if any(name in said for name in pair)]
    if not hmac.compare_digest(digest(said.get(SECRET, "")), proxy.sha256) or len(given) > len(said) or len(pairs) != 1:
        return None
    name, groups = (said.get(one, "").strip() for one in pairs[0])
    role = proxy.role({part.strip() for part in groups.split(",")} - {""})
    return Person(name[:200], role, f"proxy {name}") if name and role else None


def _within(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network)
    except ValueError:
        return False
