"""A beginner's way: backward() on copies, retain_grad, .grad, loops over single entries, sums over axes one by one."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def leaf_report(*tensors):
    answers = []
    for tensor in tensors:
        if tensor.requires_grad and tensor.grad_fn is not None:
            answers.append(False)
        else:
            answers.append(True)
    return answers


def graph_nodes(t):
    names, visited = [], []
    if t.grad_fn is None:
        return names
    stack, known = [t.grad_fn], {t.grad_fn}
    while len(stack) > 0:
        node = stack.pop(0)
        visited.append(node)
        names.append(node.__class__.__name__)
        for pair in node.next_functions:
            if pair[0] is None or pair[0] in known:
                continue
            known.add(pair[0])
            stack.append(pair[0])
    return names


def accumulated_gradient(f, x, times):
    copy = torch.empty_like(x).copy_(x.detach()).requires_grad_(True)
    y = f(copy)
    for _ in range(times):
        if y.requires_grad:
            y.backward(inputs=[copy], retain_graph=True)
    if copy.grad is None:
        return torch.zeros_like(copy.detach())
    return copy.grad


def middle_gradient(inner, outer, x):
    copy = x.detach().clone()
    copy.requires_grad = True
    h = inner(copy)
    if not h.requires_grad:
        h = h.clone().requires_grad_()
    h.retain_grad()
    loss = outer(h)
    if loss.requires_grad:
        loss.backward(inputs=[h, copy])
    first = h.grad if h.grad is not None else torch.zeros_like(h)
    second = copy.grad if copy.grad is not None else torch.zeros_like(copy)
    return first.detach(), second.detach()


def vector_jacobian(y_fn, x, v):
    copy = x.detach().clone().requires_grad_()
    y = y_fn(copy)
    if not y.requires_grad:
        return torch.zeros_like(x)
    y.backward(v.detach(), inputs=[copy])
    return torch.zeros_like(x) if copy.grad is None else copy.grad


def first_and_second_derivative(f, x):
    copy = x.detach().clone().requires_grad_()
    y = f(copy).sum()
    zero = torch.zeros_like(copy, requires_grad=False)
    if y.grad_fn is None:
        return zero, zero.clone()
    (first,) = torch.autograd.grad(y, copy, create_graph=True, allow_unused=True)
    if first is None:
        return zero, zero.clone()
    if not first.requires_grad:
        return first, zero
    (second,) = torch.autograd.grad(first.sum(), copy, allow_unused=True)
    return first.detach(), zero if second is None else second


def directional_derivative(f, x, u):
    u = u.detach()
    length = (u * u).sum() ** 0.5
    if length.item() == 0.0:
        raise ValueError("the direction is zero")
    step = torch.zeros((), dtype=x.dtype, device=x.device, requires_grad=True)
    y = f(x.detach() + step * (u / length))
    if y.grad_fn is None:
        return torch.zeros_like(step).detach()
    (slope,) = torch.autograd.grad(y, step, allow_unused=True)
    return torch.zeros_like(step).detach() if slope is None else slope


def hessian(f, x):
    copy = x.detach().clone().contiguous().requires_grad_()
    count = copy.numel()
    result = torch.zeros(count, count, dtype=x.dtype, device=x.device)
    y = f(copy)
    if y.requires_grad:
        (first,) = torch.autograd.grad(y, copy, create_graph=True, allow_unused=True)
        if first is not None and first.requires_grad:
            flat = first.flatten()
            for i in range(count):
                (row,) = torch.autograd.grad(flat[i], copy, retain_graph=True, allow_unused=True)
                if row is not None:
                    result[i] = row.flatten()
    return result.view(x.shape + x.shape)


def undo_broadcast(grad, shape):
    while grad.dim() > len(shape):
        grad = grad.sum(0)
    for axis, size in enumerate(shape):
        if size == 1 and grad.shape[axis] != 1:
            grad = grad.sum(axis, keepdim=True)
    return grad


class LineFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, x, b):
        ctx.save_for_backward(w, x, b)
        return torch.add(torch.mul(w, x), b)

    @staticmethod
    def backward(ctx, grad_output):
        w, x, b = ctx.saved_tensors
        grads = [None, None, None]
        if ctx.needs_input_grad[0]:
            grads[0] = undo_broadcast(grad_output * x, w.shape)
        if ctx.needs_input_grad[1]:
            grads[1] = undo_broadcast(grad_output * w, x.shape)
        if ctx.needs_input_grad[2]:
            grads[2] = undo_broadcast(grad_output, b.shape)
        return tuple(grads)


class StraightThroughSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.where(x > 0, 1.0, torch.where(x < 0, -1.0, 0.0)).to(x.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        return 1 * grad_output


def backprop_two_layer(x, y, w1, b1, w2, b2):
    x, y, w1, b1, w2, b2 = [t.detach() for t in (x, y, w1, b1, w2, b2)]
    n = y.shape[0] * y.shape[1]
    loss = 0
    dw1, db1, dw2, db2 = (torch.zeros_like(t) for t in (w1, b1, w2, b2))
    for row, target in zip(x, y, strict=True):
        a = row @ w1 + b1
        h = torch.maximum(a, torch.zeros_like(a))
        error = h @ w2 + b2 - target
        loss = loss + (error**2).sum() / n
        dp = 2 * error / n
        dh = w2 @ dp
        da = torch.where(a > 0, dh, torch.zeros_like(dh))
        dw2 += h[:, None] * dp[None, :]
        db2 += dp
        dw1 += row[:, None] * da[None, :]
        db1 += da
    return loss, dw1, db1, dw2, db2


class ContainerNet(nn.Module):
    def __init__(self, in_features=4, hidden=8, out_features=2, depth=2):
        super().__init__()
        layers, scales = [nn.Linear(in_features, hidden)], [nn.Parameter(torch.ones(hidden))]
        for _ in range(depth - 1):
            layers.append(nn.Linear(hidden, hidden))
            scales.append(nn.Parameter(torch.ones(hidden)))
        self.layers = nn.ModuleList(layers)
        self.scales = nn.ParameterList(scales)
        self.heads = nn.ModuleDict({"mean": nn.Linear(hidden, out_features), "spread": nn.Linear(hidden, out_features)})

    def forward(self, x, head="mean"):
        for layer, scale in zip(self.layers, self.scales, strict=True):
            x = layer(x) * scale
            x = x * (x > 0)
        if head == "mean":
            return self.heads["mean"](x)
        if head == "spread":
            return self.heads["spread"](x)
        raise KeyError(head)
