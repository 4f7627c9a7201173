"""Adds and takes away module-level imports without touching other lines, or any comment."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence

import libcst as cst

from operators.codemods.layout import SPACE, text

_Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
_BLANK = cst.EmptyLine(indent=False)


def added(module: cst.Module, statement: str) -> cst.Module:
    """`module` with one more import among those at its top; an `import` on a line of its own, a `from` on the line
    of the same module if there is one."""
    body = list(module.body)
    start = 1 if body and _documents(body[0]) else 0
    while start < len(body) and _key(body[start])[1] == "__future__":
        start += 1
    end = next((at for at in range(start, len(body)) if _imported(body[at]) is None), len(body))
    line = cst.ensure_type(cst.parse_statement(statement, config=module.config_for_parsing), cst.SimpleStatementLine)
    for at in range(start, end):
        merged = _merged(body[at], line)
        if merged:
            return module.with_changes(body=[*body[:at], merged, *body[at + 1 :]])
    standard = _standard(line)
    group = [at for at in range(start, end) if _standard(body[at]) == standard]
    if group:
        later = [at for at in group if _key(body[at]) > _key(line) and not _remarks(body[at])]
        at = later[0] if later else group[-1] + 1
        lines = body[at].leading_lines if later else ()
        if later:
            body[at] = body[at].with_changes(leading_lines=())
    else:
        at = start if standard else end
        lines = (_BLANK,) if at else ()
    if not group or at == end:
        body[at : at + 1] = map(_apart, body[at : at + 1])
    body.insert(at, line.with_changes(leading_lines=lines))
    return module.with_changes(body=body)


def dropped(module: cst.Module, names: Collection[str]) -> cst.Module:
    """`module` without the imports that bind these local names, except where a comment speaks of the import, or
    where it is there for other modules."""
    body, left = _without(module.body, names)
    if body and body[0] is not module.body[0] and not module.header:
        body[0] = body[0].with_changes(leading_lines=_from_first_remark(body[0].leading_lines))
    return module.with_changes(body=body, footer=[*left, *module.footer])


def _documents(node: _Statement) -> bool:
    match node:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.BaseString()), *_]):
            return True
    return False


def names(module: cst.Module) -> set[str]:
    """What the imports that stand directly in the module bind."""
    found = [imported.names for node in module.body if (imported := _imported(node))]
    return {_local(alias) for aliases in found if not isinstance(aliases, cst.ImportStar) for alias in aliases}


def _merged(node: _Statement, line: cst.SimpleStatementLine) -> _Statement | None:
    """The import `node` with the names of `line` as well; None when it is not from the same module."""
    old, new = _imported(node), _imported(line)
    if not isinstance(old, cst.ImportFrom) or not isinstance(new, cst.ImportFrom) or _key(node) != _key(line):
        return None
    if isinstance(old.names, cst.ImportStar) or isinstance(new.names, cst.ImportStar) or "#" in text(old):
        return None
    shown = [_shown(alias) for alias in old.names]
    aliases = [*old.names, *(alias for alias in new.names if _shown(alias) not in shown)]
    if shown == sorted(shown, key=_rank):
        aliases.sort(key=lambda alias: _rank(_shown(alias)))
    gap = old.lpar.whitespace_after if old.lpar and "\n" in text(old.lpar) else SPACE
    between = old.names[0].comma if len(old.names) > 1 else cst.Comma(whitespace_after=gap)
    aliases = [alias.with_changes(comma=between) for alias in aliases]
    aliases[-1] = aliases[-1].with_changes(comma=old.names[-1].comma)
    return node.with_changes(body=[old.with_changes(names=aliases)])


def _rank(name: str) -> tuple[int, str]:
    """Where isort puts a name: constants, classes, the rest."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


def _shown(alias: cst.ImportAlias) -> str:
    return text(alias.with_changes(comma=cst.MaybeSentinel.DEFAULT))


def _without(body: Sequence[_Statement], names: Collection[str]) -> tuple[list[_Statement], list[cst.EmptyLine]]:
    """The statements that stay, and the lines above the last one if that went."""
    kept: list[_Statement] = []
    left: list[cst.EmptyLine] = []
    for node in body:
        stays = _pruned(node, names)
        if stays is None:
            left = _joined(left, node.leading_lines)
        else:
            kept.append(stays.with_changes(leading_lines=_joined(left, stays.leading_lines)) if left else stays)
            left = []
    return kept, left if any(line.comment for line in left) else []


def _pruned(node: _Statement, names: Collection[str]) -> _Statement | None:
    if isinstance(node, cst.If) and isinstance(node.body, cst.IndentedBlock) and "TYPE_CHECKING" in text(node.test):
        inner, left = _without(node.body.body, names)  # type: ignore[arg-type]
        return node.with_changes(body=node.body.with_changes(body=inner)) if inner and not left else node
    imported = _imported(node)
    if imported is None or isinstance(imported.names, cst.ImportStar) or not isinstance(node, cst.SimpleStatementLine):
        return node
    aliases = [alias for alias in imported.names if _local(alias) not in names or "#" in text(alias) or _given(alias)]
    if len(aliases) == len(imported.names) or node.trailing_whitespace.comment:
        return node
    if not aliases:
        return None if "#" not in text(imported) else node
    last, before = aliases[-1], imported.names[-1]
    if last is not before and "#" not in text(last):
        aliases[-1] = last.with_changes(comma=before.comma)
    return node.with_changes(body=[imported.with_changes(names=aliases)])


def _joined(above: Iterable[cst.EmptyLine], below: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    lines = list(above)
    if not any(line.comment for line in lines):
        return list(below) or lines
    return [*lines, *below]


def _from_first_remark(lines: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    return list(lines[next((at for at, line in enumerate(lines) if line.comment), len(lines)) :])


def _imported(node: _Statement) -> cst.Import | cst.ImportFrom | None:
    if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
        only = node.body[0]
        return only if isinstance(only, cst.Import | cst.ImportFrom) else None
    return None


def _local(alias: cst.ImportAlias) -> str:
    name = alias.asname.name if alias.asname else alias.name
    return text(name) if isinstance(name, cst.Name) else ""


def _given(alias: cst.ImportAlias) -> bool:
    """Whether this is `X as X`, which offers the name to other modules (PEP 484)."""
    return bool(alias.asname) and text(alias.name) == _local(alias)


def _key(node: _Statement) -> tuple[bool, str]:
    """Where isort puts it: `import` before `from`, both by module."""
    imported = _imported(node)
    if isinstance(imported, cst.ImportFrom):
        return True, "." * len(imported.relative) + (text(imported.module) if imported.module else "")
    return False, text(imported.names[0].name) if imported else ""


def _standard(node: _Statement) -> bool:
    return _key(node)[1].partition(".")[0] in sys.stdlib_module_names


def _remarks(node: _Statement) -> bool:
    return any(line.comment for line in node.leading_lines)


def _apart(node: _Statement) -> _Statement:
    """With a blank line above, two for a definition."""
    lines = node.leading_lines
    blanks = [_BLANK] * (2 if isinstance(node, cst.ClassDef | cst.FunctionDef) else 1)
    return node if lines and not lines[0].comment else node.with_changes(leading_lines=[*blanks, *lines])
