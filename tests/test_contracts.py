"""Contracts: grids of cases, and what is said of a submission that differs on some of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import ARRAY_LAYOUTS, FLOATS, LAYOUTS, LEFT_OUT, RECORDING, expect, grid, kit
from torchgrade.errors import (
    AuthoringError,
    BadAnswer,
    EngineFault,
    Mismatch,
    SubmissionFault,
    SubmissionRaised,
    TimedOut,
    WorkerDied,
)
from torchgrade.expect.contract import Asked, contract
from torchgrade.isolation.launch.launcher import Launcher, Limits, open_launcher
from torchgrade.isolation.remote.line import WorkerLine
from torchgrade.isolation.remote.local_line import LocalLine
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect
from torchgrade.isolation.wire.encoding import Encoder
from torchgrade.isolation.wire.protocol import Caps
from torchgrade.submission import Source

LEARNER = """
import os
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def pool(x, kernel_size, stride=None, padding=0):
    return F.avg_pool2d(x, kernel_size, stride, padding)


def peak(x, kernel_size):
    return F.max_pool2d(x, kernel_size)


def stride_ignored(x, kernel_size, stride=None, padding=0):
    return F.avg_pool2d(x, kernel_size, None, padding)


def stride_swapped(x, kernel_size, stride=None, padding=0):
    return F.avg_pool2d(x, kernel_size, stride[::-1] if isinstance(stride, tuple) else stride, padding)


def padding_breaks(x, kernel_size, stride=None, padding=0):
    if padding and stride:
        raise RuntimeError("both")
    return F.avg_pool2d(x, kernel_size, stride, padding)


def viewed(x, kernel_size, stride=None, padding=0):
    return F.avg_pool2d(x.view(x.numel()).view(x.shape), kernel_size, stride, padding)


def overwrites(x, kernel_size, stride=None, padding=0):
    y = F.avg_pool2d(x, kernel_size, stride, padding)
    x.clamp_(min=0)
    return y


def hangs(x, kernel_size, stride=None, padding=0):
    while padding:
        time.sleep(0.1)
    return F.avg_pool2d(x, kernel_size, stride, padding)


def dies(x, kernel_size, stride=None, padding=0):
    if padding:
        os._exit(3)
    return F.avg_pool2d(x, kernel_size, stride, padding)


def floods(x, kernel_size, stride=None, padding=0):
    return torch.zeros(1 << 24)


def odd(x, kernel_size, stride=None, padding=0):
    return iter if padding else F.avg_pool2d(x, kernel_size, stride, padding)


def joined(tensors, dim=0):
    return torch.cat(tensors)


def scaled(x, w):
    return x * w


def scaled_cut(x, w):
    return x.detach() * w


def scaled_first_order(x, w):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g * w, g * x

    return Product.apply(x, w)


def empty_expanded():
    return torch.zeros(()).expand(0)


def empty_slice():
    return torch.zeros(4, 4)[:0, 0]


def expanded_number():
    return torch.tensor(2.0).expand(1)


def conjugate():
    return torch.tensor([1 + 2j]).conj()


def negative_bit():
    return torch.tensor([1 + 2j]).conj().imag


def seen_as(x):
    return list(x.stride()), x.storage_offset(), x.tolist()


def always_float32(x, w):
    return x.float() * w.float()


def counted(n, k=1):
    if n < 0:
        raise ValueError("n")
    return n * k


def unchecked(n, k=1):
    return n * k


def reversed_array(a):
    return a[::-1].copy()


def no_negative_steps(a):
    return torch.from_numpy(a).flip(0).numpy()


class Norm(nn.BatchNorm1d):
    pass


class Sharing(nn.BatchNorm1d):
    kept = None

    def __init__(self, num_features, momentum=0.1):
        super().__init__(num_features, momentum=momentum)
        if Sharing.kept is not None and Sharing.kept.shape == self.weight.shape:
            self.weight = Sharing.kept
        Sharing.kept = self.weight


class LastSettings(nn.BatchNorm1d):
    def __init__(self, num_features, momentum=0.1):
        super().__init__(num_features, momentum=momentum)
        LastSettings.last = momentum

    def forward(self, x):
        self.momentum = LastSettings.last
        return super().forward(x)


