"""Which definitions of a module another version of it defines otherwise: what a mutant is about."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def edited(before: str, after: str) -> set[str] | None:
    """Functions and methods (``Class.method``) that differ; None where something else of the module does, too.

    What ``after`` adds may define names anew and give an old definition another name; anything else that stands at the
    top of a module may change every part of it.
    """
    old, new = ast.parse(before).body, ast.parse(after).body
    kept, added = [_text(node) for node in old if not _defines(node)], [node for node in new if not _defines(node)]
    if [_text(node) for node in added[: len(kept)]] != kept or not all(map(_is_alias, added[len(kept) :])):
        return None
    ours, theirs = dict(_parts(old)), list(_parts(new))
    latest = dict(theirs)
    twice = {name.partition(".")[0] for name, _ in theirs[len(ours) :]}  # a class that is defined anew, as a whole
    found = {name for name in ours.keys() | latest.keys() if ours.get(name) != latest.get(name)}
    return found | {name for name in ours if name.partition(".")[0] in twice}


def _parts(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))]
            rest = [_text(part) for part in node.body if part not in methods]
            head = "\n".join([*map(_text, [*node.bases, *node.keywords, *node.decorator_list]), *rest])
            for part in methods:
                yield f"{node.name}.{part.name}", f"{head}\n{_text(part)}"
        elif _defines(node):
            yield node.name, _text(node)  # type: ignore[attr-defined]


def _defines(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _is_alias(node: ast.stmt) -> bool:
    """``with_alpha = elu``: another name, which is no edit by itself; or a text that does nothing."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    named = isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets)
    return named and isinstance(node.value, ast.Name)  # type: ignore[attr-defined]


def _text(node: ast.AST) -> str:
    return ast.dump(node)
