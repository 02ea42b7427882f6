"""Checks for task 03: the fully connected layer, by matrix product, as a Module, stacked and collapsed."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    LAYOUTS,
    LEFT_OUT,
    RECORDING,
    Rule,
    check,
    expect,
    grid,
    kit,
    parameter_count,
    registered_parameters,
    torch_modes_left,
)

EXACT = {"rtol": 1e-12, "atol": 1e-12}  # two orders of summation of ten float64 products differ by 1e-15
SINGLE, DOUBLE = torch.float32, torch.float64
LEADING = [(5,), (1,), (), (2, 4), (2, 1, 3), (0,), (0, 2)]  # the plain case is a batch


def numbers(*shape, device="cpu", requires_grad=False):
    """Normally distributed float64 values."""
    return torch.randn(*shape, dtype=DOUBLE, device=device, requires_grad=requires_grad)


# linear_forward


def factors(draw, leading, inputs, units, bias):
    """x, weight and bias; ``bias`` is True, "zeros", None (written) or "left out"."""
    found = {"x": draw(*leading, inputs), "weight": draw(units, inputs)}
    if bias == "zeros":
        return {**found, "bias": draw(units, values=zeros)}
    return found if bias == "left out" else {**found, "bias": draw(units) if bias else None}


def zeros(shape, dtype, generator):
    """zeros, as a bias is in the beginning"""
    return torch.zeros(tuple(shape), dtype=DOUBLE)


PRODUCTS = grid(factors, leading=LEADING, inputs=[7, 1, 4], units=[3, 1, 4], bias=[True])
WITHOUT_BIAS = PRODUCTS.vary(bias=["left out", None])
AS_BEFORE = "autograd and the default dtype are as before"
SWITCHED_OFF = {"autograd is switched off for good": ["gradient mode"]}
AS_GIVEN = {"dtype": [DOUBLE, SINGLE], "layout": LAYOUTS, "values": [kit.normal, kit.thousands]}


def untransposed(x, weight, bias=None):
    """x W for a square weight, which has a product, too."""
    square = weight.shape[0] == weight.shape[1]
    return F.linear(x, weight.T if square else weight, bias)


@check("linear_forward computes x · Wᵀ + b", points=2, category="values", devices="all")
def test_forward(submission, device):
    expect.agrees(
        submission.linear_forward,
        F.linear,
        PRODUCTS.vary(leading=[(5,), (1,), (3,)]),
        device=device,
        likely={
            "x is multiplied by the weight itself, not by its transpose": untransposed,
            "the bias is left out": lambda x, weight, bias: F.linear(x, weight),
            "the bias is subtracted": lambda x, weight, bias: F.linear(x, weight, -bias),
            "the result is float64, whatever x is": lambda x, weight, bias: F.linear(
                *(t.double() for t in (x, weight, bias))
            ),
        },
    )


@check("linear_forward works without a bias", points=0.5, category="values", after=test_forward)
def test_forward_without_bias(submission):
    expect.agrees(submission.linear_forward, F.linear, WITHOUT_BIAS.vary(leading=[(5,), (1,)]))


@check("linear_forward takes any number of leading axes", points=1.5, category="shapes", after=test_forward)
def test_forward_shapes(submission):
    expect.agrees(submission.linear_forward, F.linear, PRODUCTS)


@check("linear_forward takes any layout, dtype and size, and changes nothing", points=0.5, category="robustness",
       after=[test_forward, test_forward_shapes, test_forward_without_bias], hidden=True)  # fmt: skip
def test_forward_inputs(submission):
    expect.agrees(
        submission.linear_forward,
        F.linear,
        PRODUCTS.vary(**AS_GIVEN, leading=LEADING, bias=[True, None, "left out"], grad=RECORDING),
        unchanged=True,
    )


@check("gradients flow through linear_forward", points=1, category="gradients", after=test_forward_without_bias)
def test_forward_gradients(submission):
    cases = PRODUCTS.vary(
        leading=[(5,), (1,), (2, 3), (), (0,)], bias=[True, "left out", "zeros"], dtype=[DOUBLE, SINGLE]
    )
    expect.agrees(submission.linear_forward, F.linear, cases, gradients=True)


PRODUCT_BY_HAND = Rule(
    of=("linear_forward", "ManualLinear"), functions=("linear", "bilinear"), instead="a matrix product"
)


@check("linear_forward and ManualLinear are matrix products of their own", points=0.5, category="rules",
       gates=PRODUCT_BY_HAND, hidden=True)  # fmt: skip
def test_forward_rule(submission):
    expect.avoids(submission.linear_forward, numbers(5, 7), numbers(3, 7), numbers(3), rule=PRODUCT_BY_HAND)
    expect.avoids(submission.ManualLinear(7, 3), torch.randn(5, 7), rule=PRODUCT_BY_HAND, given="ManualLinear(7, 3)")
    expect.true(
        not submission.probes.is_library_layer(submission.ManualLinear(7, 3)),
        expected="a layer that is written here",
        got="a kind of nn.Linear",
        given="ManualLinear(7, 3)",
    )


# linear_backward


def by_autograd(grad_out, x, weight):
    """The three gradients, by autograd through PyTorch's own layer."""
    with torch.enable_grad():
        x, weight = x.detach().clone().requires_grad_(), weight.detach().clone().requires_grad_()
        bias = torch.zeros(len(weight), dtype=x.dtype, device=x.device, requires_grad=True)
        return torch.autograd.grad(F.linear(x, weight, bias), (x, weight, bias), grad_out)


