"""What ran in the calls of one check: the submission's own functions, and what they became in PyTorch.

The grader asks for a report once a check is over. Where a rule speaks of a function, every call of it is watched in
the same way, graded or not, so that code cannot tell when somebody looks.
"""

from __future__ import annotations

import _thread
import ast
import contextlib
import ctypes
import functools
import os
import subprocess  # noqa: F401  (where the system can, it loads what makes children)
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import overrides
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils import _python_dispatch

import torchgrade
from torchgrade.isolation.worker.probes.dispatch import QuietDispatchMode
from torchgrade.isolation.worker.probes.recorders import function_name, operator_name

# What switches a mode off, by module. Each is replaced by what notes that the submission has called it.
SWITCHES = (
    (torch._C, ("_pop_torch_dispatch_stack", "_unset_dispatch_mode", "_pop_torch_function_stack")),
    (torch._C, ("_dispatch_tls_set_dispatch_key_excluded", "_dispatch_tls_set_dispatch_key_included")),
    (torch._C, ("ExcludeDispatchKeyGuard", "_ExcludeDispatchKeyGuard", "_SetExcludeDispatchKeyGuard")),
    (torch._C, ("_IncludeDispatchKeyGuard", "_ForceDispatchKeyGuard")),
    (torch._C, ("_DisableTorchDispatch", "_AutoDispatchBelowAutograd")),
    # These give an operator below the modes,
    (torch._C, ("_get_operation_overload", "_dispatch_call_boxed", "_dispatch_find_schema_or_throw")),
    (OpOverload, ("redispatch",)),
    # and these make one, whose inside is not seen.
    (torch.library, ("Library", "custom_op", "define", "impl", "register_kernel")),
    (_python_dispatch, ("_disable_current_modes", "_pop_mode", "_pop_mode_temporarily", "_pop_torch_dispatch_stack")),
    (overrides, ("_pop_mode", "_pop_mode_temporarily")),
    (sys, ("setprofile", "settrace")),
)
# What starts a thread; Python's audit tells of it from 3.12 on.
STARTS = (
    (_thread, ("start_new_thread", "start_joinable_thread")),
    (threading, ("_start_new_thread", "_start_joinable_thread")),
)
# And what makes a child without Python's audit, which tells only of those who call it.
FORKS = ((sys.modules.get("_posixsubprocess"), ("fork_exec",)),)
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
    "ctypes.dlsym": "a library by ctypes",
    "ctypes.dlsym/handle": "a library by ctypes",
    "ctypes.call_function": "a library by ctypes",
}
CODE = ("compile", "code.__new__", "marshal.loads")
OFF = "a switched-off watch"
KINDS = ("functions", "operators", "unseen")
CALLING = frozenset(("op_call", "run_case", "_built"))  # where the engine calls what the submission defines
_ENGINE = os.path.dirname(torchgrade.__file__) + os.sep
_TORCH = os.path.dirname(torch.__file__) + os.sep
_LIBRARIES = (os.path.dirname(os.path.dirname(torch.__file__)), *sysconfig.get_paths().values())
_INSTALLED = tuple({_ENGINE, "<frozen ", *(os.path.join(place, "") for place in _LIBRARIES)})  # not the submission's
_COMPOSED = tuple(os.path.join(_TORCH, name, "") for name in ("_refs", "_decomp", "_prims"))  # operators of operators
_HERE = frozenset((__file__,))
_RUNS_BACKWARD = "run_backward"  # the engine's own method, which no mode meets


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
        self._made: dict[int, frozenset[str]] = {}  # of objects that stay, by identity

    # --- loading -----------------------------------------------------------------------------------------

    def guard(self) -> None:
        """See threads, children and what switches a mode off; cannot be undone, so for a worker's process only."""
        sys.addaudithook(self._on_event)
        for place, name, what in (*_PLACES, *_places_among(sys.modules.keys() - _LOADED)):
            setattr(place, name, self._noting(getattr(place, name), what))
        for name in ("_op_dk", "_handle"):  # an operator's way past the modes
            setattr(OpOverload, name, self._noted_attribute(name, vars(OpOverload).get(name)))

    def _noting(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """``function``, and a note where nothing installed calls it; of a thread or child where anybody does."""

        def noted(*args: Any, **kwargs: Any) -> Any:
            if _is_asked_from_outside() if what == OFF else not _importing():
                self._note(what)
            return function(*args, **kwargs)

        noted.__name__, noted.__doc__ = function.__name__, function.__doc__  # and no way back to the function itself
        return noted

    def _noted_attribute(self, name: str, before: Any) -> property:
        """An attribute of instances, or the property ``before``, and a note where nothing installed takes it."""

        def take(own: Any) -> Any:
            if _is_asked_from_outside():
                self._note(OFF)
            if before is None and name not in vars(own):
                raise AttributeError(name)
            return vars(own)[name] if before is None else before.__get__(own)

        return property(take, lambda own, value: vars(own).update({name: value}))

    def know(self, module: types.ModuleType, texts: Mapping[str, str]) -> None:
        """The submission was executed; ``texts`` are its files by the names of their code."""
        self._names = {id(value): name for name, value in vars(module).items() if callable(value)}
        self.spans = {file: _definitions(text) for file, text in texts.items()}

    def _on_event(self, event: str, arguments: Any) -> None:
        if event in ELSEWHERE and not _importing() and not (event.startswith("ctypes.") and _counts_devices()):
            self._note(ELSEWHERE[event])
        elif event in CODE and _is_borrowed(event, arguments):
            self._note("code under another file's name")

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
        items = list(_flat(request))
        known = (self._made[id(item)] for item in items if id(item) in self._made)
        return frozenset(name for item in items if (name := self.name_of(item))).union(*known)

    def keep(self, value: Any) -> None:
        """An object stays here: what it computes later counts for those whose call it comes from."""
        if self._running:
            self._made[id(value)] = self._running

    def forget(self, value: Any) -> None:
        self._made.pop(id(value), None)

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
            if self.wanted.calls or (self.wanted.names and names):
                sys.setprofile(self._profiler(called=self.wanted.calls or not watched))
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

    def _profiler(self, called: bool) -> Callable[[types.FrameType, str, Any], None]:
        """Notes what is ``called`` of the submission, and what of PyTorch computes a wanted function of others, or asks
        the engine of gradients itself."""
        files, codes, wanted = self.spans if called else {}, self._codes, self.wanted.functions

        def profile(frame: types.FrameType, event: str, arg: Any) -> None:
            if event == "call":
                code = frame.f_code
                if code.co_filename in files:
                    codes.add(code)
                elif code.co_name in wanted and code.co_filename.startswith(_COMPOSED):
                    self.met("functions", code.co_name)
            elif event == "c_call" and _RUNS_BACKWARD in wanted and getattr(arg, "__name__", "") == _RUNS_BACKWARD:
                self.met("functions", _RUNS_BACKWARD)

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


def _places_among(modules: Iterable[str]) -> list[tuple[Any, str, str]]:
    """Module, name and what it is of everything that is watched, under whatever name a module has it."""
    namespaces = [(module, getattr(module, "__dict__", {})) for name in modules if (module := sys.modules.get(name))]
    return [(m, name, _WATCHED[id(v)]) for m, names in namespaces for name, v in names.items() if id(v) in _WATCHED]


_TABLE = ((SWITCHES, OFF), (STARTS, "a thread"), (FORKS, "a child process"))
_WATCHED = {
    id(vars(place)[name]): what
    for places, what in _TABLE for place, names in places if place for name in names if name in vars(place)
}  # fmt: skip
_LOADED = frozenset(sys.modules)  # those that come later are few
_PLACES = [*_places_among(_LOADED), (OpOverload, "redispatch", OFF)]


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
        return self.go_on(func, types, args, kwargs)


def _is_asked_from_outside() -> bool:
    """Whether no installed code called what calls this; a function of this engine does what its own caller wants."""
    frame = sys._getframe(2)
    if frame.f_code.co_filename.startswith(_ENGINE):
        caller = frame.f_back
        while caller is not None and caller.f_code.co_filename == contextlib.__file__:
            caller = caller.f_back
        frame = caller or frame
    return not frame.f_code.co_filename.startswith(_INSTALLED)


def _is_borrowed(event: str, arguments: Any) -> bool:
    """Whether code is made that passes itself off as an installed file's, and is not what stands in that file."""
    if event == "marshal.loads":
        return not sys._getframe(2).f_code.co_filename.startswith(_INSTALLED)
    source, file = arguments[:2]
    if not isinstance(file, str) or not file.startswith(_INSTALLED):
        return False
    if event == "code.__new__":  # installed modules change their own code while they are imported
        return not sys._getframe(2).f_code.co_filename.startswith(_INSTALLED)
    with contextlib.suppress(OSError), open(file, "rb") as text:
        return text.read() != (source.encode() if isinstance(source, str) else source)
    return True


def _counts_devices() -> bool:
    """Whether torch itself loads the driver's library: every build for CUDA does so when it looks for devices."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename == ctypes.__file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(os.path.join(_TORCH, "cuda", ""))


def _importing() -> bool:
    """Whether an installed package does it while it is imported, as some load libraries or start a thread."""
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_INSTALLED):
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


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
