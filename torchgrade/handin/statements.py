"""Which statements of a notebook define something, and which only run something (a training, a plot). Pure."""

from __future__ import annotations

import ast
import dis
import types
from collections.abc import Iterable, Iterator, Sequence

_MADE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
DEFINITIONS = (*_MADE, ast.Import, ast.ImportFrom)
RUNS = "it only runs something"


class Judge:
    """Takes the top-level statements one after another: a notebook's code was run cell by cell, and much of it once.

    What calls the notebook's own functions at once is left out, and so is what needs a value that was. Values that
    functions and classes read (``needed``) are made all the same: ``CONFIG = Config()`` is a part of the definitions.
    """

    def __init__(self, needed: Iterable[str] = ()) -> None:
        self._needed = frozenset(needed)
        self._own: set[str] = set()  # functions and classes of the notebook
        self._values: set[str] = set()
        self._gone: set[str] = set()  # names that only exist where code was left out

    def objection(self, node: ast.stmt) -> str:
        """Why the statement is not executed; empty when it is."""
        sentence = self._sentence(node)
        names = bound(node)
        if sentence:
            self._gone |= names - self._own
            return sentence
        self._gone -= names
        if isinstance(node, _MADE):
            self._own |= names
        elif not isinstance(node, (ast.Import, ast.ImportFrom)):
            self._values |= names
        return ""

    def _sentence(self, node: ast.stmt) -> str:
        if isinstance(node, DEFINITIONS):
            return ""
        if isinstance(node, ast.Expr) and not self._changes_a_value(node.value):
            text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            return "" if text else RUNS
        if asks_for_main(node):
            return RUNS
        if isinstance(node, (ast.While, ast.Assert, ast.Raise, ast.Delete)):
            return RUNS
        used = {child.id for child in _now(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load)}
        if not self._called(node).isdisjoint(self._own) and self._needed.isdisjoint(_given_values(node)):
            return "it runs the notebook's own code"
        return "" if (used - bound(node)).isdisjoint(self._gone) else "it needs a value that was left out"

    def _called(self, node: ast.AST) -> set[str]:
        """The names in what the statement calls at once."""
        calls = (child.func for child in _now(node) if isinstance(child, ast.Call))
        return {name.id for call in calls for name in ast.walk(call) if isinstance(name, ast.Name)}

    def _changes_a_value(self, node: ast.expr) -> bool:
        """A call such as ``table.update(…)`` of a value that the notebook made, or ``setattr(Net, …)`` of its own."""
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Name):
            return node.func.id == "setattr" and bool(node.args) and _root(node.args[0]) in self._own | self._values
        return isinstance(node.func, ast.Attribute) and _root(node.func) in self._values


def asks_for_main(node: ast.AST) -> bool:
    """Whether it is ``if __name__ == "__main__":``."""
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test)


def needed(nodes: Sequence[ast.stmt]) -> set[str]:
    """The module's names that its functions and classes read, and those of which these values are made."""
    makers: dict[str, list[ast.stmt]] = {}
    waiting: list[str] = []
    for node in nodes:
        if isinstance(node, _MADE):
            waiting += _read_by(compile(ast.Module([node], []), "", "exec", dont_inherit=True))
        for name in _given_values(node):
            makers.setdefault(name, []).append(node)
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            reads = (child for node in makers.get(name, ()) for child in ast.walk(node))
            waiting += [child.id for child in reads if isinstance(child, ast.Name)]
    return found


def _read_by(code: types.CodeType) -> Iterator[str]:
    """The names of the module that this code and the code in it read."""
    waiting = [code]
    while waiting:
        code = waiting.pop()
        yield from (step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
        waiting += [const for const in code.co_consts if isinstance(const, types.CodeType)]


def _given_values(node: ast.stmt) -> set[str]:
    """The names to which an assignment, or a loop of such, gives a value or an item."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For)):
        return set()
    targets = (child for child in _now(node) if isinstance(child, ast.Subscript) and isinstance(child.ctx, ast.Store))
    filled = {_root(target) for target in targets}
    return filled if isinstance(node, ast.For) else filled | bound(node)


def _root(node: ast.expr) -> str:
    """The name at which ``table[1].rows`` begins; empty where it begins with something else."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def bound(node: ast.AST) -> set[str]:
    """The names that a top-level statement makes."""
    names: set[str] = set()
    waiting = [node]
    while waiting:
        child = waiting.pop()
        if isinstance(child, _MADE):
            names.add(child.name)
        elif isinstance(child, ast.alias):
            names.add((child.asname or child.name).split(".")[0])
        elif not isinstance(child, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                names.add(child.id)
            waiting += ast.iter_child_nodes(child)
    return names


def made(node: ast.AST) -> set[str]:
    """The functions and classes among the names that a top-level statement makes."""
    return bound(node) & {child.name for child in ast.walk(node) if isinstance(child, _MADE)}


def _now(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are evaluated when the statement is, the bodies of functions excluded."""
    waiting = [node]
    while waiting:
        child = waiting.pop()
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(child)
        elif not isinstance(child, ast.Lambda):
            waiting += [*child.decorator_list, *child.args.defaults, *(d for d in child.args.kw_defaults if d)]
