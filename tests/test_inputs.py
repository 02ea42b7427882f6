"""Coverage of inputs: what reached the reference is seen, also in a grid of cases, and what never did is a hole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import MINI
from torch import nn
from torch._subclasses import FakeTensorMode

from torchgrade.course import Course
from torchgrade.course_tools import inputs
from torchgrade.course_tools.gaps import Gap, gaps
from torchgrade.grading.events import CheckEnded, Event, Traced
from torchgrade.grading.job import Job
from torchgrade.grading.session import Session
from torchgrade.isolation.worker.summary import Summary, unpacked
from torchgrade.isolation.worker.tracing import trace
from torchgrade.submission import Source


def scaled(x: Any, factor: float = 2.0, shift: float = 0.0, axes: Any = (0, 1)) -> Any:
    if factor == 0:
        raise ValueError("no")
    return x * factor + shift


class Layer(nn.Module):
    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Any) -> Any:
        return x

    @staticmethod
    def of(x: Any) -> Any:
        return x


def traced() -> dict[str, Any]:
    class Own(Layer):
        __init__, forward, of = Layer.__init__, Layer.forward, staticmethod(Layer.of)

    namespace: dict[str, Any] = {"scaled": scaled, "Layer": Own}
    trace(namespace, ["scaled", "Layer.__init__", "Layer.forward", "Layer.of"])
    return namespace


def said(namespace: dict[str, Any]) -> Summary:
    return unpacked(namespace["traced_calls"]())


def test_the_trace_tells_what_tensors_were_like() -> None:
    space = traced()
    space["scaled"](torch.full((3, 1, 2), -2000.0).transpose(0, 2))
    space["scaled"](torch.tensor([float("nan"), 0.0], dtype=torch.float16, requires_grad=True))
    space["scaled"](np.zeros((0, 2), np.float64)[::-1])
    seen = said(space)["scaled"]["parameters"]["x"]
    assert seen["tensors"] == 3
    assert seen["dtypes"] == {"float32", "float16", "float64"}
    assert seen["kinds"] >= {"not contiguous", "an axis of 1", "below -1e3", "negative", "NaN", "0", "half", "empty"}
    assert seen["kinds"] >= {"requires grad", "without grad", "3-d", "1-d", "2-d"}
    assert "infinite" not in seen["kinds"]
    assert said(space) == {}  # told once
    with FakeTensorMode():
        space["scaled"](torch.ones(3, 2))
    assert said(space)["scaled"]["parameters"]["x"]["tensors"] == 0  # an export is recorded: there are no numbers


def test_the_trace_tells_of_options_modes_and_objects() -> None:
    space = traced()
    space["scaled"](torch.ones(2), 3.0, axes=(1, 2))
    space["scaled"](torch.ones(2), shift=1.0, factor=2.0)
    with pytest.raises(ValueError):
        space["scaled"](torch.ones(1, 2, 3), 0.0)
    first, second = space["Layer"](), space["Layer"](5)
    first(torch.ones(1))
    second.eval()(torch.ones(1))
    second(torch.ones(1))
    space["Layer"].of(torch.ones(1))
    calls = said(space)
    assert calls["scaled"]["calls"] == 2  # what was refused was not computed
    assert calls["scaled"]["raised"] == {"ValueError"}
    assert "3-d" not in calls["scaled"]["parameters"]["x"]["kinds"]
    assert calls["scaled"]["parameters"]["factor"]["other"] == {"3.0"}
    assert calls["scaled"]["parameters"]["shift"]["omitted"] == 1
    assert calls["scaled"]["parameters"]["axes"]["kinds"] >= {"two different members"}
    assert calls["scaled"]["together"] == {"axes+factor"}
    assert calls["Layer.__init__"]["objects"] == 2
    assert calls["Layer.forward"]["training"] == {"True", "False"}
    assert calls["Layer.forward"]["per_object"] == {1, 2}
    assert calls["Layer.of"]["parameters"]["x"]["tensors"] == 1


class Unwritten(np.ndarray):
    """An array that nobody writes out."""

    def __repr__(self) -> str:
        raise AssertionError("to write an array out runs many lines of Python, which a check may be counting")


def test_two_arrays_are_compared_without_writing_them_out() -> None:
    one, other = (np.ones(3).view(Unwritten) for _ in range(2))
    for pair, different in (((one, other), True), ((one, one), False)):
        space = traced()
        space["Layer"].of(pair)
        assert ("two different members" in said(space)["Layer.of"]["parameters"]["x"]["kinds"]) is different


def holes(promise: str, *calls: tuple[tuple[Any, ...], dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """By parameter of ``scaled`` what never reached it; "" stands for the calls."""
    space, coverage = traced(), inputs.Coverage()
    for args, options in calls:
        space["scaled"](*args, **options)
    coverage.add("test_it", space["traced_calls"]())
    gap = Gap("scaled", ("x", "factor", "shift"), {"factor": "2.0", "shift": "0.0"}, promise, True)
    return {row.parameter: row.holes for row in inputs._rows(gap, coverage)}


def test_holes_are_what_every_tensor_may_be_and_what_a_docstring_says() -> None:
    plain = holes("", ((torch.ones(2, 3, dtype=torch.float64),), {}))
    assert plain["x"] == ("float32", "not contiguous", "an axis of 1", "a batch of 1")
    assert plain["factor"] == ("another value than the default",)
    assert plain[""] == ("factor together with shift", "what it refuses")
    words = holes("Differentiable; NaN stays NaN, any floating-point dtype, may be empty.", ((torch.ones(2, 3),), {}))
    assert words["x"][:3] == ("half", "NaN", "requires grad")
    assert words["x"][-1] == "empty"
    integers = holes("dtype float16", ((torch.ones(3, 1, dtype=torch.int64).T,), {}))
    assert integers["x"] == ("not contiguous",)  # one element beside the other: contiguous either way
    assert holes("", ((torch.tensor(1.0),), {}))["x"] == ()  # no axes


def test_options_want_two_other_values_and_each_other() -> None:
    x = torch.ones(1, 1)
    some = holes("", ((x, 3.0), {}), ((x, 3.0), {"shift": 1.0}))
    assert some["factor"] == ("left out", "two values that are not the default")
    assert some[""] == ("what it refuses",)
    every = holes("", ((x,), {}), ((x, 3.0), {"shift": 1.0}), ((x, 4.0), {"shift": 2.0}))
    assert (every["factor"], every["shift"]) == ((), ())


def test_gaps_are_what_a_learner_writes() -> None:
    found = {gap.name: gap for gap in gaps(Course.load(MINI).tasks[0])}
    assert list(found) == ["scale", "total", "Affine.__init__", "Affine.forward"]
    assert found["scale"].parameters == ("x", "factor")
    assert found["scale"].defaults == {"factor": "2.0"}
    assert found["scale"].promise == (
        "Task 01: multiply and add. Return ``factor`` times ``x``; the input is not changed."
    )
    assert "one learned number each. Apply to a tensor" in found["Affine.forward"].promise


GRID = """

