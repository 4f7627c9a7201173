"""What the store keeps of a merge request between ticks: what was pushed, said and done, and when.

Facts stay as they were kept first; what changes is remembered. Each is written so that a tick that is killed anywhere
does what is missing, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.bare import grown
from pipelines.forge import Forge, Place, Request
from pipelines.masking import masked
from pipelines.store import Store

PUSHES = 5  # that are remembered, while it is not known which of them got there


@dataclass(frozen=True, slots=True)
class Pushed:
    """What Umbau put on a branch."""

    own: str
    """The commit that holds its change alone."""
    head: str
    """What the branch holds: `own`, or a commit on top of it with what somebody else pushed."""
    base: str
    """The commit that it was made for."""
    wishes: Sequence[str] = ()
    """Why its shards had been opened again by then."""


@dataclass(frozen=True, slots=True)
class Notes:
    store: Store
    place: Place

    @property
    def name(self) -> str:
        return "/".join(self.place)

    def holds(self, digest: str) -> Sequence[str]:
        """Return the files of the change of that digest, if it was pushed here."""
        return self.store.fact(f"pushed {self.name} {digest}") or ()

    def last(self, head: str = "") -> Pushed | None:
        """Return what Umbau pushed last, as far as it is known to have got there: the branch holds `head`."""
        known = self._pushes()
        return next((one for one in known if one.head == head), known[-1] if known else None)

    def beneath(self, head: str, mirror: Path) -> Pushed | None:
        """Return what of Umbau's somebody else went on from; the mirror has what the branch holds, `head`."""
        return next((one for one in self._pushes() if grown(mirror, one.head, head)), self.last(head))

    def pushing(self, files: Iterable[str], digest: str, push: Pushed) -> None:
        """Note what is about to be pushed. Until it is noted that it was, nobody knows what the branch holds."""
        self.store.keep(f"pushed {self.name} {digest}", sorted(files))
        self._note([push, *(one for one in self._pushes() if one.head != push.head)])

    def pushed(self, push: Pushed) -> None:
        self._note([push])

    def refused(self, push: Pushed) -> None:
        """Note that it was not pushed after all."""
        self._note([one for one in self._pushes() if one.head != push.head])

    def _pushes(self) -> list[Pushed]:
        return [Pushed(**one) for one in self.store.recall(f"pushes {self.name}") or ()]

    def _note(self, pushes: Iterable[Pushed]) -> None:
        self.store.remember(f"pushes {self.name}", [asdict(one) for one in pushes][:PUSHES])

    @property
    def closed(self) -> bool:
        """Whether Umbau itself closed it, of its own accord."""
        return bool(self.store.recall(f"closed {self.name}"))

    def closing(self) -> None:
        self.store.remember(f"closed {self.name}", True)

    def open(self) -> None:
        """Note that it is open: closed later, it was not Umbau that did it."""
        if self.closed:
            self.store.remember(f"closed {self.name}", False)

    def say(self, forge: Forge, request: Request, text: str, key: str, thread: str = "") -> None:
        """Say something on the request; under the same key it is said, and the forge is asked, once."""
        if request.state == "branch" or self.store.fact(f"said {self.name} {key}"):
            return
        forge.comment(request, masked(text), key, thread)
        self.store.keep(f"said {self.name} {key}", True)

    def first_seen(self, head: str, comments: Iterable[str]) -> Sequence[str]:
        """Return the comments that were there when this commit of somebody else was first seen."""
        name = f"foreign {self.name} {head}"
        known = self.store.fact(name)
        if known is None:
            known = list(comments)
            self.store.keep(name, known)
        return list(known)

    @property
    def repaired(self) -> Sequence[str]:
        """The commits whose failed pipelines were seen to, since somebody last asked for a retry."""
        return self._repairs()[-1]

    @property
    def round(self) -> int:
        """How often repairs were counted anew."""
        return len(self._repairs())

    def repair(self, head: str) -> None:
        *before, heads = self._repairs()
        self.store.remember(f"repaired {self.name}", [*before, [*dict.fromkeys((*heads, head))]])

    def forgive(self) -> None:
        """Count repairs anew."""
        if self.repaired:
            self.store.remember(f"repaired {self.name}", [*self._repairs(), []])

    def _repairs(self) -> list[list[str]]:
        return self.store.recall(f"repaired {self.name}") or [[]]

    def apart(self, head: str, digest: str) -> bool:
        """Say whether it is known that what somebody else pushed, up to `head`, does not go together with a change."""
        return bool(self.store.fact(f"apart {self.name} {head} {digest}"))

    def part(self, head: str, digest: str) -> None:
        self.store.keep(f"apart {self.name} {head} {digest}", True)

    def when(self, what: str) -> float:
        """Return when something was done, in seconds since 1970; 0 when it was not."""
        return float(self.store.fact(f"{what} {self.name}") or 0)

    def did(self, what: str, now: float) -> None:
        self.store.keep(f"{what} {self.name}", now)

    def chosen(self, candidate: str) -> str:
        """Return who is asked to review: whoever was chosen first, also when that tick was killed."""
        name = f"chosen {self.name} {len(self.passed_over)}"
        self.store.keep(name, candidate)
        return str(self.store.fact(name))

    @property
    def passed_over(self) -> Sequence[str]:
        """Whom the forge would not ask."""
        return self.store.recall(f"passed over {self.name}") or []

    def pass_over(self, candidate: str) -> None:
        self.store.remember(f"passed over {self.name}", [*self.passed_over, candidate])

    def stands_for(self, digest: str) -> str:
        """Return the digest of the change that what was pushed under `digest` stands for as well, since its base has
        moved; "" when there is none."""
        known = self.store.recall(f"stands {self.name}") or {}
        return str(known["for"]) if known.get("pushed") == digest else ""

    def stand(self, digest: str, change: str) -> None:
        if self.stands_for(digest) != change:
            self.store.remember(f"stands {self.name}", {"pushed": digest, "for": change})
