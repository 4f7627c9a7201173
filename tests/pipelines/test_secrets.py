"""Secrets planted in many places of a repository, and around it: they stand where they stood, and nowhere else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from operators.data import Finding
from operators.spot import MASKED
from pipelines.dashboard.app import app
from pipelines.dashboard.gate import Doorman
from pipelines.store import Store
from tests.collector import Collector
from tests.conftest import Checkout
from tests.endpoint import Endpoint
from tests.pipelines.dashboard.setting import ACCESS, READER
from tests.pipelines.retention.searching import payload, rows
from tests.pipelines.scripted import ScriptedForge
from tests.pipelines.test_tending import EDITS, FILES, A, World

PLACES = (
    *("literal", "comment", "docstring", "context", "related", "test-output", "traceback", "review", "learnt", "reply"),
    *("description", "prompt", "message", "environment", "env-file", "env-context", "fixture", "conftest", "codemod"),
    *("shell", "file-name", "url", "mostly", "unreadable", "pause", "trailer", "retry"),
)


def secret(place: str) -> str:
    """Return a token that is of no form but its place's own."""
    return f"ghp_{PLACES.index(place):02d}q7Wx2Zk9Lp4Vt8Rb3Ny6Hd5Jf1Mc0Gs7Ta"


WEAK = "geheim-77-wort"  # only where it is assigned can be seen what it is
PERSON = "PN-4711-0815"
JOB = """\
name: louder
description: "Greetings are loud. {description}"
repos: [{{git: {repo}}}]
select: {{files: ["app/*.py", "keys/*", ".env"], contains: "hello|_KEY|DEBUG"}}
steps:
  - shell: |
      echo {shell} >&2; cat .env fixture.json; grep -n weak app/one.py
      grep -l 'shell fails' {{paths}} && {{ cat {{paths}}; exit 3; }} || true
  - codemod: raising.Raising
  - rewrite:
      model: {{url: "{url}", name: scripted, timeout: 20}}
      prompt: "Calls of hello() shout. {prompt}"
      context: ["docs.py", "fixture.json", "deploy/.env"]
      show: [definitions]
      reply: blocks
      learn: 1
checks: [inside, parses, {{command: "python tell.py {{paths}}"}}]
attempts: 3
sandbox: none
merge_request:
  {{group: {{by: repository}}, title: "Shout", message: "Shout: {message}", draft: true, trailers: ["Refs: {trailer}"]}}
"""
RAISING = """\
import libcst as cst
from libcst.codemod import VisitorBasedCodemodCommand


class Raising(VisitorBasedCodemodCommand):
    def visit_Module(self, node):
        if "codemod fails" in node.code:
            raise ValueError(node.code)
"""
APP = """\
'''Greets. {docstring}'''
from lib import hello

weak_password = "{weak}"
TOKEN = "{literal}"  # {comment}
person = "{person}"


def greet():
    return hello()


def greet_many(names, sep=", "):
    found = []
    for name in sorted(names):
        if not name.strip():
            continue
        found.append(f"hello {{name}} and whoever is with them at this time of the day, which may be any")
    return sep.join(found)
"""
TELL = """\
import sys

text = open(sys.argv[1]).read()
if "HELLO" not in text and "hello().upper()" not in text:
    print("{output}", text)
    raise SystemExit("Traceback (most recent call last): {traceback} {weak}")
"""


def files() -> dict[str, str | bytes | None]:
    app = APP.format(**{name: secret(name) for name in ("docstring", "literal", "comment")}, weak=WEAK, person=PERSON)
    fails = f"from lib import hello\n\nTOKEN = '{secret('codemod')}'\nhello()\n# {{}} fails\n"
    keys = "".join(f"{name}_KEY = '{secret('mostly')}'\n" for name in "ABC")
    return {
        "app/one.py": app,
        "app/two.py": app.replace(secret("comment"), secret("learnt")),
        "app/three.py": fails.format("codemod"),
        "app/four.py": fails.format("shell"),
        f"app/{secret('file-name')}.py": "hello()\n",
        "lib.py": f"def hello():\n    token = '{secret('related')}'\n    return 'hello'\n",
        "docs.py": f"# see {secret('context')}\n",
        "fixture.json": json.dumps({"token": secret("fixture")}),
        "conftest.py": f"print('{secret('conftest')}')\n",
        "tell.py": TELL.format(output=secret("test-output"), traceback=secret("traceback"), weak=WEAK),
        ".env": f"DEBUG=1\nTOKEN={secret('env-file')}\n",
        "deploy/.env": f"TOKEN={secret('env-context')}\n",
        "keys/keys.py": keys,
        "keys/latin.txt": b"\xff_KEY " + secret("unreadable").encode(),
    }


