"""Expectations and probes through the submission's own frames: handles in, plain data and mismatches out."""

import itertools
import math

import pytest
import torch

from torchgrade.authoring import (
    expect,
    feature_maps,
    fill_by_shape,
    flops,
    on_meta,
    operator_growth,
    operators,
    parameter_count,
    passes_seen,
    peak_memory,
    registered_parameters,
    shares_memory,
)
from torchgrade.errors import AuthoringError, BadAnswer, Mismatch, SubmissionRaised
from torchgrade.isolation.remote.local_line import LocalLine
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect
from torchgrade.isolation.worker.probes import portable
from torchgrade.submission import Source

LEARNER = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, wide=3):
        super().__init__()
        self.layer = nn.Linear(4, wide)
        self.unused = nn.Parameter(torch.ones(2))
        self.offset = torch.zeros(wide)

    def forward(self, x):
        return torch.tanh(self.layer(x)) + self.offset


class InPlace(Net):
    def forward(self, x):
        return x.relu() if torch.is_grad_enabled() else x.relu_()


class Negates(Net):
    def forward(self, x):
        return x.neg_()  # twice it is as before


class Wrong(Net):
    def forward(self, x):
        return torch.tanh(F.linear(x, self.layer.weight, self.layer.bias.detach()))


def softmax(x):
    e = (x - x.max(-1, keepdim=True).values).exp()
    return e / e.sum(-1, keepdim=True)


def cut(x):
    return softmax(x.detach())


def rows(x):
    return torch.stack([softmax(row) for row in x])


def in_place(x, n):
    x += n
    return x


def view(x):
    return x[1:]


def weighted(x, k, w):
    return x * k + w[0]


def second_grows(x, y):
    return y.add_(1)


def list_is_filled(x):
    x[0].fill(3)


def list_is_cut(x):
    x.pop()


def cleared(x, out):
    out.zero_()


def smaller(x):
    x.resize_(1)


def strides(x):
    return list(x.stride())


def check_mode(mode):
    if mode != "max":
        raise ValueError(f"unknown mode {mode}")


def gap():
    raise NotImplementedError


def train(net, x):
    net.train()
    net(x)
    net.eval()
    return [0.5, 0.25]


def shortcut(x):
    return F.softmax(x, -1)


