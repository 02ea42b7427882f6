"""Broken contracts: each kind breaks what it says and nothing else; what no check sees is listed, by luck or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from torchgrade.course import Course
from torchgrade.course_tools.contract import Broken, broken_contracts, survey
from torchgrade.course_tools.inputs import Coverage, trace
from torchgrade.course_tools.variants import solution_text
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.isolation.worker.breaking import KINDS, break_contract


def right(x: Any, size: Any = (1, 2), factor: float = 2.0, mode: str = "sum") -> Any:
    """What the mutants break: tells its arguments."""
    if mode == "wrong":
        raise ValueError(mode)
    return x, size, factor, mode


def broken(kind: str, parameter: str = "", value: Any = None) -> Any:
    space: dict[str, Any] = {"right": right}
    break_contract(space, "right", kind, parameter, value)
    assert space["right"].__name__ == "right"
    return space["right"]


@pytest.mark.parametrize(
    ("kind", "parameter", "value", "changed", "same"),
    [
        ("ignored", "factor", None, ({"factor": 5.0}, 2.0), ({}, 2.0)),
        ("always", "factor", 7.0, ({}, 7.0), ({"factor": 7.0}, 7.0)),
        ("taken as the default", "factor", 5.0, ({"factor": 5.0}, 2.0), ({"factor": 6.0}, 6.0)),
        ("ignored beside", "factor", "mode", ({"factor": 5.0, "mode": "mean"}, 2.0), ({"factor": 5.0}, 5.0)),
        ("pair swapped", "size", None, ({"size": (3, 4)}, (4, 3)), ({"size": 3}, 3)),
        ("first twice", "size", None, ({"size": [3, 4]}, [3, 3]), ({"size": (3, 3)}, (3, 3))),
        ("second twice", "size", None, ({"size": (3, 4)}, (4, 4)), ({"size": (1,)}, (1,))),
    ],
)
def test_options(kind: str, parameter: str, value: Any, changed: Any, same: Any) -> None:
    wrong, place = broken(kind, parameter, value), ("x", "size", "factor", "mode").index(parameter)
    for options, expected in (changed, same):
        assert wrong(1, **options)[place] == expected


def test_tensors_on_the_way_in_and_out() -> None:
    x = torch.tensor([[-1.23456, float("nan")]], dtype=torch.float64, requires_grad=True)
    given = {kind: broken(kind, "x")(x)[0] for kind in KINDS if "input" in kind and kind != "input changed"}
    assert {kind for kind, seen in given.items() if seen.dtype == torch.float32} == {"input in float32"}
    assert {kind for kind, seen in given.items() if not seen.requires_grad} == {"input detached"}
    assert {kind for kind, seen in given.items() if seen[0, 0] > 0} == {"absolute input"}
    assert broken("half input in float32", "x")(x.half())[0].dtype == torch.float32
    assert broken("output squeezed")(x)[0].shape == (2,)
    assert broken("NaN as 0")(x)[0].tolist() == [[-1.23456, 0.0]]
    assert broken("output rounded")(x)[0][0, 0].item() == pytest.approx(-1.235)
    assert not broken("output detached")(x)[0].requires_grad
    assert broken("last item 0")(torch.ones(2, 2))[0].tolist() == [[1, 1], [0, 0]]


def test_an_argument_is_changed_after_the_right_result() -> None:
    for given in (torch.zeros(2), np.zeros(2)):
        result = broken("input changed", "x")(given)[0]
        assert result.tolist() == [0, 0]
        assert given.tolist() == [1, 1]


class Layer(nn.Module):
    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))

    def forward(self, x: Any) -> Any:
        return self.training, x


def wrong_layer(name: str, kind: str) -> Any:
    space = {"Layer": type("Layer", (Layer,), {"__init__": Layer.__init__, "forward": Layer.forward})}
    break_contract(space, f"Layer.{name}", kind, "", None)
    return space["Layer"]


def test_objects_and_modes() -> None:
    shared = wrong_layer("__init__", "state shared")
    assert shared(2).weight is shared(2).weight
    assert shared(2).weight is not shared(3).weight
    kept = wrong_layer("forward", "first result kept")
    one, other = kept(), kept()
    assert [one(1)[1], one(2)[1], other(3)[1]] == [1, 1, 3]
    assert [
        wrong_layer("forward", "always eval")()(1)[0],
        wrong_layer("forward", "always training")().eval()(1)[0],
    ] == [
        False,
        True,
    ]
    assert not wrong_layer("__init__", "made in eval mode")().training
    assert not wrong_layer("__init__", "made without gradients")().weight.requires_grad
    assert wrong_layer("__init__", "made in float64")().weight.dtype == torch.float64


def test_settings_memory_and_exceptions() -> None:
    class Optimizer:
        def __init__(self) -> None:
            self.groups, self.state = [{"lr": 0.1}], dict[Any, Any]()

        def step(self) -> float:
            return self.groups[0]["lr"]

    space: dict[str, Any] = {"Optimizer": Optimizer}
    break_contract(space, "Optimizer.step", "settings frozen", "", None)
    break_contract(space, "Optimizer.__init__", "memory of the class", "", None)
    one, other = Optimizer(), Optimizer()
    assert one.state is other.state
    assert one.step() == 0.1
    one.groups[0]["lr"] = 0.5
    assert one.step() == 0.1
    with pytest.raises(RuntimeError, match="wrong"):
        broken("another exception", "", "RuntimeError")(1, mode="wrong")


def test_what_no_check_sees_is_listed_and_explained(mini: Path) -> None:
    """The docstring of total speaks of nothing that its check leaves out, but for squeezing a 0-d result."""
    course = Course.load(mini)
    task = course.tasks[0]
    with Pool.local(course.root, 1) as pool:
        coverage = trace(pool, task, Options())
        found = {one.name: one for one in broken_contracts(task, coverage)}
        assert found["scale: input changed x"].checks == ("test_scale", "test_gradient")
        assert "total: input changed x" not in found  # no docstring says that it is left alone
        assert "total: output squeezed" not in found  # without axes there is nothing to squeeze
        assert "Affine.__init__: state shared" in found
        seen = survey(pool, task, Options(), only="scale: ")
        assert "scale: input changed x" in seen.unseen
        assert "scale: absolute input x" not in seen.unseen
        assert not {"scale: output detached", "scale: ignored factor"} & {*seen.unseen, *seen.by_luck}
        (task.folder / "silent.yaml").write_text('"scale: *": "The whole of it."\n')
        assert survey(pool, task, Options(), limit=2, only="scale: ").explained in (1, 2)


def test_a_mutant_is_the_solution_and_one_line(mini: Path) -> None:
    task = Course.load(mini).tasks[0]
    text = Broken("scale", "ignored", "factor").text(solution_text(task))
    assert text.startswith(solution_text(task))
    space: dict[str, Any] = {}
    exec(text, space)
    assert space["scale"](3.0, 5.0) == 6.0
    assert broken_contracts(task, Coverage()) == []  # nothing called: nothing to break
