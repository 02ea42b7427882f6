"""Submissions made from a solution: mutants, alternatives and junk. Texts in, texts out."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchgrade.course import Task
from torchgrade.errors import CourseError
from torchgrade.yaml_text import read_yaml

KEYS = {"mistake", "replace", "append", "fails", "likely", "status", "sabotage", "price"}

# What a submission without an idea would return; each is the body of ``_junk(args)``.
JUNK = {
    "zeros": "return torch.zeros_like(first) if first is not None else 0",
    "ones": "return torch.ones_like(first) if first is not None else 1",
    "NaN": "return torch.full_like(first.double(), float('nan')) if first is not None else float('nan')",
    "the input": "return args[0] if args else None",
    "a constant": "return torch.full_like(first.double(), 0.1) if first is not None else 0.1",
    "nothing": "return None",
    "a zero": "return torch.zeros(())",
}


@dataclass(frozen=True)
class Mutant:
    """A wrong-on-purpose submission: an edit of the solution, and the checks that must fail for it.

    ``price``: why it may cost more than a quarter of its task.
    """

    name: str
    mistake: str
    text: str
    fails: tuple[str, ...]
    likely: str | None = None
    status: str | None = None
    sabotage: bool = False
    price: str = ""


def solution_text(task: Task) -> str:
    try:
        return task.solution.read_text(encoding="utf-8")
    except OSError:
        raise CourseError(f"there is no solutions/{task.stem}.py") from None


def read_mutants(task: Task) -> list[Mutant]:
    """The mutants of ``mutants.yaml``, applied to the solution; CourseError names the entry that does not fit."""
    entries = read_entries(task, "mutants.yaml")
    solution = solution_text(task) if entries else ""
    return [_mutant(task.stem, name, entry, solution) for name, entry in entries.items()]


def read_entries(task: Task, name: str) -> dict[str, Any]:
    """A YAML file of the task's that maps names to entries; empty where there is none, CourseError where it is none."""
    path = task.folder / name
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    entries = read_yaml(text, f"{task.stem}/{name}") or {}
    if not isinstance(entries, dict):
        raise CourseError(f"{task.stem}/{name} maps names to entries")
    return entries


def _mutant(stem: str, name: str, entry: Mapping[str, Any], text: str) -> Mutant:
    where = f"{stem}/mutants.yaml: {name}"
    if not isinstance(entry, dict) or not set(entry) <= KEYS or not entry.get("mistake") or not entry.get("fails"):
        raise CourseError(f"{where} needs mistake and fails, and may have {', '.join(sorted(KEYS))}")
    if not entry.get("replace") and not entry.get("append"):
        raise CourseError(f"{where} changes nothing; give replace or append")
    for find, new in entry.get("replace", []):
        if text.count(find) != 1:
            raise CourseError(f"{where}: {find!r} occurs {text.count(find)} times in the solution, not once")
        text = text.replace(find, new)
    text = f"{text}\n\n{entry['append']}" if entry.get("append") else text
    try:
        ast.parse(text)
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise CourseError(f"{where} is no Python any more, at line {error.lineno}: {error.msg}: {line}") from None
    return Mutant(
        name=name,
        mistake=entry["mistake"],
        text=text,
        fails=tuple(entry["fails"]),
        likely=entry.get("likely"),
        status=entry.get("status"),
        sabotage=bool(entry.get("sabotage", False)),
        price=entry.get("price", ""),
    )


def read_alternatives(task: Task) -> dict[str, str]:
    """By name, the solution with the names of ``alternatives/NAME.py`` redefined."""
    folder = task.folder / "alternatives"
    paths = sorted(folder.glob("*.py")) if folder.is_dir() else []
    solution = solution_text(task)
    return {path.stem: f"{solution}\n\n{_without_future(path)}" for path in paths}


def read_substitutes(task: Task) -> dict[str, str]:
    """By name, the solution with the course's substitute in the place of its own function or class."""
    solution = solution_text(task)
    return {name: f"{solution}\n\n{text}\n" for name, text in sorted(task.substitutes.items())}


def _without_future(path: Path) -> str:
    """``from __future__`` may stand at a file's top only."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join("" if line.startswith("from __future__") else line for line in lines) + "\n"


def junk_texts(solution: str) -> dict[str, str]:
    """By kind, a submission with the solution's names and signatures whose answers are junk."""
    tree = ast.parse(solution)
    names = [node for node in tree.body if not getattr(node, "name", "_").startswith("_")]
    texts = {}
    for kind, body in JUNK.items():
        parts = ["import torch", "from torch import nn", _junk_function(body)]
        for node in names:
            if isinstance(node, ast.FunctionDef):
                parts.append(f"def {node.name}(*args, **kwargs):\n    return _junk(args)")
            elif isinstance(node, ast.ClassDef):
                parts.append(_junk_class(node))
        texts[kind] = "\n\n\n".join(parts) + "\n"
    return texts


def _junk_function(body: str) -> str:
    return f"def _junk(args):\n    first = next((a for a in args if isinstance(a, torch.Tensor)), None)\n    {body}"


def _junk_class(node: ast.ClassDef) -> str:
    bases = [ast.unparse(base) for base in node.bases]
    base = "nn.Module" if any("Module" in name for name in bases) else "object"
    methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")]
    lines = [f"class {node.name}({base}):", "    def __init__(self, *args, **kwargs):", "        super().__init__()"]
    for name in methods:
        lines += ["", f"    def {name}(self, *args, **kwargs):", "        return _junk(args)"]
    return "\n".join(lines)
