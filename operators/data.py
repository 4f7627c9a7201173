"""The values that travel through Umbau and the protocols between its parts. If you read one file, read this one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from operators.workspace import Workspace

Status = Literal["accepted", "unchanged", "skipped", "rejected", "failed"]
Message = Mapping[str, str]  # {"role": "system" | "user" | "assistant", "content": text}
Pair = tuple[str, str]  # code before and after an edit


@dataclass(frozen=True, slots=True)
class Span:
    """Lines `first` to `last` (1-based, inclusive) of `path` at the base commit: where a symbol stands."""

    path: str
    symbol: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Shard:
    """The unit of work: some files of one commit, or some symbols in them."""

    key: str
    """Hex digest of everything the outcome depends on; a base that moved elsewhere leaves it as it is."""
    repo: str
    commit: str
    paths: tuple[str, ...]
    spans: tuple[Span, ...] = ()
    """The only lines that may change (and imports be added); empty: the whole files."""
    context: tuple[str, ...] = ()
    """Other files that a model is shown."""
    related: tuple[Span, ...] = ()
    """Lines of other files that a model is shown as well; those of one symbol stand together."""
    go: int = 0
    """How often it was opened again: each time a model's replies are drawn anew."""

    @property
    def seed(self) -> str:
        """What a model's replies are drawn by."""
        return f"{self.key} {self.go}" if self.go else self.key

    @property
    def name(self) -> str:
        """What a person calls it: `tests/test_a.py::TestA.test_b`, `setup.py`, `src/app (12 files)`."""
        if self.spans:
            names = ", ".join(span.symbol for span in self.spans)
            return f"{self.spans[0].path}::{names}"
        if len(self.paths) == 1:
            return self.paths[0]
        folder = self.paths[0].rpartition("/")[0] or "."
        return f"{folder} ({len(self.paths)} files)"


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines `first` to `last` (1-based, inclusive) of `path` as a model left it; later steps may have moved them."""

    path: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Edit:
    """What an operator proposes, told against the base commit."""

    files: Mapping[str, str | None]
    """Path to new text; None deletes the file."""
    said: str = ""
    """The model's own words."""
    notes: tuple[str, ...] = ()
    """What codemods and commands had to say."""
    tokens_in: int = 0
    tokens_out: int = 0
    trouble: str = ""
    """Why the reply could not be used, worded for whoever must repair it. Its tokens count all the same."""
    cached: int = 0
    """Replies that were known from before and cost no tokens."""
    pairs: tuple[Pair, ...] = ()
    """Of a shard that others learn from: each place that a model changed, as it was shown it and as it left it."""
    waited: float = field(default=0.0, compare=False)
    """Seconds in which a model was asked."""
    gpu_seconds: float = field(default=0.0, compare=False)
    """Its share of the time of the GPUs that were asked."""
    replies: tuple[Completion, ...] = field(default=(), compare=False)
    """What models answered to it, without the words; what was known from before is not among them."""
    asked: tuple[Asked, ...] = field(default=(), compare=False)
    """Each question to a model that it took, in order."""
    models: tuple[str, ...] | None = field(default=None, compare=False)
    """What the models are called that wrote parts of it, also where their replies were known from before; None when
    nobody has noted that."""
    foreign: tuple[Passage, ...] = field(default=(), compare=False)
    """Long passages of a model's that stand in nothing it was shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault that a judge sees, worded for whoever must repair it."""

    judge: str
    message: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Covered:
    """The changed statements of a file: what a reviewer may take as tested, and what not."""

    path: str
    statements: tuple[tuple[int, int, bool], ...]
    """First and last line in the edited file, and whether a passing test executed it."""
    generated: tuple[tuple[int, int], ...] = ()
    """Those of them that only a generated test executed (operators.evidence)."""

    @property
    def missed(self) -> tuple[tuple[int, int], ...]:
        return tuple((first, last) for first, last, seen in self.statements if not seen)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one check says of an edit: its findings and, in a few words, what it looked at."""

    findings: tuple[Finding, ...] = ()
    proof: str = ""
    covered: tuple[Covered, ...] = ()
    """Which changed statements a passing test executed, for each file that tests were traced in."""
    failing: frozenset[str] = frozenset()
    """The functions of tests that the findings are about; empty when it is more than tests."""
    sandbox: str = ""
    """What the commands ran in that it is based on, if any did."""
    kind: str = field(default="", compare=False)
    """Of the check: `tests`, `honest`."""
    seconds: float = field(default=0.0, compare=False)
    """How long it took; of a run that many shards share its part."""
    start: float = field(default=0.0, compare=False)
    """When it began: seconds since 1970, by the clock of the machine that it ran on."""
    whole: float = field(default=0.0, compare=False)
    """How long the run that settled it took, all of a shared one."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A check that judged an edit: when and how long, and what it found."""

    kind: str
    start: float
    """When that run began: seconds since 1970, by the clock of the machine that it ran on."""
    seconds: float
    """Of runs that many shards share its part."""
    whole: float
    """Of the run that settled it, all of a shared one."""
    findings: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """An edit and what the judges found; it passes only when nothing was found."""

    edit: Edit
    findings: tuple[Finding, ...] = ()
    proof: tuple[str, ...] = ()
    covered: tuple[Covered, ...] = ()
    evidence: tuple[Verdict, ...] = ()
    """Attempts at a test that pins what the code did before, each an edit of that test alone, if the edit needed one;
    it has one when the last of them passed (operators.evidence)."""
    times: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Seconds that each kind of check took: `tests`, `honest`."""
    timed: tuple[Timed, ...] = field(default=(), compare=False)
    """Each check that was asked, in order."""
    start: float = field(default=0.0, compare=False)
    """When the attempt began: seconds since 1970, by the clock of the machine that it ran on; 0: it is none."""
    seconds: float = field(default=0.0, compare=False)
    """How long it took, proposing included."""

    @property
    def proven(self) -> Mapping[str, str]:
        """Path and text of the generated test that counts as evidence; empty when there is none."""
        edits = [one.edit for one in self.evidence[-1:] if one.passed]
        return {path: text for edit in edits for path, text in edit.files.items() if text is not None}

    @property
    def edits(self) -> Iterator[Edit]:
        """Yield all that was proposed for it: the edit, then each attempt at evidence."""
        yield self.edit
        yield from (one.edit for one in self.evidence)

    @property
    def passed(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a shard ended: facts only, the status is computed."""

    shard: Shard
    verdicts: tuple[Verdict, ...] = ()
    error: str = ""
    """What went wrong in our world (a worker died, the disk is full): to be tried again."""
    skipped: str = ""
    """Why the shard's files cannot be worked on at all (`syntax error on line 3`): nothing to try again."""
    seconds: float = 0.0
    away: bool = False
    """The error is that the model is gone, or may not be asked: as good as not tried, and not to be kept."""
    start: float = field(default=0.0, compare=False)
    """When the work on it began: seconds since 1970, by the clock of the machine that it ran on; 0 when none did."""
    wordless: str = field(default="", compare=False)
    """The day on which what models were told and said was purged from it; "" as long as it is there."""
    codeless: str = field(default="", compare=False)
    """The day on which edits, findings' words and output were purged from it as well; "" as long as they are there."""
    ended: Status | Literal[""] = field(default="", compare=False)
    """Its status, since what tells it was purged."""

    @property
    def status(self) -> Status:
        if self.ended:
            return self.ended
        if self.error:
            return "failed"
        if self.skipped:
            return "skipped"
        if not self.verdicts:
            return "unchanged"
        if not self.verdicts[-1].passed:
            return "rejected"
        return "accepted" if self.verdicts[-1].edit.files else "unchanged"

    @property
    def edit(self) -> Edit | None:
        """The accepted edit, or None: also when it was purged, as there is nothing to be proposed any more."""
        return self.verdicts[-1].edit if self.status == "accepted" and not self.codeless else None

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens read and written by the model over all attempts, unusable replies included."""
        edits = [edit for verdict in self.verdicts for edit in verdict.edits]
        return sum(edit.tokens_in for edit in edits), sum(edit.tokens_out for edit in edits)

    @property
    def gpu_seconds(self) -> float:
        """Of all attempts; 0 also when nobody said how many GPUs a model has."""
        return sum(edit.gpu_seconds for verdict in self.verdicts for edit in verdict.edits)

    @property
    def waited(self) -> float:
        """Seconds in which models were asked, over all attempts."""
        return sum(edit.waited for verdict in self.verdicts for edit in verdict.edits)

    @property
    def judging(self) -> Mapping[str, float]:
        """Seconds that each kind of check took, over all attempts."""
        found: dict[str, float] = {}
        for verdict in self.verdicts:
            for one in (verdict, *verdict.evidence):
                for kind, seconds in one.times.items():
                    found[kind] = found.get(kind, 0.0) + seconds
        return found

    @property
    def cached(self) -> int:
        """Replies, of all attempts, that were known from before."""
        return sum(edit.cached for verdict in self.verdicts for edit in verdict.edits)


@dataclass(frozen=True, slots=True)
class Base:
    """One commit of one repository as workers need it."""

    repo: str
    commit: str
    mirror: str
    """Folder of the bare repository, on this machine."""
    python: str = ""
    """Interpreter of the repository's environment; empty: the one Umbau runs on."""
    parser: str = ""
    """That interpreter again when its version, hence its syntax, is another than that of Umbau's own."""
    path: tuple[str, ...] = ("src", "")
    """Folders of the checkout that modules are imported from."""
    needs: tuple[str, ...] = ()
    """Folders of this machine that hold the interpreter."""
    sandbox: str = "bubblewrap"
    """What commands run in; "none" if the job says so."""
    memory: int = 0
    """Bytes that are reserved for them; 0: they may take what this machine has for each core."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What checks saw on the untouched commit, by the check's own name."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """How a reply is drawn."""

    temperature: float
    seed: int | None = None
    """None: the model takes none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to a model and its reply, without the words of either."""

    prompt: str
    """SHA-256, in hex, of the messages and the grammar as JSON, as they were sent."""
    reply: str
    """SHA-256, in hex, of its text."""
    revision: str
    """What the reply depends on besides (Model.revision)."""
    attempt: int
    drawn: Drawn | None = None
    """As far as the model says."""
    served: str = ""
    """What the server called the model that answered; "" when it said nothing, or the reply was known from before."""
    cached: bool = False
    """The reply was known from before."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's reply. `tokens_*` as the server counted them."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    cut: bool = False
    """Ended by the length limit, not by the model."""
    cached: bool = False
    """Known from before: no tokens were spent."""
    seconds: float = field(default=0.0, compare=False)
    """How long it took, waiting for a turn left out; of all tries, where the first ones failed."""
    gpu_seconds: float = field(default=0.0, compare=False)
    """Its share of the time of the GPUs behind the endpoint, as far as it is known how many they are."""
    model: str = field(default="", compare=False)
    """Its name."""
    server: str = field(default="", compare=False)
    """Host and port of the endpoint; "" when it ran in the process that asked."""
    start: float = field(default=0.0, compare=False)
    """When it was asked: seconds since 1970, by the clock of the machine that did."""
    served: str = field(default="", compare=False)
    """What the server calls the model that answered, as far as it says."""
    asked: Asked | None = field(default=None, compare=False)
    """What was asked, once that is noted (operators.responses)."""

    @property
    def told(self) -> tuple[Completion, ...]:
        """What is noted of it in an edit: all but the words, nothing when it was known from before."""
        return () if self.cached else (replace(self, text="", asked=None),)

    @property
    def noted(self) -> tuple[Asked, ...]:
        """What is noted of the question in an edit."""
        return (self.asked,) if self.asked else ()


