"""Whether evidence can be signed here, tried on the spot."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import Refused
from pipelines.evidence.envelope import Envelope, Signature, broken, sealed
from pipelines.evidence.keys import OURS, Signer, signer, throwaway

TRIED = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "trial"}], "predicate": {}}


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs evidence."""

    fingerprint: str
    """As `ssh-keygen -l` tells it, "" where there is no key, or none that can sign."""
    whose: str
    trouble: str = ""
    """Why nothing can be signed, or what is wrong with what was."""


def signing(home: Path, variable: str) -> Signing:
    """Say which key signs, and try it: what it signs is good, and nothing else is. None is made where there is none
    yet: then one that is thrown away is tried."""
    if not os.environ.get(variable, "").strip() and not (home / OURS).exists():
        return Signing("", "Umbau makes one for this home when it pushes the first request", _tried(throwaway()))
    try:
        own = signer(home, variable)
    except Refused as why:
        return Signing("", "", str(why))
    return Signing(own.public.fingerprint, own.public.whose, _tried(own))


def _tried(own: Signer) -> str:
    """Sign something; then flip one bit of it and one of its signature: neither may pass."""
    good = sealed(TRIED, own)
    if why := broken(good, [own.public]):
        return f"what was signed does not pass: {why}"
    (one,) = good.signatures
    wrong = {
        "statement": Envelope(_flipped(good.payload), good.kind, good.signatures),
        "signature": Envelope(good.payload, good.kind, (Signature(one.keyid, _flipped(one.sig)),)),
    }
    passed = [name for name, bad in wrong.items() if not broken(bad, [own.public])]
    return f"passes although a bit was flipped: {', '.join(passed)}" if passed else ""


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])
