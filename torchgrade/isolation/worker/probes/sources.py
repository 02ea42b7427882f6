"""Names in the text of a submission, with import aliases resolved."""

from __future__ import annotations

import ast
import functools
import linecache
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torchgrade.handin.source import shown_place
from torchgrade.isolation.worker.registry import probe


@probe
def source_names(target: Any, among: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every name that the file of ``target`` uses: ``name``, ``same_as``, ``path``, ``file``, ``line``, ``within``,
    ``users``.

    ``F.conv2d`` is named torch.nn.functional.conv2d. ``target`` is a function, class, instance or module.
    ``same_as`` is where the object says that it was defined, "" where that is unknown. ``within`` is the function
    or class of the file's that the use stands in, "import" for an import and "" elsewhere; ``line`` is the first of
    the name's in there; ``users`` are the definitions that mention ``within``, by way of others too, and itself.
    Modules of the same package that the
    file imports are read, too: what was handed in beside it. ``among`` keeps the uses of these names, as written or as
    the same object. Raises OSError when the text cannot be found.
    """
    waiting, done, rows = [_module_of(target)], set[str](), list[dict[str, Any]]()
    package = (waiting[0].__package__ or "").partition(".")[0]
    while waiting:
        module = waiting.pop()
        if module.__name__ in done:
            continue
        done.add(module.__name__)
        reader = _reader_of(_text_of(module), (module.__package__ or "").strip("."))
        for (name, within), number in reader.first_lines.items():
            file, line = shown_place(str(module.__file__), number)
            place = {"path": file, "file": Path(file).name, "line": line, "within": within}
            rows.append({"name": name, "same_as": canonical(name), **place, "users": sorted(reader.users(within))})
        waiting += _neighbours(package, reader)
    wanted = [(full, canonical(full)) for full in among]
    return [row for row in rows if any(is_use(row, *pair) for pair in wanted)] if among else rows


def is_use(row: Mapping[str, Any], full: str, same: str) -> bool:
    """Whether a row of ``source_names`` uses ``full``, whose canonical name is ``same``, or what lies in it."""
    return f".{full}." in f".{row['name']}." or (bool(same) and same == row["same_as"])


def canonical(dotted: str) -> str:
    """Where a name of an imported library was defined: ``torch.nn.modules.conv.Conv2d`` for torch.nn.Conv2d.

    Two names of one object have one canonical name. "" when nothing loaded has this name; imports nothing.
    """
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        found: Any = sys.modules.get(".".join(parts[:cut]))
        if found is None:
            continue
        for part in parts[cut:]:
            found = vars(found).get(part) if isinstance(found, types.ModuleType) else None
        if isinstance(found, types.ModuleType):
            return found.__name__
        name = getattr(found, "__qualname__", None) if callable(found) else None
        return f"{getattr(found, '__module__', None)}.{name}" if isinstance(name, str) else ""
    return ""


def _module_of(target: Any) -> types.ModuleType:
    while isinstance(target, functools.partial):
        target = target.func
    if isinstance(target, types.ModuleType):
        return target
    name = getattr(target, "__module__", None) or type(target).__module__
    module = sys.modules.get(name)
    if module is None or getattr(module, "__file__", None) is None:
        raise OSError(f"the text of {name} cannot be found")
    return module


def _text_of(module: types.ModuleType) -> str:
    text = "".join(linecache.getlines(str(module.__file__), vars(module)))
    if not text.strip():
        raise OSError(f"the text of {module.__name__} cannot be found")
    return text


@functools.lru_cache(maxsize=16)  # several checks of a suite ask for the same file
def _reader_of(text: str, package: str) -> _Reader:
    return _Reader(text, package)


def _neighbours(package: str, reader: _Reader) -> list[types.ModuleType]:
    loaded = [sys.modules.get(name) for name in reader.imported]
    return [m for m in loaded if m is not None and package and (m.__package__ or "").partition(".")[0] == package]


class _Reader:
    """One file's names. First it learns what each local name stands for, then it lists the uses."""

    def __init__(self, text: str, package: str) -> None:
        self.package = package
        self.aliases: dict[str, str] = {}
        self.stars: list[str] = []
        self.imported: set[str] = set()
        self.first_lines: dict[tuple[str, str], int] = {}  # of dotted names, and of the definition they stand in
        tree = ast.parse(text)
        for node in ast.walk(tree):
            self._learn(node)
        self.mentions: dict[str, set[str]] = {}  # of a definition, the names that it reads
        for part in tree.body:
            within = part.name if isinstance(part, (ast.FunctionDef, ast.ClassDef)) else ""
            if within:
                self.mentions[within] = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
            for node in ast.walk(part):
                place = "import" if isinstance(node, (ast.Import, ast.ImportFrom)) else within
                for name in self._of(node):
                    line = getattr(node, "lineno", 0)
                    self.first_lines[name, place] = min(line, self.first_lines.get((name, place), line))

    def users(self, name: str) -> set[str]:
        """The definitions that mention ``name``, by way of others too; ``name`` itself where it is one."""
        found: set[str] = set()
        waiting = {name} & self.mentions.keys()
        while waiting:
            found |= waiting
            waiting = {user for user, names in self.mentions.items() if names & waiting} - found
        return found

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for item in node.names:
                self.imported.add(item.name)
                self.aliases[item.asname or item.name.partition(".")[0]] = (
                    item.name if item.asname else item.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            source = self._source(node)
            self.imported.add(source)
            for item in node.names:
                if item.name == "*":
                    self.stars.append(source)
                else:
                    self.imported.add(f"{source}.{item.name}")
                    self.aliases[item.asname or item.name] = f"{source}.{item.name}"
        elif isinstance(node, ast.Assign) and isinstance(node.value, (ast.Name, ast.Attribute)):
            dotted = self._dotted(node.value)
            for target in node.targets:
                if dotted and isinstance(target, ast.Name) and "." in dotted:
                    self.aliases.setdefault(target.id, dotted)

    def _of(self, node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [item.name for item in node.names]
        if isinstance(node, ast.ImportFrom):
            return [f"{self._source(node)}.{item.name}" for item in node.names]
        if isinstance(node, (ast.Name, ast.Attribute)):
            dotted = self._dotted(node)
            return [dotted] if dotted else []
        if isinstance(node, ast.Call):
            return self._by_text(node)
        return []

    def _by_text(self, call: ast.Call) -> list[str]:
        """``getattr(F, "conv2d")`` and ``import_module("torchvision.models")``."""
        words = [arg.value if isinstance(arg, ast.Constant) else None for arg in call.args[:2]]
        called = (self._dotted(call.func) or "").rpartition(".")[2]
        if called == "getattr" and len(words) == 2 and isinstance(words[1], str):
            return [f"{self._dotted(call.args[0]) or ''}.{words[1]}"]
        if called in ("import_module", "__import__") and words and isinstance(words[0], str):
            return [words[0]]
        return []

    def _source(self, node: ast.ImportFrom) -> str:
        module = node.module or ""
        return f"{self.package}.{module}".strip(".") if node.level else module

    def _dotted(self, node: ast.AST) -> str | None:
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ".".join(reversed(parts)) or None  # x().max: the object is unknown, the name is not
        root = self.aliases.get(node.id, node.id)
        if root == node.id:
            star = next((s for s in self.stars if root in vars(sys.modules.get(s, types))), None)
            root = f"{star}.{root}" if star else root
        return ".".join([root, *reversed(parts)])
