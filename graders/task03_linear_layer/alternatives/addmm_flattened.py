"""addmm and mm on flattened matrices, kaiming_uniform_ with a=√5, a stack of ManualLinear with named modules."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def linear_forward(x, weight, bias=None):
    rows = x.reshape(-1, weight.shape[1])
    y = torch.mm(rows, weight.t()) if bias is None else torch.addmm(bias, rows, weight.t())
    return y.reshape(*x.shape[:-1], weight.shape[0])


def linear_backward(grad_out, x, weight):
    rows, inputs = torch.atleast_2d(grad_out).flatten(0, -2), x.reshape(-1, x.size(-1))
    grad_x = torch.mm(rows, weight).reshape(x.shape)
    grad_bias = torch.mv(rows.t(), torch.ones_like(rows[:, 0]))
    return grad_x, torch.mm(rows.t(), inputs), grad_bias


class ManualLinear(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_features)) if bias else None)

    def forward(self, x):
        return linear_forward(x, self.weight, self.bias)


class MLP(nn.Module):
    def __init__(self, in_features, hidden, out_features):
        super().__init__()
        for index, width in enumerate([*hidden, out_features]):
            self.add_module(f"layer{index}", ManualLinear(in_features, width))
            in_features = width
        self.depth = len(hidden)

    def forward(self, x):
        for index in range(self.depth):
            x = nn.functional.leaky_relu(getattr(self, f"layer{index}")(x), 0.2)
        return getattr(self, f"layer{self.depth}")(x)


def collapse_linear(first, second):
    layer = nn.Linear(first.in_features, second.out_features, bias=True)
    layer.weight = nn.Parameter(second.weight.detach() @ first.weight.detach())
    bias = torch.zeros(second.out_features).to(layer.weight)
    for term in (None if first.bias is None else second.weight @ first.bias, second.bias):
        bias = bias if term is None else bias + term.detach()
    layer.bias = nn.Parameter(bias)
    return layer
