"""A beginner: flattened matrices, a layer in each attribute, unit vectors sent through both layers."""

import math

from torch import nn


def linear_forward(x, weight, bias=None):
    shape = x.shape
    x2 = x.reshape(math.prod(shape[:-1]), shape[-1])
    if bias is None:
        y = torch.mm(x2, torch.transpose(weight, 0, 1))
    else:
        y = torch.addmm(bias, x2, torch.transpose(weight, 0, 1))
    return y.reshape(list(shape[:-1]) + [weight.shape[0]])


def linear_backward(grad_out, x, weight):
    if x.dim() == 1:
        gx, gw, gb = linear_backward(grad_out[None], x[None], weight)
        return gx[0], gw, gb
    g = grad_out
    xx = x
    while g.dim() > 2:
        g = g.flatten(0, 1)
        xx = xx.flatten(0, 1)
    gx = torch.mm(g, weight).reshape(x.shape)
    gw = torch.mm(xx.T, g).T
    gb = torch.ones(1, g.shape[0], dtype=g.dtype) @ g
    return gx, gw, gb[0]


class ManualLinear(torch.nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super(ManualLinear, self).__init__()
        self.weight = torch.nn.Parameter(torch.zeros(out_features, in_features))
        torch.nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = None
        if bias:
            self.bias = torch.nn.Parameter(torch.zeros(out_features))

    def forward(self, x):
        return linear_forward(x, self.weight, self.bias)


class MLP(torch.nn.Module):
    def __init__(self, in_features, hidden, out_features):
        super(MLP, self).__init__()
        self.n = len(hidden) + 1
        before = in_features
        for i in range(self.n):
            if i < len(hidden):
                after = hidden[i]
            else:
                after = out_features
            setattr(self, "fc" + str(i), ManualLinear(before, after))
            before = after

    def forward(self, x):
        for i in range(self.n):
            x = getattr(self, "fc" + str(i))(x)
            if i != self.n - 1:
                x = torch.sigmoid(x)
        return x


def collapse_linear(first, second):
    result = nn.Linear(first.weight.shape[1], second.weight.shape[0])
    result = result.to(first.weight)
    eye = torch.eye(first.weight.shape[1]).to(first.weight)
    zero = torch.zeros(1, first.weight.shape[1]).to(first.weight)
    with torch.no_grad():
        b = second(first(zero))
        w = second(first(eye)) - b
        result.weight.copy_(w.T)
        result.bias.copy_(b[0])
    return result
