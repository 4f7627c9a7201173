"""What in a text is a secret: tokens of known forms, private keys, passwords in URLs, headers and assignments.

The rules are our own. detect-secrets 1.5.0 (of 2024, the last) tells the line and not the place of a secret, took 38 ms
for 200 lines where these take 1, and takes every hash for one: what is masked without need is code that a model cannot
see. Forms of tokens are as their issuers document them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from posixpath import basename

MARK, MASKED = "UMBAU_SECRET", "UMBAU_MASKED"  # what stands in place of secrets (operators.veil)
SHORTEST = 8  # characters of what is assigned

# In small letters: what names speak of secrets, and what makes one of a `key`.
_HINTS = ("password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "key")
_KEY_OF = re.compile(r"(?:api|access|account|auth|client|encryption|private|secret|shared|signing|master)[_-]?\Z")
# What follows a name such as `token` and makes it speak of something else than of its value.
_ELSE = re.compile(
    r"(?i)[_-](?:name|names|id|ids|url|uri|path|file|field|header|type|kind|prefix|suffix|env|var|hash|digest|sha\d*|"
    r"checksum|length|len|size|count|count_in|limit|regex|pattern|format|class|expiry|expires|scheme|endpoint|label|"
    r"template|help|hint|message|text|title|key_name)s?$|(?:tokeni[sz]er|token_?types?|secretary|passwordless)"
)
# What people write where a secret would stand, in small letters.
_FILLERS = (
    *("example", "changeme", "dummy", "placeholder", "sample", "redacted", "masked", "insert", "replace", "todo"),
    *("xxxx", MARK.lower()),
)
_DUMMY = re.compile(
    r"(?=[cy*.<$%{n\\[:])(?:"  # most characters begin none
    r"change[_-]me|your[_-]|\*{3}|\.{3}|<[^>]*>|\$\{|\$\(|%\(|%s|\{[^}]*\}|^\$\w+$|^%\w+%$|not[_-]?a?[_-]?(?:real|secret)|"
    r"\\[wdsb]|\[\^?[a0]-|:/)"
)
_CLASS = re.compile(r"[a-z](?:key|token|type|request|handler|provider|credentials?|password)$")
_WORDS = frozenset(
    [
        "password",
        "passwd",
        "pass",
        "pw",
        "pwd",
        "secret",
        "token",
        "key",
        "user",
        "username",
        "test",
        "testing",
        "tester",
        "none",
        "null",
        "true",
        "false",
        "default",
        "string",
        "str",
        "admin",
        "root",
        "guest",
        "foo",
        "bar",
        "baz",
        "foobar",
        "anonymous",
        "postgres",
        "mysql",
    ]
)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_UNIT = re.compile(r"\\+[nrt]|([A-Za-z0-9+/=]{4,})")


def more_marks(before: str, after: str) -> list[str]:
    """Return what stands in place of secrets and is there more often than before, in whatever case."""
    there = after.upper()
    return [word for word in (MARK, MASKED) if word in there and there.count(word) > before.upper().count(word)]


@dataclass(frozen=True, slots=True)
class Found:
    """Characters `start` to `end` of a text are a secret."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    hints: tuple[str, ...]
    """Of which one stands in the text, in small letters, where the rule finds anything."""
    pattern: re.Pattern[str]
    """Its last group, or all of it, is the secret."""
    holds: Callable[[str], bool] = lambda value: True
    keyword: bool = False
    """Its hints are where it is tried; it is not looked for elsewhere."""


def _mixed(value: str) -> bool:
    """Say whether there are digits, capitals and small letters in it, as in what was drawn at random."""
    return all(re.search(kind, value) for kind in ("[0-9]", "[A-Z]", "[a-z]"))


def entropy(value: str) -> float:
    """Return bits for each character."""
    counts = [value.count(character) for character in set(value)]
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


def _dummy(value: str) -> bool:
    """Say whether it is what people write where a secret would stand."""
    lower = value.lower()
    return any(word in lower for word in _FILLERS) or bool(_DUMMY.search(lower) or _CLASS.search(lower[-20:]))


def _plain(value: str) -> bool:
    """Likewise, or the same again and again, or a word."""
    return _dummy(value) or value.lower() in _WORDS or len(set(value)) < 4


def strong(value: str) -> bool:
    """Say whether the value of something that is called a secret is one."""
    special = re.search(r"[!@#$%^&*+~?=|]", value)
    if len(value) < SHORTEST or not (special or re.search("[0-9]", value)):  # first, as it takes least
        return False
    if _plain(value) or re.search(r"\s|://", value) or value.startswith(("/", "./", "~/")):
        return False
    words = [word for word in re.split(r"[^A-Za-z]+", value.lower()) if word]
    known = bool(words) and all(word in _WORDS or len(word) < 2 for word in words) and not special
    return entropy(value) > 2.5 and not known