def model(request: dict[str, Any]) -> str:
    """Says what it was told, makes up a secret, changes nothing that counts, then does what was asked."""
    said = [message["content"] for message in request["messages"]]
    path = next(path for path in ("app/one.py", "app/two.py") if f"\n{path}\n" in said[1])
    tries = sum(message["role"] == "assistant" for message in request["messages"])
    token = next(line for line in said[1].split("\n") if line.startswith("TOKEN = "))
    if path == "app/one.py" and tries == 0:
        return block(path, token, f"{token}\nOTHER_TOKEN = '{secret('reply')}'")
    if path == "app/one.py" and tries == 1:
        return block(path, f"OTHER_TOKEN = '{MASKED}'", "# loud")
    if f"Say {MASKED}" in said[-1]:
        return block(path, "    return hello().upper()", "    return hello().upper().title()")
    return token + block(path, "    return hello()", "    return hello().upper()")


def block(path: str, old: str, new: str) -> str:
    return f"\n{path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


COMMANDS = """\
import shlex, sys
from pipelines.cli import main
for command in sys.argv[1:]:
    sys.argv = ["umbau", *shlex.split(command)]
    try:
        main()
    except SystemExit:
        pass
"""


class House:
    """Where a job is driven, in processes of their own."""

    def __init__(self, folder: Path, repo: Path, endpoint: Endpoint, traces: str) -> None:
        self.folder, self.said = folder, list[str]()
        names = {name: secret(name) for name in ("description", "shell", "prompt", "message", "trailer")}
        folder.joinpath("job.yaml").write_text(JOB.format(repo=repo, url=endpoint.url, **names))
        folder.joinpath("raising.py").write_text(RAISING)
        folder.joinpath("umbau.yaml").write_text(r"mask: {person: 'PN-\d{4}-\d{4}'}" + "\n")
        path = os.pathsep.join([str(Path(__file__).parents[2]), str(folder)])
        self.env = {**os.environ, "UMBAU_HOME": str(folder / "home"), "UMBAU_LOG": "json", "PYTHONPATH": path}
        self.env |= {"DEPLOY_TOKEN": secret("environment"), "OTEL_EXPORTER_OTLP_ENDPOINT": traces}

    def run(self, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, *args], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        self.said += [done.stdout, done.stderr]
        print(" ".join(args), done.stdout, done.stderr, sep="\n")
        return done.stdout + done.stderr

    def umbau(self, *commands: str) -> str:
        """Give commands, one after another in one process."""
        return self.run("-c", COMMANDS, *commands)

    def kept(self) -> Iterator[tuple[str, bytes]]:
        """Yield all that was kept and told but the repositories themselves: what is packed unpacked."""
        for place, text in enumerate(self.said):
            yield f"output {place}", text.encode()
        for file in [*self.folder.rglob("*")]:
            parts = file.relative_to(self.folder).parts
            inside = {*parts}
            own = parts[0] in {"billing", "job.yaml"} or inside & {"mirrors", "repo.git", "checkouts"}
            if not file.is_file() or own:
                continue
            data = file.read_bytes()
            yield str(file), data
            yield str(file), payload(data)
            if "responses" in inside:
                yield str(file), zlib.decompress(data)
            if file.suffix == ".db":
                with closing(Store(file)) as store:
                    yield from rows(store)

    def pages(self) -> Iterator[tuple[str, bytes]]:
        """Yield what the dashboard shows: all pages that are linked from the first, and from those."""
        with closing(Store(self.folder / "home" / "store.db")) as store:
            client = TestClient(app(store, Doorman(self.folder / "nobody.toml", ACCESS)))
            client.headers["Authorization"] = f"Bearer {READER}"
            end = time.monotonic() + 30  # what is not counted yet is not told
            while "app/one.py" not in client.get("/job/louder/shards").text and time.monotonic() < end:
                time.sleep(0.1)
            seen, left = set[str](), ["/"]
            while left:
                if (path := left.pop()) in seen:
                    continue
                seen.add(path)
                page = client.get(path).text
                yield f"page {path}", unescape(page).encode()
                left += map(unescape, re.findall(r'href="(/job[^"]*)"', page))
        assert sum("/shard/" in path for path in seen) >= 4


