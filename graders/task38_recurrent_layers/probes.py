"""Helpers for task 38 that run beside the submission: cells, layers of PyTorch, gradients to clip, a small training."""

import torch
from torch import nn
from torch.nn import functional as F


def plain_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    return torch.tanh(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)


def pair_cell(x, state, w_ih, w_hh, b_ih, b_hh):
    """A cell with two states that is no LSTM: c is a running sum, h shows it."""
    h, c = state
    c = c / 2 + plain_cell(x, h, w_ih, w_hh, b_ih, b_hh)
    return torch.sin(c + b_hh), c


def scanned(scan, x, h, c, w_ih, w_hh, b_ih, b_hh, lengths=None, **settings):
    """``scan`` with a plain cell, or, where c is given, with one that has two states."""
    settings = settings if lengths is None else {"lengths": lengths, **settings}
    cell, state = (plain_cell, h) if c is None else (pair_cell, (h, c))
    outputs, end = scan(cell, x, state, (w_ih, w_hh, b_ih, b_hh), **settings)
    return outputs, end


def library(kind, *sizes, state, **settings):
    """A layer of PyTorch's with this state_dict."""
    layer = getattr(nn, kind)(*sizes, **settings)
    layer.load_state_dict(state)
    return layer


class Running(nn.Module):
    """A layer of its own kind: its state is (B, I, 2), its output (T, B, I, 2)."""

    def forward(self, x, state=None):
        state = x.new_zeros(*x.shape[1:], 2) if state is None else state
        steps = []
        for step in x:
            state = torch.tanh(step[..., None] * x.new_tensor([1.0, 0.5]) + state.flip(2) / 2)
            steps.append(state)
        return torch.stack(steps), state


def running():
    return Running()


def clipped(clip, how, grads, max_norm):
    """What ``clip`` returns for tensors with these gradients, the gradients after it, and whether they are the same
    tensors; ``how``: "list" or "module" of parameters, "generator" of plain tensors; "parameter" or "tensor", the
    first one alone."""
    tensors = [torch.ones(3) if grad is None else torch.ones_like(grad) for grad in grads]
    plain = how in ("generator", "tensor")
    tensors = [tensor.requires_grad_() if plain else nn.Parameter(tensor) for tensor in tensors]
    for tensor, grad in zip(tensors, grads, strict=True):
        tensor.grad = None if grad is None else grad.clone()
    before = [tensor.grad for tensor in tensors]
    given = {
        "list": lambda: tensors,
        "generator": lambda: (tensor for tensor in tensors),
        "tensor": lambda: tensors[0],
        "parameter": lambda: tensors[0],
        "module": lambda: nn.ParameterList(tensors).parameters(),
    }[how]()
    norm = clip(given, max_norm)
    norm = norm.detach().clone() if isinstance(norm, torch.Tensor) else norm
    after = [tensor.grad for tensor in tensors]
    kept = [tensor.detach().clone() for tensor in tensors]
    return norm, after, [one is other for one, other in zip(before, after, strict=True)], kept


def recall(build, symbols, length, steps):
    """Train a layer with a linear head to name the first symbol of a sequence: the losses, and the share of right
    answers on new sequences."""
    layer, head = build(symbols, 24), nn.Linear(24, symbols)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.03)

    def batch(count):
        ids = torch.randint(symbols, (length, count))
        return F.one_hot(ids, symbols).float(), ids[0]

    losses = []
    for _ in range(steps):
        x, first = batch(32)
        loss = F.cross_entropy(head(layer(x)[0][-1]), first)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        x, first = batch(400)
        return losses, float((head(layer(x)[0][-1]).argmax(1) == first).double().mean())
