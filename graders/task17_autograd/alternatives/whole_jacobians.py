"""Whole Jacobians by torch.func, forward products twice, a gradient multiplied by the number of passes."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch.func import jacrev, jvp, vjp


def graph_nodes(t):
    out, seen, todo = [], set(), [t.grad_fn]
    for node in todo:
        if node is None or node in seen:
            continue
        seen.add(node)
        out.append(node.__class__.__name__)
        todo.extend(n[0] for n in node.next_functions)
    return out


def accumulated_gradient(f, x, times):
    leaf = x.detach().clone().requires_grad_(True)
    y = f(leaf)
    if not y.requires_grad:
        return torch.zeros_like(x).detach()
    g = torch.autograd.grad(y, leaf, allow_unused=True)[0]
    return (torch.zeros_like(leaf) if g is None else g * times).detach()


def middle_gradient(inner, outer, x):
    h, back = vjp(inner, x.detach())
    h = h.detach()
    _, back2 = vjp(outer, h)
    (gh,) = back2(torch.ones((), dtype=h.dtype, device=h.device))
    return gh.detach(), back(gh)[0].detach()


def vector_jacobian(y_fn, x, v):
    J = jacrev(y_fn)(x.detach())
    y_dims = v.dim()
    return torch.tensordot(v.detach(), J, dims=y_dims).detach() if y_dims else (v.detach() * J).detach()


def first_and_second_derivative(f, x):
    x = x.detach()
    one = torch.ones_like(x)

    def d(x):
        return jvp(f, (x,), (one,))[1]

    return d(x).detach(), jvp(d, (x,), (one,))[1].detach()


def directional_derivative(f, x, u):
    n = u.detach().flatten().norm()
    if n.item() == 0:
        raise ValueError
    return (jacrev(f)(x.detach()) * u.detach()).sum().div(n).detach()


def hessian(f, x):
    return jacrev(jacrev(f))(x.detach()).detach()


class LineFunction(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(w, x, b):
        return w * x + b

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        w, x, b = ctx.saved_tensors
        terms = [(w, lambda: g * x), (x, lambda: g * w), (b, lambda: g)]
        return tuple(f().sum_to_size(t.shape) if n else None for (t, f), n in zip(terms, ctx.needs_input_grad))


@torch.no_grad()
def backprop_two_layer(x, y, w1, b1, w2, b2):
    h = (x.matmul(w1) + b1).clamp(0)
    r = h.matmul(w2).add(b2).sub(y)
    g = r.mul(2 / r.numel())
    gh = g.matmul(w2.transpose(0, 1))
    ga = torch.where(h > 0, gh, 0.0)
    return (r * r).mean(), x.transpose(0, 1) @ ga, ga.sum(dim=0), h.t() @ g, g.sum(dim=0)