def _bare(value: str) -> bool:
    """Likewise without quotes, where it could be the name of something as well."""
    if not strong(value) or not any(map(str.isdigit, value)) or re.fullmatch(r"[\d.,:eE+-]+", value):
        return False
    if not _IDENTIFIER.fullmatch(value):
        return True
    return (
        len(value) >= 16 and sum(map(str.isdigit, value)) >= 3 and entropy(value) > 3.3 and not set("_.") & set(value)
    )


def _user(value: str) -> bool:
    return len(value) >= 3 and not _plain(value)


_QUOTE = r"(?:[rbfuRBFU]{1,2})?(?P<quote>\"{3}|'{3}|\\?[\"'`])"
_RULES = (
    _Rule("AWS key", ("akia", "asia", "abia", "acca"), re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b")),
    _Rule("GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), re.compile(r"gh[pousr]_[A-Za-z0-9]{30,255}")),
    _Rule("GitHub token", ("github_pat_",), re.compile(r"github_pat_[A-Za-z0-9_]{22,255}")),
    _Rule(
        "GitLab token",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glagent-", "gloas-", "glsoat-", "glimt-"),
        re.compile(r"gl(?:pat|dt|rt|cbt|ptt|ft|agent|oas|soat|imt)-[A-Za-z0-9_.=-]{19,255}[A-Za-z0-9_=-]"),
    ),
    _Rule("Slack token", ("xox", "xapp-"), re.compile(r"(?:xox[abeoprs]-(?:\d-)?|xapp-\d-)[A-Za-z0-9-]{10,255}")),
    _Rule("Slack hook", ("hooks.slack.com",), re.compile(r"hooks\.slack\.com/services/(T\w{5,}/B\w{5,}/\w{15,})")),
    _Rule("Stripe key", ("k_live_", "k_test_"), re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}")),
    _Rule("webhook secret", ("whsec_",), re.compile(r"\bwhsec_[A-Za-z0-9+/=]{24,255}")),
    _Rule("Google key", ("aiza",), re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    _Rule("Google token", ("ya29.", "gocspx-"), re.compile(r"\b(?:ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,})")),
    _Rule("npm token", ("npm_",), re.compile(r"\bnpm_[A-Za-z0-9]{36}"), _mixed),
    _Rule("PyPI token", ("pypi-a",), re.compile(r"\bpypi-A[A-Za-z0-9_-]{50,}")),
    _Rule("model key", ("sk-",), re.compile(r"\bsk-[A-Za-z0-9_-]{20,255}"), _mixed),
    _Rule("Hugging Face token", ("hf_",), re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    _Rule("SendGrid key", ("sg.",), re.compile(r"\bSG\.[\w-]{16,}\.[\w-]{32,}")),
    _Rule(
        "token",
        ("dop_v1_", "doo_v1_", "hvs.", "dckr_pat_", "shpat_", "dapi"),
        re.compile(r"\b(?:do[op]_v1_[0-9a-f]{64}|hvs\.[\w-]{24,}|dckr_pat_[\w-]{20,}|shpat_\w{32}|dapi[0-9a-f]{32})"),
    ),
    _Rule("JWT", ("eyj",), re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")),
    _Rule(
        "password in a URL",
        ("://",),
        re.compile(r"://[^\s/:@\"'<>\[\]]{0,100}:(?!//)([^\s/@\"'<>]{3,200})@(?=[\w.\[-])"),
        _user,
        keyword=True,
    ),
    _Rule("token in a URL", ("://",), re.compile(r"://([^\s/:@\"'<>]{16,200})@(?=[\w.\[-])"), strong, keyword=True),
    _Rule(
        "header",
        ("bearer ", "basic ", "token "),
        re.compile(r"(?i)\b(?:bearer|basic|token)\s{1,3}([A-Za-z0-9._~+/-]{12,2000}={0,2})"),
        lambda value: strong(value) and bool(re.search("[0-9]", value)) and (len(value) >= 20 or value[-1] == "="),
        keyword=True,
    ),
    _Rule(
        "password of a command",
        ("-u ", "--user "),
        re.compile(r"(?:-u|--user) {1,3}[\"']?[\w.@-]{1,60}:([^\s\"'@/]{4,200})"),
        _user,
        keyword=True,
    ),
)
_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"((?:[\s\"'+|>#*,()]|\\+[nrt]|-(?!-)|"
    r"(?:Proc-Type|DEK-Info|Version|Comment): ?[^\n\\]{1,100}|[A-Za-z0-9+/=]){0,20000})"
)
_TAIL = re.compile(r"[\w-]{0,60}")
_HEAD = re.compile(r"[\w.-]{0,60}\Z")
_ASSIGNED = re.compile(
    rf"""\\?["'`]?\]?(?:\s{{0,3}}:\s?[\w.\[\], |]{{1,60}}?)?\s{{0,8}}(?::=|=>|=(?!=)|:)\s{{0,8}}\(?\s{{0,8}}{_QUOTE}"""
)
_PAIRED = re.compile(rf"""\\?["'`]\s{{0,3}},\s{{0,3}}{_QUOTE}""")  # setdefault("API_TOKEN", "...")
_UNQUOTED = re.compile(r"""["']?\s{0,3}[:=]\s{0,3}([^\s"'`,;&()\[\]{}<>#\\]{8,500})(?![(\[])""")

_LINE = re.compile(r"\s*(?:export\s+)?[A-Z0-9_]{1,100}=([^\s\"'`()\[\]{}]{8,500})\s*")  # as in .env


def spot(text: str) -> list[Found]:
    """Return the secrets of a text, by where they begin; they may overlap."""
    lower = _small(text)
    found = list(_keys(text)) if "private key" in lower else []
    for rule in _RULES:
        hints = [hint for hint in rule.hints if hint in lower]
        for match in _tried(rule, hints, text, lower) if hints else ():
            value = match[match.lastindex or 0]
            if not _dummy(value) and rule.holds(value):
                found.append(Found(*match.span(match.lastindex or 0), rule.kind))
    found += _assigned(text, lower)
    return sorted(found, key=lambda one: (one.start, -one.end))


def _tried(rule: _Rule, hints: Sequence[str], text: str, lower: str) -> Iterator[re.Match[str]]:
    """Yield where a rule matches."""
    if not rule.keyword:
        yield from rule.pattern.finditer(text)
        return
    for hint in hints:
        at = lower.find(hint)
        while at >= 0:
            if match := rule.pattern.match(text, at):
                yield match
            at = lower.find(hint, at + 1)


def _keys(text: str) -> Iterator[Found]:
    """Yield each line of each private key, so that every one is known again wherever it stands."""
    for block in _KEY.finditer(text):
        units = [unit for unit in _UNIT.finditer(block[1]) if unit[1]]
        ended = text.startswith("-----END", block.end())  # else code goes on, which only speaks of keys
        for unit in units:
            if len(unit[1]) >= 12 or (ended and unit is units[-1]):
                yield Found(block.start(1) + unit.start(1), block.start(1) + unit.end(1), "private key")


def _assigned(text: str, lower: str) -> Iterator[Found]:
    """Yield what is assigned to, or stands beside, a name that says that it is a secret."""
    for at, word in _named(lower):
        tail = _TAIL.match(text, word)
        end = tail.end() if tail else word
        head = _HEAD.search(text, max(0, at - 60), at)
        if _ELSE.search(text[head.start() if head else at : end]):
            continue
        opening, paired = _ASSIGNED.match(text, end), _PAIRED.match(text, end)
        if begin := opening or paired:
            start, quote = begin.end(), begin["quote"]
            stop = text.find(quote, start, start + 2000)
            value = text[start:stop] if stop >= 0 else ""
            if "\n" not in value and (strong(value) if opening else _bare(value)):
                yield Found(start, stop, "assigned")
        elif (line := _LINE.fullmatch(text, text.rfind("\n", 0, at) + 1, _line_end(text, end))) and strong(line[1]):
            yield Found(*line.span(1), "assigned")
        elif (bare := _UNQUOTED.match(text, end)) and _bare(value := bare[1].rstrip(".:!?")):
            yield Found(bare.start(1), bare.start(1) + len(value), "assigned")


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _named(lower: str) -> Iterator[tuple[int, int]]:
    """Yield where words stand that speak of secrets."""
    for hint in _HINTS:
        at = lower.find(hint)
        while at >= 0:
            end = at + len(hint)
            if hint != "key" or _KEY_OF.search(lower, max(0, at - 12), at):
                yield at, end
            at = lower.find(hint, end)


def _small(text: str) -> str:
    """Return the text in small letters, each where it stood."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.translate(_LETTERS)  # some are two when they are small


_LETTERS = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_ENV = re.compile(r"\.env(?:\.(?!example|sample|template|dist|defaults?|schema)[\w-]+)?|[\w-]+\.env|\.envrc")
_FILES = re.compile(r"(?:id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|_netrc|\.pgpass|\.htpasswd|\.git-credentials|\.pypirc)")


def named_secret(path: str) -> str:
    """Return why a file of this name is not shown whatever is in it; "" when it may be."""
    name = basename(path)
    if _ENV.fullmatch(name) or _FILES.fullmatch(name):
        return f"{name} is a file for secrets"
    return ""


def mostly(path: str, text: str) -> str:
    """Return why a file is too secret to be worked on: by its name, or because more than half of its lines, or
    characters, are secrets; blank ones are not counted. "" when it may be."""
    if why := named_secret(path):
        return why
    found = spot(text)
    if not found:
        return ""
    lines = [line for line in text.splitlines() if line.strip()]
    secret, start, chars = 0, 0, 0
    spans = [(one.start, one.end) for one in found]
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        if any(first < end and last > start for first, last in spans) or "PRIVATE KEY" in line:
            secret += 1
        start = end
    reached = 0
    for first, last in spans:
        chars += max(0, last - max(first, reached))
        reached = max(reached, last)
    if secret * 2 > len(lines):
        return f"mostly secrets ({secret} of {len(lines)} lines)"
    whole = len("".join(text.split()))
    return f"mostly secrets ({100 * chars // whole} % of it)" if chars * 2 > whole else ""