class Sluggish(nn.BatchNorm1d):
    def __init__(self, num_features, momentum=0.1):
        super().__init__(num_features, momentum=1 - momentum)


class NoEval(nn.BatchNorm1d):
    def __init__(self, num_features, momentum=0.1):
        super().__init__(num_features, momentum=momentum)

    def forward(self, x):
        self.training = True
        return super().forward(x)


class Heir(NoEval):
    pass
"""

POOLED = grid(
    shape=[(2, 3, 7, 5), (1, 1, 6, 8), (0, 2, 5, 5)],
    kernel_size=[2, (3, 2)],
    stride=[LEFT_OUT, (2, 1), 3],
    padding=[LEFT_OUT, 1, (0, 1)],
)


def product(draw: Any, shape: Any) -> Any:
    return {"x": draw(*shape), "w": draw(*shape)}


PRODUCTS = grid(product, shape=[(3, 4), (1,), (0, 2)])


CALLS: list[Any] = []


def counting_pool(x: Any, **settings: Any) -> Any:
    CALLS.append(settings)
    return F.avg_pool2d(x, **settings)


def multiply(x: Any, w: Any) -> Any:
    return x * w


PROBES = """
def through(function, *args, **options):
    return function(*args, **options)
"""


def loaded(line: Any) -> RemoteSubmission:
    client = connect(line)
    client.load("learner", Source("learner.py", {"learner.py": LEARNER.encode()}), PROBES)
    client.begin(11, 60.0)
    return RemoteSubmission(client)


@pytest.fixture(scope="module")
def here() -> RemoteSubmission:
    return loaded(LocalLine())


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with open_launcher() as launcher:
        yield launcher


@pytest.fixture
def worker(launcher: Launcher) -> Iterator[RemoteSubmission]:
    line = WorkerLine(launcher.start(Limits()), Limits())
    yield loaded(line)
    line.close()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(5)


def failure(*args: Any, **kwargs: Any) -> Any:
    """What ``agrees`` raises."""
    with pytest.raises((Mismatch, SubmissionFault)) as caught:
        expect.agrees(*args, **kwargs)
    return caught.value


# --- grids ---------------------------------------------------------------------------------------------------------


def test_cases_are_plain_one_by_one_and_in_pairs() -> None:
    cases = grid(a=[1, 2, 3], b=["x", "y"], c=[LEFT_OUT, 5, 6]).cases()
    assert cases[0].departures == ()
    assert dict(cases[0].point) == {"a": 1, "b": "x", "c": LEFT_OUT}
    assert [len(case.departures) for case in cases[1:6]] == [1] * 5
    met = {(case.point["a"], case.point["b"], case.point["c"]) for case in cases}
    for a in (2, 3):
        assert any((a, "y") == row[:2] for row in met)
        assert all(any((a, c) == (row[0], row[2]) for row in met) for c in (5, 6))
    assert len(cases) < 3 * 2 * 3


def test_three_values_meet_where_it_is_thorough() -> None:
    cases = grid(a=[0, 1, 2], b=[0, 1, 2], c=[0, 1, 2])

    def met(grid: Any) -> set[tuple[Any, ...]]:
        return {tuple(case.point.values()) for case in grid.cases() if len(case.departures) == 3}

    assert len(met(cases.thorough())) == 8 > len(met(cases))
    assert len(cases.plain().cases()) == 7


def test_two_values_meet_where_there_is_something_to_see() -> None:
    points = [case.point for case in grid(shape=[(3,), (0,)], a=[1, 2], b=["x", "y"]).cases()]
    assert {"shape": (0,), "a": 2, "b": "y"} in points
    assert {"shape": (3,), "a": 2, "b": "y"} in points


def test_points_without_meaning_are_left_out() -> None:
    points = [case.point for case in grid(k=[2, 1], p=[0, 1], where=lambda k, p: 2 * p <= k).cases()]
    assert {"k": 1, "p": 1} not in points
    assert {"k": 2, "p": 1} in points
    with pytest.raises(AuthoringError, match="plainest case"):
        grid(k=[1, 2], where=lambda k: k > 1).cases()


def test_an_axis_needs_values_that_differ_and_a_taker() -> None:
    with pytest.raises(AuthoringError, match="one value twice"):
        grid(a=[1, 2, 1])
    grid(a=[1, 1.0, True])
    with pytest.raises(AuthoringError, match="needs a list"):
        grid(a=[])
    with pytest.raises(AuthoringError, match="no axis 'shape'"):
        grid(product)


@pytest.mark.parametrize("layout", sorted({*LAYOUTS, *ARRAY_LAYOUTS} - {"expanded", "reversed"}))
def test_a_layout_keeps_the_values(layout: str) -> None:
    x = torch.randn(2, 3, 4, 5)
    laid = kit.lay_out(x, layout)
    assert torch.equal(laid, x)
    assert (laid.stride() == x.stride()) == (layout in ("contiguous", "offset"))
    assert bool(laid.storage_offset()) == (layout == "offset")


# --- what holds ----------------------------------------------------------------------------------------------------


def test_right_code_agrees_on_every_axis_through_a_worker(worker: RemoteSubmission) -> None:
    cases = POOLED.vary(dtype=FLOATS, layout=LAYOUTS, grad=RECORDING, values=[kit.normal, kit.thousands])
    expect.agrees(worker.pool, F.avg_pool2d, cases, unchanged=True)
    expect.agrees(worker.pool, F.avg_pool2d, POOLED, gradients=True)
    expect.agrees(worker.scaled, multiply, PRODUCTS.vary(dtype=FLOATS[:2]), second_order=True)
    expect.agrees(worker.counted, lambda n, k=1: n * k, grid(n=[3, 7], k=[LEFT_OUT, 2]))


def test_a_contract_is_one_exchange_and_made_once(worker: RemoteSubmission, monkeypatch: pytest.MonkeyPatch) -> None:
    client, seen = worker.torchgrade_client, []
    ask = client._ask
    monkeypatch.setattr(client, "_ask", lambda op, *args, **kwargs: seen.append(op) or ask(op, *args, **kwargs))
    pool = worker.pool
    asked = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        expect.agrees(pool, lambda x, **settings: counting_pool(x, **settings), POOLED.vary(layout=LAYOUTS))
        asked.append(len(CALLS))
    assert seen == ["get", "cases", "cases", "cases"]
    assert 0 < asked[0] == asked[1] < asked[2]


def test_classes_of_modules_are_built_loaded_and_called(worker: RemoteSubmission) -> None:
    cases = grid(
        lambda draw, *, num_features: draw(6, num_features),
        num_features=[3, 1],
        momentum=[LEFT_OUT, 0.3],
        training=[True, False],
        state=["fresh", "loaded"],
        steps=[1, 3],
        objects=[1, 2],
        dtype=list(FLOATS[:2]),
    )
    expect.agrees(worker.Norm, nn.BatchNorm1d, cases)
    expect.agrees(worker.Norm, nn.BatchNorm1d, cases, of="state")
    expect.agrees(worker.Norm, nn.BatchNorm1d, cases.vary(state=["loaded"]), gradients=True)
    assert "call 3 of 3" in failure(worker.Sluggish, nn.BatchNorm1d, cases.vary(steps=[3]), of="state").given
    assert worker.torchgrade_client.seen.where[2] == "Sluggish.__init__()"
    assert failure(worker.NoEval, nn.BatchNorm1d, cases).given.endswith("all with eval mode, and no others")
    assert worker.torchgrade_client.seen.where[2] == "NoEval.forward()", "its values are wrong, not what it holds"
    assert failure(worker.Heir, nn.BatchNorm1d, cases).given.startswith("Heir(num_features=3)"), "its own name"
    assert worker.torchgrade_client.seen.where[2] == "NoEval.forward()", "that is where its values come from"
    shared = failure(worker.Sharing, nn.BatchNorm1d, cases.vary(state=["loaded"], objects=[2, 1]), of="state")
    assert "beside another object of its class" in shared.given
    expect.agrees(worker.LastSettings, nn.BatchNorm1d, cases.vary(objects=[1]), of="state")
    settled = failure(worker.LastSettings, nn.BatchNorm1d, cases.vary(objects=[2]), of="state")
    assert "beside another object of its class" in settled.given


def test_arrays_keep_their_steps(worker: RemoteSubmission) -> None:
    cases = grid(lambda draw, shape: {"a": draw(*shape, array=True)}, shape=[(5,), (3, 4)], layout=list(ARRAY_LAYOUTS))
    expect.agrees(worker.reversed_array, lambda a: a[::-1].copy(), cases, unchanged=True)
    error = failure(worker.no_negative_steps, lambda a: a[::-1].copy(), cases)
    assert "negative" in str(error)
    assert "a view with a negative step" in error.given


# --- what fails, and what is said ----------------------------------------------------------------------------------


def test_the_simplest_case_is_printed_with_what_failing_ones_share(here: RemoteSubmission) -> None:
    error = failure(here.stride_swapped, F.avg_pool2d, POOLED)
    first, shared = error.given.split("\n")
    assert first == "stride_swapped(x, kernel_size=2, stride=(2, 1)); x float32 [2, 3, 7, 5]"
    assert shared.endswith("all with stride=(2, 1), and no others")
    assert error.likely == "the two of stride are swapped"


def test_an_argument_that_is_not_used_is_named_without_an_author(here: RemoteSubmission) -> None:
    error = failure(here.stride_ignored, F.avg_pool2d, POOLED)
    assert error.likely == "stride is not used"
    assert error.given.endswith("cases fail: all but those with stride left out")


def test_a_sentence_has_to_explain_the_cases_that_hold_too(here: RemoteSubmission) -> None:
    def no_padding(x: Any, padding: Any = 0, **settings: Any) -> Any:
        return F.avg_pool2d(x, **settings)

    def no_stride(x: Any, stride: Any = None, **settings: Any) -> Any:
        return F.avg_pool2d(x, **settings)

    likely = {"the padding is forgotten": no_padding, "the window moves by its own size": no_stride}
    assert (
        failure(here.stride_ignored, F.avg_pool2d, POOLED, likely=likely).likely == "the window moves by its own size"
    )
    one_stride = POOLED.vary(stride=[LEFT_OUT, (1, 2)])
    assert (
        failure(here.stride_swapped, F.avg_pool2d, one_stride, likely=likely).likely == "the two of stride are swapped"
    )


def test_an_exception_keeps_its_place_and_names_its_case(here: RemoteSubmission) -> None:
    error = failure(here.padding_breaks, F.avg_pool2d, POOLED)
    assert isinstance(error, SubmissionRaised)
    assert error.frames[-1].function == "padding_breaks"
    assert "stride=3, padding=1" in error.given
    assert error.given.endswith("all but those with stride left out or padding left out")


@pytest.mark.parametrize("kind", [list, tuple])
def test_the_shapes_of_tensors_in_a_list_are_told(here: RemoteSubmission, kind: type) -> None:
    cases = grid(lambda draw, rows: {"tensors": kind([draw(2, 2), draw(rows, 2)])}, rows=[2, 3], dim=[0, 1])
    error = failure(here.joined, torch.cat, cases.only(lambda rows, dim: rows == 2 or dim == 0))
    first = error.given.split("\n")[0]
    assert first.startswith("joined(tensors, dim=1); tensors [float32 [2, 2] = (")
    assert "; float32 [2, 2] = (" in first


def test_views_and_arguments_that_change_are_seen(here: RemoteSubmission) -> None:
    error = failure(here.viewed, F.avg_pool2d, POOLED.vary(layout=LAYOUTS))
    assert isinstance(error, SubmissionRaised)
    assert "a transposed view" in error.given
    expect.agrees(here.overwrites, F.avg_pool2d, POOLED)
    error = failure(here.overwrites, F.avg_pool2d, POOLED, unchanged=True)
    assert error.expected.startswith("x as it was")
    assert error.likely is None


def test_gradients_are_compared_and_named(here: RemoteSubmission) -> None:
    error = failure(here.scaled_cut, multiply, PRODUCTS, gradients=True)
    assert error.expected.startswith("gradient of x: ")
    assert error.likely == "x is cut off from the graph"
    expect.agrees(here.scaled_first_order, multiply, PRODUCTS, gradients=True)
    error = failure(here.scaled_first_order, multiply, PRODUCTS, second_order=True)
    assert error.expected.startswith("gradient of x, second order: ")


def test_the_dtype_is_the_oracles(here: RemoteSubmission) -> None:
    error = failure(here.always_float32, multiply, PRODUCTS.vary(dtype=FLOATS))
    assert error.expected == "a float64 tensor of shape [3, 4]"
    assert error.likely == "the result is always float32"


def test_where_the_oracle_refuses_the_submission_has_to(here: RemoteSubmission) -> None:
    def oracle(n: int, k: int = 1) -> int:
        if n < 0:
            raise ValueError
        return n * k

    cases = grid(n=[3, -2], k=[LEFT_OUT, 4])
    expect.agrees(here.counted, oracle, cases, refuses=["ValueError"])
    error = failure(here.unchecked, oracle, cases, refuses=["ValueError"])
    assert error.expected == "ValueError"
    assert "no error; the call returned -2" in error.got
    with pytest.raises(AuthoringError, match="The oracle raises ValueError"):
        expect.agrees(here.counted, oracle, cases)


# --- a process that misbehaves -------------------------------------------------------------------------------------


def test_the_case_that_kills_the_worker_is_named(worker: RemoteSubmission) -> None:
    error = failure(worker.dies, F.avg_pool2d, POOLED)
    assert isinstance(error, WorkerDied)
    assert "padding=1" in error.given
    assert "stride" not in error.given


def test_the_case_that_hangs_is_named(worker: RemoteSubmission) -> None:
    hangs = worker.hangs
    worker.torchgrade_client.begin(11, 0.5)
    error = failure(hangs, F.avg_pool2d, POOLED)
    assert isinstance(error, TimedOut)
    assert "padding=1" in error.given


def test_an_answer_that_cannot_travel_costs_its_case_alone(worker: RemoteSubmission) -> None:
    error = failure(worker.odd, F.avg_pool2d, POOLED)
    assert "padding=1" in error.given
    assert isinstance(failure(worker.floods, F.avg_pool2d, POOLED), BadAnswer)
    expect.agrees(worker.pool, F.avg_pool2d, POOLED)  # the process lives on


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        [["ok", 1, None, None]],
        [["ok", 1]] * 18,
        [["raised", "x"]] * 18,
        [["raised", [[], "text", []]]] * 18,
        ["ok"] * 18,
        [["fine", 1, None, None]] * 18,
    ],
)
def test_what_is_no_answer_breaks_the_protocol(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    line = LocalLine()
    submission = loaded(line)
    pool = submission.pool
    monkeypatch.setattr(line.server, "op_cases", lambda **request: answer)
    error = failure(pool, F.avg_pool2d, POOLED)
    assert isinstance(error, BadAnswer)
    assert "broke the protocol" in str(error)


def test_a_probe_stands_before_the_function_that_it_calls(here: RemoteSubmission) -> None:
    """The place to look at is that of the function, which is bound."""
    client, probe = here.torchgrade_client, here.probes.through
    expect.agrees(probe, F.avg_pool2d, POOLED, bound=(here.pool,), name="pool")
    error = failure(probe, F.avg_pool2d, POOLED, bound=(here.stride_ignored,), name="stride_ignored")
    assert error.given.startswith("stride_ignored(x, kernel_size=2, stride=(2, 1))")
    assert client.seen.where[2] == "stride_ignored()"


def test_an_answer_beyond_its_bound_is_refused_before_it_is_read(
    worker: RemoteSubmission,
) -> None:
    """Also where the process does not keep to the bound itself."""
    question = contract(F.avg_pool2d, POOLED, Asked()).question
    request = {"cases": question, "on": worker.floods, "bound": [], "common": {}, "most": 1 << 40}
    with pytest.raises(BadAnswer, match="broke the protocol"):
        worker.torchgrade_client._ask("cases", request, caps=Caps(data=1 << 20))


# --- what the encoder makes of odd tensors ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["empty_expanded", "empty_slice", "expanded_number", "conjugate", "negative_bit"])
def test_every_tensor_that_is_right_can_be_sent(here: RemoteSubmission, name: str) -> None:
    """Empty ones whose stride is not 1, expanded numbers, views that are conjugated or negated on reading."""
    expected = {
        "empty_expanded": torch.zeros(0),
        "empty_slice": torch.zeros(0),
        "expanded_number": torch.full((1,), 2.0),
        "conjugate": torch.tensor([1 - 2j]),
        "negative_bit": torch.tensor([-2.0]),
    }[name]
    assert torch.equal(getattr(here, name)(), expected)


def test_what_our_encoder_cannot_do_is_our_fault(here: RemoteSubmission, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, value: Any) -> Any:
        raise RuntimeError("no such view")

    worthless = here.empty_slice
    monkeypatch.setattr(Encoder, "_tensor", broken)
    with pytest.raises(EngineFault, match="no such view"):
        worthless()


def test_a_view_arrives_as_a_view(worker: RemoteSubmission) -> None:
    base = torch.arange(40.0)
    for view in (base[3:7], base[5:29].view(4, 6).T, base[::7], base[2:3].expand(4)):
        facts = worker.seen_as(view)
        assert facts[0] == list(view.stride())
        assert (facts[1] > 0) == (view.storage_offset() > 0)
        assert facts[2] == view.tolist()


# --- proving ---------------------------------------------------------------------------------------------------------


def proved(submission: RemoteSubmission, *args: Any, **kwargs: Any) -> list[str]:
    """The sentences met while ``agrees`` is proved."""
    client = submission.torchgrade_client
    client.begin(11, 60.0, proving=True)
    with expect.proving(lambda: client.seen.sent or []) as proof:
        expect.agrees(*args, **kwargs)
    return proof.sentences


def test_a_grid_that_meets_a_kink_or_a_tie_is_refused_while_it_is_proved(here: RemoteSubmission) -> None:
    ties = grid(shape=[(2, 3, 6, 4)], kernel_size=[2], values=[kit.ties])
    expect.agrees(here.peak, F.max_pool2d, ties)
    assert proved(here, here.peak, F.max_pool2d, ties) == []  # the values of equal numbers are no doubt
    with pytest.raises(AuthoringError, match="kink or a tie"):
        proved(here, here.peak, F.max_pool2d, ties, gradients=True)
    steep = grid(shape=[(2, 3, 6, 4)], kernel_size=[2], values=[around_a_million], dtype=[torch.float64])
    assert proved(here, here.peak, lambda x, kernel_size: F.max_pool2d(x - 1e6, kernel_size) + 1e6, steep) == []


def around_a_million(shape: Any, dtype: Any, generator: Any) -> torch.Tensor:
    """numbers around a million"""
    return kit.normal(shape, dtype, generator) + 1e6


def test_a_mistake_that_no_case_shows_is_refused_while_it_is_proved(here: RemoteSubmission) -> None:
    likely = {"the stride is forgotten": lambda x, stride=None, **settings: F.avg_pool2d(x, **settings)}
    assert proved(here, here.pool, F.avg_pool2d, POOLED, likely=likely) == list(likely)
    with pytest.raises(AuthoringError, match="passes as the truth"):
        proved(here, here.pool, F.avg_pool2d, POOLED.vary(stride=[LEFT_OUT]), likely=likely)


def test_an_oracle_that_is_trivial_is_refused_while_it_is_proved(here: RemoteSubmission) -> None:
    with pytest.raises(AuthoringError, match="zeros"):
        proved(here, here.pool, F.avg_pool2d, POOLED.vary(values=[kit.zeros]))


def test_a_modules_mistake_may_be_a_function_of_its_input(here: RemoteSubmission) -> None:
    cases = grid(lambda draw, *, num_features: draw(6, num_features), num_features=[3, 2], training=[True, False])

    def of_the_batch(x: Any, num_features: int) -> Any:
        return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + 1e-5)

    error = failure(here.NoEval, nn.BatchNorm1d, cases, likely={"eval mode uses the batch": of_the_batch})
    assert error.likely == "eval mode uses the batch"


def test_a_grid_is_narrowed_afterwards() -> None:
    cases = grid(k=[2, 1, 3], p=[0, 1]).only(lambda k, p: 2 * p <= k).only(lambda k: k < 3)
    assert [tuple(case.point.values()) for case in cases.cases()] == [(2, 0), (1, 0), (2, 1)]
    with pytest.raises(AuthoringError, match="no axis 'q'"):
        cases.only(lambda q: True)
