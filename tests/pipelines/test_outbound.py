"""Who may be talked to, by the site's file or the environment, and jobs that name somebody else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from operators import outward
from operators.hosts import host
from operators.outward import OFFLINE, QUIET, Allowed, Policy
from pipelines.forge import ForgeError
from pipelines.forges.github.ci import ending
from pipelines.forges.github.client import Client
from pipelines.forges.gitlab.api import Api
from pipelines.jobfile import BadJob, load
from pipelines.outbound import policy, put_in_force
from pipelines.publishing import GitHub, GitLab
from pipelines.reach import reachable
from pipelines.site import site, site_file
from pipelines.tracing.export import asked

JOB = """\
name: greet
repos:
- git: {git}
forge: {forge}
steps: [{{rewrite: {{prompt: Greet., model: {{name: m, url: {model}}}}}}}]
checks: [{{tests: {{run: pytest -q, covered: 0.5, characterise: {{model: {{name: m, url: {other}}}}}}}}}]
"""
FINE = {
    "git": "https://git.example.eu/a/b.git",
    "forge": "{gitlab: https://git.example.eu}",
    "model": "http://gpu.example.eu:8000/v1",
    "other": "http://10.1.2.3:8000/v1",
}
SITE = """\
# who may be talked to
hosts:
  models:
  - gpu.example.eu:8000
  - 10.1.0.0/16
  forges: [git.example.eu]