def mistaken(change):
    """The three gradients after ``change(grads, grad_out, x, weight)`` replaced some of them, by number."""

    def backward(grad_out, x, weight):
        grads = dict(enumerate(by_autograd(grad_out, x, weight)))
        return tuple({**grads, **change(grads, grad_out, x, weight)}.values())

    return backward


def sides(draw, leading, inputs, units):
    return {"grad_out": draw(*leading, units), "x": draw(*leading, inputs), "weight": draw(units, inputs)}


BACKWARD = grid(sides, leading=[(5,), (1,), (3,)], inputs=[7, 1, 4], units=[3, 1, 4])


def through_the_transpose(grads, grad_out, x, weight):
    return {0: grad_out @ weight.T} if weight.shape[0] == weight.shape[1] else {}


@check("linear_backward agrees with autograd on a batch", points=2, category="gradients")
def test_backward(submission):
    expect.agrees(
        submission.linear_backward,
        by_autograd,
        BACKWARD,
        likely={
            "grad_x is multiplied by the transposed weight": mistaken(through_the_transpose),
            "grad_weight is transposed: it must be (out_features, in_features)": mistaken(
                lambda grads, grad_out, x, weight: {1: grads[1].T}
            ),
            "grad_bias is the mean over the batch, not the sum": mistaken(
                lambda grads, grad_out, x, weight: {2: grad_out.mean(0)}
            ),
            "grad_weight and grad_bias are means over the batch, not sums": mistaken(
                lambda grads, grad_out, x, weight: {1: grads[1] / len(x), 2: grad_out.mean(0)}
            ),
        },
    )


@check("linear_backward sums over all leading axes", points=2, category="gradients", after=test_backward)
def test_backward_leading_axes(submission):
    expect.agrees(
        submission.linear_backward,
        by_autograd,
        BACKWARD.vary(leading=[(4, 5), (2, 1, 3), (), (1, 5)]),
        likely={
            "grad_bias is summed over the first axis only": mistaken(
                lambda grads, grad_out, x, weight: {2: grad_out.sum(0) if grad_out.ndim > 1 else grad_out}
            ),
            "grad_weight is not summed over the first axis": mistaken(
                lambda grads, grad_out, x, weight: {1: grad_out.mT @ x if x.ndim > 2 else grads[1]}
            ),
        },
    )


@check("linear_backward takes any layout, dtype and size, and changes nothing", points=0.5,
       category="robustness", after=test_backward_leading_axes, hidden=True)  # fmt: skip
