from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.credentials import Credentials, Missing, api_of, withheld
from pipelines.forge import ForgeError
from pipelines.publishing import GitHub, GitLab
from tests.pipelines.host import Answer, Server

TOKEN = "glpat-s3cr3t"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITLAB_TOKEN", "GITHUB_TOKEN", "GITHUB_APP_KEY"):
        monkeypatch.delenv(name, raising=False)


def missing(settings: GitLab | GitHub) -> str:
    with pytest.raises(Missing) as caught:
        Credentials(settings).token()
    assert caught.value.code == 64
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "name", "user"),
    [
        (GitLab(), "GITLAB_TOKEN", "oauth2"),
        (GitLab(url="https://git.example.eu/code/", token_from="OURS"), "OURS", "oauth2"),
        (GitHub(), "GITHUB_TOKEN", "x-access-token"),
    ],
)
def test_from_the_environment(settings: GitLab | GitHub, name: str, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f" {TOKEN}\r\n")
    made = Credentials(settings)
    access = made.access()
    assert (made.token(), access.secret, access.user, access.url) == (TOKEN, TOKEN, user, settings.url.rstrip("/"))
    assert access.source == f"the token in {name}"
    assert TOKEN not in repr(access) + repr(made) + repr(vars(made))


@pytest.mark.parametrize("given", [None, "", "  \n"])
def test_what_is_not_set_is_told(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if given is not None:
        monkeypatch.setenv("OURS", given)
    said = missing(GitLab(token_from="OURS"))
    assert said.startswith("OURS is not set") and "scopes api and write_repository" in said and "export OURS=" in said
    assert "contents and pull requests" in missing(GitHub(token_from="OURS"))


@pytest.mark.parametrize("given", ["two words", "glpat-\nx", "glpat-é", "tok\x01"])
def test_what_is_no_token(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", given)
    said = missing(GitLab())
    assert said.startswith("GITLAB_TOKEN holds no token") and given not in said


def test_a_token_does_not_go_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    assert missing(GitLab(url="http://git.example.eu")).startswith("http://git.example.eu: a token goes over https")
    assert Credentials(GitLab(url="http://127.0.0.1:80")).token() == TOKEN


def test_from_a_credential_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = GitLab(url="https://git.example.eu/code", helper="store")
    assert missing(settings).startswith("the credential helper store knows no password for https://git.example.eu/code")
    (tmp_path / ".git-credentials").write_text(
        f"https://ada:wrong@other.example.eu\nhttps://ada:{TOKEN}@git.example.eu\n"
    )
    access = Credentials(settings).access()
    assert (access.user, access.secret) == ("ada", TOKEN)
    assert access.source == "what the credential helper store gives"
    assert "asks" not in missing(GitLab(helper="no-such-helper"))


def test_a_helper_is_asked_again_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "asked"
    helper = f"!f() {{ echo $1 >> {log}; echo username=ada; echo password=token-$(wc -l < {log}); }}; f"
    made = Credentials(GitLab(helper=helper))
    assert [made.token(), made.token(), made.access().secret] == ["token-1"] * 3
    monkeypatch.setattr("pipelines.credentials.REMEMBERED", -1.0)
    fresh = Credentials(GitLab(helper=helper))
    assert [fresh.token(), fresh.token()] == ["token-2", "token-3"]


def test_workers_do_not_inherit_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_APP_KEY", "key")
    made = Credentials(GitHub())
    made.access()
    with pytest.raises(KeyError), withheld(installed("https://github.com", 7)):
        child = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
        assert "GITHUB" not in child and made.token() == TOKEN
        raise KeyError
    assert (os.environ["GITHUB_TOKEN"], os.environ["GITHUB_APP_KEY"]) == (TOKEN, "key")
    with withheld(None):
        assert os.environ["GITHUB_TOKEN"] == TOKEN


class Apps:
    """What GitHub documents of installation tokens: POST /app/installations/{id}/access_tokens with the App's JWT is
    answered with 201, `token`, `expires_at`, `permissions` and `repository_selection`."""

    def __init__(self) -> None:
        self.given = 0
        self.lasts = timedelta(hours=1)
        self.status = 201
        self.heard: list[dict[str, str]] = []

    def __call__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.heard.append(headers)
        kind = {"content-type": "application/json; charset=utf-8"}
        if (method, path) != ("POST", "/api/v3/app/installations/7/access_tokens") or self.status != 201:
            status = 404 if self.status == 201 else self.status
            return Answer(json.dumps({"message": "Not Found"}).encode(), status, kind)
        self.given += 1
        ends = (datetime.now(UTC) + self.lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
        made: dict[str, Any] = {"token": f"ghs_{self.given}", "expires_at": ends}
        return Answer(json.dumps({**made, "permissions": {}, "repository_selection": "all"}).encode(), 201, kind)


def installed(url: str, number: int) -> GitHub:
    return GitHub.model_validate({"url": url, "app": {"id": 3, "installation": number}})


@pytest.fixture(scope="module")
def key() -> str:
    made = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True, text=True, check=True)
    return made.stdout


@pytest.fixture
def apps() -> Iterator[tuple[Apps, Callable[[int], GitHub]]]:
    answer = Apps()
    with Server(answer) as server:
        yield (
            answer,
            lambda number: GitHub.model_validate({"url": server.url, "app": {"id": 3, "installation": number}}),
        )


def test_from_a_github_app(
    apps: tuple[Apps, Callable[[int], GitHub]], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, settings = apps
    (tmp_path / "key.pem").write_text(key)
    for given in (key, str(tmp_path / "key.pem")):
        monkeypatch.setenv("GITHUB_APP_KEY", given)
        made = Credentials(settings(7))
        first = made.token()
        access = made.access()
        assert (access.user, access.secret, access.source) == ("x-access-token", first, "the token of GitHub App 3")
        assert made.token() == first == f"ghs_{host.given}", "asked for once"
    assert host.heard[0]["authorization"].startswith("Bearer ey")
    host.lasts = timedelta(minutes=5)
    short = Credentials(settings(7))
    assert short.token() != short.token(), "made anew before it ends"
    assert key not in repr(vars(short))


def test_a_github_app_that_is_not_let_in(
    apps: tuple[Apps, Callable[[int], GitHub]], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, settings = apps
    assert missing(settings(7)).startswith("GITHUB_APP_KEY is not set: it holds the private key of GitHub App 3.")
    monkeypatch.setenv("GITHUB_APP_KEY", "/nowhere/key.pem")
    assert "holds neither a private key (PEM) nor the path of its file" in missing(settings(7))
    broken = f"{key[:80]}AAAA{key[84:]}"
    monkeypatch.setenv("GITHUB_APP_KEY", broken)
    said = missing(settings(7))
    assert "holds no private key that can be used" in said and broken[60:90] not in said
    monkeypatch.setenv("GITHUB_APP_KEY", key)
    assert "for installation 8 (HTTP 404)" in missing(settings(8))
    host.status = 401
    assert "(HTTP 401)" in missing(settings(7))
    host.status = 502
    with pytest.raises(ForgeError, match="HTTP 502"):
        Credentials(settings(7)).token()
    with pytest.raises(ForgeError, match="cannot be reached"):
        Credentials(installed("http://127.0.0.1:1", 7)).token()


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://github.com/", "https://api.github.com"),
        ("https://example.ghe.com", "https://api.example.ghe.com"),
        ("https://git.example.eu", "https://git.example.eu/api/v3"),
        ("https://git.example.eu/", "https://git.example.eu/api/v3"),
    ],
)
def test_where_the_api_is(url: str, api: str) -> None:
    assert api_of(url) == api
