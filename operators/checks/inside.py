"""Check: the edit stays within the shard."""

from __future__ import annotations

from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from operators import guard
from operators.data import Edit, Finding, Ruling, Shard, Skip
from operators.workspace import Workspace

# What decides how a forge builds, tests, reviews and protects the repository.
PROTECTED = (
    *("/.github/", "/.gitlab-ci.yml", "/.gitlab/", "/.circleci/", "/.travis.yml", "/azure-pipelines.yml"),
    *("/Jenkinsfile", "/bitbucket-pipelines.yml", "/.drone.yml", "/.woodpecker*", "/.forgejo/", "/.gitea/"),
    *("CODEOWNERS", ".gitattributes", ".gitmodules", ".git/", ".pre-commit-config.yaml"),
)


@dataclass(frozen=True, slots=True)
class Inside:
    """Only the shard's files and, where it is cut to symbols, only their lines (imports may be added); nothing
    deleted; no file that steers a forge."""

    allow: tuple[str, ...] = ()
    """Globs, as in .gitignore, of CI files that the job may change all the same."""

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
        if text is None:
            return [Finding("inside", "The file must not be deleted.", path)]
        spans = [(span.first, span.last) for span in shard.spans if span.path == path]
        if not spans:
            return []
        try:
            stray = guard.call("cut:stray", before=ws.base_text(path) or "", after=text, spans=spans)
        except Skip as why:
            return [Finding("parses", str(why), path)]
        return [Finding("inside", f"Line {line} is outside of {shard.name}.", path) for line in stray[:5]]


def _matches(globs: tuple[str, ...], path: str) -> bool:
    return GitIgnoreSpec.from_lines(globs).match_file(path)
