"""What ran in the calls of one check: the submission's own functions, and what they became in PyTorch.

The grader asks for a report once a check is over. Where a rule speaks of a function, every call of it is watched in
the same way, graded or not, so that code cannot tell when somebody looks.
"""

from __future__ import annotations

import _thread
import ast
import functools
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import overrides
from torch.overrides import TorchFunctionMode
from torch.utils import _python_dispatch

import torchgrade
from torchgrade.isolation.worker.probes.dispatch import QuietDispatchMode
from torchgrade.isolation.worker.probes.recorders import function_name, operator_name

# What switches a mode off, by module. Each is replaced by what notes that the submission has called it.
SWITCHES = (
    (torch._C, ("_pop_torch_dispatch_stack", "_unset_dispatch_mode", "_pop_torch_function_stack")),
    (torch._C, ("_dispatch_tls_set_dispatch_key_excluded", "_dispatch_tls_set_dispatch_key_included")),
    (_python_dispatch, ("_disable_current_modes", "_pop_mode", "_pop_mode_temporarily", "_pop_torch_dispatch_stack")),
    (overrides, ("_pop_mode", "_pop_mode_temporarily")),
)
# What starts a thread; Python's audit tells of it from 3.12 on.
STARTS = (
    (_thread, ("start_new_thread", "start_joinable_thread")),
    (threading, ("_start_new_thread", "_start_joinable_thread")),
)
# Events of Python's own audit, which no code can switch off again.
ELSEWHERE = {
    "_thread.start_new_thread": "a thread",
    "_thread.start_joinable_thread": "a thread",
    "os.fork": "a child process",
    "os.forkpty": "a child process",
    "os.posix_spawn": "a child process",
    "os.system": "a child process",
    "subprocess.Popen": "a child process",
    "ctypes.dlopen": "a library by ctypes",
}
KINDS = ("functions", "operators", "unseen")
CALLING = frozenset(("op_call", "run_case", "_built"))  # where the engine calls what the submission defines
_ENGINE = os.path.dirname(torchgrade.__file__) + os.sep
_HERE = frozenset((__file__,))


@dataclass(frozen=True)
class Wanted:
    """What a check wants to know: what is called, and where in the calls of ``names`` such words turn up."""

    calls: bool = False
    names: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()


