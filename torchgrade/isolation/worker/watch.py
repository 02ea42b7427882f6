"""What ran in the calls of one check: the submission's own functions, and what they became in PyTorch.

The grader asks for a report once a check is over. Where a rule speaks of a function, every call of it is watched in
the same way, graded or not, so that code cannot tell when somebody looks.
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from torchgrade.isolation.worker.probes.recorders import FunctionRecorder, OperatorRecorder

# What the submission calls to get out of sight: a mode is switched off, the profiler replaced.
UNSEEN = frozenset(
    (
        *("_pop_torch_dispatch_stack", "_unset_dispatch_mode", "_pop_torch_function_stack", "_pop_mode"),
        *("_pop_mode_temporarily", "_dispatch_tls_set_dispatch_key_excluded", "setprofile", "_setprofileallthreads"),
    )
)
SWITCH = "_disable_current_modes"  # the same as a context manager, whose body contextlib calls
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


class Watch:
    """Told what a check wants to know by ``begin``; ``over`` surrounds each call of the submission."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}  # of what the submission holds, by identity
        self.spans: dict[str, list[tuple[int, int, str]]] = {}  # of a file's definitions: first line, last, name
        self.tracing = False
        self.watched: frozenset[str] = frozenset()
        self.graphs: dict[int, frozenset[str]] = {}  # whose call a graph comes from
        self._codes: set[types.CodeType] = set()
        self._ran: dict[str, dict[str, set[str]]] = {}
        self._loaded: set[str] = set()  # threads and children that the file started while it was executed
        self._running: frozenset[str] | None = frozenset()  # whose call runs now; None between calls

    # --- loading -----------------------------------------------------------------------------------------

    def audit(self) -> None:
        """See threads and children from now on; cannot be undone, so for a worker's process only."""
        sys.addaudithook(self._on_event)

    def know(self, module: types.ModuleType, texts: Mapping[str, str]) -> None:
        """The submission was executed; ``texts`` are its files by the names of their code."""
        self._names = {id(value): name for name, value in vars(module).items() if callable(value)}
        self.spans = {file: _definitions(text) for file, text in texts.items()}
        self._running = None

    def _on_event(self, event: str, arguments: Any) -> None:
        what = ELSEWHERE.get(event)
        if what is None or self._running is None:
            return
        if not self._names:
            self._loaded.add(what)
        for name in self._running:
            self._record(name, "unseen", (what,))

    # --- a check -----------------------------------------------------------------------------------------

    def begin(self, tracing: bool, watched: Sequence[str]) -> None:
        self.tracing, self.watched = tracing, frozenset(watched)
        self._codes, self._ran = set(), {}

    def names(self, request: Any) -> frozenset[str]:
        """The submission's own names of all objects in ``request``, where somebody wants to know them."""
        if not self.tracing and not self.watched:
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
        """What runs inside counts for ``names``."""
        watched = names & self.watched
        if not watched and not self.tracing:
            yield
            return
        functions, operators, unseen = FunctionRecorder(), OperatorRecorder(), set[str]()
        with ExitStack() as stack:
            if watched:
                stack.enter_context(functions)
                stack.enter_context(operators)
            self._running = watched
            sys.setprofile(self._profiler(unseen))
            try:
                yield
            finally:
                sys.setprofile(None)
                self._running = None
        for name in watched:
            self._record(name, "functions", functions.counts)
            self._record(name, "operators", operators.counts)
            self._record(name, "unseen", unseen | self._loaded)

    def _profiler(self, unseen: set[str]) -> Callable[[types.FrameType, str, Any], None]:
        files, codes = self.spans, self._codes

        def profile(frame: types.FrameType, event: str, arg: Any) -> None:
            code = frame.f_code
            if event == "call":
                if code.co_filename in files:
                    codes.add(code)
                hides = code.co_name == SWITCH or (code.co_name in UNSEEN and _caller(frame) in files)
            else:
                hides = event == "c_call" and arg.__name__ in UNSEEN and code.co_filename in files
            if hides:
                unseen.add("a switched-off watch")

        return profile

    def _record(self, name: str, kind: str, what: Any) -> None:
        self._ran.setdefault(name, {}).setdefault(kind, set()).update(what)

    def report(self) -> list[Any]:
        """``[names that were called, [[name, its functions, its operators, what was unseen], ...]]``."""
        called = {name for code in self._codes if (name := self._definition(code))}
        ran = [[name, *(sorted(kinds.get(kind, ())) for kind in KINDS)] for name, kinds in self._ran.items()]
        return [sorted(called), ran]

    def _definition(self, code: types.CodeType) -> str | None:
        line = code.co_firstlineno
        return next((name for first, last, name in self.spans[code.co_filename] if first <= line <= last), None)


def _caller(frame: types.FrameType) -> str:
    return frame.f_back.f_code.co_filename if frame.f_back is not None else ""


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
