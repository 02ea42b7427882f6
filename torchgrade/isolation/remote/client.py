"""The grader's end of the line: asks the worker, and turns replies into values, handles and faults.

How bytes travel is the business of a ``Line``: ``WorkerLine`` talks to a confined process, ``LocalLine``
(``--debug``) to a server in this process.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from torchgrade.errors import (
    AuthoringError,
    BadAnswer,
    EngineFault,
    LoadFailed,
    Mismatch,
    MissingName,
    OutOfMemory,
    SubmissionFault,
    SubmissionRaised,
    TimedOut,
    TraceFrame,
    Waits,
    WorkerDied,
)
from torchgrade.isolation.remote.line import Line
from torchgrade.isolation.remote.remote_call import attach
from torchgrade.isolation.wire.decoding import Decoder
from torchgrade.isolation.wire.encoding import Encoder
from torchgrade.isolation.wire.protocol import CAPS, Caps, Encoded, ObjectSpec, Unsendable, Violation
from torchgrade.submission import Source

WHAT_WAS_BUILT = ("parameter_count", "registered_parameters", "buffers")  # probes that ask nothing else
WHAT_COMPUTES = ("forward", "step", "__call__", "__getitem__")  # methods of a class, when its values are wrong
ALLOCATION_FAILURES = ("can't allocate memory", "not enough memory", "out of memory", "Cannot allocate memory")
MOST_NOTES, MOST_NOTE = 20, 300  # lines, and characters of one


@dataclass
class Seen:
    """What a check has sent and received, for messages and for proving that it has teeth."""

    where: tuple[str, int, str] | None = None
    sent: list[torch.Tensor] | None = None  # kept only while a suite is proved
    answered: bool = False
    touched: set[str] = field(default_factory=set)  # what it took of the submission, by name
    call: tuple[str, Sequence[Any], Mapping[str, Any]] | None = None  # the last one: name, arguments, keywords
    last: str | None = None  # the definition of the submission's that was taken or called last


@dataclass(frozen=True)
class Ran:
    """What ran in the worker during one check. It is the submission's process that says so.

    ``called``: its own definitions. ``of``: for each watched name what its calls became, by kind: the public
    "functions" of PyTorch, its "operators", and what was "unseen".
    """

    called: frozenset[str] = frozenset()
    of: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came of one case: the value with what was asked for besides, or a fault."""

    value: Any = None
    gradients: Any = None
    arguments: Any = None
    fault: SubmissionFault | None = None


class Remote(ABC):
    """Stands here for something beside the submission, and travels as a reference to it."""

    @abstractmethod
    def _reference(self) -> list[Any]:
        """The parts of the reference, as the worker's decoder resolves them."""


