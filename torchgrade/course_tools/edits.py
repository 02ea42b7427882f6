"""Small edits of a solution, made by the machine: each changes one node of the syntax tree. Texts in, texts out."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torchgrade.course_tools.gaps import definitions
from torchgrade.course_tools.stubs import lines_of_gaps

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
# Calls whose absence is a classic mistake: ``x.detach()`` becomes ``x``.
UNDOABLE = ("detach", "clone", "contiguous", "eval", "train", "zero_grad", "step", "backward", "item", "float", "to")


@dataclass(frozen=True)
class Edit:
    """One mutant: ``name`` says where and what, and stays the same when lines move."""

    name: str
    line: int
    tree: ast.Module
    node: ast.AST
    new: ast.AST

    @property
    def text(self) -> str:
        """The solution with the new node in the place of the old one."""
        mutated = copy.deepcopy(self.tree, {id(self.node): self.new})
        return ast.unparse(ast.fix_missing_locations(mutated))


Change = Callable[[ast.AST], ast.AST | None]  # of a copy: in place, or by the node that is returned
Operators = Callable[[ast.AST], Iterator[tuple[Change, str]]]  # the changes of a node, with a name where it needs one


def edits(solution: str) -> list[Edit]:
    """Every single edit of ``solution`` that the operators can make, in the order of the text.

    A function that the stub gives whole is left alone, and so are neighbours whose order says nothing.
    """
    tree = ast.parse(solution)
    written = lines_of_gaps(solution)
    found: list[Edit] = []
    names: dict[str, int] = {}
    for function, node, change, label in _changes(tree, written):
        twin = copy.deepcopy(node)
        new = change(twin) or twin
        before, after = ast.unparse(node), ast.unparse(ast.fix_missing_locations(new))
        if after == before:
            continue
        name = f"{function}: {label or f'{_short(before)} -> {_short(after)}'}"
        names[name] = names.get(name, 0) + 1
        name = name if names[name] == 1 else f"{name} ({names[name]})"
        found.append(Edit(name, getattr(node, "lineno", 0), tree, node, new))
    return found


def _short(code: str) -> str:
    line = " ".join(code.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def _changes(tree: ast.Module, written: frozenset[int]) -> Iterator[tuple[str, ast.AST, Change, str]]:
    """Function name, node, how to change it, and a label; the kinds of one node first, then those of structure.

    ``written``: the lines that a learner writes; none where nothing is marked, and then all count.
    """
    functions = [
        (scope, function)
        for scope, function in definitions(tree)
        if not written or not written.isdisjoint(range(function.lineno, (function.end_lineno or 0) + 1))
    ]
    for operators in (_of_a_node, _of_structure):
        for scope, function in functions:
            skip = {id(node) for node in ast.walk(function.args)} | _annotations(function)
            docstring = function.body[0] if ast.get_docstring(function) else None
            skip |= {id(node) for node in ast.walk(docstring)} if docstring is not None else set()
            if operators is _of_structure:  # what is called is no value
                skip |= {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
            for node in ast.walk(function):
                if id(node) not in skip:
                    yield from ((scope, node, change, label) for change, label in operators(node))


def _annotations(function: ast.FunctionDef) -> set[int]:
    roots = [function.returns] + [node.annotation for node in ast.walk(function) if isinstance(node, ast.AnnAssign)]
    return {id(node) for root in roots if root is not None for node in ast.walk(root)}


def _of_a_node(node: ast.AST) -> Iterator[tuple[Change, str]]:
    if not isinstance(node, ast.FunctionDef):
        yield from ((change, "") for change in _operators(node))


def _operators(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in ARITHMETIC:
        yield _set("op", ARITHMETIC[type(node.op)]())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISON:
        yield _set("ops", [COMPARISON[type(node.ops[0])](), *node.ops[1:]])
    if isinstance(node, ast.BoolOp):
        yield _set("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    if isinstance(node, ast.UnaryOp):
        yield lambda twin: twin.operand if isinstance(twin, ast.UnaryOp) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        yield _set("value", _other_number(node.value))
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield _set("test", ast.Constant(not isinstance(node, ast.While)))
        if not isinstance(node, ast.While):
            yield _set("test", ast.Constant(False))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield lambda twin: ast.Pass()
    if isinstance(node, ast.AugAssign):
        yield lambda twin: ast.Pass()
    if isinstance(node, ast.Call):
        yield from _call_operators(node)


def _call_operators(node: ast.Call) -> Iterator[Change]:
    if len(node.args) >= 2 and not any(isinstance(arg, ast.Starred) for arg in node.args[:2]):
        yield _set("args", [node.args[1], node.args[0], *node.args[2:]])
    for position in range(len(node.keywords)):
        yield _set("keywords", node.keywords[:position] + node.keywords[position + 1 :])
    if isinstance(node.func, ast.Attribute) and node.func.attr in UNDOABLE:
        receiver = node.func.value
        yield lambda twin: copy.deepcopy(receiver)


def _set(field: str, value: object) -> Change:
    def change(twin: ast.AST) -> None:
        setattr(twin, field, copy.deepcopy(value))

    return change


def _other_number(value: bool | int | float) -> bool | int | float:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return 2 * value if value else 1.0


# --- structure: what is put in, taken out, or stands in another place ----------------------------------------------

MODULES = ("torch", "nn", "F", "np", "numpy", "math", "random", "functional")
Statements = list[ast.stmt]


def _of_structure(node: ast.AST) -> Iterator[tuple[Change, str]]:
    if isinstance(node, ast.Call):
        yield from ((change, "") for change in _unwrapped(node))
    if isinstance(node, ast.BinOp):
        yield from ((lambda twin, side=side: getattr(twin, side), "") for side in ("left", "right"))
    if isinstance(node, (ast.Return, ast.Assign)) and isinstance(node.value, (ast.BinOp, ast.Call, ast.Subscript)):
        for method in ("detach", "item") if isinstance(node, ast.Return) else ("detach",):
            call = ast.Call(ast.Attribute(node.value, method, ast.Load()), [], [])
            yield _set("value", call), f"{_short(ast.unparse(node))} with .{method}()"
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield from ((_set("slice", index), "") for index in _shifted(node.slice))
    if isinstance(node, ast.keyword) and node.arg in ("dim", "axis") and isinstance(node.value, ast.Tuple):
        yield _set("value", ast.Tuple(node.value.elts[:-1], ast.Load())), ""
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self" and isinstance(node.ctx, ast.Load):
        yield lambda twin: ast.Constant(1), ""
    body = getattr(node, "body", None)
    if isinstance(node, ast.stmt) and isinstance(body, list):
        yield from _of_statements(node, body)


def _unwrapped(call: ast.Call) -> Iterator[Change]:
    """``f(x)`` becomes ``x``, and so does ``x.f()``."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method in UNDOABLE:
        return
    if isinstance(call.func, ast.Attribute) and not _holds_functions(call.func.value):
        receiver = call.func.value
        yield lambda twin: copy.deepcopy(receiver)
    elif len(call.args) >= 1 and not isinstance(call.args[0], ast.Starred):
        first = call.args[0]
        yield lambda twin: copy.deepcopy(first)


