"""torch.autograd.functional in one line each; a recursion-free walk by levels; sums over axes."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn
from torch.autograd import functional


def graph_nodes(t):
    level, seen = {t.grad_fn} - {None}, set()
    while level:
        seen |= level
        level = {following for node in level for following, _ in node.next_functions} - seen - {None}
    return [str(type(node).__name__) for node in seen]


def accumulated_gradient(f, x, times):
    return times * functional.vjp(f, x.detach())[1]


def middle_gradient(inner, outer, x):
    x = x.detach()
    by_h = functional.vjp(outer, inner(x).detach())[1]
    return by_h, functional.vjp(inner, x, by_h)[1]


def vector_jacobian(y_fn, x, v):
    return functional.vjp(y_fn, x.detach(), v.detach())[1]


def first_and_second_derivative(f, x):
    x = x.detach()

    def slope(x):
        return functional.vjp(f, x, torch.ones_like(x), create_graph=True)[1]

    return slope(x).detach(), functional.vjp(slope, x, torch.ones_like(x))[1]


def directional_derivative(f, x, u):
    if torch.count_nonzero(u) == 0:
        raise ValueError("no direction")
    return functional.jvp(f, x.detach(), u.detach() / u.detach().norm())[1]


def hessian(f, x):
    flat = x.detach().reshape(-1)
    return functional.hessian(lambda flat: f(flat.reshape(x.shape)), flat).reshape(x.shape + x.shape)


class LineFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, x, b):
        ctx.save_for_backward(w, x)
        ctx.sizes = [w.shape, x.shape, b.shape]
        return b + x * w

    @staticmethod
    def backward(ctx, grad_output):
        w, x = ctx.saved_tensors
        full = [grad_output * x, grad_output * w, grad_output]
        found = []
        for grad, size, needed in zip(full, ctx.sizes, ctx.needs_input_grad, strict=True):
            lead = grad.ndim - len(size)
            axes = [*range(lead), *(lead + n for n, length in enumerate(size) if length == 1)]
            found.append((grad.sum(axes).reshape(size) if axes else grad) if needed else None)
        return found[0], found[1], found[2]


class StraightThroughSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


def backprop_two_layer(x, y, w1, b1, w2, b2):
    with torch.no_grad():
        bent = torch.addmm(b1, x, w1).clamp_min(0)
        error = torch.addmm(b2, bent, w2).sub(y)
        loss = error.pow(2).sum().div(error.numel())
        error = error.mul(2).div(error.numel())
        ones = error.new_ones(len(x))
        back = error.mm(w2.t()).mul(bent.sign())
        return loss, x.t().mm(back), ones @ back, bent.t().mm(error), ones @ error


class Layers(nn.ModuleList):
    pass


class ContainerNet(nn.Module):
    def __init__(self, in_features=4, hidden=8, out_features=2, depth=2):
        super().__init__()
        sizes = [in_features, *[hidden] * depth]
        self.heads = nn.ModuleDict(dict.fromkeys(("mean", "spread")))
        for name in self.heads:
            self.heads[name] = nn.Linear(hidden, out_features)
        self.layers = Layers(map(nn.Linear, sizes[:-1], sizes[1:]))
        self.scales = nn.ParameterList(list(torch.ones(depth, hidden)))

    def forward(self, x, head="mean"):
        for number, layer in enumerate(self.layers):
            x = (self.scales[number] * layer(x)).clamp(min=0)
        return self.heads[head].forward(x)
