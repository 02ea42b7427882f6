"""Checks for task 03: the fully connected layer, by matrix product, as a Module, stacked and collapsed."""

from itertools import pairwise

import torch
from torch.nn import functional as F

from torchgrade.authoring import Rule, check, expect, parameter_count, registered_parameters

EXACT = {"rtol": 1e-12, "atol": 1e-12}  # two orders of summation of ten float64 products differ by 1e-15
LINEAR = Rule(of=("linear_forward", "ManualLinear"), functions=("linear", "bilinear"), instead="a matrix product")
BY_FORMULA = Rule(of=("linear_backward",), functions=("grad", "backward"), instead="the formulas")


def numbers(*shape, device="cpu", requires_grad=False):
    """Normally distributed float64 values."""
    return torch.randn(*shape, dtype=torch.float64, device=device, requires_grad=requires_grad)


# linear_forward


@check("linear_forward computes x · Wᵀ + b", points=2, category="values", devices="all")
def test_forward(submission, device):
    x, w, b = numbers(6, 4, device=device), numbers(4, 4, device=device), numbers(4, device=device)
    truth = F.linear(x, w, b)
    expect.close(
        submission.linear_forward(x, w, b),
        truth,
        **EXACT,
        given="a square weight of 4 × 4",
        likely={
            "x is multiplied by the weight itself, not by its transpose": x @ w + b,
            "the bias is left out": x @ w.T,
            "the bias is subtracted": x @ w.T - b,
        },
    )
    x, w, b = numbers(5, 7, device=device), numbers(3, 7, device=device), numbers(3, device=device)
    expect.close(submission.linear_forward(x, w, b), F.linear(x, w, b), **EXACT)


@check("linear_forward works without a bias", points=0.5, category="values", after=test_forward)
def test_forward_without_bias(submission):
    x, w = numbers(5, 7), numbers(3, 7)
    expect.close(submission.linear_forward(x, w), F.linear(x, w), **EXACT)


@check("linear_forward takes any number of leading axes", points=1.5, category="shapes", after=test_forward)
def test_forward_shapes(submission):
    w, b = numbers(3, 7), numbers(3)
    for sizes in ((7,), (4, 7), (2, 5, 7), (2, 1, 3, 7)):
        x = numbers(*sizes)
        expect.close(submission.linear_forward(x, w, b), F.linear(x, w, b), **EXACT, given=f"x of shape {sizes}")
    given = "an empty batch, x of shape (0, 7)"
    expect.shape(submission.linear_forward(numbers(0, 7), w, b), (0, 3), given=given)


@check("linear_forward leaves x, weight and bias as they are", points=0.5, category="robustness", after=test_forward)
def test_forward_keeps_inputs(submission):
    x, w, b = numbers(7, 5).T, numbers(3, 7), numbers(3)  # x is not contiguous
    answer = expect.not_mutated(submission, submission.linear_forward, x, w, b)
    expect.close(answer, F.linear(x, w, b), **EXACT)


@check("gradients flow through linear_forward", points=1, category="gradients", after=test_forward)
def test_forward_gradients(submission):
    inputs = [numbers(2, 3, 5, requires_grad=True), numbers(4, 5, requires_grad=True)]
    inputs.append(numbers(4, requires_grad=True))
    expect.gradients(submission.linear_forward, inputs)


@check("linear_forward is a matrix product of its own", points=0.5, category="rules", after=test_forward, gates=LINEAR)
def test_forward_rule(submission):
    expect.avoids(submission.linear_forward, numbers(5, 7), numbers(3, 7), numbers(3), rule=LINEAR)


@check("linear_forward needs no loop over samples or units", points=0.5, category="efficiency", after=test_forward)
def test_forward_growth(submission):
    small = (numbers(4, 7), numbers(3, 7), numbers(3))
    samples, units = (numbers(40, 7), numbers(3, 7), numbers(3)), (numbers(4, 7), numbers(30, 7), numbers(30))
    expect.vectorised(submission.linear_forward, small, samples, given="ten times the samples")
    expect.vectorised(submission.linear_forward, small, units, given="ten times the units")


# linear_backward


def backward_oracle(grad_out, x, w):
    """The three gradients, by autograd through PyTorch's own layer."""
    x, w = x.clone().requires_grad_(), w.clone().requires_grad_()
    b = torch.zeros(len(w), dtype=x.dtype, requires_grad=True)
    return torch.autograd.grad((F.linear(x, w, b) * grad_out).sum(), (x, w, b))


@check("linear_backward agrees with autograd on a batch", points=2, category="gradients")
def test_backward(submission):
    grad_out, x, w = numbers(6, 4), numbers(6, 4), numbers(4, 4)
    truth = backward_oracle(grad_out, x, w)
    dx, dw, db = truth
    expect.close(
        submission.linear_backward(grad_out, x, w),
        truth,
        **EXACT,
        given="a batch of 6, a square weight of 4 × 4",
        likely={
            "grad_x is multiplied by the transposed weight": (grad_out @ w.T, dw, db),
            "grad_weight is transposed: it must be (out_features, in_features)": (dx, dw.T, db),
            "grad_bias is the mean over the batch, not the sum": (dx, dw, db / 6),
            "grad_weight and grad_bias are means over the batch, not sums": (dx, dw / 6, db / 6),
        },
    )
    grad_out, x, w = numbers(5, 3), numbers(5, 7), numbers(3, 7)
    expect.close(submission.linear_backward(grad_out, x, w), backward_oracle(grad_out, x, w), **EXACT)


