"""Holds one submission and answers the grader's requests: in a worker, or under ``--debug`` in the grader itself.

A request is a dict with an ``op``; the reply is a value.
"""

from __future__ import annotations

import difflib
import functools
import gc
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

import torch

import torchgrade.isolation.worker.probes  # noqa: F401  (importing them registers them)
from torchgrade.errors import Mismatch
from torchgrade.handin.source import Unreadable
from torchgrade.isolation.wire.decoding import Decoder
from torchgrade.isolation.wire.encoding import Encoder
from torchgrade.isolation.wire.protocol import Each, Frame, Unsendable, Violation
from torchgrade.isolation.worker import compat
from torchgrade.isolation.worker.cases import How, run_case
from torchgrade.isolation.worker.graphs import Graphs
from torchgrade.isolation.worker.objects import Held, Objects
from torchgrade.isolation.worker.registry import PROBES
from torchgrade.isolation.worker.submitted import Submitted
from torchgrade.isolation.worker.traces import describe_exception
from torchgrade.isolation.worker.watch import Watch
from torchgrade.seeding import seed_everything

MAX_ITEMS = 100_000


class Missing(Exception):
    """A name that the submission lacks."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(name)
        self.name = name
        self.near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)


class Compared(Exception):
    """What a probe found wrong; ``args[0]`` holds what was expected and what came."""


class Server:
    """The state behind the requests: the module, the objects that stay here, the graphs of past calls."""

    def __init__(self, home: str | None = None) -> None:
        """``home``: the folder that is the submission's own, where the whole process is."""
        self.home = home
        self.submitted: Submitted | None = None
        self.module: types.ModuleType | None = None
        self.probes: types.ModuleType | None = None
        self.files: set[str] = set()
        self.watch = Watch()
        self.objects = Objects(self.watch)
        self.graphs = Graphs()
        self.raised: BaseException | None = None  # the last exception, for --debug
        self.notify: Callable[[int], None] = lambda steps: None
        self.at_case: Callable[[int], None] = lambda number: None
        self._watch_steps()

    def answer(self, body: Any, buffers: list[Any]) -> Frame:
        """Decode a request, run it, encode the reply; whatever is raised becomes a described error."""
        sequence = body[1] if type(body) is list and len(body) > 1 and type(body[1]) is int else 0
        self.raised = None
        try:
            leaves: list[torch.Tensor] = []
            if len(body) > 3:  # before tensors are made: a default device may have been left
                _begin(body[3])
                self.watch.begin(bool(body[4]), [some[1:] for some in body[5][1:]])

            def on_tensor(tensor: torch.Tensor, grad: bool) -> torch.Tensor:
                if grad:
                    leaves.append(tensor.requires_grad_())
                return tensor

            request = Decoder(buffers, self.objects.find, on_tensor=on_tensor, strided=True).decode(body)
            return self.handle(sequence, request[1], leaves)
        except Missing as error:
            return self._encode([sequence, "missing"], [error.name, error.near])
        except Unreadable as error:
            return self._encode([sequence, "unreadable"], str(error))
        except Compared as error:
            return self._encode([sequence, "mismatch"], error.args[0])
        except BaseException as error:
            self.raised = error
            more = self.submitted.explanation(error) if self.submitted is not None else ""
            return self._encode([sequence, "raised"], describe_exception(error, self.files, more))

    def _reply(self, sequence: int, value: Any) -> Frame:
        """The value, or why it cannot travel. What fails without a line of the submission is our own fault."""
        try:
            return self._encode([sequence, "ok"], value)
        except Unsendable as error:
            return self._encode([sequence, "unsendable"], str(error))
        except Exception as error:
            described = describe_exception(error, self.files)
            return self._encode([sequence, "raised" if described[2] else "ours"], described)

    def _encode(self, head: list[Any], value: Any) -> Frame:
        with torch.no_grad():
            return Encoder(self.objects.refer).encode([*head, value])

    def handle(self, sequence: int, request: dict[str, Any], leaves: list[torch.Tensor]) -> Frame:
        """Run the request and encode what comes of it: an answer may still compute while it is looked at."""
        self.objects.release(request.pop("drop_objects", []))
        self.graphs.release(request.pop("drop_graphs", []))
        op = request.pop("op")
        method = getattr(self, f"op_{op}", None)
        if method is None:
            raise Violation(f"operation {op!r}")
        if op in ("load", "report"):
            with torch.enable_grad():
                return self._reply(sequence, method(**request))
        objects = {key: value for key, value in request.items() if key != "cases"}
        own = self.watch.graphs.get(request.get("graph", 0)) or self.watch.names(objects)
        with self.watch.over(own):
            with torch.enable_grad():
                value = method(leaves=leaves, **request) if op in ("call", "probe") else method(**request)
            if op in ("call", "probe") and value[1] is not None:
                self.watch.graphs[value[1][0]] = own
            return self._reply(sequence, value)

    # --- loading -----------------------------------------------------------------------------------------

    def op_load(
        self, name: str, main: str, files: dict[str, bytes], probes: str | None, seconds: float = 60.0
    ) -> list[str]:
        """Execute the submission; what was left out of it, in words.

        ``files`` maps shown file names to source bytes, ``main`` is the task's. Half of the ``seconds`` may go into
        what is no definition.
        """
        compat.install()
        self.submitted = Submitted(name, main, files, self.home, seconds / 2)
        self.files = self.objects.files = self.submitted.names
        if probes is not None:
            self.probes = self.objects.probes = types.ModuleType("torchgrade_task_probes")
            sys.modules[self.probes.__name__] = self.probes
            exec(compile(probes, "probes.py", "exec", dont_inherit=True), self.probes.__dict__)
        self.module = self.submitted.load()
        self.watch.know(self.module, self.submitted.texts)
        return self.submitted.notes

    def op_substitute(self, texts: dict[str, str]) -> None:
        """What these texts define takes the place of what the submission defines by each name."""
        assert self.module is not None
        for name, text in texts.items():
            around: dict[str, Any] = {"__name__": "torchgrade_task_substitutes"}
            exec(compile(text, "substitutes.py", "exec", dont_inherit=True), around)
            setattr(self.module, name, around[name])

    def op_flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                continue

    def op_report(self) -> list[Any]:
        """What ran since the check began."""
        return self.watch.report()

    # --- objects -----------------------------------------------------------------------------------------

    def op_get(self, on: Any, name: str) -> Any:
        target = self.module if on is None else on
        try:
            return getattr(target, name)
        except AttributeError:
            if on is None and self.submitted is not None:
                self.submitted.complain(name)
            if on is None or _lacks(target, name):
                raise Missing(name, _public_names(target)) from None
            raise

    def op_set(self, on: Any, name: str, value: Any) -> None:
        setattr(on, name, value)

    def op_item(self, on: Any, key: Any) -> Any:
        return on[key]

    def op_set_item(self, on: Any, key: Any, value: Any) -> None:
        on[key] = value

    def op_length(self, on: Any) -> int:
        return len(on)

    def op_items(self, on: Any) -> list[Any]:
        items = []
        for item in on:
            items.append(item)
            if len(items) > MAX_ITEMS:
                raise Unsendable(f"an iterator of more than {MAX_ITEMS:,} items")
        return items

    def op_fetch(self, on: Any) -> Any:
        return on.detach().as_subclass(torch.Tensor) if isinstance(on, torch.Tensor) else on

    def op_gradient(self, on: torch.Tensor) -> Any:
        return on.grad

    def op_describe(self, on: Any) -> Held:
        return Held(on)

    def op_hold(self, value: Any, requires_grad: bool) -> Held:
        if isinstance(value, torch.Tensor):
            value = value.detach().clone(memory_format=torch.preserve_format).requires_grad_(requires_grad)
        return Held(value)

    # --- calls and gradients -----------------------------------------------------------------------------

    def op_call(
        self, on: Any, args: Any, kwargs: Any, leaves: list[torch.Tensor], method: str | None = None
    ) -> list[Any]:
        function = on if method is None else getattr(on, method)
        return self._remembered(function(*args, **kwargs), leaves)

    def op_probe(self, name: str, args: Any, kwargs: Any, leaves: list[torch.Tensor]) -> Any:
        function = PROBES.get(name) or self._task_probe(name)
        try:
            return self._remembered(function(*args, **kwargs), leaves)
        except Mismatch as error:  # the probe compared: the answer is wrong, not the code
            raise Compared([error.expected, error.got]) from None

    def _remembered(self, value: Any, leaves: list[torch.Tensor]) -> list[Any]:
        with torch._C.DisableTorchFunctionSubclass():  # a subclass may answer anything
            return [value, self.graphs.remember(value, leaves)]

    def _task_probe(self, name: str) -> Callable[..., Any]:
        found = getattr(self.probes, name, None)
        if not callable(found):
            raise Violation(f"no probe named {name!r}")
        return found  # type: ignore[no-any-return]

    def op_cases(self, on: Any, cases: list[Any], bound: list[Any], common: dict[str, Any], most: int) -> Each:
        """Many calls of one function; ``bound``: what it is given before the arguments of each case."""
        outcomes: list[Any] = []
        function = functools.partial(on, *bound) if bound else on
        for number, (args, kwargs, how) in enumerate(cases):
            self.at_case(number)
            try:
                outcomes.append(["ok", *run_case(function, args, kwargs, How(**common, **how)).parts()])
            except BaseException as error:
                self.raised = self.raised or error
                outcomes.append(["raised", describe_exception(error, self.files)])
        return Each(outcomes, lambda why: ["unsendable", why], most)

    def op_vjp(self, graph: int, cotangents: list[Any]) -> list[Any]:
        with torch._C.DisableTorchFunctionSubclass():
            return self.graphs.vjp(graph, cotangents)

    def op_accumulate(self, graph: int) -> None:
        self.graphs.accumulate(graph)

    def _watch_steps(self) -> None:
        """Count optimiser steps, so that a long training shows progress."""
        from torch.optim.optimizer import register_optimizer_step_post_hook

        count = 0

        def after_step(*_: Any) -> None:
            nonlocal count
            count += 1
            self.notify(count)

        register_optimizer_step_post_hook(after_step)


def _begin(seed: int) -> None:
    """A new check: undo what the last one may have left switched on, and seed."""
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    if torch.are_deterministic_algorithms_enabled():  # the call imports the inductor: never without need
        torch.use_deterministic_algorithms(False)
    seed_everything(seed)
    gc.collect(0)


def _lacks(target: Any, name: str) -> bool:
    """Whether the name is really absent, rather than a property that raised."""
    return not hasattr(type(target), name) and name not in getattr(target, "__dict__", {})


def _public_names(target: Any) -> list[str]:
    try:
        return [name for name in dir(target) if not name.startswith("_")]
    except Exception:
        return []
