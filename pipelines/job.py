"""What the YAML says."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Shape = Callable[[dict[str, Any]], None]


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        where = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise PydanticCustomError("regex", "not a regular expression: {why}", {"why": f"{error.msg}{where}"}) from None
    return pattern


def _glob(pattern: str) -> str:
    if not pattern.strip() or ".." in pattern.split("/"):
        raise PydanticCustomError("glob", "not a path pattern within the repository, such as `**/test_*.py`")
    return pattern


Regex = Annotated[str, AfterValidator(_regex), Field(json_schema_extra={"format": "regex"})]
Glob = Annotated[str, AfterValidator(_glob)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]


class Strict(BaseModel):
    """Keys and types are taken by the letter; an unknown key is answered with the nearest known one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key in cls.model_fields:
                continue
            near = get_close_matches(str(key), cls.model_fields, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(cls.model_fields)}"
            raise PydanticCustomError("unknown_key", "unknown key `{key}`; {hint}", {"key": key, "hint": hint})
        return data


class OneOf(Strict):
    """A mapping of which exactly one key is used."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise PydanticCustomError(
                "one_of", "one key is needed here, of {known}", {"known": ", ".join(type(self).model_fields)}
            )
        return self


def _or_text(schema: dict[str, Any]) -> None:
    original = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, original]


class Short(Strict):
    """May be written as its first field alone."""

    model_config = ConfigDict(json_schema_extra=_or_text)

    @model_validator(mode="before")
    @classmethod
    def _long(cls, data: Any) -> Any:
        return {next(iter(cls.model_fields)): data} if isinstance(data, str) else data


class Source(Strict):
    """Where code comes from."""

    git: str = ""
    """https URL, or path of a local repository (its last commit counts)."""
    pypi: str = ""
    """`name==version`: the source distribution as a repository of one commit."""
    branch: str = ""
    """For git; the default branch when not given."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.git) == bool(self.pypi):
            raise PydanticCustomError("one_of", "one key is needed here, of git, pypi")
        if self.pypi and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+", self.pypi):
            raise PydanticCustomError("pypi", "a name and an exact version are needed, such as `python-slugify==9.2.0`")
        return self


class Select(Strict):
    files: list[Glob] = Field(default=["**/*.py"], min_length=1)
    """Patterns as in .gitignore."""
    exclude: list[Glob] = []
    contains: Regex = ""
    """The detector: only files with a line that this matches."""


class Cut(Strict):
    by: Literal["file", "directory", "owner", "symbol"] = "file"
    """owner: of CODEOWNERS. symbol: top-level class or function, or method where a class is larger."""
    max_lines: int = Field(default=120, ge=1, le=100_000)
    """For symbol: a class with more lines is cut into its methods."""
    max_files: int = Field(default=20, ge=1, le=1000)
    """For directory and owner."""


class ModelSettings(Strict):
    """An OpenAI-compatible endpoint; what is left out comes from UMBAU_MODEL_URL and UMBAU_MODEL."""

    name: str = ""
    url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    key_from: str = Field(default="UMBAU_MODEL_KEY", pattern=r"^[A-Z_][A-Z0-9_]*$")
    """The environment variable that holds the key. The key itself never stands in a job."""
    temperature: float = Field(default=0.15, ge=0, le=2)
    max_tokens: int = Field(default=8192, ge=1, le=1_000_000)
    timeout: Seconds = 600.0
    concurrency: int = Field(default=32, ge=1, le=4096)

    model_config = ConfigDict(json_schema_extra=_or_text)

    @model_validator(mode="before")
    @classmethod
    def _long(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


class CodemodStep(Short):
    name: str
    """Dotted path of any LibCST codemod; `libcst.codemod.commands.` may be left out."""
    arguments: dict[str, Any] = {}
    reach: Literal["module", "symbol"] = "module"
    """What the codemod must see: the module, or only the function or class around a hit (faster)."""


class Example(Strict):
    before: str
    after: str


class RewriteStep(Strict):
    prompt: str = Field(min_length=1)
    model: ModelSettings | None = None
    examples: list[Example] | str = []
    """Pairs, or the dotted path of a module with EXAMPLES."""
    context: list[Glob] = []
    """Files that the model is shown as well."""
    reply: Literal["blocks", "whole"] = "blocks"
    left: Regex | None = None
    """What is left for the model after the steps before; `select.contains` when not given."""


class Run(Short):
    run: str = Field(min_length=1)
    """A shell command; `{paths}` stands for the files."""
    timeout: Seconds = 600.0


class Tests(Short):
    run: str = Field(min_length=1)
    timeout: Seconds = 1800.0


class Plugin(Short):
    """A class of your own, by dotted path, and its settings."""

    path: str = Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")
    settings: dict[str, Any] = {}


class Step(OneOf):
    codemod: CodemodStep | None = None
    rewrite: RewriteStep | None = None
    shell: Run | None = None
    use: Plugin | None = None


class InsideCheck(Strict):
    allow: list[Glob] = []
    """CI files that the job may change."""


class Nothing(Strict):
    pass


class ScopeCheck(Strict):
    """What may change in the syntax tree; everything else stays the same, comments and whitespace included."""

    nodes: list[str] = []
    """LibCST node classes."""
    names: list[str] = []
    """Globs of qualified names of functions and classes."""
    statements: Regex = ""
    imports: bool = False


class Check(OneOf):
    inside: InsideCheck | None = None
    parses: Nothing | None = None
    scope: ScopeCheck | None = None
    idempotent: Nothing | None = None
    command: Run | None = None
    tests: Tests | None = None
    use: Plugin | None = None

    model_config = ConfigDict(json_schema_extra=_or_text)

    @model_validator(mode="before")
    @classmethod
    def _long(cls, data: Any) -> Any:
        return {data: {}} if isinstance(data, str) else data


class Environment(Strict):
    python: str = Field(default="", pattern=r"^(3\.\d+(\.\d+)?)?$")
    """Version; that of Umbau's own interpreter when not given."""
    install: list[str] = []
    """What `uv pip install` is given; "." is the repository itself."""


class Group(Strict):
    by: Literal["repository", "directory", "owner", "file", "symbol"] = "directory"
    max_files: int = Field(default=25, ge=1, le=10_000)


class MergeRequest(Strict):
    group: Group = Group()
    branch: str = "umbau/{{ job }}/{{ group }}"
    title: str = "{{ job }}: {{ group }}"
    body: str = ""
    """Template of what stands above the facts; `description` when not given."""
    labels: list[str] = []
    draft: bool = False
    merge: Literal["never", "approved"] = "never"
    """Whether Umbau merges what is approved and green."""


class Job(Strict):
    """One migration: which repositories, which files, what change, what proof."""

    name: Name
    description: str = ""
    repos: list[Source] = Field(min_length=1)
    select: Select = Select()
    shard: Cut = Cut()
    steps: list[Step] = Field(min_length=1)
    checks: list[Check] = [Check(inside=InsideCheck()), Check(parses=Nothing()), Check(idempotent=Nothing())]
    final: list[Check] = []
    """Judged once per merge request, on the sum of its edits."""
    attempts: int = Field(default=4, ge=1, le=100)
    environment: Environment | None = None
    merge_request: MergeRequest = MergeRequest()

    @model_validator(mode="after")
    def _one_conversation(self) -> Self:
        if sum(step.rewrite is not None for step in self.steps) > 1:
            raise PydanticCustomError("rewrite", "`steps` may hold one rewrite: put what the model has to do into one")
        return self