def _holds_functions(node: ast.expr) -> bool:
    """A library, ``self`` or ``super()``: no value that a method could be taken off."""
    while isinstance(node, ast.Attribute) and getattr(node.value, "id", "self") != "self":
        node = node.value
    return ast.unparse(node) in (*MODULES, "self", "super()")


def _shifted(index: ast.expr) -> Iterator[ast.expr]:
    """One further, where the index is no constant: those are changed as numbers."""
    if isinstance(index, (ast.Name, ast.BinOp)):
        yield ast.BinOp(index, ast.Add(), ast.Constant(1))
    elif isinstance(index, ast.Slice):
        for end in ("lower", "upper"):
            bound = getattr(index, end)
            if bound is not None and not isinstance(bound, ast.Constant):
                moved = copy.deepcopy(index)
                setattr(moved, end, ast.BinOp(bound, ast.Add(), ast.Constant(1)))
                yield moved


def _of_statements(node: ast.stmt, body: Statements) -> Iterator[tuple[Change, str]]:
    """Two neighbours swapped, a loop that ends after one turn, a function that returns before its last statement."""
    start = 1 if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) else 0
    for place in range(start, len(body) - 1):
        if not isinstance(body[place + 1], ast.Return) and not _commute(body[place], body[place + 1]):
            swapped = [*body[:place], body[place + 1], body[place], *body[place + 2 :]]
            yield _set("body", swapped), f"{_short(ast.unparse(body[place]))} moved behind the next statement"
    if isinstance(node, (ast.For, ast.While)):
        yield _set("body", [*body, ast.Break()]), f"{_head(node)} ends after one turn"
    if isinstance(node, ast.FunctionDef) and len(body) > start + 1 and not isinstance(body[-1], ast.Return):
        yield _set("body", body[:-1]), f"returns before {_short(ast.unparse(body[-1]))}"


