"""What a learner writes in a task, read off the stub: functions and methods with a gap, and what each promises."""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torchgrade.course import Task
from torchgrade.course_tools.stubs import stub_text
from torchgrade.course_tools.variants import read_entries, solution_text
from torchgrade.errors import CourseError

# A kind of input or of broken contract that counts only where a docstring says one of these words.
HALF = r"half|float16|any float|floating-point|same dtype|dtype survives"
MODE = r"training mode|eval mode|batch norm|batchnorm|dropout"
NAN, INFINITE, DTYPE = r"\bnan\b", r"infinit|\binf\b", r"dtype"
GRADIENT, SHARES = r"differentiable|gradient|autograd|backward", r"shares|memory"
WORDS = {
    "half": HALF,
    "empty": r"empty|may be 0|any shape",
    "NaN": NAN,
    "infinite": INFINITE,
    "requires grad": GRADIENT,
    "training": MODE,
    "half input in float32": HALF,
    "input in float32": DTYPE,
    "input in float64": DTYPE,
    "output in float32": DTYPE,
    "output in float64": DTYPE,
    "input copied": SHARES,
    "input made contiguous": SHARES,
    "input changed": r"not change|no function changes|are not changed|leaves",
    "NaN as 0": NAN,
    "infinite as 1e30": INFINITE,
    "always eval": MODE,
    "always training": MODE,
    "made in eval mode": MODE,
    "settings frozen": r"steps that follow|changes the",
}


@dataclass(frozen=True)
class Gap:
    """A function, or ``Class.method``, that a learner writes.

    ``defaults``: of its options, as they are written. ``promise``: the docstrings of the module, of the class and its
    bases, and its own, as one line. ``raises``: whether the reference raises something in it.
    """

    name: str
    parameters: tuple[str, ...]
    defaults: Mapping[str, str]
    promise: str
    raises: bool

    @property
    def owner(self) -> str:
        """The class of a method; the function itself."""
        return self.name.partition(".")[0]

    @property
    def method(self) -> str:
        return self.name.partition(".")[2]

    def speaks_of(self, kind: str) -> bool:
        """Whether a docstring says the word that ``kind`` needs, if it needs one."""
        return kind not in WORDS or re.search(WORDS[kind], self.promise, re.IGNORECASE) is not None


def gaps(task: Task) -> list[Gap]:
    """What has a gap in the stub, and the constructors of classes that have one."""
    stub = ast.parse(stub_text(task))
    raising = {name for name, node in definitions(ast.parse(solution_text(task))) if _raises(node)}
    classes: dict[str, str] = {}
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            inherited = (classes.get(ast.unparse(base), "") for base in node.bases)
            classes[node.name] = " ".join([ast.get_docstring(node) or "", *inherited])
    module = ast.get_docstring(stub) or ""
    found = []
    for name, function in definitions(stub):
        if _has_gap(function) or name.endswith(".__init__"):
            promise = f"{module} {classes.get(name.partition('.')[0], '')} {ast.get_docstring(function) or ''}"
            parameters, defaults = _signature(function)
            found.append(Gap(name, parameters, defaults, " ".join(promise.split()), name in raising))
    return found


def definitions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a module, and the methods of its classes as ``Class.method``."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{m.name}", m) for m in node.body if isinstance(m, ast.FunctionDef))


def _signature(function: ast.FunctionDef) -> tuple[tuple[str, ...], dict[str, str]]:
    spec = function.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    late = [*spec.posonlyargs, *spec.args][len(spec.posonlyargs) + len(spec.args) - len(spec.defaults) :]
    pairs = [*zip(late, spec.defaults, strict=True), *zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    defaults = {argument.arg: ast.unparse(value) for argument, value in pairs if value is not None}
    return tuple(name for name in names if name not in ("self", "ctx", "cls")), defaults


def _has_gap(function: ast.FunctionDef) -> bool:
    return any(isinstance(n, ast.Raise) and "NotImplementedError" in ast.unparse(n) for n in ast.walk(function))


def _raises(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(function))


@dataclass(frozen=True)
class Silent:
    """``silent.yaml`` of a task: kinds that are no gap, each a glob over ``function: kind parameter`` with a reason."""

    reasons: Mapping[str, str]

    @classmethod
    def of(cls, task: Task) -> Silent:
        found = read_entries(task, "silent.yaml")
        if not all(isinstance(why, str) and why.strip() for why in found.values()):
            raise CourseError(f"{task.stem}/silent.yaml maps globs over 'function: kind parameter' to reasons")
        return cls(found)

    def explains(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, glob) for glob in self.reasons)