@dataclass(frozen=True, slots=True)
class Outage:
    """A model endpoint that answers nobody."""

    url: str
    why: str
    seconds: float
    """How long that has been known."""
    left: float
    """Seconds for which it will be waited at most; 0 when it was given up."""


class Trouble(Exception):
    """Something in our world went wrong, by no fault of the shard. The message says what, in its first line."""

    seconds = 0.0
    """In which a model was asked in vain before."""
    gpu_seconds = 0.0


class Away(Trouble):
    """The model is gone, or may not be asked any more: nothing is known of the shard, which waits for another run."""


class Skip(Exception):
    """The shard's files cannot be worked on; the message is the reason. Not a fault of anybody."""


class TooLong(Skip):
    """A model cannot see all that it would have to be shown."""


def told(fault: BaseException) -> str:
    """Return what an exception says; how it is called is left out where its message is meant for people."""
    try:
        return str(fault) if isinstance(fault, Trouble) else f"{type(fault).__name__}: {fault}"
    except Exception:  # a plugin's exception may not even know its own words
        return type(fault).__name__


def called(model: Model) -> str:
    """Return what a model is called where people look for it: `devstral-small-2@1fc9c7b`."""
    return f"{model.name}@{model.weights}" if model.weights else model.name


class Operator(Protocol):
    """Proposes edits: codemod, rewrite, shell, a chain of them, or a plugin."""

    @property
    def waits(self) -> bool:
        """True when `propose` mostly waits for a model; it then runs in the waiting lane and must not compute."""

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        """Return the next edit, told against `ws`, or None when there is nothing (more) to propose."""


