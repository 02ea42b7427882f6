"""Runs what was handed in, statement by statement: what defines something counts, what raises is left out and told.

A learner's file does more than define: it plots, reads data that is not here, asks for input, runs a training. Such a
statement costs itself alone. Nothing is hushed up: what was left out is a note of the submission, and where a name is
missing because its statement raised, the complaint is that exception.
"""

from __future__ import annotations
import __future__

import ast
import asyncio
import contextlib
import functools
import importlib
import inspect
import itertools
import linecache
import os
import posixpath
import re
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import torch

from torchgrade.handin import notebooks
from torchgrade.handin.names import Refused, reason
from torchgrade.handin.source import PLACES, Unreadable, decode, explain, shown_place, spot
from torchgrade.handin.statements import DEFINITIONS, Judge, asks_for_main, bound, made, needed

COURSE = "exercises"  # the package of which a task's file is a part, for ``from .utils import …``
MOST_NOTES = 12
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # in a cell one may wait for something
_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_compile = torch.compile  # of torch itself; the learner gets another one
_COMPILES = re.compile(r"^[^#\n]*\btorch\s*\.\s*compile\b", re.MULTILINE)
_MARIMO = re.compile(r"^app = marimo\.App\(", re.MULTILINE)
_IMPORTED = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)\.(\w+)", re.MULTILINE)
_DEFINED = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
TICK = 0.25  # seconds between two looks at a statement that may be waiting
_TRACING = (sys.settrace,)  # not by its name: under that a watch takes every call for the submission's


class TooLong(BaseException):
    """A statement that defines nothing needs more time than there is for all of these."""


@dataclass(frozen=True)
class Gone:
    """Why a name does not exist; ``error`` is what its statement raised."""

    sentence: str
    error: BaseException | None = None


