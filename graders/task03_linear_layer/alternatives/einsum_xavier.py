"""einsum for every product, Xavier initialisation in the stack, tanh between its layers, nn.Sequential."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def linear_forward(x, weight, bias=None):
    y = torch.einsum("...i,oi->...o", x, weight)
    return y + bias if bias is not None else y


def linear_backward(grad_out, x, weight):
    grad_x = torch.einsum("...o,oi->...i", grad_out, weight)
    grad_weight = torch.einsum("...o,...i->oi", grad_out, x)
    grad_bias = torch.einsum("...o->o", grad_out)
    return grad_x, grad_weight, grad_bias


class MLP(nn.Module):
    def __init__(self, in_features, hidden, out_features):
        super().__init__()
        stack = []
        for width in hidden:
            stack += [nn.Linear(in_features, width), nn.Tanh()]
            in_features = width
        self.stack = nn.Sequential(*stack, nn.Linear(in_features, out_features))
        for layer in self.stack:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.stack(x)


def collapse_linear(first, second):
    probe = torch.eye(first.in_features, dtype=first.weight.dtype, device=first.weight.device)
    layer = nn.Linear(first.in_features, second.out_features).to(probe)
    with torch.no_grad():
        offset = second(first(torch.zeros_like(probe[0])))
        layer.weight.copy_((second(first(probe)) - offset).T)
        layer.bias.copy_(offset)
    return layer
