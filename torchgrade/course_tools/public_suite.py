"""The public part of a suite: its text without the hidden checks and without what only they need.

Works on the text by lines, so that what stays is word for word what the author wrote.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from torchgrade.errors import CourseError
from torchgrade.suites import parse_suite


def public_text(text: str, name: str) -> tuple[str, int]:
    """(the suite without its hidden checks, how many there were); CourseError when a public check waits for one."""
    suite = parse_suite(text, name)
    hidden = [check.node for check in suite.checks if check.hidden]
    names = {node.name for node in hidden}
    if not hidden:
        return text, 0
    kept = [node for node in suite.tree.body if node not in hidden]
    for node in kept:
        used = _names(node) & names
        if used:
            place = f"{name}:{node.lineno}"
            raise CourseError(
                f"{place} is public, and uses the hidden check {sorted(used)[0]}; hide it too, or neither"
            )
    kept = _alive(kept, set().union(*(_names(node) for node in hidden)), suite.names)
    return _cut(text, [node for node in suite.tree.body if node not in kept]), len(hidden)


def public_probes(text: str, suite: str) -> str:
    """The probes without those that the public suite does not name, in whatever way, and that no other one needs."""
    tree = ast.parse(text)
    named = set(re.findall(r"\w+", suite))
    kept = list(tree.body)
    while True:
        used = {node: named.union(*(_names(other) for other in kept if other is not node)) for node in kept}
        dead = [n for n in kept if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name not in used[n]]
        if not dead:
            break
        kept = [node for node in kept if node not in dead]
    kept = _alive(kept, set().union(*(_names(node) for node in tree.body if node not in kept), set()), named)
    return _cut(text, [node for node in tree.body if node not in kept])


def _names(node: ast.AST) -> set[str]:
    """Every name that a statement reads, also as the name of a fixture."""
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return found | {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)}


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return set()


def _alive(kept: list[ast.stmt], suspects: set[str], needed: Iterable[str]) -> list[ast.stmt]:
    """Without the helpers, constants and imports that only removed code used, step by step."""
    while True:
        used: set[str] = set().union(*(_names(node) - _bound(node) for node in kept), set())
        dead = [
            node for node in kept
            if _bound(node) and _bound(node) <= suspects and not _bound(node) & used.union(needed)
        ]  # fmt: skip
        if not dead:
            return kept
        suspects = suspects.union(*(_names(node) for node in dead))
        kept = [node for node in kept if node not in dead]


def _cut(text: str, removed: Iterable[ast.stmt]) -> str:
    """The text without these statements and the comments directly above them."""
    lines = text.split("\n")
    gone: set[int] = set()
    for node in removed:
        first = min([node.lineno, *(mark.lineno for mark in getattr(node, "decorator_list", []))])
        while first > 1 and lines[first - 2].lstrip().startswith("#"):
            first -= 1
        gone |= set(range(first, (node.end_lineno or node.lineno) + 1))
    kept = "\n".join(line for number, line in enumerate(lines, 1) if number not in gone)
    while "\n\n\n\n" in kept:
        kept = kept.replace("\n\n\n\n", "\n\n\n")
    return kept.rstrip("\n") + "\n"
