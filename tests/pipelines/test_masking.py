"""What the driver lets nobody see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operators.data import Finding, Outcome, Shard
from operators.spot import MASKED
from pipelines.credentials import withheld
from pipelines.jobfile import BadJob
from pipelines.masking import WITHHELD, masked, masked_all, rules
from pipelines.notice import notice
from pipelines.publishing import GitLab
from pipelines.session import out
from pipelines.steering import pause, paused
from pipelines.store import Store

TOKEN = "ghp_" + "q7Wx2Zk9Lp4Vt8Rb3Ny6" * 2


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UMBAU_SITE", raising=False)


def test_secrets_of_the_environment_are_masked_by_their_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "so geheim")
    monkeypatch.setenv("KEY_FILE", "/etc/keys")
    monkeypatch.setenv("API_KEY", "/etc/keys")
    assert masked("denied for so geheim, see /etc/keys") == f"denied for {MASKED}, see /etc/keys"


@pytest.mark.parametrize(
    "secret", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYAB", "9fQ2/x77LmPq0zRt", "/x77LmPq0zRt", "x/" * 4000]
)
def test_a_slash_makes_no_path_of_a_secret(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", secret)
    assert masked(f"denied for {secret}") == f"denied for {MASKED}"


def test_a_path_that_is_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deploy.key").touch()
    monkeypatch.setenv("API_KEY", "deploy.key")
    monkeypatch.setenv("DEPLOY_TOKEN", "keys/deploy")
    assert masked("see deploy.key, not keys/deploy") == f"see deploy.key, not {MASKED}"


def test_what_is_withheld_from_workers_is_masked_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_TOKEN", "x7Tq2mZ9pL4vK8rB1nWc")
    monkeypatch.setenv("PGPASSWORD", "so geheim")
    with withheld(GitLab()):
        assert masked("401 for x7Tq2mZ9pL4vK8rB1nWc, so geheim") == f"401 for {MASKED}, {MASKED}"
    assert not WITHHELD


def test_what_the_site_names_is_masked_from_the_moment_it_does(tmp_path: Path) -> None:
    assert masked_all({"of PN-1234": ["PN-1234", 5, None]}) == {"of PN-1234": ["PN-1234", 5, None]}
    (tmp_path / "umbau.yaml").write_text(r"mask: {person: 'PN-\d{4}'}")
    assert masked_all({"of PN-1234": ["PN-1234", 5, None]}) == {f"of {MASKED}": [MASKED, 5, None]}
    assert rules().mask == (("person", r"PN-\d{4}"),)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [("(a+)+$", "takes too long on some texts"), ("x*", "matches any text"), ("(", "not a regular expression")],
)
def test_a_pattern_that_cannot_be_used_is_refused_where_it_stands(tmp_path: Path, pattern: str, why: str) -> None:
    (tmp_path / "umbau.yaml").write_text(f"downloads: false\nmask:\n  person: '{pattern}'\n")
    with pytest.raises(BadJob, match=r"umbau\.yaml:3:11: .*") as told:
        rules()
    assert why in str(told.value)
    assert masked(f"{TOKEN} still is") == f"{MASKED} still is", "so that it can be said"


def test_what_takes_too_long_is_withheld_and_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "umbau.yaml").write_text("mask: {slow: '(?:x+x+)+y'}")
    long, withheld = "x" * 5000, "withheld: mask.slow of the site takes more than 1 s on one text: simplify it"
    assert masked_all({"texts": ["x", long]}) == {"texts": ["x", withheld]}
    notice(long, "denied")
    out(["x", long], json=False)
    assert capsys.readouterr() == (f"x\n{withheld}\n", f"{withheld}\n")


def test_of_a_secret_that_overlaps_one_of_the_environment_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "so-geheim")
    assert masked("https://ada:so-geheim!77@example.eu") == f"https://ada:{MASKED}@example.eu"


def test_nothing_secret_is_noticed_or_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notice(f"denied: {TOKEN}", "denied", why=[TOKEN])
    store = Store(tmp_path / "store.db")
    store.reopen("k", "ci", Finding("ci", f"E  {TOKEN}"))
    store.remember("comments", {"texts": [TOKEN]})
    store.save([(Outcome(Shard("k", "r", "c", ("a.py",)), error=f"git: {TOKEN}"), 1)])
    assert store.reopenings(["k"])["k"][0][1] == Finding("ci", f"E  {MASKED}")
    assert store.recall("comments") == {"texts": [MASKED]}
    assert store.outcomes(["k"])["k"][0].error == f"git: {MASKED}"
    store.close()
    assert TOKEN not in capsys.readouterr().err


def test_what_somebody_did_and_why_is_masked_before_it_is_kept_for_good(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    pause(store, "j", "ada", f"the token {TOKEN} is out")
    store.audit.note("ada@host", "retried", "j", {"named": [TOKEN]})
    assert paused(store, "j").endswith(f"the token {MASKED} is out")
    (_, row) = store.audit.rows()
    assert row.facts == {"named": [MASKED]}
    assert not store.audit.verify().wrong
    store.close()


def test_json_is_masked_as_it_is_and_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", 'so "geheim" \\ ist')
    out({"why": 'so "geheim" \\ ist', "password": "geheim-77-wort"}, json=True)
    assert json.loads(capsys.readouterr().out) == {"why": MASKED, "password": MASKED}
