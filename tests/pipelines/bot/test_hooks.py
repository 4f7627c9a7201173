"""Which webhooks are believed, and what is read of them."""

from __future__ import annotations

import base64
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.bot.hooks import KEPT, MOST, WINDOW, Ear, NotBelieved

SECRET = "It's a Secret to Everybody"
KEY = bytes(range(32))
NOW = 1_800_000_000.0
PUSHED = json.dumps({"repository": {"full_name": "acme/billing"}, "sender": {"login": "ada"}}).encode()
NOTED = json.dumps({"object_kind": "note", "project": {"path_with_namespace": "acme/web/billing"}}).encode()


def hub(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}


def standard(body: bytes, at: float = NOW, identity: str = "msg_1") -> dict[str, str]:
    told = f"{identity}.{at:.0f}.".encode() + body
    signature = "v1," + base64.b64encode(hmac.digest(KEY, told, "sha256")).decode()
    return {"webhook-id": identity, "webhook-timestamp": f"{at:.0f}", "webhook-signature": signature}


def whsec() -> Ear:
    return Ear("whsec_" + base64.b64encode(KEY).decode())


def test_githubs_own_example() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert Ear(SECRET).github({"x-hub-signature-256": signature}, b"Hello, World!", NOW) == ""


def test_what_github_sends() -> None:
    assert Ear(SECRET).github(hub(PUSHED), PUSHED, NOW) == "acme/billing"


def test_what_gitlab_sends() -> None:
    assert Ear(SECRET).gitlab({"x-gitlab-token": SECRET}, NOTED, NOW) == "acme/web/billing"
    assert whsec().gitlab(standard(NOTED), NOTED, NOW) == "acme/web/billing"
    several = {**standard(NOTED), "webhook-signature": f"v1,AAAA {standard(NOTED)['webhook-signature']}"}
    assert whsec().gitlab(several, NOTED, NOW) == "acme/web/billing", "while a key is replaced there are two"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": "ü"},
        {"x-hub-signature": "sha1=00"},
        hub(PUSHED, "x" * 20),
        hub(NOTED),
    ],
)
def test_what_is_not_believed_of_github(headers: dict[str, str]) -> None:
    with pytest.raises(NotBelieved):
        Ear(SECRET).github(headers, PUSHED, NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-gitlab-token": ""},
        {"x-gitlab-token": SECRET[:-1]},
        {"x-gitlab-token": "é"},
        {"x-gitlab-token": SECRET, "webhook-signature": "v1,AAAA"},
        hub(NOTED),
    ],
)
def test_what_is_not_believed_of_gitlab(headers: dict[str, str]) -> None:
    with pytest.raises(NotBelieved):
        Ear(SECRET).gitlab(headers, NOTED, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": f"{NOW + 1:.0f}"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "１８００００００００"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": ""},
    ],
)
def test_a_signature_is_of_id_time_and_body(change: dict[str, str]) -> None:
    with pytest.raises(NotBelieved):
        whsec().gitlab({**standard(NOTED), **change}, NOTED, NOW)


@pytest.mark.parametrize("off", [-WINDOW - 1, WINDOW + 1])
def test_a_signed_time_is_of_these_minutes(off: float) -> None:
    with pytest.raises(NotBelieved):
        whsec().gitlab(standard(NOTED, NOW + off), NOTED, NOW)


def test_the_same_delivery_counts_once_for_a_while() -> None:
    ear = Ear(SECRET)
    assert [ear.github(hub(PUSHED), PUSHED, NOW + late) for late in (0, 1, KEPT - 1)] == ["acme/billing", "", ""]
    assert ear.github(hub(PUSHED), PUSHED, NOW + KEPT + 1) == "acme/billing"


def test_deliveries_are_not_remembered_without_end() -> None:
    ear = Ear(SECRET)
    for number in range(MOST + 50):
        ear.gitlab({"x-gitlab-token": SECRET}, b"%d" % number, NOW)
    assert len(ear._seen) <= MOST + 1


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"1", b"[" * 100_000, b'{"repository": {"full_name": 3}}', b"\xff"]
)
def test_a_body_that_names_no_repository(body: bytes) -> None:
    assert Ear(SECRET).github(hub(body), body, NOW) == ""


@given(st.binary(max_size=200), st.dictionaries(st.sampled_from(["x-hub-signature-256", "x-gitlab-token"]), st.text()))
def test_whatever_comes_without_the_secret_is_not_believed(body: bytes, headers: dict[str, str]) -> None:
    for hear in (Ear(SECRET).github, Ear(SECRET).gitlab):
        with pytest.raises(NotBelieved):
            hear(headers, body, NOW)


def test_a_short_secret_is_refused_and_none_is_shown() -> None:
    with pytest.raises(ValueError, match="16 or more"):
        Ear("short")
    assert SECRET not in repr(Ear(SECRET))