class Submitted:
    """The modules of one submission. ``files`` maps shown names to bytes, ``main`` is the task's own."""

    def __init__(self, name: str, main: str, files: Mapping[str, bytes], home: str | None, seconds: float) -> None:
        """``home``: the folder that is the submission's own; None in a process that is not only its own.

        ``seconds`` of processor time are for all that is no definition: a training at the end of a script.
        """
        self.name = name
        self.main = main
        self.modules: dict[str, notebooks.Module] = {}
        self.gone: dict[str, Gone] = {}
        self._left_out: dict[str, list[str]] = {}  # why -> where
        self._remarks: list[str] = []
        self._executed: dict[str, str] = {}
        self._files: dict[str, str] = {}  # module name, dots between folders -> shown name
        self._bases: dict[str, str] = {}  # its last part -> shown name
        self._home = home
        self._seconds = self._left = self._patience = seconds
        folder = posixpath.dirname(main)
        PLACES.clear()
        for shown, data in files.items():
            if shown == main or shown.endswith(".py"):
                self._add(shown, posixpath.relpath(shown, folder or "."), data)

    def _add(self, shown: str, inside: str, data: bytes) -> None:
        text = text_of(data)
        module = self.modules[shown] = notebooks.read(text)
        if shown != self.main:
            self._know(inside, shown)
        if notebooks.is_notebook(text):
            PLACES[shown] = _places(shown, module)
        for name, written in module.written.items():
            # What a cell writes under the task's own name is the task's module.
            path = self.main if name == f"{self.name}.py" else posixpath.join(posixpath.dirname(shown), name)
            self.modules[path] = notebooks.read(written)
            if path != self.main:
                self._know(name, path)
            PLACES[path] = _places(shown, module)

    def _know(self, inside: str, shown: str) -> None:
        dotted = inside[:-3].replace("/", ".").removesuffix(".__init__")
        self._files[dotted] = shown
        self._bases.setdefault(dotted.rpartition(".")[2], shown)

    @property
    def names(self) -> set[str]:
        """The shown names of all files, as they stand in code objects."""
        return set(self.modules)

    @property
    def texts(self) -> dict[str, str]:
        """The files by their shown names as far as they are Python: what was executed, or all where nothing was yet."""
        others = {shown: module.text for shown, module in self.modules.items() if shown not in self._executed}
        return {**{shown: text for shown, text in others.items() if _parses(text)}, **self._executed}

    def load(self) -> types.ModuleType:
        """Execute the task's module; it stands in ``sys.modules`` before it runs, as dataclasses need."""
        if not any(part.text.strip() for part in self.modules[self.main].parts):
            raise Unreadable("the file is empty")
        self._settle()
        _compile_nothing()
        sys.meta_path.insert(0, _Siblings(self))
        sys.meta_path.append(_Outer(self))
        module = types.ModuleType(self.name)
        module.__package__ = COURSE
        sys.modules[self.name] = module
        self.execute(module, self.main)
        return module

    def execute(self, module: types.ModuleType, shown: str) -> None:
        """Run one file as ``module``; tracebacks show its lines."""
        source = self.modules[shown]
        module.__file__ = self._path(shown)
        _remember(shown, source.text.split("\n"))
        for line, why in source.left_out:
            self._note(self._where(shown, line), why)
        for called in itertools.islice(_COMPILES.finditer(source.text), 1):
            line = source.text.count("\n", 0, called.start()) + 1
            self._remarks.append(
                f"{self._where(shown, line)}: torch.compile does nothing here; the code runs uncompiled"
            )
        if _MARIMO.search(source.text):
            self._remarks.append(
                "a marimo notebook defines nothing outside of its cells: `marimo export ipynb` makes one that does"
            )
        flags = 0
        found: list[tuple[ast.stmt, int]] = []
        for part in source.parts:
            body, more = self._parsed(part, shown)
            flags |= more
            found += [(node, part.cell) for node in body]
        judge = Judge(needed([node for node, cell in found if cell]))
        plan = [(node, judge.objection(node) if cell else "") for node, cell in found]
        # What rules are asked about is what is executed, not a comparison in a cell that is left out.
        kept = _only(source.text.split("\n"), plan)
        self._executed[shown] = "\n".join(kept)
        _remember(module.__file__, kept)
        if module.__file__ != shown:
            PLACES[module.__file__] = functools.partial(shown_place, shown)
        for node, why in plan:
            if why:
                place = self._note(self._where(shown, node.lineno), why)
                self._forget(node, module, Gone(f"{place} was left out: {why}"))
            else:
                self._run(node, module, shown, flags)
                if asks_for_main(node) and not made(node) <= vars(module).keys():
                    why = 'what is defined below `if __name__ == "__main__":` is not there when the file is imported'
                    place = self._note(self._where(shown, node.lineno), why)
                    self._forget(node, module, Gone(f"{place} was left out: {why}"))

    def _parsed(self, part: notebooks.Part, shown: str) -> tuple[list[ast.stmt], int]:
        """The statements and the flags of ``from __future__``; a cell that is no Python costs what it defines."""
        try:
            tree = ast.parse(part.text, shown)
            wait = _AWAIT if part.cell else 0
            flags = compile(tree, shown, "exec", flags=wait, dont_inherit=True).co_flags & _FUTURE | wait
            ast.increment_lineno(tree, part.first - 1)
            return tree.body, flags
        except SyntaxError as error:
            where = self._where if part.cell else spot
            sentence = explain(error, part.text, lambda line: where(shown, line + part.first - 1))
        except (RecursionError, MemoryError):
            sentence = "the file is nested too deeply to be compiled"
        except ValueError as error:
            sentence = f"the file cannot be compiled: {reason(error)}"
        if not part.cell:
            raise Unreadable(sentence)
        self._note(self._where(shown, part.first), f"the cell is not valid Python: {sentence.splitlines()[0]}")
        names = _DEFINED.findall(part.text) if shown == self.main else ()
        self.gone.update(dict.fromkeys(names, Gone(sentence, Unreadable(sentence))))
        return [], 0

    def _run(self, node: ast.stmt, module: types.ModuleType, shown: str, flags: int) -> None:
        try:
            code = compile(ast.Module([node], []), shown, "exec", flags=flags, dont_inherit=True)
            with self._limited(not isinstance(node, DEFINITIONS)):
                waits = eval(code, module.__dict__)
                if code.co_flags & inspect.CO_COROUTINE:
                    asyncio.run(waits)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            long = f"what is run beside the definitions may take {self._seconds:g} s in all, and this takes longer"
            why = long if isinstance(error, TooLong) else f"it raised {self.told(error)}"
            place = self._note(self._where(shown, node.lineno), why)
            self._forget(node, module, Gone(f"{place} was left out: {why}", error))
        else:
            for name in bound(node) if self.gone and shown == self.main else ():
                self.gone.pop(name, None)

    @contextlib.contextmanager
    def _limited(self, limited: bool) -> Iterator[None]:
        """A limit of processor time and one of waiting, where the system has clocks for them.

        Waiting is told from a busy machine: in a whole tick the process did nothing.
        """
        if not limited or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
            yield
            return
        used = started = time.process_time()

        def late(_: int, frame: types.FrameType | None) -> None:
            # A loop may catch whatever is raised: then the line behind its ``except`` raises next.
            while frame is not None and frame.f_code.co_filename != __file__:
                frame.f_trace, frame = _no_more, frame.f_back
            _TRACING[0](lambda *_: None)  # lines are traced in these frames, and in no new one
            raise TooLong

        def tick(number: int, frame: types.FrameType | None) -> None:
            nonlocal used
            last, used = used, time.process_time()
            self._patience -= TICK if used - last < TICK / 100 else 0.0
            if self._patience < 0:
                late(number, frame)

        clocks = {signal.SIGPROF: (signal.ITIMER_PROF, late), signal.SIGALRM: (signal.ITIMER_REAL, tick)}
        before = {name: signal.signal(name, handler) for name, (_, handler) in clocks.items()}
        traced = sys.gettrace()
        signal.setitimer(signal.ITIMER_PROF, max(self._left, 0.001), TICK)
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
        try:
            yield
        finally:
            for name, (clock, _) in clocks.items():
                signal.setitimer(clock, 0)
                signal.signal(name, before[name])
            _TRACING[0](traced)
            self._left -= time.process_time() - started

    def _forget(self, node: ast.stmt, module: types.ModuleType, gone: Gone) -> None:
        for name in bound(node):
            if module.__name__ == self.name and not hasattr(module, name):
                self.gone[name] = gone
            elif not hasattr(module, name):
                self.gone.setdefault(name, gone)

    def told(self, error: BaseException) -> str:
        """The exception in one line, with the reason where a name is missing that was left out."""
        text = reason(error)
        named = f"{type(error).__name__}: {text}" if str(error) else type(error).__name__
        return named + self.explanation(error)

    def explanation(self, error: BaseException) -> str:
        """What to add to a NameError whose name a statement would have made."""
        gone = self.gone.get(getattr(error, "name", None) or "") if isinstance(error, NameError) else None
        return f" ({gone.sentence})"[:400] if gone is not None else ""

    def complain(self, name: str) -> None:
        """Raise why the task's module lacks ``name``, where a statement that was left out would have made it."""
        gone = self.gone.get(name)
        if gone is not None and gone.error is not None:
            raise gone.error.with_traceback(gone.error.__traceback__)
        if gone is not None:
            raise NameError(f"name {name!r} is not defined", name=name)

    def module_file(self, name: str) -> str | None:
        """The shown name of the file that an import means, with or without the package it is said to lie in."""
        bare = name.removeprefix(f"{COURSE}.")
        return self._files.get(bare) or self._bases.get(bare)

    def is_package(self, name: str) -> bool:
        bare = name.removeprefix(f"{COURSE}.")
        return name == COURSE or any(other.startswith(f"{bare}.") for other in self._files)

    @functools.cached_property
    def outer(self) -> set[str]:
        """The packages out of which modules that came are imported, though they came without them."""
        found = (text for module in self.modules.values() for text in _IMPORTED.finditer(module.text))
        packages = {text[1] for text in found if text[2] in self._bases}
        return {package[: place.start()] for package in packages for place in re.finditer(r"\.|$", package)}

    @property
    def notes(self) -> list[str]:
        """What was left out, one line for each reason."""
        lines = [*self._remarks]
        for why, places in self._left_out.items():
            shown = [*places[:3], f"and {len(places) - 3} more"] if len(places) > 3 else places
            lines.append(f"left out: {'; '.join(shown)}: {why}")
        return [*lines[:MOST_NOTES], f"… and {len(lines) - MOST_NOTES} more"] if len(lines) > MOST_NOTES + 1 else lines

    def _note(self, place: str, why: str) -> str:
        self._left_out.setdefault(why, []).append(place)
        return place

    def _settle(self) -> None:
        """Where the process is the submission's own: its files lie in its folder, and ``sys.argv`` names one."""
        if self._home is None:
            return
        for shown, module in self.modules.items():
            path = self._path(shown)
            with contextlib.suppress(OSError):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8", errors="replace") as target:
                    target.write(module.text)
        sys.argv[:] = [self._path(self.main)]

    def _path(self, shown: str) -> str:
        """Where the file lies for the submission itself."""
        if self._home is None:
            return os.path.abspath(shown)
        inside = posixpath.relpath(shown, posixpath.dirname(self.main) or ".")
        inside = posixpath.basename(shown) if inside.startswith("..") else inside
        return os.path.join(self._home, posixpath.splitext(inside)[0] + ".py")

    def _where(self, shown: str, line: int) -> str:
        """The place in words; the task's own file need not be named."""
        file = "" if shown == self.main else f"{posixpath.basename(shown)}, "
        cell = 0
        if shown in PLACES:
            place, line = PLACES[shown](line)
            cell = int(place.rpartition(" ")[2])
        return f"{file}code cell {cell}, line {line}" if cell else f"{file}line {line}"