class Check(Protocol):
    """Judges an edit."""

    @property
    def local(self) -> bool:
        """True when the ruling on a file depends on that file alone."""

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        """`ws` shows the base with `edit` laid over it; `ws.base_text` still shows the base."""


@runtime_checkable
class Sharing(Check, Protocol):
    """A check of which one run can judge the edits of many shards."""

    def share(self, ws: Workspace, shard: Shard, edit: Edit, whole: Workspace, ruling: Ruling) -> Ruling | None:
        """Return what the ruling on a sum of edits, which `whole` shows, says of one of them; None when that cannot be
        told, and it has to be judged with fewer others. `ws` shows the base with `edit` laid over it."""


@runtime_checkable
class Baselined(Check, Protocol):
    """A check that compares with what it saw on the untouched commit."""

    @property
    def fact(self) -> str:
        """Under which name of `Base.facts` that is kept."""

    def baseline(self, ws: Workspace) -> dict[str, Any]:
        """Look at the untouched commit, before anything is tried on it. Raise Trouble when no edit can be judged."""


@runtime_checkable
class Postcondition(Check, Protocol):
    """A check of what must hold in the end, whoever saw to it: asked also when nothing was changed."""

    @property
    def postcondition(self) -> bool: ...


class Model(Protocol):
    """An OpenAI-compatible endpoint, or a checkpoint that runs here."""

    @property
    def name(self) -> str: ...

    @property
    def weights(self) -> str:
        """Which weights it has: a digest, or the revision that the site states; "" when nobody knows."""

    @property
    def bare(self) -> bool:
        """True when it knows one task only and is shown nothing but the code."""

    @property
    def revision(self) -> str:
        """What its answers depend on besides the messages; where it runs is not part of it."""

    @property
    def concurrency(self) -> int:
        """Calls at a time that it is worth sending from one machine."""

    @property
    def room(self) -> int:
        """Tokens that its messages may have."""

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        """Answer. `grammar`: in Lark's form, for an engine that can be held to one; others may write what they like.

        Raise Away when nobody gets an answer, ModelError when there is none to be had for these messages, TooLong when
        they are longer than it can see; an odd answer is returned as it is."""


@runtime_checkable
class Sampled(Protocol):
    """A model that says how it draws its replies."""

    def drawn(self, shard: str, attempt: int) -> Drawn | None: ...