regions: {"*.example.eu": eu, 10.1.0.0/16: eu, us.example.com: us}
region: [eu]
"""
VARIABLES = (
    *("UMBAU_MODEL_URL", "UMBAU_SITE", "UMBAU_STORE", "PGHOST", "PGHOSTADDR", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"),
    *("RAY_DASHBOARD_ADDRESS", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    *("UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"),
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refused(here: Path, text: str = "", **job: str) -> str:
    """Return what is said of a job, "" when it keeps to the site."""
    if text:
        (here / "umbau.yaml").write_text(text)
    file = Path("job.yaml")
    file.write_text(JOB.format(**FINE | job))
    put_in_force()
    try:
        reachable(load(file), file)
    except BadJob as why:
        assert why.code == 64
        return str(why)
    return ""


def test_a_job_that_keeps_to_the_sites_file(here: Path) -> None:
    assert not refused(here, SITE)
    assert not refused(here, SITE, git="ssh://git@git.example.eu/a/b.git", model="http://localhost:8000/v1")
    assert not refused(here, SITE, git="git@git.example.eu:a/b.git", other="http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("job", "place", "words"),
    [
        (
            {"git": "https://github.com/a/b"},
            "3:8",
            "github.com (port 443) is not among the hosts",
        ),
        ({"git": "git@evil.eu:a/b"}, "3:8", "evil.eu (port 22) is not among the hosts that umbau.yaml:6 allows"),
        ({"forge": "{gitlab: https://git.evil.eu}"}, "4:17", "umbau.yaml:6 allows for forges"),
        ({"model": "http://gpu.example.eu/v1"}, "5:58", "gpu.example.eu (port 80) is not among the hosts"),
        ({"model": "http://gpu.example.eu.evil.com:8000/v1"}, "5:58", "umbau.yaml:3 allows for models"),
        ({"other": "http://10.2.0.1/v1"}, "6:86", "umbau.yaml:3 allows for models"),
        ({"other": "http://0x0a010203/v1"}, "6:86", "no address in its usual form"),
        ({"model": "http://169.254.169.254/v1"}, "5:58", "whatever a site allows"),
        ({"forge": "github"}, "4:8", "api.github.com"),
    ],
)
def test_a_job_that_names_somebody_else(here: Path, job: dict[str, str], place: str, words: str) -> None:
    said = refused(here, SITE, **job)
    assert said.startswith(f"job.yaml:{place}: ") and words in said, said


def test_ssh_goes_to_the_port_that_is_allowed(here: Path) -> None:
    text = SITE.replace("[git.example.eu]", '["git.example.eu:2222", "git.example.eu:443"]')
    assert not refused(here, text, git="ssh://git@git.example.eu:2222/a/b.git")
    for git in ("ssh://git@git.example.eu:2223/a/b.git", "ssh://git@git.example.eu/a/b.git", "git@git.example.eu:a/b"):
        assert "is not among the hosts that umbau.yaml:6 allows for forges" in refused(here, text, git=git)


def test_what_is_to_be_written_keeps_what_is_allowed_now(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_MODEL_URL", "http://[fd00::1]:8000/v1")
    monkeypatch.setenv("UMBAU_STORE", "postgresql://umbau@db.example.eu/umbau")
    put_in_force()
    before = {(one.purpose, one.pattern.text) for one in outward.current().allowed}
    outward.belong("10.0.0.9:6379")
    with pytest.raises(outward.Forbidden) as why:
        outward.check("forges", "https://git.example.eu/a/b.git")
    (here / "umbau.yaml").write_text(str(why.value).split("`")[1])
    put_in_force()
    after = {(one.purpose, one.pattern.text) for one in outward.current().allowed}
    assert after == before | {("forges", "git.example.eu")}


def test_without_a_sites_file_it_is_said_what_to_write(here: Path) -> None:
    said = refused(here)
    assert said.startswith(
        "job.yaml:3:8: git.example.eu is not among the hosts that this site allows for forges. If it may be talked to, "
        "write into umbau.yaml: `hosts: {models: [gpu.example.eu, 10.1.2.3], forges: [git.example.eu], "
        "index: [pypi.org, files.pythonhosted.org]}`"
    )
    (line,) = {one for one in said.split("`") if one.startswith("hosts: ")}
    (here / "umbau.yaml").write_text(line)
    assert not refused(here), "one line is for all that the job names"


def test_each_host_is_told_once_and_soon(here: Path) -> None:
    many = [f"https://git.example.eu/a/r{number}" for number in range(500)]
    start = time.process_time()
    said = refused(here, git="\n- git: ".join(many))
    assert time.process_time() - start < 10
    assert said.startswith("job.yaml:3:8: git.example.eu is not among the hosts")
    assert "` (and 500 more places)\n" in said, "the others, and the forge itself"
    assert said.count("is not among the hosts") == 3, "and one for each model"
    (here / "repos.txt").write_text("\n".join(["# ours", *many]))
    file = Path("listed.yaml")
    file.write_text("name: greet\nrepos: [{list: repos.txt}]\nsteps: [{shell: x}]\n")
    with pytest.raises(BadJob) as caught:
        reachable(load(file), file)
    said = str(caught.value)
    assert said.startswith("repos.txt:2:1: git.example.eu is") and "` (and 499 more places)\n" in said
    assert said.count("is not among the hosts") == 1


def test_processing_stays_in_the_region(here: Path) -> None:
    wide = SITE.replace("- gpu.example.eu:8000", '- "*.example.eu"\n  - us.example.com\n  - new.example.org')
    assert not refused(here, wide)
    said = refused(here, wide, model="https://us.example.com/v1")
    assert "us.example.com lies in us, and prompts go to eu only: umbau.yaml:10" in said
    said = refused(here, wide, model="https://new.example.org/v1")
    assert "new.example.org lies in no region that is known, and prompts go to eu only: umbau.yaml:10" in said
    close = wide.replace("eu, 10.1", "eu, gpu.example.eu: us, 10.1")
    assert "gpu.example.eu lies in us" in refused(here, close), "the closest pattern counts"
    assert not refused(here, close, model="http://127.0.0.1:8000/v1")


def test_with_hosts_in_the_file_the_environment_names_nobody(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_MODEL_URL", "http://other.example/v1")
    monkeypatch.setenv("UMBAU_STORE", "postgresql://umbau@db.example.eu/umbau")
    (here / "umbau.yaml").write_text(SITE)
    assert {one.pattern.text for one in policy(site(), site_file()).allowed} == {
        *("gpu.example.eu:8000", "10.1.0.0/16", "git.example.eu")
    }
    with pytest.raises(outward.Forbidden, match=r"umbau.yaml:2 allows for store"):
        put_in_force()
        outward.check("store", "postgresql://db.example.eu")


def test_without_hosts_in_the_file_the_environment_counts(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = {
        "UMBAU_MODEL_URL": "http://gpu:8000/v1",
        "UMBAU_STORE": "postgresql://umbau@one.db,two.db:5433/umbau?hostaddr=10.0.0.5",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "RAY_ADDRESS": "head:6379",
        "UV_INDEX_URL": "https://me:secret@packages.example.eu/simple",
    }
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    found = {(one.purpose, one.pattern.text, one.source) for one in policy(site(), site_file()).allowed}
    assert found == {
        ("models", "gpu", "UMBAU_MODEL_URL"),
        ("store", "one.db", "UMBAU_STORE"),
        ("store", "two.db", "UMBAU_STORE"),
        ("store", "10.0.0.5", "UMBAU_STORE"),
        ("traces", "collector", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("cluster", "head", "RAY_ADDRESS"),
        ("index", "packages.example.eu", "UV_INDEX_URL"),
    }
    assert not Policy().allowed and refused(here)


def test_what_the_command_line_names_counts_unless_the_file_does(here: Path) -> None:
    put_in_force()
    outward.admit("cluster", "http://head.example.eu:8265", "--address")
    outward.check("cluster", "http://head.example.eu:8265")
    with pytest.raises(outward.Forbidden, match="is where a cloud tells"):
        outward.admit("cluster", "http://169.254.169.254:8265", "--address")
    (here / "umbau.yaml").write_text(SITE)
    put_in_force()
    with pytest.raises(outward.Forbidden, match=r"umbau.yaml:2 allows for cluster"):
        outward.admit("cluster", "http://head.example.eu:8265", "--address")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hosts: {models: [https://x.eu]}", "umbau.yaml:1:18: 'https://x.eu' is a URL: write its host"),
        ("hosts: {models: ['*']}", "umbau.yaml:1:18: '*' is everywhere"),
        ("hosts: {models: [0.0.0.0/0]}", "umbau.yaml:1:18: '0.0.0.0/0' is everywhere: name what you mean"),
        ("hosts:\n#  models: [x.eu]", "umbau.yaml:1:7: nothing stands behind it: write `hosts: {}` for nobody"),
        ("hosts: {model: []}", "did you mean `models`?"),
        ("regions: {a.eu: eu, 10.0.0.1: us, A.eu: us}", "umbau.yaml:1:17: another pattern means the same hosts"),
        ("regions: {a.eu: eu}\nregion: [us]", "umbau.yaml:2:10: no host is there by `regions`"),
    ],
)
def test_mistakes_in_the_sites_file_are_told_by_line(here: Path, text: str, words: str) -> None:
    (here / "umbau.yaml").write_text(text)
    with pytest.raises(BadJob) as caught:
        put_in_force()
    assert words in str(caught.value)


def test_telemetry_is_off_and_hubs_are_away(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    for name in OFFLINE:
        monkeypatch.delenv(name, raising=False)
    (here / "umbau.yaml").write_text("downloads: true")
    put_in_force()
    assert QUIET.items() <= os.environ.items() and not OFFLINE.keys() & os.environ.keys()
    (here / "umbau.yaml").unlink()
    put_in_force()
    assert (QUIET | OFFLINE).items() <= os.environ.items()


@pytest.mark.parametrize(
    ("proxy", "used"),
    [
        ("http://proxy.example.eu:3128", True),
        ("http://me:secret@proxy.example.eu:3128", True),
        ("proxy.example.eu:3128", True),
        ("http://127.0.0.1:3128", True),
        ("http://127.0.0.1:3129", False),
        ("http://localhost:3128", False),
        ("http://evil.example:3128", False),
        ("http://proxy.example.eu@evil.example:3128", False),
        ("socks5://evil.example", False),
        ("nonsense://", False),
    ],
)
def test_proxies(here: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, used: bool) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    (here / "umbau.yaml").write_text('hosts: {proxies: [proxy.example.eu, "127.0.0.1:3128"]}')
    ignored = put_in_force()
    assert ("HTTPS_PROXY" in os.environ) is used is ("HTTPS_PROXY" not in ignored)


def test_a_proxy_on_this_machine_is_used_once_what_is_said_is_written(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
        if why := put_in_force().get("HTTPS_PROXY"):
            (here / "umbau.yaml").write_text(why.split("`")[1])
    assert not why and os.environ["HTTPS_PROXY"]


def test_a_policy_travels() -> None:
    import pickle

    made = Policy((Allowed("models", outward.pattern("a.eu"), "umbau.yaml:1"),), lists={"models": "umbau.yaml:1"})
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.known(host("a.eu"), 0)


def test_forges_and_logs_elsewhere_are_not_asked(here: Path) -> None:
    put_in_force()
    gitlab = Api(GitLab(url="https://git.example.eu"), lambda: "token", here)
    with pytest.raises(ForgeError, match=r"https://git.example.eu is not asked: git.example.eu is not among the hosts"):
        gitlab.get("a/b", "/projects/1")
    github = Client(GitHub(url="https://github.com"), lambda: "token", here)
    with pytest.raises(ForgeError, match=r"a/b is not asked for: api.github.com is not among the hosts"):
        github.repository("a/b")
    with pytest.raises(outward.Forbidden, match=r"logs.blob.core.windows.net is not among the hosts"):
        ending("https://logs.blob.core.windows.net/log", 100)


def test_a_collector_elsewhere_is_not_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "umbau.yaml").write_text("hosts: {traces: [collector.example.eu]}")
    put_in_force()
    said: list[str] = []
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.evil.eu:4318")
    assert asked(said.append) is None
    assert said[0].startswith("traces are not exported: collector.evil.eu (port 4318) is not among the hosts")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example.eu:4318")
    assert asked(said.append) is not None