@pytest.fixture
def house(tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[tuple[House, Endpoint, Collector, Checkout]]:
    made = checkout(files())
    with Endpoint(script=model) as endpoint, Collector() as collector:
        at = House(tmp_path, made.folder, endpoint, collector.url)
        yield at, endpoint, collector, made


@pytest.mark.slow
def test_secrets_stand_where_they_stood_and_nowhere_else(
    house: tuple[House, Endpoint, Collector, Checkout], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, endpoint, traces, made = house
    monkeypatch.chdir(at.folder)
    at.run("-m", "tests.pipelines.driven", "job.yaml")
    at.umbau(f"review billing/1 --comment 'Say {secret('review')} instead of {WEAK}' --file app/one.py")
    at.run("-m", "tests.pipelines.driven", "job.yaml")
    at.umbau(
        "report job.yaml --out r.html --csv r.csv --jsonl r.jsonl --compliance r.md --bom r.json",
        f"pause louder --why 'the token {secret('pause')} is out'",
        "watch louder --once --json",
        "watch louder --once",
        f"retry job.yaml {secret('retry')}",
        "resume louder",
        "audit",
        "audit --json",
        "verify billing/1 --json --save evidence.json",
        "verify billing/1 --job job.yaml --json",
        "plan job.yaml --json",
        *(f"show app/{name}.py" for name in ("one", "two", "three", "four")),
        "show app/one.py --json",
        "status job.yaml --json",
        "try job.yaml app/two.py",
        "plan job.yaml",
        f"plan job.yaml --repo https://ada:{secret('url')}@127.0.0.1:9/x.git",
    )

    bare = f"--git-dir={at.folder}/home/forge/billing/repo.git"
    branch = made.git(bare, "for-each-ref", "--format=%(refname)", "refs/heads/umbau")
    for name in ("one", "two"):
        before, after = files()[f"app/{name}.py"], made.git(bare, "show", f"{branch}:app/{name}.py")
        assert isinstance(before, str)
        expected = before.replace("return hello()", "return hello().upper()")
        assert after.replace(".title()", "").replace("# loud\n", "") == expected.strip()

    prompts = [json.dumps(request) for request in endpoint.requests]
    everything = [*at.kept(), *at.pages()]
    everything += [(f"traces {number}", body) for number, body in enumerate(traces.bodies)]
    everything += [(f"prompt {number}", text.encode()) for number, text in enumerate(prompts)]
    found = {
        (one, place)
        for place, data in everything
        for one in [*map(secret, PLACES), WEAK, PERSON]
        if one.encode() in data or one.replace("_", r"\_").encode() in data
    }
    assert found == set()
    names = {place.partition(" ")[0] for place, _ in everything}
    assert {"output", "page", "traces", "prompt", "evidence", "audit", "outcomes", "reopened", "facts"} <= names
    statements = [data for place, data in everything if place == "evidence" and b"slsa.dev" in data]
    assert statements, "they are looked into"
    text = "".join(prompts)
    assert "UMBAU_SECRET_" in text
    assert "stands for what looks like a secret" in text, "the model is told, and can repair it"
    log = made.git(bare, "log", "--format=%B", branch)
    assert not [place for place in PLACES if secret(place) in log]
    planned = "".join(at.said)
    assert "mostly secrets (3 of 3 lines)" in planned
    assert ".env is a file for secrets" in planned
    assert "name holds a secret" in planned
    assert "the job is not kept here" in planned, "masked, it would be another than the one that was stated"


def test_what_a_failed_pipeline_printed_is_hidden_before_it_is_held_against_a_shard(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPLOY_TOKEN", secret("environment"))
    tmp_path.joinpath("umbau.yaml").write_text(r"mask: {person: 'PN-\d{4}-\d{4}'}" + "\n")
    forge = ScriptedForge(tmp_path / "forge")
    forge.folder.mkdir()
    x = f"x = 1\n\n\n\nweak_password = '{WEAK}'\n"
    forge.create("billing", {**FILES, "a/x.py": x})
    with closing(Store(home / "store.db")) as store:
        world = World(forge, home, store, edits={**EDITS, "a/x.py": x.replace("x = 1", "x = 2")})
        world.tick()
        forge.runs(A, "failed")
        key = "".join(f"MIIEpAIBAAKCAQEA{number:02}q7Wx2Zk9Lp4Vt8Rb3Ny6Hd5Jf1Mc0Gs7TaUv\n" for number in range(20))
        forge.logs = (
            f"a/x.py: denied for {WEAK} of {PERSON}, {secret('environment')}\n"
            f"Authorization: Bearer {secret('traceback')}\n" + "." * 2000 + "\n"
            f"-----BEGIN RSA PRIVATE KEY-----\n{key}-----END RSA PRIVATE KEY-----\nthe end"
        )
        assert world.tick()[0].reopened == ("billing a/x.py",)
        ((_, finding),) = store.reopenings(["billing a/x.py"])["billing a/x.py"]
        assert finding
        assert f"a/x.py: denied for UMBAU_SECRET_1 of {MASKED}, {MASKED}\n" in finding.message
        assert finding.message.endswith("the end")
        hidden = [WEAK, PERSON, secret("environment"), secret("traceback"), *key.split()]
        kept = [data for _, data in rows(store)]
        assert not [one for one in hidden if any(one.encode() in data for data in kept)]
        assert not [one for one in hidden if one in repr(forge.kept)]
        world.settings = {"tend": {"maintainers": ["bob"]}}
        forge.say(A, f"/umbau apply-to-all {WEAK} goes")
        forge.say(A, f"/umbau retry\nbut use {secret('review')}, and not {WEAK}")
        forge.say(A, f"{secret('review')} is not {WEAK}", path="a/x.py")
        world.tick()
        world.tick()
        assert store.reopenings(["billing a/x.py"])["billing a/x.py"][-1][1] == Finding(
            "review", f"{MASKED} is not UMBAU_SECRET_1", "a/x.py"
        )
        kept = [data for _, data in rows(store)]
        assert not [one for one in [*hidden, secret("review")] if any(one.encode() in data for data in kept)]
        assert not [one for one in [*hidden, secret("review")] if one in repr(forge.kept[A].said)]
        assert f"{MASKED} goes" in repr(forge.kept[A].said), "what is to be confirmed"
