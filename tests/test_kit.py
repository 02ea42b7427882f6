"""The words with which suites tell a story: records, modes, what moves, what is traced, toys, and real or generated data."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    any_seed,
    expect,
    fill_by_shape,
    filled,
    moved,
    normal,
    operator_trace,
    parameter_count,
    passes_seen,
    torch_modes_left,
    traces_left,
)
from torchgrade.errors import AuthoringError, Mismatch
from torchgrade.grading.datasets import Datasets
from torchgrade.isolation.remote.local_line import LocalLine
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect
from torchgrade.isolation.worker.probes import batches, loader, toy
from torchgrade.submission import Source


def found(function, *args, **kwargs):
    with pytest.raises(Mismatch) as caught:
        function(*args, **kwargs)
    return caught.value


# Records


def test_a_record_comes_back_with_what_was_asked_for():
    value = {"w": 1, "losses": (0.5, np.float64(0.25)), "shape": [2, 3], "status": "done", "more": object()}
    kinds = {"w": float, "losses": [float], "shape": (int,), "status": {"done", "running"}}
    assert expect.record(value, kinds, finite=True) == {
        "w": 1,
        "losses": [0.5, 0.25],
        "shape": (2, 3),
        "status": "done",
    }
    rows = [{"name": "a", "facts": {"n": 1, "more": 2}}]
    assert expect.record(rows, [{"name": str, "facts": {"n": int}}]) == [{"name": "a", "facts": {"n": 1}}]
    assert expect.record({"x": None}, {"x": None}) == {"x": None}


@pytest.mark.parametrize(
    ("value", "kinds", "expected", "got"),
    [
        (None, {"w": float}, "a dict with the key 'w'", "None: the call returned nothing"),
        ([1.0], {"w": float, "b": float}, "a dict with the keys 'w', 'b'", "[1.0], not a dict"),
        ({"b": 1.0}, {"w": float, "b": float}, "the key 'w'", "without 'w'"),
        ({"w": torch.tensor(1.0)}, {"w": float}, "w: a Python number", "w: a float32 tensor holding 1.0"),
        ({"w": True}, {"w": int}, "w: an integer", "w: True"),
        ({"w": 1.5}, {"w": int}, "w: an integer", "w: 1.5"),
        ({"w": "1"}, {"w": float}, "w: a Python number", "w: '1'"),
        ({"w": 3}, {"w": str}, "w: a str", "w: 3"),
        ({"w": [0.5, math.nan]}, {"w": [float]}, "w[1]: a finite number", "w[1]: nan"),
        ({"w": 0.5}, {"w": [float]}, "w: a list", "w: 0.5, not a list"),
        ([{"a": {"b": None}}], [{"a": {"b": int}}], "[0].a.b: an integer", "[0].a.b: None"),
        ("stop", {"go", "wait"}, "'go' or 'wait'", "'stop'"),
        ([], {"go", "wait"}, "'go' or 'wait'", "[]"),
    ],
)
def test_a_record_that_is_none_names_the_place(value, kinds, expected, got):
    mismatch = found(expect.record, value, kinds, finite=True, given="a call")
    assert (mismatch.expected, mismatch.got, mismatch.given) == (expected, got, "a call")


def test_a_record_of_no_known_kind_is_the_authors_fault():
    with pytest.raises(AuthoringError, match="does not know the kind"):
        expect.record(1, 7)
    with pytest.raises(AuthoringError, match="one kind"):
        expect.record([1], [int, str])


# A tolerance that follows the scale


def test_scale_takes_the_largest_value_as_its_measure():
    truth = torch.tensor([100.0, 1e-3])
    expect.close(truth + 0.09, truth, scale=1e-3)
    assert "atol 0.1" in found(expect.close, truth + 0.11, truth, scale=1e-3).expected
    expect.close(2.0001, 2.0, scale=1e-3)
    for bad in ({"rtol": 0.1, "atol": 0.1, "scale": 0.1}, {"scale": 0.1}):
        with pytest.raises(AuthoringError):
            expect.close(torch.zeros(2), torch.zeros(2), **bad)


# What a call does to a network


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.body(x))


def step(net, *parts):
    net(torch.randn(4, 3)).square().sum().backward()
    with torch.no_grad():
        for part in parts:
            for parameter in getattr(net, part).parameters():
                parameter -= 0.1 * parameter.grad


def test_moves_only_names_what_moved_and_what_stayed():
    net = Net()
    expect.moves_only(net, step, net, "head", names=["head."])
    expect.moves_only(net, step, net)
    assert found(expect.moves_only, net, step, net, "head").expected == "head.weight, head.bias as before"
    besides = found(expect.moves_only, net, step, net, "body", "head", names=["head."])
    assert besides.expected == "body.weight, body.bias as before"
    assert found(expect.moves_only, net, step, net, names=["head."]).expected == "head.weight, head.bias moved"
    with pytest.raises(AuthoringError, match="no entry"):
        expect.moves_only(net, step, net, names=["tail."])
    assert moved(net, step, net, "body") == [["body.weight", "body.bias"], ["head.weight", "head.bias"]]


def test_restores_mode_tries_both_modes():
    def measure(net, inner=False, back=True, run=True):
        was = net.training
        net.train(inner)
        if run:
            net(torch.randn(2, 3))
        net.train(was if back is True else back == "train")

    net = Net()
    expect.restores_mode(net, measure, net, ran=False)
    expect.restores_mode(net, measure, net, True)
    stays = found(expect.restores_mode, net, measure, net, False, "eval", ran=False)
    assert stays.expected == "a network in training mode afterwards"
    assert stays.given == "a network that came in training mode"
    assert "evaluation mode afterwards" in found(expect.restores_mode, net, measure, net, False, "train").expected
    likely = {"it trains": [True]}
    wrong = found(expect.restores_mode, net, measure, net, True, ran=False, likely=likely, given="two images")
    assert (wrong.expected, wrong.got) == ("every pass in evaluation mode", "1 of 1 passes in training mode")
    assert (wrong.likely, wrong.given) == ("it trains", "two images; a network that came in training mode")
    assert found(expect.restores_mode, net, measure, net, False, True, False).got == "none"


def test_passes_are_seen_with_mode_and_gradients():
    net = Net()

    def both(net):
        net.train()
        net(torch.randn(2, 3))
        with torch.inference_mode():
            net.eval()(torch.randn(2, 3))

    assert passes_seen(net, both, net) == [
        {"training": True, "gradients": True},
        {"training": False, "gradients": False},
    ]
    assert passes_seen(net, lambda: None) == []
    assert not net._forward_pre_hooks


@pytest.mark.parametrize(
    ("leave", "names"),
    [
        (lambda net: None, []),
        (lambda net: net.train(), ["modes"]),
        (lambda net: net.register_forward_hook(print), ["hooks"]),
        (lambda net: net.train()(torch.randn(2, 3, 10, 12)), ["modes", "buffers", "random generator"]),
        (lambda net: net.head[2].bias.data.add_(1), ["parameters"]),
        (lambda net: net.requires_grad_(), ["requires_grad"]),
        (lambda net: net.zero_grad(), ["gradients"]),
        (lambda net: torch.rand(1), ["random generator"]),
        (lambda net: net.train() and 1 / 0, ["modes"]),
        (lambda net: net.body[0]._forward_hooks.clear(), ["hooks"]),
        (lambda net: net.training or net(torch.ones(2, 3, 10, 12)), ["buffers"]),  # a part trains all the same
    ],
)
def test_traces_left_by_a_call(leave, names):
    assert traces_left(leave, toy("Chain")) == names


@pytest.mark.parametrize(
    ("leave", "names"),
    [
        (lambda: None, []),
        (lambda: torch.set_grad_enabled(False), ["gradient mode"]),
        (lambda: torch.set_default_dtype(torch.float64), ["default dtype"]),
    ],
)
def test_modes_left_by_a_call_are_put_back(leave, names):
    assert torch_modes_left(leave) == names
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32


# Traces of operators


def test_an_operator_trace_tells_kinds_and_shapes_whoever_calls():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(2, 3, 2)
            self.last = nn.Linear(12, 4, bias=False)

        def forward(self, x):
            x = F.max_pool2d(F.conv2d(self.up(x), torch.ones(3, 3, 2, 2)), 2)
            return self.last(F.dropout(x.flatten(1), 0.5, self.training))

    net, x = Mixed(), torch.randn(5, 2, 4, 4)
    assert operator_trace(net, x, among=("convolution", "linear", "max_pool", "random")) == [
        {"kind": "convolution", "shape": [5, 3, 5, 5]},
        {"kind": "convolution", "shape": [5, 3, 4, 4]},
        {"kind": "max_pool", "shape": [5, 3, 2, 2]},
        {"kind": "random", "shape": [5, 12]},
        {"kind": "linear", "shape": [5, 4]},
    ]
    assert [row["kind"] for row in operator_trace(net.eval(), x)] == ["convolution", "convolution", "linear"]
    with pytest.raises(ValueError, match="knows"):
        operator_trace(net, x, among=("relu",))
    without_memory = nn.Linear(3, 2, device="meta")
    assert operator_trace(without_memory, torch.randn(4, 3)) == [{"kind": "linear", "shape": [4, 2]}]


def test_an_operator_trace_keeps_values_that_are_overwritten_later():
    layer = nn.Linear(3, 3)
    x = torch.randn(2, 3)
    row, result = operator_trace(lambda x: layer(x).relu_().mul_(0), x, values=True)
    assert torch.equal(row["input"], x)
    assert torch.equal(row["output"], layer(x))
    assert (result["kind"], result["shape"], result["output"].any().item()) == ("result", [2, 3], False)


# Devices and loops


def test_portable_and_vectorised_say_what_is_wrong():
    expect.portable(torch.relu, torch.randn(3))
    offset = torch.ones(3)
    mixed = found(expect.portable, lambda x: x + offset, torch.randn(3), given="f")
    assert (mixed.expected, mixed.given) == ("every tensor on the device of the input", "f")
    assert mixed.got == "add meets a CPU tensor of shape [3] and one on the device"

    def follow(x, device):
        return x.to(device) * torch.ones(3, device=device)

    expect.follows_device(follow, torch.randn(3), "meta")
    stay = found(expect.follows_device, lambda x, device: x * torch.ones(3, device=device), torch.randn(3), "meta")
    assert "mul meets" in stay.got

    def loop(x):
        return torch.stack([row.sum() for row in x])

    few, many = (torch.randn(2, 3),), (torch.randn(20, 3),)
    expect.vectorised(torch.relu, few, many)
    slow = found(expect.vectorised, loop, few, many, given="rows")
    assert "a loop runs over the data" in slow.got
    assert slow.given == "rows"

    def over_numbers(x):
        numbers = x.flatten().tolist()
        total = 0.0
        for number in numbers:
            total += number
        return total

    expect.vectorised(over_numbers, few, many)  # no operator sees it
    expect.vectorised(torch.relu, few, many, lines=True)
    slow = found(expect.vectorised, over_numbers, few, many, lines=True)
    assert "as many lines of Python for large inputs as for small ones" in slow.expected


# Materials and toys


def test_materials_are_what_they_say():
    assert normal(2, 3).dtype == torch.float64
    assert normal(2, requires_grad=True).requires_grad
    assert 0 <= any_seed() < 2**31
    layer, other = filled(nn.Conv2d, 2, 3, 3), nn.Conv2d(2, 3, 3).double()
    fill_by_shape(other)
    assert torch.equal(layer.weight, other.weight)
    assert not layer.weight.requires_grad


def test_pixels_score_what_the_image_says():
    net, images = toy("Pixels", 3, moody=True), torch.randn(4, 1, 2, 2)
    assert torch.equal(net(images), -images.flatten(1)[:, :3])
    assert torch.equal(net.eval()(images), images.flatten(1)[:, :3])
    assert int(net.passes) == 1
    weight, bias = torch.randn(2, 3), torch.randn(2)
    assert torch.equal(toy("Linear", weight, bias)(images), F.linear(images.flatten(1)[:, :3], weight, bias))


def test_every_toy_runs_and_counts():
    assert toy("Chain")(torch.randn(2, 3, 10, 12)).shape == (2, 7)
    assert toy("Detour")(torch.randn(2, 3, 10, 12)).shape == (2, 7)
    assert toy("Strict")(torch.randn(2, 5, 6)).shape == (2, 4)
    shared = toy("Shared")
    assert shared(torch.randn(2, 4)).shape == (2, 4)
    assert parameter_count(shared) == 16 + 4 + 4
    with pytest.raises(RuntimeError):
        toy("Failing")(torch.randn(2, 3, 10, 12))
    first, second = batches(loader(torch.arange(5), torch.arange(5) * 2, 2))
    assert [len(part) for part in first] == [2, 2, 1]
    assert torch.equal(torch.cat(second), torch.arange(5) * 2)


# Through the frames of a submission

LEARNER = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)


def build():
    return Net()


def evaluate(model, loader):
    was = model.training
    model.eval()
    total = sum(float(model(x).sum()) for x, _ in loader)
    model.train(was)
    return {"total": total, "seen": [len(x) for x, _ in loader]}
"""