def _commute(one: ast.stmt, other: ast.stmt) -> bool:
    """Whether two statements are plainly the same in either order: both only bind names, neither uses what the other
    binds, and where one calls something, the other computes with nothing that the call is given."""
    bound = [_bound(statement) for statement in (one, other)]
    if not all(bound) or bound[0] & bound[1]:
        return False
    if any(_touches(first, names) for first, names in ((one, bound[1]), (other, bound[0]))):
        return False
    calling = [any(isinstance(node, ast.Call) for node in _evaluated(statement)) for statement in (one, other)]
    caller, quiet = (one, other) if calling[0] else (other, one)
    return not all(calling) and (not any(calling) or not _used(caller) & _computed_with(quiet))


def _bound(statement: ast.stmt) -> set[str]:
    """The names and attributes that a statement binds; nothing where it may do anything else."""
    if isinstance(statement, ast.FunctionDef):
        return set() if statement.decorator_list else {statement.name}
    if not isinstance(statement, ast.Assign):
        return set()
    targets = [leaf for target in statement.targets for leaf in getattr(target, "elts", [target])]
    plain = all(
        isinstance(leaf, ast.Name) or (isinstance(leaf, ast.Attribute) and isinstance(leaf.value, ast.Name))
        for leaf in targets
    )
    return {ast.unparse(leaf) for leaf in targets} if plain else set()


def _evaluated(statement: ast.stmt) -> Iterator[ast.AST]:
    """What is computed when the statement runs: of a function that is defined only its defaults."""
    root = statement.args if isinstance(statement, ast.FunctionDef) else getattr(statement, "value", statement)
    return ast.walk(root)


def _touches(statement: ast.stmt, bound: set[str]) -> bool:
    """Whether it uses what is bound: of ``self.rate`` that attribute, or ``self`` as a whole."""
    owners = {id(node.value) for node in _evaluated(statement) if isinstance(node, ast.Attribute)}
    whole = {node.id for node in _evaluated(statement) if isinstance(node, ast.Name) and id(node) not in owners}
    return bool(_used(statement) & bound or whole & {name.partition(".")[0] for name in bound})


def _used(statement: ast.stmt) -> set[str]:
    """The names that it uses, and the attributes: with ``self.rate`` both ``self`` and ``self.rate``."""
    return {ast.unparse(node) for node in _evaluated(statement) if isinstance(node, (ast.Name, ast.Attribute))}


def _computed_with(statement: ast.stmt) -> set[str]:
    """The names that it does not only hand on."""
    handed = getattr(statement, "value", None)
    leaves = getattr(handed, "elts", [handed])
    return _used(statement) - {leaf.id for leaf in leaves if isinstance(leaf, ast.Name)}


def _head(node: ast.stmt) -> str:
    return _short(ast.unparse(node).splitlines()[0])