def test_backward_inputs(submission):
    cases = BACKWARD.vary(**AS_GIVEN, leading=[(5,), (0,), (2, 3), (1,), (), (0, 2)], grad=RECORDING)
    expect.agrees(submission.linear_backward, by_autograd, cases, unchanged=True)
    left = torch_modes_left(submission.linear_backward, numbers(5, 3), numbers(5, 7), numbers(3, 7))
    expect.equal(left, [], because=AS_BEFORE, likely=SWITCHED_OFF)


BY_FORMULA = Rule(of="linear_backward", functions=("grad", "backward"), instead="the formulas")


@check(
    "linear_backward works by formula, without autograd", points=0.5, category="rules", gates=BY_FORMULA, hidden=True
)
def test_backward_rule(submission):
    arguments = numbers(5, 3), numbers(5, 7), numbers(3, 7)
    expect.avoids(submission.linear_backward, *arguments, rule=BY_FORMULA)
    kept = submission.probes.tensors_saved(submission.linear_backward, *arguments)
    expect.equal(kept, 0, because="no tensor is kept for a backward pass")


@check(
    "linear_forward and linear_backward need no loop over samples or units",
    points=0.5,
    category="efficiency",
    after=[test_forward_shapes, test_backward_leading_axes],
    hidden=True,
)
def test_growth(submission):
    given = "ten times the samples"
    for few, many in (((4,), (40,)), ((2, 4), (20, 4))):
        weight, bias = numbers(3, 7), numbers(3)
        small, large = ((numbers(*leading, 7), weight, bias) for leading in (few, many))
        expect.vectorised(submission.linear_forward, small, large, given=given)
        small, large = ((numbers(*leading, 3), numbers(*leading, 7), weight) for leading in (few, many))
        expect.vectorised(submission.linear_backward, small, large, given=given)
    small, large = ((numbers(4, 7), numbers(units, 7), numbers(units)) for units in (3, 30))
    expect.vectorised(submission.linear_forward, small, large, given="ten times the units")
    small, large = ((numbers(4, units), numbers(4, 7), numbers(units, 7)) for units in (3, 30))
    expect.vectorised(submission.linear_backward, small, large, given="ten times the units")


# ManualLinear


@check("ManualLinear registers a weight and a bias like nn.Linear", points=2, category="parameters")
def test_module_parameters(submission):
    layer = submission.ManualLinear(13, 100)
    expect.equal(
        parameter_count(layer),
        1400,
        because="100 units × (13 weights + 1 bias)",
        likely={
            "plain tensors are no parameters: they need nn.Parameter": 0,
            "the bias is missing or not registered": 1300,
        },
    )
    shapes = {row["name"]: tuple(row["shape"]) for row in registered_parameters(layer)}
    expect.equal(
        shapes,
        {"weight": (100, 13), "bias": (100,)},
        likely={"the weight is (in_features, out_features)": {"weight": (13, 100), "bias": (100,)}},
    )
    expect.equal(parameter_count(layer, trainable=True), 1400, because="all of them are trained")


@check("ManualLinear has no bias with bias=False", points=1, category="parameters", after=test_module_parameters)
def test_module_without_bias(submission):
    layer = submission.ManualLinear(13, 100, bias=False)
    names = [row["name"] for row in registered_parameters(layer)]
    expect.equal(names, ["weight"], likely={"bias=False is ignored": ["weight", "bias"]})
    expect.equal(layer.bias, None)
    x = torch.randn(5, 13)
    expect.close(layer(x), F.linear(x, layer.state_dict()["weight"]))


@check(
    "ManualLinear and nn.Linear exchange their state_dict",
    points=2,
    category="values",
    after=test_module_parameters,
    devices="all",
)
def test_module_state(submission, device):
    mine, other = submission.ManualLinear(7, 3).double(), submission.probes.linear(7, 3)
    state = {"weight": numbers(3, 7), "bias": numbers(3)}
    x = numbers(2, 5, 7)
    mine.load_state_dict(state)
    answer = mine.to(device)(x.to(device))
    truth = F.linear(x, **state)
    expect.close(
        answer,
        truth.to(device),
        rtol=1e-10,
        atol=1e-10,
        likely={"the bias is not added": F.linear(x, state["weight"]).to(device)},
    )
    other.load_state_dict(mine.cpu().state_dict())
    expect.close(other(x), truth, **EXACT, given="an nn.Linear that loaded the layer's state_dict")


