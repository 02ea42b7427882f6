"""Sentences that Python code puts together, found in its text: ``f"{name} is not there"`` as ``{name} is not there``.

A catalogue holds them so; ``i18n.translate_built`` finds again which of them made a text.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

MARKS = ("_", "noop", "plural")  # the functions whose text is translated
AUTHORS = ("trivial",)  # keywords of an expectation that nobody else reads
WORDS = 2  # from which on a text is a sentence
_CODE = re.compile(r"\{\w*\}|[\w.]+\([^)]*\)|\w+=\S+|\w+\[[^]]*\]|\w*_\w*|\w+\.\w[\w.]*")
_PROSE = re.compile(r"\b([a-z]{2,}|a)\b", re.IGNORECASE)
_PATTERN = re.compile(r"\\|\(\?|# ?%%")  # of a regular expression, or a mark


def sentences(nodes: Iterable[ast.AST], words: int = WORDS) -> Iterator[str]:
    """The templates of f-strings and texts; those with fewer words are code, which reads the same in every language."""
    for node in nodes:
        for text in _templates(node):
            if " " in text and not _PATTERN.search(text) and len(_PROSE.findall(_CODE.sub(" ", text))) >= words:
                yield text


def f_strings(tree: ast.AST) -> list[ast.JoinedStr]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]


def said_to(tree: ast.AST, names: Collection[str]) -> Iterator[ast.expr]:
    """The first arguments of the calls of these functions and classes, as far as they are written there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in names and not isinstance(node.args[0], ast.Call):
                yield node.args[0]


def worded(tree: ast.Module) -> Iterator[ast.AST]:
    """What a module of the engine puts into words: its f-strings, the texts in its functions, the values of its
    tables."""
    yield from f_strings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield from (text for statement in body for text in texts_in(statement))
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
            yield from (value for value in node.value.values if isinstance(value, ast.Constant))


def told_in(node: ast.AST) -> Iterator[ast.AST]:
    """The texts and f-strings of a suite that a learner may read: all but docstrings, what is compared or looked up,
    what is raised, and what only its author reads (``AUTHORS``)."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node
        return
    if isinstance(node, (ast.Compare, ast.Raise, ast.Assert)) or (
        isinstance(node, ast.keyword) and node.arg in AUTHORS
    ):
        return
    inner = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and hasattr(str, node.func.attr):
        inner = [node.func]
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        inner = [node.value]
    for part in inner:
        if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)):
            yield from told_in(part)


def texts_in(node: ast.AST) -> Iterator[ast.Constant]:
    """The texts in ``node``, those of its f-strings, and those that are translated there, left out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    elif not isinstance(node, ast.JoinedStr) and getattr(getattr(node, "func", None), "id", "") not in MARKS:
        for part in ast.iter_child_nodes(node):
            yield from texts_in(part)


def _templates(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield _template(node.values)
        choices = (part for part in ast.walk(node) if isinstance(part, ast.IfExp))
        yield from (_template([text]) for choice in choices for text in texts_in(choice))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield _template([node])


def _template(parts: Sequence[ast.expr]) -> str:
    """The text of an f-string for ``str.format``; ``{}`` in it is for a value that ``format`` puts there later."""
    words = Counter[str]()

    def place(word: str) -> str:
        words[word] += 1
        return f"{{{word}{words[word] if words[word] > 1 else ''}}}"

    text = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            first, *later = (piece.replace("{", "{{").replace("}", "}}") for piece in str(part.value).split("{}"))
            text += first + "".join(place("value") + piece for piece in later)
        elif isinstance(part, ast.FormattedValue):
            text += place(_word_for(part.value))
    return text


def _word_for(value: ast.expr) -> str:
    """A name for what an expression gives."""
    if isinstance(value, ast.Name):
        return value.id
    if isinstance(value, ast.Attribute):
        return value.attr
    if isinstance(value, (ast.Call, ast.Subscript)):
        return _word_for(value.func if isinstance(value, ast.Call) else value.value)
    return "value"
