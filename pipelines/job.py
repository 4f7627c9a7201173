"""What the YAML says."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from operators.accepted import BUDGET
from operators.density import Protocol
from pipelines.limits import Budget, Pilot, StopLoss
from pipelines.publishing import GitHub, GitHubQuery, GitLab, GitLabQuery, Guard, MergeRequest, Rollout
from pipelines.strict import Glob, HasHost, OneOf, Regex, Short, Strict

FOR_ANOTHER = 6  # attempts: twice two with the first model, then two with the other
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]


class Source(Strict):
    """Where code comes from."""

    git: str = ""
    """https URL, or path of a local repository (its last commit counts)."""
    pypi: str = ""
    """`name==version`: the source distribution as a repository of one commit."""
    gitlab: GitLabQuery | None = None
    """All repositories that the job's `forge: gitlab` finds."""
    github: GitHubQuery | None = None
    list: str = ""
    """A file with one repository in a line, written as `git` is; `#` begins a comment. A relative path starts at the
    job file's folder."""
    branch: str = ""
    """For git; the default branch when not given."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.git, self.pypi, self.gitlab, self.github, self.list))) != 1:
            raise PydanticCustomError("one_of", "one key is needed here, of git, pypi, gitlab, github, list")
        if re.search(r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{|^-", self.branch):
            raise PydanticCustomError("branch", "`branch` is the name of one branch, such as `main`")
        if self.pypi and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+", self.pypi):
            raise PydanticCustomError("pypi", "a name and an exact version are needed, such as `python-slugify==9.2.0`")
        return self


class Select(Strict):
    files: list[Glob] = Field(default=["**/*.py"], min_length=1)
    """Patterns as in .gitignore."""
    exclude: list[Glob] = Field(default=[])
    contains: Regex = ""
    """The detector: only files with a line that this matches, the line's ending left out."""


class Cut(Strict):
    by: Literal["file", "directory", "owner", "symbol"] = "file"
    """owner: of CODEOWNERS. symbol: top-level class or function, or method where a class is larger."""
    max_lines: int = Field(default=120, ge=1, le=100_000)
    """For symbol: a class with more lines is cut into its methods."""
    max_files: int = Field(default=20, ge=1, le=1000)
    """For directory and owner."""