class Client:
    """Requests, replies and the faults among them; the same for both kinds of line."""

    def __init__(self, line: Line, make_handle: Callable[[Client, ObjectSpec], Any]) -> None:
        """``make_handle`` makes what a suite holds for an object that stays in the worker."""
        self.line = line
        self._make_handle = make_handle
        self.seen = Seen()
        self._begin: list[Any] = []  # what a check that has asked nothing yet has to say first
        self._blocked: Mapping[str, str] = {}
        self.dropped_graphs: list[int] = []
        self._handles: Counter[int] = Counter()  # how many handles here speak of one object there
        self._unused: set[int] = set()

    # --- what suites and the plugin ask for --------------------------------------------------------------

    def load(self, name: str, source: Source, probes: str | None, seconds: float = 60.0) -> tuple[str, ...]:
        """Execute the submission in the worker, for which there are ``seconds``; what was left out of it, in words.

        Raises LoadFailed.
        """
        asked = {"name": name, "main": source.main, "files": dict(source.files), "probes": probes, "seconds": seconds}
        try:
            told = self.request("load", **asked)
        except SubmissionRaised as fault:
            raise LoadFailed(str(fault), fault.frames, fault) from fault
        except (TimedOut, OutOfMemory, WorkerDied, BadAnswer) as fault:
            raise LoadFailed(str(fault), (), fault) from fault
        return tuple(_one_line(note) for note in told[:MOST_NOTES]) if isinstance(told, list) else ()

    def begin(
        self,
        seed: int,
        seconds: float,
        proving: bool = False,
        calls: bool = False,
        watched: Sequence[Sequence[str]] = ((), (), ()),
        blocked: Mapping[str, str] | None = None,
    ) -> None:
        """A new check: its first request will undo there what the last one left, and seed.

        ``calls`` and ``watched``, as names, functions and operators: what the worker notes for ``ran``, see
        ``worker.watch.Wanted``. ``blocked`` maps names of the submission to
        the sentence of ``Waits``, which is raised where the check takes one of them.
        """
        self.seen = Seen(sent=[] if proving else None)
        self.line.begin(seconds)
        self._begin = [seed, calls, [list(some) for some in watched]]
        self._blocked = blocked or {}

    def touch(self, name: str) -> None:
        """The check takes ``name`` of the submission; raises Waits where it is known to be wrong."""
        self.seen.touched.add(name)
        self.seen.last = name
        if name in self._blocked:
            raise Waits(self._blocked[name])

    def ran(self) -> Ran:
        """What ran in the worker since the check began; nothing where it cannot be asked."""
        try:
            return _ran(self.request("report")) if not self._begin else Ran()
        except SubmissionFault:
            return Ran()

    def look_at_call(self, kind: Any) -> None:
        """Where a constructor would be looked at: the method of the class ``kind`` that computes, if it wrote one."""
        place = kind._spec.where
        for name in WHAT_COMPUTES if place and place[2].endswith(".__init__()") else ():
            try:
                method = self.request("get", on=kind, name=name)
            except SubmissionFault:
                continue
            if getattr(method, "_spec", None) is not None and method._spec.where:
                self.seen.where = method._spec.where
                return

    def probe(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run an engine probe or one of the task's ``probes.py`` beside the submission.

        The place to look at is where the first object among the arguments is defined; for a probe that looks at what
        was built, and runs nothing, the call that built it.
        """
        objects = [arg for arg in [*args, *kwargs.values()] if hasattr(type(arg), "is_a")]
        places = [arg._made if name in WHAT_WAS_BUILT and arg._made else arg._spec.where for arg in objects]
        self.seen.where = next((place for place in places if place), self.seen.where)
        self.seen.last = next((obj._spec.own for obj in objects if obj._spec.own), self.seen.last)
        return self.differentiable("probe", name=name, args=list(args), kwargs=dict(kwargs))

    def differentiable(self, op: str, **request: Any) -> Any:
        """A request whose tensors carry gradients from here to the worker and back."""
        inputs = [t for t in _tensors([request["args"], request["kwargs"]]) if t.requires_grad]
        if self.seen.sent is not None:
            self.seen.sent += [t.detach().clone() for t in _tensors([request["args"], request["kwargs"]])]
        value, graph, flags = self._ask(op, request, graph=True)
        return attach(self, value, graph, flags, inputs) if graph is not None else value

    def request(self, op: str, **request: Any) -> Any:
        return self._ask(op, request)[0]

    def cases(
        self,
        function: Any,
        cases: Encoded,
        count: int,
        common: Mapping[str, Any],
        *,
        most: int,
        bound: Sequence[Any] = (),
        sent: Sequence[torch.Tensor] = (),
    ) -> list[Answer]:
        """What ``function`` makes of ``count`` cases, in one exchange; see ``worker.cases``.

        ``most``: bytes of all answers together. ``bound``: passed before the arguments of each case. ``sent``: the
        tensors of the cases, for proving. A worker that dies or hangs raises as ever; ``last_case`` says where.
        """
        specs = [spec for one in (function, *bound) if (spec := getattr(one, "_spec", None)) is not None]
        self.seen.where = next((spec.where for spec in specs if spec.where), self.seen.where)
        self.seen.last = next((spec.own for spec in specs if spec.own), self.seen.last)
        if self.seen.sent is not None:
            self.seen.sent += sent
        self.line.follow_cases()
        request = {"cases": cases, "on": function, "bound": list(bound), "common": dict(common), "most": most}
        value = self._ask("cases", request, caps=replace(CAPS, data=most + (1 << 16)))[0]
        problem = ""
        try:
            if type(value) is not list or len(value) != count:
                raise Violation("answers")
            found = [self._answer(item) for item in value]
            self.seen.answered = True
            return found
        except Violation as error:
            problem = str(error)
        value = found = []
        raise self._broken(problem)

    def _answer(self, item: Any) -> Answer:
        if type(item) is list and len(item) == 4 and item[0] == "ok":
            return Answer(*item[1:])
        if type(item) is not list or len(item) != 2 or item[0] not in ("raised", "unsendable"):
            raise Violation("answer")
        fault = self._fault("cases", *item)
        if not isinstance(fault, SubmissionFault):
            raise Violation("answer")
        return Answer(fault=fault)

    # --- the exchange ------------------------------------------------------------------------------------

    def _ask(
        self, op: str, request: dict[str, Any], graph: bool = False, caps: Caps = CAPS
    ) -> tuple[Any, Any, list[torch.Tensor]]:
        sequence = secrets.randbits(62)  # not to be guessed: a reply cannot be sent before its request
        request = {**request, "op": op}
        unused, self._unused = [number for number in self._unused if not self._handles[number]], set()
        request |= {"drop_objects": unused} if unused else {}
        if self.dropped_graphs:
            request["drop_graphs"], self.dropped_graphs = self.dropped_graphs, []
        begin, self._begin = self._begin, []
        try:
            frame = Encoder(self._refer, keep_strides=True).encode([sequence, request, *begin])
        except Unsendable as error:
            raise AuthoringError(f"a check tried to send {error}") from None
        differentiable: list[torch.Tensor] = []
        problem = ""
        try:
            value = self._value(op, *self.line.exchange(frame, sequence, caps), differentiable)
            if not graph:
                return value, None, []
            if type(value) is not list or len(value) != 2 or not _is_graph(value[1]):
                raise Violation("call reply")
            self.seen.answered = True
            return value[0], value[1], differentiable
        except Violation as error:
            problem = str(error)
        # Raised out here, so that the fault does not keep the reply alive by the frames in which it was refused.
        value = differentiable = []
        raise self._broken(problem)

    def _broken(self, problem: str) -> BadAnswer:
        """A process that breaks the protocol is spoken to no more."""
        self.line.close()
        return BadAnswer(f"its process broke the protocol ({problem})")

    def _value(self, op: str, reply: list[Any], buffers: list[Any], differentiable: list[torch.Tensor]) -> Any:
        kind, body = reply[2], reply[3]

        def on_tensor(tensor: torch.Tensor, grad: bool) -> torch.Tensor:
            if grad and (tensor.is_floating_point() or tensor.is_complex()):
                differentiable.append(tensor)
            return tensor

        value = Decoder(buffers, self._resolve, on_tensor=on_tensor).decode(body)
        if kind == "ok":
            return value
        raise self._fault(op, kind, value)

    def _fault(self, op: str, kind: str, value: Any) -> Exception:
        if kind == "missing" and type(value) is list and len(value) == 2:
            return MissingName(str(value[0]), [str(near) for near in value[1]])
        if kind == "mismatch" and op == "probe" and type(value) is list and len(value) == 2:
            return Mismatch(*(None if part is None else str(part) for part in value))
        if kind == "unsendable":
            return BadAnswer(f"it returned {value}"[:300])
        if kind == "ours" and type(value) is list and len(value) == 3:
            return EngineFault(f"an answer of the submission could not be sent: {value[1]}"[:500])
        if kind == "unreadable":
            return LoadFailed(str(value)[:2000])
        if kind != "raised" or type(value) is not list or len(value) != 3:
            raise Violation("error reply")
        names, text, frames = value
        if not names or any(type(name) is not str for name in names) or type(text) is not str:
            raise Violation("error reply")
        if "MemoryError" in names or any(mark in text for mark in ALLOCATION_FAILURES):
            return OutOfMemory(self.line.limit_mb)
        fault = SubmissionRaised(names, text, [_frame(item) for item in frames])
        raised = self.line.raised
        return fault.with_traceback(raised.__traceback__) if raised is not None else fault

    def _refer(self, value: Any) -> list[Any]:
        if isinstance(value, Remote):
            return value._reference()
        name = getattr(value, "__qualname__", "")
        module = str(getattr(value, "__module__", ""))
        if name and callable(value) and module.partition(".")[0] == "torch":
            return [0, f"{module}.{name}"]
        raise Unsendable(f"a {type(value).__name__}; build objects beside the submission, in the task's probes.py")

    def _resolve(self, rest: list[Any]) -> Any:
        return self._make_handle(self, object_spec(rest))

    def hold(self, number: int) -> None:
        """A handle to an object was made."""
        self._handles[number] += 1

    def drop(self, number: int) -> None:
        """A handle to an object was collected; the worker learns of it with the next request."""
        self._handles[number] -= 1
        if not self._handles[number]:
            self._unused.add(number)


def encoded(value: Any) -> Encoded:
    """Plain data and tensors in the form in which they travel: made once, sent to any number of workers."""

    def refer(other: Any) -> list[Any]:
        raise AuthoringError(f"a case cannot hold a {type(other).__name__}")

    try:
        return Encoded(Encoder(refer, keep_strides=True).encode(value))
    except Unsendable as error:
        raise AuthoringError(f"the cases hold {error}") from None


def object_spec(rest: list[Any]) -> ObjectSpec:
    """Check and name the parts of an object's description."""
    try:
        number, name, bases, is_callable, where, tensor, own = rest
        if type(number) is not int or type(name) is not str or type(is_callable) is not bool:
            raise Violation("object")
        names = tuple(str(base) for base in bases)
        place = (str(where[0]), int(where[1]), str(where[2])) if where is not None else None
        facts = None
        if tensor is not None:
            dtype, shape, device, requires_grad, leaf = tensor
            facts = (str(dtype), tuple(int(n) for n in shape), str(device), bool(requires_grad), bool(leaf))
    except Violation:
        raise
    except Exception:
        raise Violation("object") from None
    return ObjectSpec(number, name, names, is_callable, place, facts, None if own is None else str(own))


def _ran(value: Any) -> Ran:
    try:
        called, ran = value
        kinds = ("functions", "operators", "unseen")
        of = {str(name): dict(zip(kinds, map(_words, what), strict=True)) for name, *what in ran}
        return Ran(_words(called), of)
    except (TypeError, ValueError):
        return Ran()


def _words(value: Any) -> frozenset[str]:
    return frozenset(str(word)[:120] for word in value)


def _is_graph(value: Any) -> bool:
    return value is None or (
        type(value) is list and len(value) == 2 and type(value[0]) is int and type(value[1]) is bool
    )


def _frame(item: Any) -> TraceFrame:
    if type(item) is not list or len(item) != 4 or type(item[1]) is not int:
        raise Violation("frame")
    return TraceFrame(str(item[0]), item[1], str(item[2]), str(item[3]))


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _one_line(note: Any) -> str:
    """A line that the worker words: cut, and nothing in it moves a cursor."""
    return "".join(char if char.isprintable() else " " for char in str(note)[:MOST_NOTE])