def features(draw, leading, *, in_features):
    return draw(*leading, in_features)


LAYERS = grid(
    features,
    leading=LEADING,
    in_features=[7, 1, 4],
    out_features=[3, 1, 4],
    bias=[LEFT_OUT, False, True],
    state=["loaded"],
    dtype=[SINGLE, DOUBLE],
)


@check("ManualLinear computes what nn.Linear does, on any input", points=1, category="values",
       after=[test_module_state, test_module_without_bias], hidden=True)  # fmt: skip
def test_module_values(submission):
    expect.agrees(
        submission.ManualLinear,
        nn.Linear,
        LAYERS.vary(layout=LAYOUTS, grad=RECORDING, steps=[1, 2], objects=[1, 2], training=[True, False]),
        unchanged=True,
    )


@check(
    "gradients of ManualLinear reach x, weight and bias",
    points=1,
    category="gradients",
    after=test_module_values,
    hidden=True,
)
def test_module_gradients(submission):
    cases = LAYERS.vary(leading=[(5,), (), (2, 3)], training=[True, False])
    expect.agrees(submission.ManualLinear, nn.Linear, cases, gradients=True)


@check(
    "ManualLinear starts uniform within ±1/sqrt(in_features)",
    points=1.5,
    category="values",
    after=test_module_parameters,
)
def test_module_init(submission):
    # 32,000 weights: the mean of right ones is within 0.02, that of too large ones rarely beyond 0.2; the
    # largest weight reaches 0.995 of the bound but for one chance in 10^69
    first, second = (submission.ManualLinear(64, 500).state_dict() for _ in range(2))
    weight = first["weight"] * 8  # in units of 1/sqrt(64)
    finite = bool(weight.isfinite().all())
    expect.true(finite, expected="finite weights", got="a weight that is not finite: memory never written to")
    given = "ManualLinear(64, 500)"
    expect.between(float(weight.mean()), -0.25, 0.25, unit="times 1/sqrt(in_features), the mean weight")
    largest = float(weight.abs().max())
    deviation = float(weight.double().std())
    expect.true(
        deviation > 0 and largest <= 1.000001,
        expected="weights that differ, all of them within 1/sqrt(in_features)",
        got=f"a deviation of {deviation:.4g} and a largest weight of {largest:.4g}, times 1/sqrt(in_features)",
        given=given,
        likely={
            "all weights start at zero, so that all units stay identical": float(weight.abs().max()) == 0,
            "the bounds are ±1, not ±1/sqrt(in_features)": 7.9 < largest <= 8 and 4.5 < deviation < 4.8,
            "the standard deviation is 1 instead of shrinking with in_features": 7.8 < deviation < 8.2,
        },
    )
    rows = torch.unique(weight, dim=0).shape[0]
    expect.equal(
        rows,
        500,
        because="units with weights of their own",
        given=given,
        likely={"one row of weights is repeated for all units": 1},
    )
    # of 32,000 uniform values the share below any bound is off by 0.02 once in 10^10 times
    levels = torch.linspace(-0.95, 0.95, 39, dtype=DOUBLE)
    shares = (weight.double().flatten() < levels[:, None]).double().mean(1)
    expect.between(
        float((shares - (levels + 1) / 2).abs().max()),
        *(0.0, 0.02),
        unit="(largest gap between the distribution of the weights and a uniform one within the bounds)",
    )
    for bias, inputs, units in ((first["bias"], 64, 500), (submission.ManualLinear(900, 25).bias.detach(), 900, 25)):
        largest, given = float(bias.abs().max()) * inputs**0.5, f"ManualLinear({inputs}, {units})"
        expect.between(largest, 0, 1.000001, unit="times 1/sqrt(in_features), the largest bias", given=given)
    same = bool(torch.equal(first["weight"], second["weight"]))
    expect.equal(same, False, because="two layers start differently")
    expect.starts_like(
        lambda: submission.ManualLinear(64, 40, bias=False),
        lambda: nn.Linear(64, 40, bias=False),
        given="ManualLinear(64, 40, bias=False)",
    )