class ModelSettings(Short):
    """An OpenAI-compatible endpoint; what is left out comes from UMBAU_MODEL_URL and UMBAU_MODEL. Or a checkpoint that
    runs in the worker."""

    name: str = ""
    """`umbau-asserts` comes with Umbau and runs in the worker unless there is a url."""
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$"), HasHost] = ""
    key_from: str = Field(default="UMBAU_MODEL_KEY", pattern=r"^[A-Z_][A-Z0-9_]*$")
    """The environment variable that holds the key. The key itself never stands in a job."""
    temperature: float = Field(default=0.15, ge=0, le=2)
    max_tokens: int = Field(default=8192, ge=1, le=1_000_000)
    context: int = Field(default=65_536, ge=2, le=100_000_000)
    """Tokens that the model can see: the question and, of `max_tokens`, the answer."""
    timeout: Seconds = 600.0
    concurrency: int = Field(default=32, ge=1, le=4096)
    gpus: float = Field(default=0.0, ge=0, le=100_000)
    """GPUs behind the url, all replicas together: by that GPU seconds are counted. What is left out comes from
    UMBAU_MODEL_GPUS."""
    checkpoint: str = ""
    """Folder of a Mistral-architecture checkpoint, as Transformers saves it, to run on the CPU without an endpoint. A
    relative path starts at the job file's folder."""
    bare: bool = False
    """It was trained for this one task and is shown nothing but the code; only with `reply: piece`."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        needless = [
            name
            for name in ("name", "url", "key_from", "context", "timeout", "concurrency", "gpus")
            if name in self.model_fields_set
        ]
        if self.checkpoint and needless:
            raise PydanticCustomError(
                "model", "a `checkpoint` runs here and has no {needless}", {"needless": ", ".join(needless)}
            )
        if self.context <= self.max_tokens and not self.checkpoint:
            raise PydanticCustomError("room", "`max_tokens` leaves no room for a question in `context`")
        return self


class CodemodStep(Short):
    name: str
    """Dotted path of any LibCST codemod; `libcst.codemod.commands.` may be left out."""
    arguments: dict[str, Any] = Field(default={})
    reach: Literal["module", "symbol"] = "module"
    """What the codemod must see: the module, or only the function or class around a hit (faster)."""


class Example(Strict):
    before: str
    after: str


def _text_or_list(data: Any) -> str:
    return "text" if isinstance(data, str) else "list"


# Told apart first, so that one fault in a list of examples is one message.
Examples = Annotated[Annotated[str, Tag("text")] | Annotated[list[Example], Tag("list")], Discriminator(_text_or_list)]


class RewriteStep(Strict):
    prompt: str = Field(min_length=1)
    model: ModelSettings | None = None
    fallback: ModelSettings | None = None
    """Another model, which is asked when `model` has made faults of one kind again and again and a fresh start has not
    helped. `attempts` counts for both."""
    examples: Examples = Field(default=[])
    """Pairs, or the dotted path of a module with EXAMPLES."""
    context: list[Glob] = Field(default=[])
    """Files that the model is shown as well."""
    show: list[Literal["definitions", "callers"]] = Field(default=[])
    """What else it is shown of the repository's Python code: definitions of what the shard imports and uses; places
    that name what the shard defines."""
    reply: Protocol | None = None
    """How it answers: search/replace blocks, whole files, or one statement after another (`piece`). When not given,
    whole files if the examples change 40 % of their lines or more, else blocks."""
    learn: int = Field(default=0, ge=0, le=1000)
    """How many shards, the first that the model works on, are done before the others. Of their accepted edits, those
    most like its code are shown with each of the others."""
    left: Regex | None = None
    """What is left for the model after the steps before; `select.contains` when not given. With `piece`, what stands in
    comments, and in headers and decorators of functions and classes, is not asked for."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for key in ("context", "show", "learn"):
            if self.reply == "piece" and getattr(self, key):
                raise PydanticCustomError("piece", f"with `reply: piece` no `{key}` is shown: leave one or the other")
        endpoints = [one for one in (self.model, self.fallback) if one and not one.checkpoint]
        if self.learn and any(one.context - one.max_tokens <= BUDGET for one in endpoints):
            raise PydanticCustomError(
                "learn",
                "`learn` shows up to {budget} tokens of edits: `context` less `max_tokens` must be more",
                {"budget": f"{BUDGET:,}"},
            )
        if self.reply != "piece" and any(one and one.bare for one in (self.model, self.fallback)):
            raise PydanticCustomError("bare", "a bare model is shown one statement after another: add `reply: piece`")
        return self


class Run(Short):
    run: str = Field(min_length=1)
    """A shell command; `{paths}` stands for the files."""
    timeout: Seconds = 600.0


class Characterise(Short):
    """A model writes a test of what the code did before, which does not see the edit. It counts where it passes on the
    untouched commit and with the edit, and fails when a statement does something else."""

    model: ModelSettings | None = None
    """Who writes it; the rewrite's model when not given."""
    attempts: int = Field(default=3, ge=1, le=20)
    keep: str = Field(default="", max_length=500)
    """Where it becomes part of the merge request, such as `tests/test_umbau_{name}.py`, where `{name}` stands for the
    shard. When not given it is kept with the outcome alone: umbau show."""

    @model_validator(mode="after")
    def _place(self) -> Self:
        if self.keep and not re.fullmatch(r"((?![.-])[\w.-]+/)*(?![.-])[\w.-]*\{name\}[\w.-]*\.py", self.keep):
            raise PydanticCustomError(
                "keep", "`keep` is a path with `{name}` in the file's name, such as tests/test_umbau_{name}.py"
            )
        return self