WEIGHT = nn.Parameter(torch.arange(3.0))
"""

names = itertools.count()


@pytest.fixture
def submission():
    client = connect(LocalLine())
    client.load(f"handles_{next(names)}", Source("handles.py", {"handles.py": LEARNER.encode()}), None)
    return RemoteSubmission(client)


def found(function, *args, **kwargs):
    with pytest.raises(Mismatch) as caught:
        function(*args, **kwargs)
    return caught.value


X = torch.randn(5, 4, dtype=torch.float64)


def test_values_and_remote_tensors(submission):
    expect.close(submission.softmax(X), torch.softmax(X, -1))
    expect.close(submission.WEIGHT, torch.arange(3.0))
    expect.shape(submission.WEIGHT, (3,))
    expect.dtype(submission.WEIGHT, torch.float32)
    assert found(expect.shape, submission.WEIGHT, (4,)).got == "[3]"
    assert found(expect.close, submission.WEIGHT, torch.zeros(3)).got.startswith("2.0 at [2]")
    net = submission.Net()
    assert found(expect.close, net, X).got == "a Net object, not a tensor"
    assert found(expect.equal, net, 3).got == "a Net object, not an integer"
    assert found(expect.shape, net, (3,)).got == "a Net object, not a tensor"
    expect.equal(net, net)
    expect.equal(net.layer, net.layer)


def test_gradients_cross_the_line(submission):
    expect.gradients(submission.softmax, (X.clone().requires_grad_(),))
    assert "graph is cut" in found(expect.gradients, submission.cut, (X.clone().requires_grad_(),)).got
    leaf = X.clone().requires_grad_()
    expect.gradient_flow(submission.softmax(leaf), leaf)


def test_a_round_of_gradients_is_two_exchanges(submission, monkeypatch):
    softmax, client = submission.softmax, submission._client
    asked = []
    exchange = client.line.exchange
    monkeypatch.setattr(client.line, "exchange", lambda *frame: (asked.append(frame), exchange(*frame))[1])
    expect.gradients(softmax, (X.clone().requires_grad_(),))
    assert len(asked) == 6, "three rounds: the calls, and the product"


def test_answers_that_are_not_one_for_each_call_are_a_bad_answer(submission, monkeypatch):
    softmax, client = submission.softmax, submission._client
    probed = client.probe
    monkeypatch.setattr(client, "probe", lambda *request: probed(*request)[:2])
    with pytest.raises(BadAnswer):
        expect.gradients(softmax, (X.clone().requires_grad_(),))


def test_parameters_beside_the_submission_are_examined(submission):
    net = submission.Net()
    net.double()
    net.offset = torch.zeros(3, dtype=torch.float64)
    before = net.layer.weight.fetch()
    expect.gradients(net, (X.clone().requires_grad_(),), module=net)
    expect.gradients(net, (X,), module=net)
    assert torch.equal(net.layer.weight.fetch(), before)
    assert net.layer.weight.grad is None
    assert found(expect.gradient_flow, net(X), module=net).expected == "a gradient that reaches parameter unused"
    wrong = submission.Wrong()
    wrong.double()
    assert "layer.bias" in found(expect.gradients, wrong, (X,), module=wrong).expected


def test_arguments_that_are_changed_in_place(submission):
    def changed(function, *args, **kwargs):
        return found(expect.not_mutated, submission, function, *args, **kwargs)

    expect.close(expect.not_mutated(submission, submission.softmax, X), torch.softmax(X, -1))
    before, array = X.clone(), X.numpy().copy()
    expect.close(expect.not_mutated(submission, submission.weighted, X, 2, w=[X]), X * 3)
    mismatch = changed(submission.in_place, X, 1.0)
    assert mismatch.expected.startswith("argument 0 as it was: ")
    assert mismatch.got.endswith("after the call")
    assert changed(submission.second_grows, X, X).expected.startswith("argument 1 as it was")
    assert changed(submission.list_is_filled, [array]).expected.startswith("argument 0[0] as it was")
    assert changed(submission.list_is_cut, [array, array]).expected.startswith("argument 0 as it was")
    assert changed(submission.cleared, 1, out=X).expected.startswith("argument out")
    assert changed(submission.InPlace(), X).expected.startswith("argument 0 as it was"), "where nothing is recorded"
    assert changed(submission.Negates(), X).expected.startswith("argument 0 as it was"), "what a second call undoes"
    changed(submission.smaller, X)
    assert torch.equal(X, before), "what is here is never touched"
    expect.not_mutated(submission, submission.softmax, torch.tensor([math.nan, 1.0]))
    with pytest.raises(AuthoringError, match="nothing to compare"):
        expect.not_mutated(submission, submission.check_mode, "max")
    with pytest.raises(SubmissionRaised) as raised:
        expect.not_mutated(submission, submission.check_mode, X, given="a tensor for a mode")
    assert raised.value.given == "a tensor for a mode"


def test_arguments_that_are_looked_at_again_keep_their_layout(submission):
    for x in (X.T, X[:, ::2], X[:1].expand(5, -1), X.contiguous()):
        assert expect.not_mutated(submission, submission.strides, x) == list(x.stride())


def test_arguments_by_reference(submission):
    held = submission.hold(X)
    assert shares_memory(held, held)
    assert not shares_memory(held, submission.hold(X))


def test_modules(submission):
    net = submission.Net(wide=7)
    assert parameter_count(net) == 4 * 7 + 7 + 2
    assert [row["name"] for row in registered_parameters(net)] == ["unused", "layer.weight", "layer.bias"]
    expect.parameters(net, 37, shapes=[(7, 4), (7,), (2,)])
    expect.state_dict_keys(net, ["unused", "layer.weight", "layer.bias"])
    assert feature_maps(net, torch.randn(5, 4))[1]["shape"] == [5, 7]
    assert parameter_count(on_meta(submission.Net, 1000)) == 4 * 1000 + 1000 + 2
    other = submission.Net(7)
    fill_by_shape(net)
    fill_by_shape(other)
    expect.equal(net(X.float()), other(X.float()))
    assert passes_seen(net, submission.train, net, X.float()) == [{"training": True, "gradients": True}]


def test_costs_and_rules(submission):
    assert operators(submission.shortcut, X)["functions"] == {"softmax": 1}
    expect.avoids(submission.softmax, X, functions="softmax", operators="_softmax", names="nn.Softmax")
    assert found(expect.avoids, submission.shortcut, X, operators="_softmax").got == "_softmax ran"
    line = LEARNER.split("\n").index("    return F.softmax(x, -1)") + 1
    assert found(expect.avoids, submission.shortcut, names="F.softmax").got == f"F.softmax in line {line} of handles.py"
    assert operator_growth(submission.softmax, X[:1], X) == 1.0
    assert operator_growth(submission.rows, [X[:1]], [X]) > 3
    assert flops(submission.Net(), torch.randn(5, 4)) == 2 * 5 * 4 * 3
    assert peak_memory(submission.softmax, X) >= X.nbytes


def test_portability(submission):
    assert portable(submission.softmax, X) == {"verdict": "portable", "detail": ""}
    assert portable(submission.Net, X.float(), build=[6])["verdict"] == "mixed"
    assert portable(submission.Net(), X.float())["verdict"] == "mixed"


def test_exceptions(submission):
    expect.raises("ValueError", submission.check_mode, "avg")
    assert found(expect.raises, "ValueError", submission.check_mode, "max").got == "no error; the call returned None"
    assert found(expect.raises, "KeyError", submission.check_mode, "avg").got == "ValueError: unknown mode avg"
    with pytest.raises(SubmissionRaised) as caught:
        expect.raises("RuntimeError", submission.gap)
    assert caught.value.is_todo
    with pytest.raises(SubmissionRaised) as caught:
        operators(submission.gap)
    assert caught.value.is_todo


def test_histories_and_graphs(submission):
    net = submission.Net()
    expect.converges(submission.train(net, X.float()), to=0.3)
    expect.no_grad_leak(submission.train(net, X.float()))
    assert found(expect.no_grad_leak, net(X.float())).got == "a tensor that requires grad"
    assert found(expect.no_grad_leak, [net.layer.weight]).got == "a tensor that requires grad in [0]"