@check("ManualLinear survives .double() and deepcopy", points=1, category="robustness", after=test_module_parameters)
def test_module_copies(submission):
    layer = submission.ManualLinear(7, 3)
    twin = submission.probes.copy_of(layer)
    state = {"weight": numbers(3, 7), "bias": numbers(3)}
    twin.double().load_state_dict(state)
    x = numbers(5, 7)
    expect.close(twin(x), F.linear(x, **state), **EXACT, given="a deep copy, made float64, with a new state")
    before = layer.state_dict()
    x = torch.randn(5, 7)
    expect.close(layer(x), F.linear(x, before["weight"], before["bias"]), given="the original of the deep copy")


@check("ManualLinear moves to another device as a whole", points=0.5, category="devices", after=test_module_parameters)
def test_module_portable(submission):
    expect.portable(submission.ManualLinear(7, 3), torch.randn(5, 7))


# MLP


def widths(*sizes):
    """Sorted shapes of the weights and biases of fully connected layers of these widths."""
    pairs = list(pairwise(sizes))
    return [(b, a) for a, b in pairs] + [(b,) for _, b in pairs]


@check("MLP registers the parameters of all of its layers", points=2, category="parameters")
def test_mlp_parameters(submission):
    expect.equal(
        parameter_count(submission.MLP(13, [100], 1)),
        1501,
        because="100 × (13 + 1) + 1 × (100 + 1)",
        given="MLP(13, [100], 1)",
        likely={
            "layers in a Python list are not registered: they need nn.ModuleList or nn.Sequential": 0,
            "the layers have no biases": 1400,
        },
    )
    given = "MLP(784, [64], 10)"
    expect.equal(parameter_count(submission.MLP(784, [64], 10)), 50890, because="785 × 64 + 65 × 10", given=given)
    expect.equal(
        parameter_count(submission.MLP(3, [5, 4], 2)),
        54,
        because="5 × (3 + 1) + 4 × (5 + 1) + 2 × (4 + 1)",
        given="MLP(3, [5, 4], 2)",
        likely={"only the first hidden layer is built": 5 * 4 + 2 * 6},
    )
    expect.parameters(submission.MLP(3, [5, 4], 2), shapes=widths(3, 5, 4, 2))
    expect.parameters(submission.MLP(3, [7, 5, 6, 4], 2), shapes=widths(3, 7, 5, 6, 4, 2))
    expect.parameters(submission.MLP(3, [], 2), shapes=widths(3, 2))


@check("MLP maps the last axis to out_features", points=0.5, category="shapes", after=test_mlp_parameters)
def test_mlp_shapes(submission):
    for hidden in ([100], [5, 4], []):
        net = submission.MLP(13, hidden, 2)
        for sizes in ((13,), (6, 13), (2, 3, 13)):
            given = f"MLP(13, {hidden}, 2) and x of shape {sizes}"
            expect.shape(net(torch.randn(sizes)), (*sizes[:-1], 2), given=given)


@check("MLP reads each sample by itself, in any layout and dtype", points=1, category="robustness",
       after=test_mlp_shapes, hidden=True)  # fmt: skip
def test_mlp_inputs(submission):
    net = submission.MLP(4, [5, 4], 3)
    x = torch.randn(6, 4)
    each = torch.stack([net(row).detach() for row in x])
    for view, given in (
        (x.T.contiguous().T, "a transposed x (6, 4)"),
        (torch.cat([x, x], 1)[:, :4], "x (6, 4), a slice of a wider tensor"),
        (x.reshape(2, 3, 4), "x (2, 3, 4)"),
    ):
        answer = net(view).detach()
        expect.close(answer.reshape(6, 3), each, rtol=1e-4, atol=1e-5, given=f"{given}, against one sample at a time")
    expect.shape(net(torch.zeros(0, 4)), (0, 3), given="an empty batch")
    expect.dtype(net.double()(x.double()), DOUBLE, given="a network in float64")
    net = submission.MLP(4, [5, 4], 3)
    for few, many in (((2, 4), (20, 4)), ((2, 3, 4), (20, 3, 4))):
        given = f"MLP(4, [5, 4], 3) on {many}, after {few}"
        expect.vectorised(net, (torch.randn(few),), (torch.randn(many),), given=given)
    trained = net(x).detach()
    net.eval()
    expect.close(net(x).detach(), trained, given="a network in eval mode, against training mode")


