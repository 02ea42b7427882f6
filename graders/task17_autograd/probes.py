"""Helpers of task 17 that run beside the submission: functions to differentiate, graphs, and what calls leave."""

import warnings

import torch

WEIGHT = torch.tensor(2.0, requires_grad=True)  # 0-dimensional, so that the dtype of x wins
SEVENS = torch.full((2, 3), 7.0)
SEVEN = torch.tensor(7.0)


# Element by element.


def square(x):
    return x**2


def wave(x):
    return x**3 + (2 * x).sin()


def line(x):
    return 3 * x + 1


def seven(x):
    return torch.full_like(x, 7).detach()


def weighted(x):
    return WEIGHT * x**3


def weighted_line(x):
    return WEIGHT * x


def weight_everywhere(x):
    return WEIGHT * torch.ones_like(x)


# To a tensor of another shape.


def running(x):
    return x.reshape(-1).cumsum(0).sin()


def pairs(x):
    return torch.stack([x * x.flip(0), x**2])


def weight_alone(x):
    return WEIGHT * torch.ones(3, dtype=x.dtype, device=x.device)


def stored(x):
    return SEVENS.to(x)  # itself where x is of its dtype


# To a single number.


def mixed(x):
    return (x.reshape(-1).cumsum(0) ** 3).sum()


def bowl(x):
    return (x**2).sum()


def example(x):
    return 3 * x[0] ** 2 + x[1]


def corner(x):
    return x[0] ** 2 * x[1]


def tilt(x):
    return 3 * x.sum()


def weighted_tilt(x):
    return (WEIGHT * x).sum()


def constant(x):
    return torch.full((), 7.0, dtype=x.dtype, device=x.device)


def weight_number(x):
    return WEIGHT * torch.ones((), dtype=x.dtype, device=x.device)


def stored_number(x):
    return SEVEN.to(x)


def weighted_number(x):
    return (WEIGHT * x**3).sum()


# What a call does besides its result.


def calls_of(function, f, *args):
    """The result of function(f, *args), and how often it called f."""
    count = 0

    def counted(x):
        nonlocal count
        count += 1
        return f(x)

    return function(counted, *args), count


def call_on(function, functions, tensors, kind):
    """The result of function(*functions, *tensors) for tensors of a kind, and what is another then.

    That is asked of the tensors, of WEIGHT and of the tensors that a function stores and returns.

    "plain" tensors require no gradient; a "leaf" does, and has one already; "computed" ones come from an operation.
    """
    sources = [t.clone().requires_grad_(kind != "plain") if isinstance(t, torch.Tensor) else t for t in tensors]
    given = [s * 1 if kind == "computed" and isinstance(s, torch.Tensor) else s for s in sources]
    for source in sources:
        if kind == "leaf" and isinstance(source, torch.Tensor):
            source.grad = torch.full_like(source, 7)
    WEIGHT.grad = None if kind == "plain" else torch.full_like(WEIGHT, 7)
    for constant in (SEVENS, SEVEN):
        constant.requires_grad_(False).fill_(7)
    result = function(*functions, *given)
    changed = []
    for source, tensor in zip(sources, given, strict=True):
        if isinstance(source, torch.Tensor):
            if tensor.requires_grad != (kind != "plain"):
                changed.append("an argument has another requires_grad")
            if source.grad is not None and (kind != "leaf" or not bool((source.grad == 7).all())):
                changed.append("an argument has another .grad")
            elif source.grad is None and kind == "leaf":
                changed.append("an argument has lost its .grad")
            if kind == "computed" and gradient_of(tensor) is not None:
                changed.append("a computed argument has a .grad")
    if kind == "plain" and WEIGHT.grad is not None:
        changed.append("a gradient stays in a weight that the function uses")
    if kind != "plain" and (WEIGHT.grad is None or float(WEIGHT.grad) != 7):
        changed.append("a weight that the function uses has another .grad")
    WEIGHT.grad = None
    for constant in (SEVENS, SEVEN):
        if constant.requires_grad:
            changed.append("a constant that the function returns requires a gradient")
        elif bool((constant != 7).any()):
            changed.append("a constant that the function returns has other values")
        constant.requires_grad_(False).grad = None
    return result, list(dict.fromkeys(changed))