def _no_more(frame: types.FrameType, event: str, _: object) -> Any:
    """Traces a frame: its next line raises. An exception is on its way to one; what is raised then would be caught."""
    if event == "exception":
        return _no_more
    raise TooLong


def text_of(data: bytes) -> str:
    """The text of a module or a notebook; raises Unreadable."""
    if not notebooks.is_document(data):
        return decode(data)
    try:
        return notebooks.slim(data).decode()
    except Refused as error:
        raise Unreadable(f"the notebook cannot be read: {error}") from None


def _places(shown: str, module: notebooks.Module) -> Callable[[int], tuple[str, int]]:
    def place(line: int) -> tuple[str, int]:
        cell, inside = module.place(line)
        return f"{shown}, code cell {cell}", inside

    return place


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _remember(file: str, lines: list[str]) -> None:
    """What tracebacks and rules read of a file, whatever becomes of it on the disk."""
    linecache.cache[file] = (sum(map(len, lines)), None, [f"{line}\n" for line in lines], file)


def _only(lines: list[str], plan: list[tuple[ast.stmt, str]]) -> list[str]:
    """The lines of the statements that are executed; all others are empty."""
    kept = {number for node, why in plan if not why for number in _lines_of(node)}
    return [line if number in kept else "" for number, line in enumerate(lines, 1)]


