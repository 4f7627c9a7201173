"""Addresses of dashboards, and what answers there."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.door import BadAddress, dashboard, exposed, knocked, left_open, noticed
from pipelines.errors import Refused
from pipelines.session import lanes_at
from pipelines.submission.client import told
from tests.pipelines.host import Answer, Server

NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("", "http://127.0.0.1:8265"),
        ("head:8265", "http://head:8265"),
        ("head", "http://head:8265"),
        ("http://head:8265/", "http://head:8265"),
        ("https://ray.example.eu/cluster", "https://ray.example.eu/cluster"),
    ],
)
def test_an_address_of_a_dashboard(address: str, url: str) -> None:
    assert dashboard(address) == url


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", "is where Ray Client would go: jobs go to the dashboard, such as http://head:8265"),
        ("head:10001", "is where Ray Client would go: jobs go to the dashboard, such as http://head:8265"),
        ("head:6379", "is where Ray's nodes would go: jobs go to the dashboard, such as http://head:8265"),
        ("auto", "is no dashboard's address"),
        ("local", "is no dashboard's address"),
        ("ftp://head", "is no dashboard's address"),
        ("http://head:port", "is no address"),
        ("http://me:secret@head:8265", "an address must not hold a user name or password"),
    ],
)
def test_another_address_is_told_apart(address: str, words: str) -> None:
    with pytest.raises(BadAddress) as caught:
        dashboard(address)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("http://127.0.0.1:8265", False),
        ("http://localhost:8265", False),
        ("http://[::1]:8265", False),
        ("https://head", False),
        ("http://head:8265", True),
    ],
)
def test_a_token_in_the_clear_is_warned_of(url: str, clear: bool) -> None:
    assert ("in the clear. Use https, or a tunnel: ssh -L 8265:127.0.0.1:8265 head" in exposed(url)) == clear


@pytest.mark.parametrize(("mode", "warned"), [("disabled", True), ("token", False), ("k8s", False), ("", False)])
def test_a_cluster_that_lets_everybody_in_is_warned_of(mode: str, warned: bool) -> None:
    assert ("lets everybody in" in left_open("http://head:8265", mode)) == warned


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(b'{"authentication_mode": "disabled"}'), "warning: the Ray cluster at "),
        (Answer(b'{"authentication_mode": "token"}'), ""),
        (Answer(status=404), ""),
        (Answer(status=401), ""),
    ],
)
def test_one_question_tells_who_is_let_in(answer: Answer, said: str) -> None:
    with Server(lambda *asked: answer) as server:
        assert knocked(server.url).startswith(said) and bool(said) == bool(knocked(server.url))
        assert server.asked[0] == "/api/authentication_mode"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff"])
def test_who_is_no_dashboard_is_told(body: bytes) -> None:
    with Server(lambda *asked: Answer(body)) as server:
        with pytest.raises(Refused, match=f"what answers at {server.url} is no Ray dashboard. Name the dashboard of"):
            knocked(server.url)
        assert noticed(server.url) == ""
        with pytest.raises(Refused, match=f"does not speak TLS: is it {server.url}"):
            knocked(server.url.replace("http:", "https:"))


def test_a_certificate_of_nobody_that_is_trusted_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    made += ["-subj", "/CN=head", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(made, check=True, capture_output=True)
    server = Server(lambda *asked: Answer(b'{"authentication_mode": "token"}'))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    with server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(
            Refused, match=r"is not trusted here \(self.signed certificate\): name the file of your auth"
        ):
            knocked(url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert knocked(url) == ""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
        with pytest.raises(Refused, match=r"REQUESTS_CA_BUNDLE names .*nowhere\.pem, which cannot be read"):
            knocked(url)


def test_nobody_there() -> None:
    with pytest.raises(
        Refused, match=r"no Ray dashboard answers at http://127.0.0.1:1: \[Errno 111\] Connection refused"
    ):
        knocked(NOBODY)
    assert noticed(NOBODY) == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("Authentication required: ..."), "wants its token, and there is none here: set RAY_AUTH_TOKEN"),
        (RuntimeError("Authentication failed: ..."), "does not accept the token in"),
        (RuntimeError("needs: pip install 'ray[default]'"), "install umbau[cluster]"),
        (RuntimeError("Version check returned 404. ..."), f"what answers at {NOBODY} is no Ray dashboard"),
        (ConnectionError("Failed to connect"), f"the Ray cluster at {NOBODY} has gone"),
        (RuntimeError("Ray version 1.2 is running on the cluster. ..."), "refused: Ray version 1.2 is running"),
    ],
)
def test_what_rays_client_says_in_words(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    assert words in told(NOBODY, error)


def test_a_dashboard_is_not_joined(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        lanes_at("http://head:8265")
    assert ended.value.exit_code == 64
    assert "http://head:8265 is a dashboard: `umbau submit` runs a job there." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "tend", "bot"])
def test_a_cluster_that_ray_names_is_joined(command: str) -> None:
    assert "RAY_ADDRESS" in CliRunner().invoke(app, [command, "--help"]).output