def gradient_of(computed):
    """Its .grad, of which torch warns where it is asked of a result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return computed.grad


# Graphs.


def leaf(*shape):
    return torch.ones(shape, requires_grad=True)


def product(w, x):
    return (w + x) * (w + 1)


def five_tensors(report):
    """What ``report`` says of w, x, w + x, w + 1 and their product."""
    w, x = leaf(), leaf()
    return report(w, x, w + x, w + 1, product(w, x))


def odd_tensors(report):
    """Of a parameter, a plain tensor, a plain sum, a detached one, a sum with a gradient kept, one after backward.

    Then of parts of a plain tensor and of a leaf, and of what is computed from a leaf while nothing is recorded.
    """
    x = leaf(3)
    kept = x * 2
    kept.retain_grad()
    kept.sum().backward()
    plain = torch.ones(3)
    with torch.no_grad():
        unrecorded = x * 2
    return report(
        torch.nn.Parameter(plain.clone()), plain, plain + 1, (x * 2).detach(), kept, x, plain[1:], x[1:], unrecorded
    )


def nodes_of(graph_nodes, name, size=0):
    """What ``graph_nodes`` says of the graph with this name."""
    return graph_nodes(GRAPHS[name](size))


def chain(size):
    y = leaf()
    for _ in range(size):
        y = y + 1
    return y


def doublings(size):
    y = leaf()
    for _ in range(size):
        y = y + y
    return y


def with_a_constant(size):
    c = torch.ones(3)
    return leaf(3) * c + c


def shared(size):
    h = leaf().sin()
    return h * h.exp()


def twins(size):
    w = leaf()
    return (w + 1) * (w + 1)


def unbound(size):
    a, b = leaf(2).unbind()
    return a * b


class OwnNode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * 2


GRAPHS = {
    "product": lambda size: product(leaf(), leaf()),
    "tripled": lambda size: 3 * leaf(4),
    "leaf": lambda size: leaf(3),
    "plain": lambda size: torch.ones(3) + 1,
    "detached": lambda size: (leaf(3) * 2).detach(),
    "constant": with_a_constant,
    "shared": shared,
    "unbound": unbound,
    "twins": twins,
    "own": lambda size: OwnNode.apply(leaf(3)),
    "chain": chain,
    "doublings": doublings,
}


# Functions of the submission's own.


def is_none(apply, w, x, b, wanted, cotangent):
    """Which of the three gradients are None, when only some of the inputs require one."""
    inputs = [t.detach().clone().requires_grad_(flag) for t, flag in zip((w, x, b), wanted, strict=True)]
    result = apply(*inputs)  # torch 2.6 frees what is saved with it
    return [grad is None for grad in result.grad_fn.apply(cotangent)]


def second_pass(apply, *inputs):
    """The name of the error of a second backward pass without retain_graph, or "" without one."""
    inputs = [t.detach().clone().requires_grad_() for t in inputs]
    y = apply(*inputs)
    torch.autograd.grad(y, inputs, torch.ones_like(y))
    try:
        torch.autograd.grad(y, inputs, torch.ones_like(y))
    except RuntimeError:
        return "RuntimeError"
    return ""


def kept_in_attributes(apply, *inputs):
    """The attributes of ctx that hold tensors after a forward pass."""
    node = apply(*[t.detach().clone().requires_grad_() for t in inputs]).grad_fn
    parts = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in vars(node).items()}
    return sorted(name for name, several in parts.items() if any(isinstance(part, torch.Tensor) for part in several))


def two_passes(apply, cotangent, *inputs):
    """The gradients of two passes through one graph, and the cotangent after them."""
    inputs = [t.detach().clone().requires_grad_() for t in inputs]
    y = apply(*inputs)
    first = torch.autograd.grad(y, inputs, cotangent, retain_graph=True)
    first = [grad.clone() for grad in first]
    return first, torch.autograd.grad(y, inputs, cotangent), cotangent


def interleaved(apply, several, cotangents):
    """The gradients of several nodes, all of which are made before the first is passed backwards."""
    leaves = [[t.detach().clone().requires_grad_() for t in inputs] for inputs in several]
    results = [apply(*inputs) for inputs in leaves]
    return [
        list(torch.autograd.grad(y, inputs, cotangent))
        for y, inputs, cotangent in zip(results, leaves, cotangents, strict=True)
    ]


def hessian_of_square(apply, *inputs):
    """All second derivatives of the sum of apply(*inputs)², which pass through grad_output as well."""
    return torch.autograd.functional.hessian(lambda *leaves: (apply(*leaves) ** 2).sum(), inputs)