class Tests(Short):
    run: str = Field(min_length=1)
    timeout: Seconds = 1800.0
    covered: float = Field(default=0.0, ge=0, le=1)
    """The least share of changed statements that passing tests execute."""
    characterise: Characterise | None = None
    """What else counts where that share is not reached: a generated test. `{}` for all as it comes."""

    @model_validator(mode="after")
    def _demanded(self) -> Self:
        if self.characterise and not self.covered:
            raise PydanticCustomError("characterise", "`characterise` needs to know how much: add `covered: 0.8`")
        return self


class Plugin(Short):
    """A class of your own, by dotted path, and its settings."""

    path: str = Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")
    settings: dict[str, Any] = Field(default={})


class Step(OneOf):
    codemod: CodemodStep | None = None
    rewrite: RewriteStep | None = None
    shell: Run | None = None
    use: Plugin | None = None


class InsideCheck(Strict):
    allow: list[Glob] = Field(default=[])
    """Files that steer CI, builds or test runs and that the job may change."""


class KeepsCheck(Strict):
    """In each function, method and class body names, literals and operators stand as often as before. Imports,
    comparisons, `not`, None, True, False and the order are not looked at."""

    free: list[str] = Field(default=[])
    """Globs of names that may come and go; of an argument's name with the `=` behind it."""


class HonestCheck(Strict):
    """Tests find as much as before, and nothing came in that makes a green run worthless, stands for what was left out
    or cannot be seen."""

    allow: list[str] = Field(default=[])
    """Rules that are not in force, by the names that findings tell."""


class ApiCheck(Strict):
    """Outside of tests public names stay, and functions are called as before."""

    allow: list[str] = Field(default=[])
    """Globs of qualified names that may change, with all below them: `Client.get`, `old_*`."""


def _or_names(schema: dict[str, Any]) -> None:
    original = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "array", "items": {"type": "string"}, "minItems": 1}, original]


class GoneCheck(Strict):
    """What must not stand in the shard's code any more, also when nothing was changed."""

    model_config = ConfigDict(json_schema_extra=_or_names)

    names: list[str] = Field(default=[])
    """Such as `iteritems` or `np.int`, each as a whole."""
    pattern: Regex = ""
    """Looked for line by line."""
    text: bool = False
    """Whether comments and strings count as well."""

    @model_validator(mode="before")
    @classmethod
    def _long(cls, data: Any) -> Any:
        return {"names": data} if isinstance(data, list) else data

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.names or self.pattern):
            raise PydanticCustomError("gone", "one of names, pattern must say what is to be gone")
        odd = [name for name in self.names if not all(part.isidentifier() for part in name.split("."))]
        if odd:
            raise PydanticCustomError("gone", "`{name}` is no name: write `pattern` for more", {"name": odd[0]})
        return self


class Complaining(Run):
    @model_validator(mode="after")
    def _same_files(self) -> Self:
        if "{paths}" in self.run:
            why = "the same files are looked at before and after: name them instead of `{paths}`"
            raise PydanticCustomError("complaints", why)
        return self


Ruled = Annotated[str, Field(pattern=r"^ruff:[A-Z]+[0-9]{1,4}$")]


class Nothing(Strict):
    pass


def _or_place(schema: dict[str, Any]) -> None:
    original = {**schema, "minProperties": 1, "maxProperties": 1}
    schema.clear()
    schema["anyOf"] = [{"enum": ["local", "gitlab", "github"]}, original]


class ForgeSettings(OneOf):
    """May be written as a word: `forge: gitlab`."""

    local: Nothing | None = None
    """Branches in repositories of Umbau's own, and a page for each merge request."""
    gitlab: GitLab | None = None
    github: GitHub | None = None

    model_config = ConfigDict(json_schema_extra=_or_place)

    @model_validator(mode="before")
    @classmethod
    def _long(cls, data: Any) -> Any:
        return {data: {}} if isinstance(data, str) else data


class ScopeCheck(Strict):
    """What may change in the syntax tree; everything else stays the same, comments and whitespace included."""

    nodes: list[str] = Field(default=[])
    """LibCST node classes."""
    names: list[str] = Field(default=[])
    """Globs of qualified names of functions and classes."""
    statements: Regex = ""
    imports: bool = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.nodes or self.names or self.statements or self.imports):
            raise PydanticCustomError("scope", "one of nodes, names, statements, imports must say what may change")
        return self