@pytest.fixture
def submission():
    client = connect(LocalLine())
    client.load("kit_handles", Source("kit.py", {"kit.py": LEARNER.encode()}), None)
    return RemoteSubmission(client)


def test_a_suite_makes_what_torch_has_beside_the_submission(submission):
    net = submission.Net()
    optimizer = submission.make(torch.optim.SGD, net.parameters(), lr=0.5)
    net(torch.ones(1, 3)).sum().backward()
    before = net.layer.bias.fetch()
    optimizer.step()
    assert torch.allclose(net.layer.bias.fetch(), before - 0.5)
    loss = submission.make(nn.CrossEntropyLoss)
    assert float(loss(torch.zeros(2, 4), torch.tensor([0, 1]))) == pytest.approx(math.log(4))


def test_the_kit_works_on_handles(submission):
    net = submission.probes.toy("Pixels", 2)
    data = submission.probes.loader(torch.randn(5, 4), torch.arange(5), 2)
    result = submission.evaluate(net, data)
    assert expect.record(result, {"seen": [int]}) == {"seen": [2, 2, 1]}
    expect.restores_mode(net, submission.evaluate, net, data, ran=False)
    expect.moves_only(net, submission.evaluate, net, data)
    expect.instance(net, "Module")
    assert found(expect.instance, net, "Linear", given="f").expected == "a Linear"
    assert found(expect.instance, [net], "Linear").got == "a list of length 1, which is no Linear"
    assert [row["kind"] for row in operator_trace(submission.Net(), torch.randn(1, 3))] == ["linear"]


def test_the_place_to_look_at_is_what_built_the_thing(submission):
    seen = submission.torchgrade_client.seen
    net = submission.Net()
    parameter_count(net)
    assert seen.where[2] == "Net.__init__()"
    net(torch.ones(1, 3))
    assert seen.where[2] == "Net.forward()"
    made = submission.build()
    parameter_count(made)
    assert seen.where[2] == "build()"


# Real or generated


@pytest.mark.parametrize(
    ("choice", "here", "real"),
    [("real", False, True), ("auto", True, True), ("auto", False, False), ("generated", True, False)],
)
def test_the_real_set_is_taken_where_it_is_asked_for_or_found(monkeypatch, tmp_path, choice, here, real):
    modules = {"real": SimpleNamespace(verified=lambda: here), "made": SimpleNamespace()}
    datasets = Datasets(tmp_path, choice)
    monkeypatch.setattr(Datasets, "__call__", lambda self, name: modules[name])
    chosen = datasets.choose("made", real="real")
    assert chosen.real is real
    assert chosen.module is modules["real" if real else "made"]
    assert chosen.named("accuracy") == ("accuracy@real" if real else "accuracy")
