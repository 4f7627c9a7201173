"""Which key signs, what is refused, and what a signature is worth."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import embedded
from pipelines.errors import Refused
from pipelines.evidence.envelope import KIND, Envelope, Signature, broken, encoded, read, sealed
from pipelines.evidence.keys import publics, signer
from pipelines.evidence.trial import TRIED, signing

VARIABLE = "UMBAU_EVIDENCE_KEY"


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def keygen(file: Path, *args: str) -> Path:
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file), *args]
    subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
    return file


def test_a_key_is_made_once_and_nobody_else_can_read_it(tmp_path: Path, unset: None) -> None:
    one, file = signer(tmp_path, VARIABLE), tmp_path / "keys" / "evidence"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert signer(tmp_path, VARIABLE).public.fingerprint == one.public.fingerprint
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(file)], check=True, capture_output=True, text=True).stdout
    assert one.public.fingerprint in told.split()
    (public,) = publics(tmp_path, VARIABLE, (file.with_name("evidence.pub"),))
    assert public.fingerprint == one.public.fingerprint
    assert file.read_text() not in repr(one)
    assert [each.name for each in file.parent.iterdir() if each.name.startswith(".")] == []


def test_two_that_make_a_key_at_the_same_time_have_one(tmp_path: Path, unset: None) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = {one.public.fingerprint for one in pool.map(lambda _: signer(tmp_path, VARIABLE), range(8))}
    assert made == {signer(tmp_path, VARIABLE).public.fingerprint}
    assert publics(tmp_path, VARIABLE, (tmp_path / "keys" / "evidence.pub",))[0].fingerprint in made


def test_the_sites_own_key_signs_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = keygen(tmp_path / "own")
    monkeypatch.setenv(VARIABLE, str(file))
    one = signer(tmp_path, VARIABLE)
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(file)], check=True, capture_output=True, text=True).stdout
    assert one.public.fingerprint == told.split()[1]
    assert not (tmp_path / "keys").exists()
    assert broken(sealed(TRIED, one), publics(tmp_path, VARIABLE)) == ""
    file.unlink()  # who only verifies needs the public one
    assert broken(sealed(TRIED, one), publics(tmp_path, VARIABLE)) == ""


def test_a_public_key_outlives_its_private_one(tmp_path: Path, unset: None) -> None:
    file = tmp_path / "keys" / "evidence"
    beside = file.with_name("evidence.pub")
    one = sealed(TRIED, signer(tmp_path, VARIABLE))
    file.unlink()
    beside.write_bytes(beside.read_bytes().rstrip())
    other = sealed(TRIED, signer(tmp_path, VARIABLE))
    assert [broken(made, publics(tmp_path, VARIABLE)) for made in (one, other)] == ["", ""]
    assert len(publics(tmp_path, VARIABLE, (beside,))) == 2
    assert broken(one, [signer(tmp_path, VARIABLE).public])
    beside.unlink()  # killed before it was written
    signer(tmp_path, VARIABLE)
    assert broken(other, publics(tmp_path, VARIABLE, (beside,))) == ""


@pytest.mark.parametrize(
    ("args", "mode", "why"),
    [
        (("-N", "secret"), 0o600, "locked by a passphrase"),
        (("-t", "rsa"), 0o600, "no ed25519 key|not an ed25519 key"),
        ((), 0o644, "may be read by others: chmod 600"),
    ],
)
def test_keys_that_cannot_sign_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], mode: int, why: str
) -> None:
    file = keygen(tmp_path / "own", *args)
    file.chmod(mode)
    monkeypatch.setenv(VARIABLE, str(file))
    with pytest.raises(Refused, match=why):
        signer(tmp_path, VARIABLE)
    assert signing(tmp_path, VARIABLE).trouble


@pytest.mark.parametrize("text", ["", "nonsense", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    file = tmp_path / "own"
    file.touch(0o600)
    file.write_text(text)
    monkeypatch.setenv(VARIABLE, str(file))
    with pytest.raises(Refused):
        signer(tmp_path, VARIABLE)
    with pytest.raises(Refused):
        publics(tmp_path, VARIABLE, (file,))


def test_signing_is_tried_with_a_flipped_bit(tmp_path: Path, unset: None) -> None:
    found = signing(tmp_path, VARIABLE)
    assert (found.fingerprint, found.trouble) == ("", "")
    assert [*tmp_path.iterdir()] == [], "looking makes none"
    signer(tmp_path, VARIABLE)
    found = signing(tmp_path, VARIABLE)
    assert found.trouble == ""
    assert found.fingerprint.startswith("SHA256:")
    assert found.whose == "made by Umbau for this home"


def test_an_envelope_is_what_dsse_says(tmp_path: Path, unset: None) -> None:
    """The example of https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md."""
    assert encoded("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    made = sealed(TRIED, signer(tmp_path, VARIABLE))
    told = json.loads(made.json())
    assert told.keys() == {"payload", "payloadType", "signatures"}
    assert told["payloadType"] == "application/vnd.in-toto+json"
    assert read(made.json()) == made
    urlsafe = {**told, "payload": told["payload"].replace("+", "-").replace("/", "_")}
    assert read(json.dumps(urlsafe)) == made


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Envelope, Path]:
    home = tmp_path_factory.mktemp("home")
    return sealed({**TRIED, "predicate": {"much": list(range(50))}}, signer(home, "UNSET")), home


@given(st.data())
def test_no_bit_can_be_flipped(good: tuple[Envelope, Path], data: st.DataObject) -> None:
    made, home = good
    one, keys = made.signatures[0], publics(home, "UNSET")
    part = data.draw(st.sampled_from(["payload", "sig", "kind"]))
    was = {"payload": made.payload, "sig": one.sig, "kind": KIND.encode()}[part]
    bit = data.draw(st.integers(0, len(was) * 8 - 1))
    now = was[: bit // 8] + bytes([was[bit // 8] ^ (1 << bit % 8)]) + was[bit // 8 + 1 :]
    bad = {
        "payload": replace(made, payload=now),
        "sig": replace(made, signatures=(Signature(one.keyid, now),)),
        "kind": replace(made, kind=now.decode("latin-1")),
    }[part]
    assert broken(made, keys) == ""
    assert broken(bad, keys)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda one: (
            st.lists(one) | st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "sig"]), one)
        ),
    ).map(lambda one: json.dumps(one).encode())
)
def test_anything_can_be_read_as_an_envelope_or_is_refused(text: bytes) -> None:
    try:
        made = read(text)
        made.statement()
    except Refused:
        return
    assert broken(made, [])


def test_the_weights_of_the_model_that_comes_with_umbau_are_hashed_once() -> None:
    found = embedded.weights(str(embedded.SHIPPED_IN))
    assert "model.safetensors" in found
    assert all(len(digest) == 64 for digest in found.values())
    assert embedded.weights(str(embedded.SHIPPED_IN)) is found
