"""The SSH key that signs evidence. It is read where merge requests are opened, and nowhere else.

By `cryptography`, which reads and writes the files of OpenSSH: ssh-keygen signs as well, but in a form of its own that
nobody who reads DSSE understands.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from pipelines.errors import Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

OURS = "keys/evidence"  # below Umbau's home


@dataclass(frozen=True, slots=True)
class Public:
    """A key that signatures are checked with."""

    line: bytes
    """As OpenSSH writes it, without a comment: `ssh-ed25519 AAAA...`."""
    whose: str
    _key: Ed25519PublicKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` tells it: `SHA256:...`."""
        told = base64.b64encode(sha256(base64.b64decode(self.line.split()[1])).digest()).rstrip(b"=")
        return f"SHA256:{told.decode()}"

    def signed(self, data: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs. It is told to nobody."""

    public: Public
    sign: Callable[[bytes], bytes] = field(repr=False)
    """Returns 64 bytes, the same for the same data."""


def signer(home: Path, variable: str) -> Signer:
    """Return the key that `variable` names, or Umbau's own, made when there is none; the public key of the latter is
    put beside it, after those of keys that were lost. Raises Refused."""
    if _named(variable):
        return _own(home, variable)
    file = home / OURS
    if not file.exists():
        _make(file)
    found = _own(home, variable)
    _put_down(found.public, _beside(file))
    return found


def publics(home: Path, variable: str, files: tuple[Path, ...] = ()) -> list[Public]:
    """Return what signatures are checked with: the keys in `files`, or else the one that signs here and those that
    stand beside it; none where none was made yet. Raises Refused."""
    if files:
        return [key for file in files for key in _publics(file)]
    file = _named(variable) or home / OURS
    own = [_own(home, variable).public] if os.access(file, os.R_OK) else []
    beside = _publics(_beside(file)) if _beside(file).is_file() else []
    return [*{key.line: key for key in (*beside, *own)}.values()]


def _own(home: Path, variable: str) -> Signer:
    if named := _named(variable):
        return _read(named, f"the site's own, named by {variable}", variable)
    return _read(home / OURS, "made by Umbau for this home", str(home / OURS))


def _named(variable: str) -> Path | None:
    path = os.environ.get(variable, "").strip()
    return Path(path).expanduser().absolute() if path else None


def _beside(file: Path) -> Path:
    """Return where the public key stands, with those that were there before it."""
    return file.with_name(f"{file.name}.pub")


def _put_down(key: Public, beside: Path) -> None:
    """Add a public key to those that stand in a file, unless it is one of them. Raises Refused."""
    try:
        known = beside.read_bytes() if beside.exists() else b""
        if not any(line.startswith(key.line) for line in known.splitlines()):
            with beside.open("ab") as file:
                file.write(b"\n" * (known[-1:] not in b"\n") + key.line + b" umbau evidence\n")
    except OSError as error:
        raise Refused(f"evidence is not signed: {beside} cannot hold the public key: {error.strerror}") from None


def _publics(file: Path) -> list[Public]:
    """Read public keys, one a line, as ssh-keygen writes them."""
    try:
        lines = [line for line in file.read_bytes().splitlines() if line.strip() and not line.startswith(b"#")]
    except OSError as error:
        raise Refused(f"the key {file} cannot be read: {error.strerror}") from None
    if not lines:
        raise Refused(f"{file} holds no public key")
    return [_public(line, f"{file}", f"{file}") for line in lines]


def _public(line: bytes, whose: str, where: str) -> Public:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        key = load_ssh_public_key(line)
    except (ValueError, UnsupportedAlgorithm):
        raise Refused(f"{where} holds something that is no public key of OpenSSH (`ssh-ed25519 AAAA...`)") from None
    if not isinstance(key, Ed25519PublicKey):
        raise Refused(f"{where}: evidence is signed by ed25519 keys, and this is another kind")
    return Public(b" ".join(line.split()[:2]), whose, key)


def _read(file: Path, whose: str, where: str) -> Signer:
    """Read a private key. Raises Refused; what is in the file is not told."""
    try:
        data, mode = file.read_bytes(), file.stat().st_mode
    except OSError as error:
        raise Refused(f"evidence cannot be signed: the SSH key of {where} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise Refused(f"evidence is not signed: the SSH key of {where} may be read by others: chmod 600")
    return _signer(_loaded(data, where), whose)


def _signer(key: Ed25519PrivateKey, whose: str) -> Signer:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return Signer(Public(line, whose, key.public_key()), key.sign)


def throwaway() -> Signer:
    """Make a key that is kept nowhere."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return _signer(Ed25519PrivateKey.generate(), "kept nowhere")


def _loaded(data: bytes, where: str) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    make = "make one for Umbau: ssh-keygen -t ed25519 -N '' -f FILE"
    try:
        key = load_ssh_private_key(data, password=None)
    except (TypeError, UnsupportedAlgorithm):
        raise Refused(f"the SSH key of {where} is locked by a passphrase: {make}") from None
    except ValueError as error:
        locked = "password" in str(error).lower() or "encrypted" in str(error).lower()
        why = "is locked by a passphrase" if locked else "is no private key of OpenSSH"
        raise Refused(f"the SSH key of {where} {why}: {make}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused(f"the SSH key of {where} is not an ed25519 key: {make}")
    return key


def _make(file: Path) -> None:
    """Make a key that only this user can read. Of two that make one at the same time, the first one's stays."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    half = file.with_name(f".{file.name}.{token_hex(4)}")
    try:
        half.touch(0o600, exist_ok=False)
        half.write_bytes(private)
        os.link(half, file)  # unlike a rename, it replaces nothing
    except FileExistsError:
        pass
    finally:
        half.unlink(missing_ok=True)