def _lines_of(node: ast.stmt) -> range:
    decorators = getattr(node, "decorator_list", [])
    return range(min([node.lineno, *(mark.lineno for mark in decorators)]), (node.end_lineno or node.lineno) + 1)


def _compile_nothing() -> None:
    """``torch.compile`` gives back what it is given: here is no compiler, and the same code says the same.

    Torch itself still traces with it, as ``torch.cond`` does when a module is exported.
    """
    own = os.path.dirname(torch.__file__) + os.sep

    def compile(model: Any = None, **options: Any) -> Any:
        if sys._getframe(1).f_code.co_filename.startswith(own):
            return _compile(model, **options)
        return model if model is not None else lambda function: function

    torch.compile = compile
    torch.nn.Module.compile = lambda self, *_, **__: None  # type: ignore[method-assign]


class _Siblings(MetaPathFinder, Loader):
    """Imports the other files of a submission, by their own name or as parts of the course's package."""

    def __init__(self, submitted: Submitted) -> None:
        self.submitted = submitted

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        shown = self.submitted.module_file(name)
        package = self.submitted.is_package(name)
        return ModuleSpec(name, self, origin=shown, is_package=package) if shown or package else None

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        shown = self.submitted.module_file(name)
        if shown is not None and name.startswith(f"{COURSE}."):
            self.submitted.execute(module, shown)
        elif shown is not None:  # one module, whatever it is called
            sys.modules[name] = importlib.import_module(f"{COURSE}.{name}")


class _Outer(MetaPathFinder, Loader):
    """Imports of the submission's files out of a package of which only they came; last, where no other finder knows it.

    ``from homework.utils import f`` means the file ``utils.py`` that came.
    """

    def __init__(self, submitted: Submitted) -> None:
        self.submitted = submitted

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, _, last = name.rpartition(".")
        if name in self.submitted.outer:
            return ModuleSpec(name, self, is_package=True)
        known = package in self.submitted.outer and self.submitted.module_file(last) is not None
        return ModuleSpec(name, self) if known else None

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__name__ not in self.submitted.outer:
            last = module.__name__.rpartition(".")[2]
            sys.modules[module.__name__] = importlib.import_module(f"{COURSE}.{last}")
