"""gradients and gradient_flow: right functions pass, each wrong gradient is named."""

import types

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchgrade import expect
from torchgrade.errors import AuthoringError, Mismatch
from torchgrade.isolation.remote.local_line import LocalLine
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def found(function, *args, **kwargs):
    """What the mismatch says that this call raises."""
    with pytest.raises(Mismatch) as caught:
        function(*args, **kwargs)
    return caught.value


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


class WrongSlope(torch.autograd.Function):
    """x² whose gradient is off by a factor."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * x

    @staticmethod
    def backward(ctx, cotangent):
        (x,) = ctx.saved_tensors
        return 2 * x * cotangent * ctx.factor, None


@pytest.mark.parametrize(
    ("fn", "inputs"),
    [
        (F.conv2d, lambda: (draw(2, 3, 6, 5), draw(4, 3, 3, 3), draw(4))),
        (lambda x, dim: F.softmax(x, dim), lambda: (draw(3, 5), 1)),
        (lambda x: F.layer_norm(x, (5,)), lambda: (draw(4, 5),)),
        (lambda x: F.batch_norm(x, None, None, training=True), lambda: (draw(2, 4, 3, 3),)),
        (lambda x: F.batch_norm(x * 0.01, None, None, training=True), lambda: (draw(2, 4, 3, 3),)),
        (lambda x: x.norm(), lambda: (draw(50),)),
        (lambda x: torch.exp(x * 3), lambda: (draw(50),)),
        (lambda x: (x.sum(0), x.prod(1)), lambda: (draw(3, 4),)),
        (lambda x, unused: x * 2, lambda: (draw(3), draw(3))),
        (lambda x: (x * (1 + 2j)).abs(), lambda: (draw(7),)),
        (lambda x: x * 1e4 + 1e6, lambda: (draw(7),)),
        (lambda x: F.relu(x), lambda: (draw(100),)),
    ],
    ids=range(12),
)
def test_right_gradients_pass(fn, inputs):
    inputs = inputs()
    expect.gradients(fn, inputs)
    assert all(x.grad is None for x in inputs if isinstance(x, torch.Tensor))


@pytest.mark.parametrize("factor", [1.001, 0.5, -1.0, 0.0])
def test_a_wrong_slope_is_found(factor):
    with pytest.raises(Mismatch) as caught:
        expect.gradients(lambda a, x: WrongSlope.apply(x, factor) + a, (draw(4), draw(4)))
    assert "the second input" in caught.value.expected
    assert "central differences" in caught.value.expected


def test_a_wrong_slope_beside_a_steep_right_one_is_found():
    with pytest.raises(Mismatch) as caught:
        expect.gradients(lambda a, x: WrongSlope.apply(x, 1.01) + 1e3 * a, (draw(4), draw(4)))
    assert "the second input" in caught.value.expected


def test_right_inputs_are_moved_together():
    calls = []
    expect.gradients(lambda *inputs: (calls.append(inputs), sum(inputs))[1], tuple(draw(3) for _ in range(5)))
    assert len(calls) == 9, "three rounds: a call for the gradients, a step ahead, a step back"


def near_a_kink(slope=1.0):
    """ReLU of x - 1 + 1e-7 at 1: the step of the differences crosses its kink, the function does not know it."""
    return lambda x: WrongSlope.apply((x - 1 + 1e-7).relu() + 1, slope)


def test_a_kink_beside_the_input_is_stepped_around():
    for _ in range(20):
        expect.gradients(near_a_kink(), torch.ones(1, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("factor", [1.002, 2.0, 0.0])
def test_a_wrong_slope_beside_a_kink_is_found(factor):
    for _ in range(20):
        found(expect.gradients, near_a_kink(factor), torch.ones(1, dtype=torch.float64, requires_grad=True))


def test_an_error_that_a_sum_would_hide_is_found():
    def softmax_without_the_second_term(x):
        y = torch.softmax(x.detach(), -1)
        return y + (x - x.detach()) * y

    with pytest.raises(Mismatch):
        expect.gradients(softmax_without_the_second_term, (draw(3, 4),))


def test_a_single_wrong_component_of_many_is_found():
    def scale(x):
        x = x * 2.0
        return torch.cat([x[:1] + (x[:1] - x[:1].detach()) * 0.5, x[1:]])

    with pytest.raises(Mismatch):
        expect.gradients(scale, (draw(500),))


def test_a_cut_graph_and_a_missing_gradient():
    assert "graph is cut" in found(expect.gradients, lambda x: x.detach() * 2, (draw(3),)).got
    with pytest.raises(Mismatch) as caught:
        expect.gradients(lambda x, w: x * w.detach(), (draw(3), draw(3)))
    assert caught.value.expected.startswith("a gradient for the second input")


def test_gradients_that_are_not_finite():
    assert "NaN" in found(expect.gradients, lambda x: (x * 0).sqrt() + x, (draw(3),)).got


def test_junk_in_place_of_a_tensor():
    for junk in (None, 1.5, [1, 2], torch.ones(3, dtype=torch.int64)):
        with pytest.raises(Mismatch):
            expect.gradients(lambda x, junk=junk: junk, (draw(3),))


def test_a_function_that_is_none_is_named():
    with pytest.raises(Mismatch) as caught:
        expect.gradients(lambda x: F.dropout(x, 0.5), (draw(200),))
    assert caught.value.got == "different results"


def test_the_authors_mistakes():
    with pytest.raises(AuthoringError, match="float64"):
        expect.gradients(torch.exp, (torch.randn(3, requires_grad=True),))
    with pytest.raises(AuthoringError, match="requires_grad"):
        expect.gradients(torch.exp, (torch.randn(3).double(),))
    with pytest.raises(AuthoringError, match="nothing to examine"):
        expect.gradient_flow(draw(3) * 2)


def test_parameters_of_a_module_are_examined_and_put_back():
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.BatchNorm1d(5), nn.Linear(5, 2)).double()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}

    expect.gradients(net, (draw(6, 4),), module=net)

    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())
    assert all(p.grad is None for p in net.parameters())


def test_frozen_parameters_are_left_alone():
    class Halved(nn.Linear):
        def forward(self, x):
            return super().forward(x) + self.bias.detach()  # wrong, if the bias were to learn

    net = Halved(4, 3).double()
    assert "parameter bias" in found(expect.gradients, net, (draw(6, 4),), module=net).expected
    net.bias.requires_grad_(False)
    expect.gradients(net, (draw(6, 4),), module=net)


class Counted(nn.Linear):
    """Counts its calls; ``picky`` reads its weight only where it is a parameter."""

    own, by_value, picky = 0, 0, False

    def forward(self, x):
        if isinstance(self.weight, nn.Parameter):
            self.own += 1
        else:
            self.by_value += 1
            if self.picky:
                raise TypeError("where is my weight?")
        return super().forward(x)


def test_parameters_go_in_by_value_where_the_module_allows_it():
    layer = Counted(4, 3).double()
    expect.gradients(layer, (draw(2, 4),), module=layer)
    assert (layer.by_value, layer.own) == (6, 3), "the last round sees what arrives in the parameters themselves"


def test_a_module_that_insists_on_its_own_parameters_is_examined_in_place():
    layer = Counted(4, 3).double()
    layer.picky = True
    local = LocalLine()
    client = connect(local)
    local.server.module = types.SimpleNamespace(layer=layer)
    held = RemoteSubmission(client).layer
    expect.gradients(held, (draw(2, 4),), module=held)
    assert (layer.by_value, layer.own) == (1, 9)


def test_a_hook_on_a_parameter_that_spoils_its_gradient_is_seen():
    layer = nn.Linear(4, 3).double()
    layer.weight.register_hook(lambda gradient: 2 * gradient)
    assert "parameter weight" in found(expect.gradients, layer, (draw(2, 4),), module=layer).expected


def test_a_wrong_parameter_gradient_is_named():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 3, dtype=torch.float64))
            self.bias = nn.Parameter(torch.randn(3, dtype=torch.float64))

        def forward(self, x):
            return x @ self.weight + self.bias.detach()

    layer = Layer()
    with pytest.raises(Mismatch) as caught:
        expect.gradients(layer, (draw(2, 3),), module=layer)
    assert "parameter bias" in caught.value.expected
    with pytest.raises(Mismatch) as caught:
        expect.gradient_flow(layer(draw(2, 3)), module=layer)
    assert caught.value.expected == "a gradient that reaches parameter bias"


def test_gradient_flow():
    x, w = draw(3, 4), draw(4, 2)
    expect.gradient_flow(x @ w, x, w)
    assert x.grad is None
    expect.gradient_flow(torch.softmax(x, -1), x)
    with pytest.raises(Mismatch) as caught:
        expect.gradient_flow(x @ w.detach(), x, w)
    assert (caught.value.expected, caught.value.got) == (
        "a gradient that reaches the second input",
        "no gradient arrives there",
    )
    assert "zeros" in found(expect.gradient_flow, x * 0 + w.sum(), x).got
    assert "NaN" in found(expect.gradient_flow, (x * 0).sqrt(), x).got
    assert "graph is cut" in found(expect.gradient_flow, (x @ w).detach(), x).got
    net = nn.Linear(4, 2).double()
    net.bias.requires_grad_(False)
    expect.gradient_flow(net(x), x, module=net)
