"""Operator: run a command in the checkout and take what it did, where the shard is cut to symbols to those alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from operators import guard
from operators.checkout import NotAFile
from operators.data import Edit, Shard, Skip, Verdict
from operators.source import decode
from operators.syntax.within import notes
from operators.workspace import Workspace, brief


@dataclass(frozen=True, slots=True)
class Shell:
    command: str
    """Run by /bin/sh in the checkout's root; `{paths}` stands for the shard's files."""
    timeout: float = 600.0

    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        """Raise NoCommand when the command is not installed."""
        if past:
            return None
        try:
            with ws.box() as box:
                done = ws.run(box, self.command, shard.paths, self.timeout)
                changed = {} if done.code else box.changed()
        except UnicodeEncodeError as error:
            return Edit({}, trouble=f"What the steps before made cannot be written in its file's encoding: {error}.")
        except NotAFile as why:
            return self._odd(why)
        if done.code:
            return Edit({}, trouble=f"{brief(self.command)} {done.how(self.timeout)}:\n{done.out[-4000:].strip()}")
        try:
            if odd := [path for path in changed if _odd(path)]:
                raise NotAFile(repr(odd[0]))
            files = {path: None if data is None else decode(data, path).text for path, data in changed.items()}
            own_files, told = self._own(ws, shard, files)
        except (NotAFile, Skip) as why:
            return self._odd(why)
        return Edit(own_files, notes=tuple(told)) if own_files or told else None

    def _odd(self, why: Exception) -> Edit:
        return Edit({}, trouble=f"{brief(self.command)} left something that is not source code: {why}")

    def _own(
        self, ws: Workspace, shard: Shard, files: Mapping[str, str | None]
    ) -> tuple[dict[str, str | None], list[str]]:
        """Return the new texts of files and, where the shard is cut to symbols, notes on what is left out of them."""
        own: dict[str, str | None] = {}
        told: list[str] = []
        for path, text in files.items():
            spans = [ws.lines(span) for span in shard.spans if span.path == path]
            if text is None or not spans:
                own[path] = text
                continue
            before = ws.text(path) or ""
            after, left_out = guard.call("within:within", text=before, new=text, spans=spans)
            told += (reaching := notes(path, left_out, spans))
            if after != before:
                own[path] = after
                if len(left_out) > len(reaching):
                    told.append(f"{path}: what {brief(self.command)} changed outside of {shard.name} was left out")
        return own, told


def _odd(name: str) -> bool:
    """Say whether planning would leave out a file of this name."""
    return any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in name)
