"""Finds old code that stands in files. This module is what repositories get as `.umbau-guard/NAME/check`, with settings
of its own: it needs nothing but Python 3.9 and git, and is run there by hooks and pipelines.
"""

from __future__ import annotations

import ast
import builtins
import codecs
import io
import json
import os
import re
import subprocess
import sys
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

SETTINGS: dict[str, Any] = {}

MAX_BYTES = 1 << 20
PLAIN = re.compile(r"utf-8|ascii|iso8859-\d+|cp125\d|cp85\d|cp437|koi8-[rut]|mac-roman|gb2312|gbk|euc_\w+|big5")
GENERATED = re.compile(
    r"@generated|generated\b.{0,40}\bdo not (edit|modify)|do not (edit|modify)\b.{0,40}generated", re.I | re.S
)
PYTHON = (".py", ".pyi")
ODD = re.compile("[\0-\x1f\ud800-\udfff]")  # in names that the migration does not look at


def found(path: str, text: str, old: Sequence[dict[str, Any]], name: str) -> list[int]:
    """Return the lines, from 1 on, in which old code stands, but for those that say that it may."""
    lines = list(io.StringIO(text, newline=""))
    may = re.compile(rf"\bumbau: allow {re.escape(name)}(?![\w-]|\.\w)")
    numbers: set[int] = set()
    for one in old:
        inside = None
        if "names" in one and path.endswith(PYTHON):
            inside = in_code(text, one["names"], one["code"])
        if inside is None:  # no Python, or none that can be read: comments and strings count as well
            pattern = re.compile(one["text"])
            inside = {at for at, line in enumerate(lines, 1) if pattern.search(line.rstrip("\r\n"))}
        numbers |= inside
    return sorted(at for at in numbers if at > len(lines) or not may.search(lines[at - 1]))


def in_code(text: str, names: Sequence[str], pattern: str) -> set[int] | None:
    """Return the lines in which one of the names stands, or whose code a pattern matches; None when it cannot be
    read."""
    if not pattern and text.isascii() and not any(name.rpartition(".")[2] in text for name in names):
        return set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        lines = bare(text) if pattern else []
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return None
    numbers = {line for line, name in named(tree) for one in names if f".{one}." in f".{name}."}
    return numbers | {at for at, line in enumerate(lines, 1) if re.search(pattern, line)}