class Watch:
    """Told what a check wants to know by ``begin``; ``over`` surrounds each call of the submission."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}  # of what the submission holds, by identity
        self.spans: dict[str, list[tuple[int, int, str]]] = {}  # of a file's definitions: first line, last, name
        self.wanted = Wanted()
        self.graphs: dict[int, frozenset[str]] = {}  # whose call a graph comes from
        self._codes: set[types.CodeType] = set()
        self._ran: dict[str, dict[str, set[str]]] = {}
        self._loaded: set[str] = set()  # threads and children that the file started while it was executed
        self._running: frozenset[str] = frozenset()  # whose call runs now

    # --- loading -----------------------------------------------------------------------------------------

    def guard(self) -> None:
        """See threads, children and what switches a mode off; cannot be undone, so for a worker's process only."""
        sys.addaudithook(self._on_event)
        for places, what in ((SWITCHES, "a switched-off watch"), (STARTS, "a thread")):
            for module, names in places:
                for name in names:
                    if hasattr(module, name):
                        setattr(module, name, self._noting(getattr(module, name), what))

    def _noting(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """``function``, and a note where the submission calls it; of a thread where anybody does."""

        @functools.wraps(function)
        def noted(*args: Any, **kwargs: Any) -> Any:
            if what == "a thread" or sys._getframe(1).f_code.co_filename in self.spans:
                self._note(what)
            return function(*args, **kwargs)

        return noted

    def know(self, module: types.ModuleType, texts: Mapping[str, str]) -> None:
        """The submission was executed; ``texts`` are its files by the names of their code."""
        self._names = {id(value): name for name, value in vars(module).items() if callable(value)}
        self.spans = {file: _definitions(text) for file, text in texts.items()}

    def _on_event(self, event: str, arguments: Any) -> None:
        if event in ELSEWHERE:
            self._note(ELSEWHERE[event])

    def _note(self, unseen: str) -> None:
        if not self.spans:
            self._loaded.add(unseen)
        for name in self._running:
            self._record(name, "unseen", unseen)

    # --- a check -----------------------------------------------------------------------------------------

    def begin(self, calls: bool, words: Sequence[Sequence[str]]) -> None:
        self.wanted = Wanted(calls, *(frozenset(some) for some in words))
        self._codes, self._ran, self.graphs = set(), {}, {}

    def names(self, request: Any) -> frozenset[str]:
        """The submission's own names of all objects in ``request``, where somebody wants to know them."""
        if not self.wanted.calls and not self.wanted.names:
            return frozenset()
        return frozenset(name for item in _flat(request) if (name := self.name_of(item)))

    def name_of(self, value: Any) -> str | None:
        """The definition of the submission's that ``value`` is, is an instance of, or is a method of."""
        value = getattr(value, "__self__", value) if isinstance(value, types.MethodType) else value
        if id(value) in self._names:
            return self._names[id(value)]
        if isinstance(value, (torch.Tensor, type)):
            return None
        bases = (base for base in type(value).__mro__ if base not in (torch.nn.Module, object))
        return next((self._names[id(base)] for base in bases if id(base) in self._names), None)

    @contextmanager
    def over(self, names: frozenset[str]) -> Iterator[None]:
        """What runs inside counts for ``names``.

        Calls of what a rule is about are watched; of others the functions that they call are noted, for these may be
        what a rule is about.
        """
        watched = names & self.wanted.names
        before = self._running
        with ExitStack() as stack:
            if watched:
                self._running = watched
                stack.callback(setattr, self, "_running", before)
                stack.enter_context(_Functions(self))
                stack.enter_context(_Operators(self))
                for what in self._loaded:
                    self._note(what)
            if self.wanted.calls or (self.wanted.names and names and not watched):
                sys.setprofile(self._profiler())
                stack.callback(sys.setprofile, None)
            yield

    def met(self, kind: str, word: str) -> None:
        """A word that is wanted: for whom does it count? Not at all where the engine or a probe computes by itself."""
        frame: types.FrameType | None = sys._getframe(2)
        own, called = set[str](), None
        while frame is not None:
            file = frame.f_code.co_filename
            if file in self.spans:
                own.add(self._definition(frame.f_code) or "")
            elif called is None and file.startswith(_ENGINE) and file not in _HERE:
                called = frame.f_code.co_name in CALLING
            frame = frame.f_back
        if own or called:
            for name in self._running | own:
                self._record(name, kind, word)

    def _profiler(self) -> Callable[[types.FrameType, str, Any], None]:
        files, codes = self.spans, self._codes

        def profile(frame: types.FrameType, event: str, arg: Any) -> None:
            if event == "call" and frame.f_code.co_filename in files:
                codes.add(frame.f_code)

        return profile

    def _record(self, name: str, kind: str, word: str) -> None:
        self._ran.setdefault(name, {}).setdefault(kind, set()).add(word)

    def report(self) -> list[Any]:
        """``[names that were called, [[name, its functions, its operators, what was unseen], ...]]``."""
        called = {name for code in self._codes if (name := self._definition(code))}
        ran = [[name, *(sorted(kinds.get(kind, ())) for kind in KINDS)] for name, kinds in self._ran.items()]
        return [sorted(called), ran]

    def _definition(self, code: types.CodeType) -> str | None:
        line = code.co_firstlineno
        return next((name for first, last, name in self.spans[code.co_filename] if first <= line <= last), None)


class _Functions(TorchFunctionMode):
    """Meets the public functions, methods and properties of tensors that are wanted."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch, self.wanted = watch, watch.wanted.functions

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function_name(func)
        if name in self.wanted:
            self.watch.met("functions", name)
        return func(*args, **(kwargs or {}))


class _Operators(QuietDispatchMode):
    """Meets the operators that are wanted, those of backward passes included."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watch, self.wanted = watch, watch.wanted.operators

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = _operator(func)
        if name in self.wanted:
            self.watch.met("operators", name)
        return func(*args, **(kwargs or {}))


@functools.cache
def _operator(func: Any) -> str:
    return operator_name(func)


def _definitions(text: str) -> list[tuple[int, int, str]]:
    """First line, last line and name of what a file defines at its top."""
    found = []
    for node in ast.parse(text).body:
        first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", ()))])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append((first, node.end_lineno or first, node.name))
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            found += [(first, node.end_lineno or first, name) for name in names[:1]]
    return found


def _flat(value: Any) -> Iterator[Any]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else None
    if items is None:
        yield value
        return
    for item in items:
        yield from _flat(item)