@check("MLP passes gradients to x and to every layer", points=1, category="gradients", after=test_mlp_shapes)
def test_mlp_gradients(submission):
    net = submission.MLP(3, [5, 4], 2).double()
    expect.gradients(net, (numbers(4, 3, requires_grad=True),), module=net)


@check("each MLP and each of its layers has parameters of its own", points=0.5, category="parameters",
       after=test_mlp_parameters, hidden=True)  # fmt: skip
def test_mlp_own(submission):
    expect.equal(
        parameter_count(submission.MLP(4, [4, 4], 4)),
        60,
        because="three layers of 4 × (4 + 1)",
        given="MLP(4, [4, 4], 4)",
        likely={"layers of equal width are one and the same": 20},
    )
    first, second = submission.MLP(3, [4], 2), submission.MLP(3, [4], 2)
    before = {name: value.clone() for name, value in second.state_dict().items()}
    first.load_state_dict({name: value + 1 for name, value in first.state_dict().items()})
    expect.close(
        dict(second.state_dict()), before, trivial="nothing was done to the second", given="two MLP(3, [4], 2)"
    )
    expect.equal(submission.probes.widths_after(submission.MLP, 3, [5, 4], 2), [5, 4], because="hidden is not changed")


@check("MLP has no activation after its last layer", points=1, category="values", after=test_mlp_shapes)
def test_mlp_last_layer(submission):
    net = submission.MLP(3, [5], 2).double()
    x = numbers(6, 3)
    state = net.state_dict()
    last = next(name for name, value in state.items() if value.shape == (2,))
    for shift in (40.0, -40.0):
        state[last] = torch.tensor([shift, 2 * shift], dtype=torch.float64)
        net.load_state_dict(state)
        low = net(x)
        state[last] = state[last] + torch.tensor([0.5, 3.5], dtype=torch.float64)
        net.load_state_dict(state)
        expect.close(
            net(x) - low,
            torch.tensor([[0.5, 3.5]], dtype=torch.float64).expand(6, 2),
            rtol=1e-6,
            atol=1e-6,
            given="the last bias grows by 0.5 and 3.5: so must the outputs",
            likely={"an activation after the last layer flattens the outputs": torch.zeros(6, 2, dtype=torch.float64)},
        )


@check("MLP without hidden layers is one layer, with gradients for x", points=1, category="values",
       after=test_mlp_last_layer, hidden=True)  # fmt: skip
def test_mlp_single(submission):
    for inputs, outputs in ((3, 2), (1, 1)):
        net = submission.MLP(inputs, [], outputs)
        state = {value.ndim: value for value in net.state_dict().values()}  # weight and bias by their axes
        for leading in ((4,), (1,), (0,), (2, 3), ()):
            x = torch.randn(*leading, inputs, requires_grad=True)
            given = f"MLP({inputs}, [], {outputs}), x {tuple(x.shape)}"
            answer, truth = net(x), F.linear(x, state[2], state[1])
            expect.close(answer, truth, given=given)
            cotangent = torch.randn(truth.shape)
            slopes = [torch.autograd.grad(y, x, cotangent, allow_unused=True)[0] for y in (answer, truth)
                      if y.requires_grad]  # fmt: skip
            expect.equal(len(slopes), 2, because="the output carries gradients for x", given=given)
            found = torch.zeros_like(x) if slopes[0] is None else slopes[0]
            expect.close(found, slopes[1], given=f"{given}: gradient of x", trivial="an empty batch has none")


@check("MLP bends between every two layers", points=1, category="values", after=test_mlp_last_layer)
def test_mlp_activations(submission):
    net = submission.MLP(3, [5, 4], 2).double()
    names = {tuple(value.shape): name for name, value in net.state_dict().items()}
    bends = [is_bent(net, names, gap) for gap in (None, 0, 1)]
    expect.equal(
        bends,
        [False, True, True],
        because="no activation before the first of the three layers, one after it, and one after the second",
        given="MLP(3, [5, 4], 2)",
        likely={
            "no activation stands between the layers": [False, False, False],
            "only the first layer has an activation": [False, True, False],
            "the first layer has no activation": [False, False, True],
            "an activation stands before the first layer": [True, True, True],
        },
    )