def _or_word(schema: dict[str, Any]) -> None:
    original = {**schema, "minProperties": 1, "maxProperties": 1}
    schema.clear()
    schema["anyOf"] = [{"enum": ["inside", "parses", "honest", "api", "keeps", "idempotent", "original"]}, original]


class Check(OneOf):
    inside: InsideCheck | None = None
    parses: Nothing | None = None
    honest: HonestCheck | None = None
    api: ApiCheck | None = None
    scope: ScopeCheck | None = None
    keeps: KeepsCheck | None = None
    idempotent: Nothing | None = None
    original: Nothing | None = None
    """No long passage of a model's stands in nothing it was shown: else it is only pointed at."""
    gone: GoneCheck | None = None
    rule: Ruled | None = None
    """A rule of ruff that finds nothing more in the shard's lines: `ruff:UP031`."""
    command: Run | None = None
    complaints: Complaining | None = None
    """A linter or type checker that says nothing that it did not say of the untouched commit: `mypy src`."""
    tests: Tests | None = None
    use: Plugin | None = None

    model_config = ConfigDict(json_schema_extra=_or_word)

    @model_validator(mode="before")
    @classmethod
    def _long(cls, data: Any) -> Any:
        return {data: {}} if isinstance(data, str) else data


class Environment(Strict):
    python: str = Field(default="", pattern=r"^(3\.\d+(\.\d+)?)?$")
    """Version, which must be installed where environments are built; that of Umbau's own interpreter when not given."""
    install: list[str] = Field(default=[])
    """What `uv pip install` is given; "." is the repository itself."""


class Job(Strict):
    """One migration: which repositories, which files, what change, what proof."""

    name: Name
    description: str = ""
    repos: list[Source] = Field(min_length=1)
    select: Select = Select()
    shard: Cut = Cut()
    steps: list[Step] = Field(min_length=1)
    checks: list[Check] = Field(
        default=[
            Check(inside=InsideCheck()),
            Check(parses=Nothing()),
            Check(honest=HonestCheck()),
            Check(api=ApiCheck()),
            Check(idempotent=Nothing()),
        ]
    )
    final: list[Check] = Field(default=[])
    """Judged once per merge request, on the sum of its edits."""
    attempts: int = Field(default=4, ge=1, le=100)
    environment: Environment | None = None
    sandbox: Literal["bubblewrap", "none"] = "bubblewrap"
    """What commands, tests and builds run in. none: nothing; they have your rights, and merge requests say so."""
    forge: ForgeSettings = ForgeSettings(local=Nothing())
    """Where merge requests are opened."""
    merge_request: MergeRequest = MergeRequest()
    rollout: Rollout = Rollout()
    guard: Guard = Guard()
    pilot: Pilot | None = None
    budget: Budget = Budget()
    stop_loss: StopLoss | None = None

    @model_validator(mode="after")
    def _one_evidence(self) -> Self:
        asking = [check for check in self.checks if check.tests and check.tests.characterise]
        if len(asking) > 1 or any(check.tests and check.tests.characterise for check in self.final):
            raise PydanticCustomError(
                "characterise", "`characterise` may stand once, in `checks`: sums are tested with what came of it"
            )
        return self

    @model_validator(mode="after")
    def _found_there(self) -> Self:
        for kind in ("gitlab", "github"):
            if any(getattr(source, kind) for source in self.repos) and not getattr(self.forge, kind):
                raise PydanticCustomError(
                    "forge", "`repos` asks {kind} for repositories: that needs `forge: {kind}`", {"kind": kind}
                )
        return self

    @model_validator(mode="after")
    def _one_conversation(self) -> Self:
        if sum(step.rewrite is not None for step in self.steps) > 1:
            raise PydanticCustomError("rewrite", "`steps` may hold one rewrite: put what the model has to do into one")
        if self.attempts < FOR_ANOTHER and any(step.rewrite and step.rewrite.fallback for step in self.steps):
            raise PydanticCustomError(
                "fallback",
                "a `fallback` is asked after a fresh start of the first model: give it `attempts: 6` or more",
            )
        return self
