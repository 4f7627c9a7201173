"""Signed statements as they lie in the store and in files: DSSE envelopes.

https://github.com/secure-systems-lab/dsse, version 1.0.2. What is signed are the bytes of the statement together with
what kind of bytes they are, so that nothing has to be written the same way twice to be checked.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pipelines.data import canonical
from pipelines.errors import Refused
from pipelines.evidence.keys import Public, Signer

KIND = "application/vnd.in-toto+json"
LONGEST = 64 << 20  # bytes of an envelope


@dataclass(frozen=True, slots=True)
class Signature:
    keyid: str
    """The fingerprint of a key: a hint, which is not signed itself."""
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    payload: bytes
    kind: str
    signatures: tuple[Signature, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the statement, in hex: what it is linked by."""
        return sha256(self.payload).hexdigest()

    def statement(self) -> dict[str, Any]:
        """Read the statement. Raises Refused when it is none."""
        try:
            found = json.loads(self.payload)
        except (ValueError, RecursionError):
            raise Refused("the envelope holds no JSON") from None
        if not (isinstance(found, dict) and isinstance(found.get("predicate"), dict) and found.get("subject")):
            raise Refused("the envelope holds no statement of in-toto")
        return found

    def json(self) -> str:
        signatures = [{"keyid": one.keyid, "sig": _base64(one.sig)} for one in self.signatures]
        return json.dumps({"payload": _base64(self.payload), "payloadType": self.kind, "signatures": signatures})


def sealed(statement: dict[str, Any], by: Signer) -> Envelope:
    """Return a statement, which JSON can hold, signed."""
    payload = canonical(statement).encode()
    return Envelope(payload, KIND, (Signature(by.public.fingerprint, by.sign(encoded(KIND, payload))),))


def read(text: str | bytes) -> Envelope:
    """Read an envelope. Raises Refused."""
    try:
        told = json.loads(text)
        signatures = tuple(
            Signature(str(one.get("keyid") or ""), _bytes(one["sig"])) for one in told["signatures"][:10]
        )
        return Envelope(_bytes(told["payload"]), str(told["payloadType"]), signatures)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Refused("this is no DSSE envelope: it needs payload, payloadType and signatures") from None


def broken(envelope: Envelope, keys: Sequence[Public]) -> str:
    """Say what is wrong with the signature, "" when one of `keys` made it."""
    if envelope.kind != KIND:
        return f"what is signed calls itself {envelope.kind[:80]!r} and not {KIND}"
    if not envelope.signatures:
        return "nobody signed it"
    if signers(envelope, keys):
        return ""
    known, said = {key.fingerprint for key in keys}, {one.keyid for one in envelope.signatures}
    if known & said:
        return "statement or signature was changed after it was signed"
    return f"it is said to be of another key, {', '.join(sorted(said))[:200]}, than {', '.join(sorted(known))}"


def signers(envelope: Envelope, keys: Sequence[Public]) -> list[Public]:
    """Return those of `keys` that made a signature of it."""
    data = encoded(envelope.kind, envelope.payload)
    return [key for key in keys if any(key.signed(data, one.sig) for one in envelope.signatures)]


def encoded(kind: str, payload: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        raise ValueError from None