@check("linear_backward sums over all leading axes", points=2, category="gradients", after=test_backward)
def test_backward_leading_axes(submission):
    grad_out, x, w = numbers(4, 5, 3), numbers(4, 5, 7), numbers(3, 7)
    truth = backward_oracle(grad_out, x, w)
    expect.close(
        submission.linear_backward(grad_out, x, w),
        truth,
        **EXACT,
        given="x of shape (4, 5, 7)",
        likely={
            "grad_bias is summed over the first axis only": (*truth[:2], grad_out.sum(0)),
            "grad_weight is not summed over the first axis": (truth[0], grad_out.mT @ x, truth[2]),
        },
    )
    grad_out, x = numbers(3), numbers(7)
    truth = backward_oracle(grad_out, x, w)
    expect.close(submission.linear_backward(grad_out, x, w), truth, **EXACT, given="a single x of shape (7,)")


@check(
    "linear_backward works by formula, without autograd",
    points=0.5,
    category="rules",
    after=test_backward,
    gates=BY_FORMULA,
)
def test_backward_rule(submission):
    kept = submission.probes.tensors_saved(submission.linear_backward, numbers(5, 3), numbers(5, 7), numbers(3, 7))
    expect.equal(kept, 0, because="no tensor is kept for a backward pass")


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


@check("gradients of ManualLinear reach x, weight and bias", points=1, category="gradients", after=test_module_state)
def test_module_gradients(submission):
    layer = submission.ManualLinear(5, 4).double()
    expect.gradients(layer, [numbers(2, 3, 5, requires_grad=True)], module=layer)


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
    expect.equal(
        round(min(float(weight.std()), 99.0)),
        1,
        because="the standard deviation of the weights, in units of 1/sqrt(in_features), rounded",
        given=given,
        likely={
            "all weights start at zero, so that all units stay identical": 0,
            "the bounds are ±1, not ±1/sqrt(in_features)": 5,
            "the standard deviation is 1 instead of shrinking with in_features": 8,
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
    largest = round(100 * float(weight.abs().max()))
    expect.equal(largest, 100, because="the largest weight, in percent of 1/sqrt(in_features)", given=given)
    bias = float(first["bias"].abs().max()) * 8
    expect.between(bias, 0, 1.000001, unit="times 1/sqrt(in_features), the largest bias")
    same = bool(torch.equal(first["weight"], second["weight"]))
    expect.equal(same, False, because="two layers start differently")


@check(
    "ManualLinear does not call PyTorch's linear layer",
    points=0.5,
    category="rules",
    after=test_module_parameters,
    gates=LINEAR,
)
def test_module_rule(submission):
    expect.avoids(submission.ManualLinear(7, 3), torch.randn(5, 7), rule=LINEAR)


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
    expect.parameters(submission.MLP(3, [], 2), shapes=widths(3, 2))


@check("MLP maps the last axis to out_features", points=0.5, category="shapes", after=test_mlp_parameters)
def test_mlp_shapes(submission):
    for hidden in ([100], [5, 4], []):
        net = submission.MLP(13, hidden, 2)
        for sizes in ((13,), (6, 13), (2, 3, 13)):
            given = f"MLP(13, {hidden}, 2) and x of shape {sizes}"
            expect.shape(net(torch.randn(sizes)), (*sizes[:-1], 2), given=given)


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


@check("MLP bends between every two layers", points=1, category="values", after=test_mlp_shapes)
def test_mlp_activations(submission):
    net = submission.MLP(3, [5, 4], 2).double()
    names = {tuple(value.shape): name for name, value in net.state_dict().items()}
    bends = [is_bent(net, names, gap) for gap in (0, 1)]
    expect.equal(
        bends,
        [True, True],
        because="an activation after the first and after the second of the three layers",
        given="MLP(3, [5, 4], 2)",
        likely={
            "no activation stands between the layers": [False, False],
            "only the first layer has an activation": [True, False],
            "the first layer has no activation": [False, True],
        },
    )


def is_bent(net, names, gap):
    """Whether the function between hidden layer ``gap`` and the next layer is not a straight line.

    The other activation is held where it is straight: its inputs stay within 1e-5 of 0.7. (The rows of the
    second weight add up to zero, so that what the first activation makes of 0.7 does not matter.)
    """
    tiny = 1e-5
    mix = numbers(4, 5)
    mix = mix - mix.mean(1, keepdim=True)  # rows add up to 0
    point, zero = torch.full((5,), 0.7, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    if gap == 0:
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