def named(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield lines and names, dotted ones as they are written and as they were imported."""
    imports: dict[str, set[str]] = {name: {name} for name in dir(builtins)}
    inner = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                imports.setdefault(alias.asname or top, set()).add(alias.name if alias.asname else top)
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (f"{node.module}." if node.module else "")
            for alias in node.names:
                imports.setdefault(alias.asname or alias.name, set()).add(base + alias.name)
                yield node.lineno, f"{node.module or ''}.{alias.name}"
        elif isinstance(node, ast.Attribute):
            inner.add(id(node.value))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            if id(node) not in inner:
                yield node.lineno, chain(node)
                yield from ((node.lineno, name) for name in dotted(node, imports))
        elif not isinstance(node, ast.alias):
            several = [*(getattr(node, "names", None) or ()), *(getattr(node, "kwd_attrs", None) or ())]
            for one in (*(getattr(node, key, None) for key in ("name", "arg", "rest")), *several):
                if isinstance(one, str):
                    yield getattr(node, "lineno", 0), one


def chain(node: ast.AST) -> str:
    """Write the dotted end of an expression: `a.b` of itself, `c` of `f().c`."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{chain(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def dotted(node: ast.AST, imports: dict[str, set[str]]) -> Iterable[str]:
    """Return what an expression may name by what was imported, such as `os.path.join` for `p.join`."""
    if isinstance(node, ast.Name):
        return imports.get(node.id, ())
    if isinstance(node, ast.Attribute):
        return [f"{one}.{node.attr}" for one in dotted(node.value, imports)]
    if isinstance(node, ast.Call) and node.args:
        said = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        called = set(dotted(node.func, imports))
        if said and "getattr" in called:
            return [f"{one}.{said[0]}" for one in dotted(node.args[0], imports)]
        if said and called & {"__import__", "importlib.import_module"}:
            return said[:1]
    if isinstance(node, ast.Subscript) and "sys.modules" in dotted(node.value, imports):
        keys = (one.value for one in ast.walk(node.slice) if isinstance(one, ast.Constant))
        return [key for key in keys if isinstance(key, str)]
    return ()


def bare(text: str) -> list[str]:
    """Return the lines with blanks for comments and strings."""
    lines = [line.rstrip("\r\n") for line in io.StringIO(text, newline="")]
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            (first, left), (last, right) = token.start, token.end
            for number in range(first, last + 1):
                line = lines[number - 1]
                a, b = left if number == first else 0, right if number == last else len(line)
                lines[number - 1] = line[:a] + " " * (b - a) + line[b:]
    return lines


def matches(path: str, patterns: Sequence[Sequence[Any]]) -> bool:
    """Say whether a path is meant, as .gitignore has it: the last pattern that matches counts, and one that means the
    file itself more than one that means a folder of it."""
    meant, rank = False, 0
    for include, pattern in reversed(patterns):
        match = re.search(pattern, path)
        own = 0 if not match else 1 if match.groupdict().get("ps_d") else 2
        if own > rank:
            meant, rank = include, own
    return meant


def decoded(data: bytes, path: str) -> str | None:
    """Return a file's text; None for what the migration does not look at: binary, large or generated files, and those
    that are not in the encoding that they say."""
    if len(data) > MAX_BYTES or b"\0" in data or data.startswith(b"version https://git-lfs.github.com/spec/"):
        return None
    bom = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    encoding = "utf-8"
    try:
        if path.endswith(PYTHON):
            encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
            encoding = codecs.lookup("utf-8" if encoding == "utf-8-sig" else encoding).name
        text = data[len(bom) :].decode(encoding) if PLAIN.fullmatch(encoding) else None
    except (SyntaxError, UnicodeDecodeError):
        return None
    if text is None or bom + text.encode(encoding) != data or ("\r" in text and "\n" not in text):
        return None
    head = "".join(list(io.StringIO(text, newline=""))[:10])[:2000]
    return None if GENERATED.search(head) else text


def listed(*options: str) -> list[str]:
    """Return files that git knows. Ends with 2 when git cannot tell."""
    try:
        done = subprocess.run(["git", "ls-files", "-z", "--cached", *options], capture_output=True, check=False)
    except OSError as why:
        sys.exit(f"{SETTINGS['name']}: git cannot be run: {why}")
    if done.returncode:
        sys.stderr.write(done.stderr.decode(errors="replace"))
        sys.exit(2)
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def looked_at(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of those files that the migration is about."""
    names = [name for name in names if matches(name, SETTINGS["files"]) and not matches(name, SETTINGS["exclude"])]
    names = [name for name in names if not name.startswith(".umbau-guard/") and not ODD.search(name)]
    alone = Path(".umbauignore")
    if names and alone.exists():
        if not re.search(rb"^[ \t]*[^#\s]", alone.read_bytes(), re.M):
            return
        left = set(listed("--ignored", f"--exclude-from={alone}"))
        names = [name for name in names if name not in left]
    for name in dict.fromkeys(names):
        file = Path(name)
        if file.is_file() and not file.is_symlink():
            text = decoded(file.read_bytes(), name)
            if text is not None:
                yield name, text


def lower(file: Path, allowed: dict[str, int]) -> int:
    """Write down what still stands there of what may stay; never more than before."""
    now = {path: len(found(path, text, SETTINGS["old"], SETTINGS["name"])) for path, text in looked_at(allowed)}
    left = {path: min(count, now.get(path, 0)) for path, count in allowed.items() if now.get(path)}
    if left:
        file.write_text(json.dumps(left, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    elif file.exists():
        file.unlink()
    print(f"{SETTINGS['name']}: {sum(left.values())} lines of old code may stay, of {sum(allowed.values())} before")
    return 0


def main(names: Sequence[str]) -> int:
    """Look at the files of these names, at all when there are none; 1 when there is old code that may not stay."""
    os.chdir(str(Path(__file__).resolve().parents[2]))
    name, file = SETTINGS["name"], Path(__file__).resolve().with_name("allowed.json")
    allowed: dict[str, int] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if list(names) == ["--lower"]:
        return lower(file, allowed)
    bad = 0
    for path, text in looked_at(names or listed()):
        numbers = found(path, text, SETTINGS["old"], name)
        if len(numbers) > allowed.get(path, 0):
            bad += 1
            for at in numbers:  # not the line itself: it may hold a secret, and others read the log
                print(f"{path}:{at}: old code")
            if path in allowed:
                print(f"{path}: {allowed[path]} of these {len(numbers)} lines may stay")
    if bad:
        print("\n" + "\n".join(SETTINGS["say"]))
    return 1 if bad else 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