def is_bent(net, names, gap):
    """Whether the function between hidden layer ``gap`` and the next layer is not a straight line; None: before them.

    Every other activation is held where it is straight: its inputs stay within 1e-5 of 0.7. (The rows of the
    second weight add up to zero, so that what the first activation makes of 0.7 does not matter.)
    """
    tiny = 1e-5
    mix = numbers(4, 5)
    mix = mix - mix.mean(1, keepdim=True)  # rows add up to 0
    point, zero = torch.full((5,), 0.7, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    if gap is None:
        parts = [tiny * numbers(5, 3), point, mix, point[:4]]
    elif gap == 0:
        parts = [numbers(5, 3), zero, tiny * mix, point[:4]]
    else:
        parts = [tiny * numbers(5, 3), point, mix / tiny, zero[:4]]
    parts += [numbers(2, 4), zero[:2]]
    net.load_state_dict({names[tuple(part.shape)]: part for part in parts})
    a, b = 3 * numbers(64, 3), 3 * numbers(64, 3)
    base = net(torch.zeros(1, 3, dtype=torch.float64))
    straight = net(a) + net(b) - base
    size = (net(a) - base).abs().max()
    return bool((net(a + b) - straight).abs().max() > 1e-3 * size)


@check("MLP learns XOR", points=1.5, category="convergence", after=test_mlp_last_layer, tries=2, seconds=30)
def test_mlp_learns_xor(submission):
    # one training of a right network fails in 2 of 1000 cases or fewer (ReLU with weights of 0.01; none of 2000 with
    # the usual initialisations and ReLU, leaky ReLU, tanh), one without activation succeeds never
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([0.0, 1.0, 1.0, 0.0])
    right = []
    for _ in range(3):
        logits = submission.probes.train(submission.MLP(2, [32], 1), x, y, 200, 0.05)
        right.append(int(((logits > 0) == (y > 0)).sum()) if logits.isfinite().all() else 0)
    expect.true(
        sum(count == 4 for count in right) >= 2,
        expected="all four points in at least two of three trainings",
        got=f"{right[0]}, {right[1]} and {right[2]} points; a linear model gets at most 3",
    )


# collapse_linear


@check("collapse_linear makes one layer that computes the same", points=2, category="values", devices="all")
def test_collapse(submission, device):
    (w1, b1), (w2, b2), layer = collapsed(submission, 4, 4, 4, device=device)
    x = numbers(6, 4, device=device)
    expect.close(
        layer(x),
        F.linear(F.linear(x, w1, b1), w2, b2),
        **EXACT,
        given="two layers 4 → 4 → 4",
        likely={
            "the two weights are multiplied in the wrong order": F.linear(x, w1 @ w2, w2 @ b1 + b2),
            "the bias of the first layer is lost": F.linear(x, w2 @ w1, b2),
            "the bias of the first layer must pass through the second weight": F.linear(x, w2 @ w1, b1 + b2),
        },
    )
    for inner, middle, outer in ((5, 3, 2), (1, 3, 1)):
        (w1, b1), (w2, b2), layer = collapsed(submission, inner, middle, outer, device=device)
        x = numbers(2, 6, inner, device=device)
        given = f"two layers {inner} → {middle} → {outer}"
        expect.close(layer(x), F.linear(F.linear(x, w1, b1), w2, b2), **EXACT, given=given)
    twice = submission.probes.linear(4, 4).to(device)
    x, state = numbers(6, 4, device=device), twice.state_dict()
    truth = F.linear(F.linear(x, **state), **state)
    expect.close(submission.collapse_linear(twice, twice)(x), truth, **EXACT, given="one layer 4 → 4, applied twice")


@check("collapse_linear keeps dtype and mode, and changes nothing", points=0.5, category="robustness",
       after=test_collapse, hidden=True)  # fmt: skip
def test_collapse_as_it_is(submission):
    for dtype in (SINGLE, DOUBLE):
        for inner, middle, outer in ((5, 3, 2), (1, 1, 1)):
            training = outer == 2
            mode = "training" if training else "evaluation"
            given = f"two layers {inner} → {middle} → {outer} in {str(dtype)[6:]}, in {mode} mode"
            first = submission.probes.linear(inner, middle).to(dtype).train(training)
            second = submission.probes.linear(middle, outer).to(dtype).train(training)
            before = first.state_dict(), second.state_dict()
            layer = submission.collapse_linear(first, second)
            gradients = [parameter.grad for each in (first, second) for parameter in (each.weight, each.bias)]
            expect.equal(gradients, [None] * 4, because="both stay as they are", given=f"{given}: their gradients")
            left = torch_modes_left(submission.collapse_linear, first, second)
            expect.equal(left, [], because=AS_BEFORE, likely=SWITCHED_OFF, given=given)
            x = torch.randn(4, inner, dtype=dtype)
            expect.close(layer(x).detach(), second(first(x)).detach(), rtol=1e-4, atol=1e-5, given=given)
            expect.equal(
                (first.training, second.training), (training, training), because="both stay as they are", given=given
            )
            expect.close(
                (first.state_dict(), second.state_dict()), before, trivial="both stay as they are", given=given
            )


@check("collapse_linear takes layers without a bias", points=0.5, category="robustness", after=test_collapse)
def test_collapse_without_bias(submission):
    for biases in ((False, True), (True, False), (False, False)):
        (w1, b1), (w2, b2), layer = collapsed(submission, 5, 3, 2, biases)
        x = numbers(6, 5)
        given = f"bias={biases[0]} in the first layer, bias={biases[1]} in the second"
        expect.close(layer(x), F.linear(F.linear(x, w1, b1), w2, b2), **EXACT, given=given)


@check("collapse_linear returns an nn.Linear of its own", points=0.5, category="robustness", after=test_collapse)
def test_collapse_owns(submission):
    first, second = submission.probes.linear(5, 3, False), submission.probes.linear(3, 2)
    before = first.state_dict(), second.state_dict()
    layer = submission.collapse_linear(first, second)
    trained = {row["name"]: row["requires_grad"] for row in registered_parameters(layer)}
    expect.equal(layer.type_name, "Linear")
    expect.equal(trained, {"weight": True, "bias": True}, because="its parameters can be trained")
    kept = [row["requires_grad"] for each in (first, second) for row in registered_parameters(each)]
    expect.equal(kept, [True] * len(kept), because="both stay as they are", given="the layers that were collapsed")
    frozen = submission.collapse_linear(submission.probes.frozen(first), submission.probes.frozen(second))
    trained = {row["name"]: row["requires_grad"] for row in registered_parameters(frozen)}
    given = "two layers whose parameters do not require gradients"
    expect.equal(trained, {"weight": True, "bias": True}, because="its parameters can be trained", given=given)
    layer.load_state_dict({"weight": numbers(2, 5), "bias": numbers(2)})
    given = "after the new layer got other values"
    expect.close((first.state_dict(), second.state_dict()), before, given=given)


@check("collapse_linear makes its layer where the two layers are", points=0.5, category="devices", after=test_collapse)
def test_collapse_device(submission):
    found = submission.probes.collapsed_devices(submission.collapse_linear)
    expect.true(
        "meta" not in found,
        expected="parameters on the device of the two layers",
        got="parameters on the default device, whatever the device of the two layers",
    )


def collapsed(submission, inner, middle, outer, biases=(True, True), device="cpu"):
    """Weight and bias (or None) of two random layers, and what the submission makes of the layers."""
    layers = [
        submission.probes.linear(inner, middle, biases[0]).to(device),
        submission.probes.linear(middle, outer, biases[1]).to(device),
    ]
    states = [layer.state_dict() for layer in layers]
    layer = submission.collapse_linear(*layers)
    registered_parameters(layer)  # a sentence where the answer is no module
    return *((state["weight"], state.get("bias")) for state in states), layer
