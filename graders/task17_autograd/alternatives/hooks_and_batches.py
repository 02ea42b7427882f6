"""Hooks, zeros added so that nothing is unused, batched gradients, unsummed broadcasts, NumPy for the chain rule."""

# It is appended to the solution, whose helpers it may use.

import torch
import torch.nn.functional as F
from torch import nn


def leaf_report(*tensors):
    return list(map(lambda t: t.is_leaf, tensors))


def graph_nodes(t):
    if t.grad_fn is None:
        return []
    nodes = {}

    def visit(n):
        todo = [n]
        while todo:
            n = todo.pop()
            if id(n) in nodes:
                continue
            nodes[id(n)] = n
            todo.extend(m for m, _ in n.next_functions if m is not None)

    visit(t.grad_fn)
    return sorted(type(n).__name__ for n in nodes.values())


def accumulated_gradient(f, x, times):
    z = x.detach().clone().requires_grad_()
    loss = f(z)
    acc = torch.zeros_like(z, requires_grad=False)
    for i in range(times):
        if not loss.requires_grad:
            break
        (g,) = torch.autograd.grad(loss, z, retain_graph=i + 1 < times, allow_unused=True)
        if g is not None:
            acc += g
    return acc


def middle_gradient(inner, outer, x):
    z = x.detach().clone().requires_grad_()
    kept = []
    h = inner(z)
    if not h.requires_grad:
        h = h.detach().requires_grad_()
    h2 = h * 1
    h2.register_hook(kept.append)
    out = outer(h2)
    gx = None
    if out.requires_grad:
        (gx,) = torch.autograd.grad(out, z, allow_unused=True, retain_graph=True)
        if not kept:
            (g,) = torch.autograd.grad(out, h2, allow_unused=True)
            if g is not None and not kept:
                kept.append(g)
    return (kept[0] if kept else torch.zeros_like(h)).detach(), torch.zeros_like(x) if gx is None else gx


def vector_jacobian(y_fn, x, v):
    with torch.enable_grad():
        z = x.detach().requires_grad_()
        s = (y_fn(z) * v.detach()).sum() + 0 * z.sum()
        return torch.autograd.grad(s, z)[0]


def first_and_second_derivative(f, x):
    z = x.detach().requires_grad_()
    y = f(z).sum() + (0 * z).sum()
    (d,) = torch.autograd.grad(y, z, create_graph=True)
    (d2,) = torch.autograd.grad((d + 0 * z).sum(), z)
    return d.detach(), d2.detach()


def directional_derivative(f, x, u):
    if not (u != 0).any():
        raise ValueError("zero")
    z = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(f(z) + 0 * z.sum(), z)
    return torch.dot(g.reshape(-1), F.normalize(u.detach().reshape(-1), dim=0))


def hessian(f, x):
    z = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(f(z) + 0 * (z**2).sum(), z, create_graph=True)
    n = z.numel()
    eye = torch.eye(n, dtype=x.dtype, device=x.device).reshape((n, *x.shape))
    (rows,) = torch.autograd.grad(g, z, eye, is_grads_batched=True)
    return rows.reshape(x.shape + x.shape)


class LineFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, x, b):
        ctx.save_for_backward(w, x)
        return w * x + b

    @staticmethod
    def backward(ctx, grad_output):
        w, x = ctx.saved_tensors
        gw = gx = gb = None
        if ctx.needs_input_grad[0]:
            gw = grad_output * x
        if ctx.needs_input_grad[1]:
            gx = grad_output * w
        if ctx.needs_input_grad[2]:
            gb = grad_output
        return gw, gx, gb


class StraightThroughSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.sgn(x)

    @staticmethod
    def backward(ctx, g):
        return g.view_as(g)


def backprop_two_layer(x, y, w1, b1, w2, b2):
    def n(t):
        return t.detach().cpu().numpy()

    X, Y, W1, B1, W2, B2 = map(n, (x, y, w1, b1, w2, b2))
    A = X.dot(W1) + B1
    H = A * (A > 0)
    E = H.dot(W2) + B2 - Y
    dP = 2 * E / E.size
    dA = dP.dot(W2.T) * (A > 0)

    def t(a):
        return torch.as_tensor(a, dtype=x.dtype).to(x.device)

    return t((E**2).mean()), t(X.T.dot(dA)), t(dA.sum(0)), t(H.T.dot(dP)), t(dP.sum(axis=0))


class ContainerNet(nn.Module):
    def __init__(self, in_features=4, hidden=8, out_features=2, depth=2):
        super().__init__()
        dims = [in_features] + depth * [hidden]
        self.layers = nn.Sequential(*[nn.Linear(dims[i], dims[i + 1]) for i in range(depth)])
        self.scales = nn.ParameterList()
        for _ in range(depth):
            self.scales.append(nn.Parameter(torch.ones(hidden)))
        self.heads = nn.ModuleDict(
            [["mean", nn.Linear(hidden, out_features)], ["spread", nn.Linear(hidden, out_features)]]
        )

    def forward(self, x, head="mean"):
        if head not in self.heads:
            raise ValueError(f"no head {head}")
        for i, layer in enumerate(self.layers):
            x = F.relu(self.scales[i] * F.linear(x, layer.weight, layer.bias))
        return self.heads[head](x)
