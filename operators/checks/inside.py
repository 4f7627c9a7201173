"""Check: the edit stays within the shard."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from operators import guard
from operators.data import Edit, Finding, Ruling, Shard, Skip
from operators.source import Source, decode
from operators.unseen import UNSEEN, point
from operators.workspace import Workspace

# What decides how a forge builds, tests, reviews and protects the repository.
PROTECTED = (
    *("/.github/", "/.gitlab-ci.yml", "/.gitlab/", "/.circleci/", "/.travis.yml", "/azure-pipelines.yml"),
    *("/Jenkinsfile", "/bitbucket-pipelines.yml", "/.drone.yml", "/.woodpecker*", "/.forgejo/", "/.gitea/"),
    *("CODEOWNERS", ".gitattributes", ".gitmodules", ".git/", ".pre-commit-config.yaml"),
)
# What decides how tests are run, what is installed for them and what Python does before it runs anything.
RUNNING = (
    *("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml"),
    *("*.lock", "*-lock.*", ".coveragerc", "sitecustomize.py", "usercustomize.py", "*.pth"),
)
SHOWN = 5  # characters in a finding


@dataclass(frozen=True, slots=True)
class Inside:
    """Only the shard's files and, where it is cut to symbols, only those (imports may be added); nothing deleted or
    emptied; each text one that the file's encoding can hold, with no more characters in it that nobody sees; no file
    that steers a forge, an installation or how tests are run."""

    allow: tuple[str, ...] = ()
    """Globs, as in .gitignore, of such files that the job may change all the same."""
    named: tuple[str, ...] = ()
    """File names that the job is about by name: these may steer installations and test runs."""
    unseen: bool = False
    """Whether characters that nobody sees may be added."""

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        findings = [finding for path in edit.files for finding in self._file(ws, shard, path, edit.files[path])]
        where = "the shard's lines" if shard.spans else f"the shard's {len(shard.paths)} file(s)"
        return Ruling(tuple(findings), f"inside: only {where} changed")

    def _file(self, ws: Workspace, shard: Shard, path: str, text: str | None) -> list[Finding]:
        if path not in shard.paths:
            return [Finding("inside", f"This file is not yours to change. Yours: {', '.join(shard.paths)}.", path)]
        if _matches(PROTECTED, path) and not _matches(self.allow, path):
            return [Finding("inside", "Files that steer CI and reviews must stay as they are.", path)]
        own = _matches(self.allow, path) or path.rpartition("/")[2] in self.named
        if _matches(RUNNING, path) and not own:
            return [Finding("inside", "Files that steer builds and test runs must stay as they are.", path)]
        source = ws.source(path) or Source("")
        if text is None or (source.text.strip() and not text.strip()):
            return [Finding("inside", "The file must not be deleted or emptied.", path)]
        if fault := _unwritable(source, path, text):
            return [Finding("inside", fault, path)]
        if not self.unseen and (added := _hidden(source.text, text)):
            return [Finding("inside", f"Characters came in that a reader cannot see: {', '.join(added)}.", path)]
        spans = [(span.first, span.last) for span in shard.spans if span.path == path]
        if not spans:
            return []
        try:
            stray = guard.call("stray:stray", before=source.text, after=text, spans=spans, whose=shard.name)
        except Skip as why:
            return [Finding("parses", str(why), path)]
        return [Finding("inside", message, path) for message in stray[:5]]


def _hidden(before: str, after: str) -> list[str]:
    """Return which characters that nobody sees there are more of than before."""
    return sorted(map(point, Counter(UNSEEN.findall(after)) - Counter(UNSEEN.findall(before))))[:SHOWN]


def _unwritable(source: Source, path: str, text: str) -> str:
    """Return why the new `text` of a file would not be read again from the bytes it is written to; "" when it would."""
    try:
        again = decode(source.encode(text), path)
    except UnicodeEncodeError as error:
        character = text[error.start : error.end]
        return f"{character!r} cannot be written in the file's encoding, {source.encoding}."
    except Skip as why:
        return f"The file could not be read again: {why}."
    if again.text != text:
        return f"The file is written in {source.encoding}; what says so must stay as it is."
    return ""


def _matches(globs: tuple[str, ...], path: str) -> bool:
    return GitIgnoreSpec.from_lines(globs).match_file(path)