from torchgrade.authoring import LAYOUTS, grid


@check("scale agrees with a product", points=1, category="values")
def test_agrees(submission):
    cases = grid(shape=[(2, 3), (1, 4), (0, 3)], layout=LAYOUTS, factor=[2.0, 3.0, -1.0])
    expect.agrees(submission.scale, lambda x, factor: x * factor, cases)
"""


def coverage_of(course: Course, number: int = 0) -> tuple[inputs.Coverage, set[str]]:
    """The trace of a graded reference, in this process; and how its checks ended."""
    task, coverage, ended = course.tasks[number], inputs.Coverage(), set[str]()
    source = Source(f"{task.stem}.py", {f"{task.stem}.py": inputs.traced_text(task).encode()})

    def emit(event: Event) -> None:
        if isinstance(event, Traced):
            coverage.add(event.check, event.said)
        elif isinstance(event, CheckEnded):
            ended.add(event.outcome.status.value)

    Session(course, lambda isolation, device: None, emit).grade([Job(0, task.stem, source, tracing=inputs.REPORT)])
    return coverage, ended


def test_a_graded_reference_is_traced_and_a_grid_of_cases_too(mini: Path) -> None:
    course = Course.load(mini)
    suite = course.tasks[0].suite
    suite.write_text(suite.read_text() + GRID)
    coverage, ended = coverage_of(course)
    assert ended == {"passed"}
    assert coverage.checks["scale"] == ["test_scale", "test_gradient", "test_agrees"]
    assert coverage.checks["total"] == ["test_total"]
    found = {row.name(hole) for row in inputs.rows(course.tasks[0], coverage) for hole in row.holes}
    assert {name for name in found if name.startswith("scale:")} == {"scale: left out factor"}
    assert {"total: not contiguous x", "total: a batch of 1 x", "Affine.forward: a second call on an object"} <= found

    (course.tasks[0].folder / "silent.yaml").write_text('"scale: left out *": "The default is not spoken of."\n')
    explained = {row.name(hole) for row in inputs.rows(course.tasks[0], coverage) for hole in row.holes}
    assert found - explained == {"scale: left out factor"}


def test_the_table_of_inputs_is_printed() -> None:
    course = Course.load(MINI)
    coverage = inputs.Coverage()
    head, columns, first, *_ = inputs.table(course.tasks[0], inputs.rows(course.tasks[0], coverage))
    assert head == "task01_scale"
    assert columns.split("  ")[0] == "function"
    assert first.split() == ["scale", "x", "nothing", "anything"]
