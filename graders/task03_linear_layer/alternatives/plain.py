"""Plain formulas, a list of layers in a ModuleList."""

import math


def linear_forward(x, weight, bias=None):
    out = x @ weight.t()
    if bias is not None:
        out = out + bias
    return out


def linear_backward(grad_out, x, weight):
    flat_out = grad_out.reshape(-1, weight.shape[0])
    flat_x = x.reshape(-1, weight.shape[1])
    grad_x = grad_out @ weight
    grad_weight = flat_out.t() @ flat_x
    grad_bias = flat_out.sum(0)
    return grad_x, grad_weight, grad_bias


class ManualLinear(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound))
        else:
            self.register_parameter("bias", None)

    def forward(self, x):
        return linear_forward(x, self.weight, self.bias)


class MLP(nn.Module):
    def __init__(self, in_features, hidden, out_features):
        super().__init__()
        widths = [in_features, *hidden, out_features]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:])])

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            if i > 0:
                x = torch.relu(x)
            x = layer(x)
        return x


def collapse_linear(first, second):
    with torch.no_grad():
        weight = second.weight @ first.weight
        bias = torch.zeros(second.out_features, dtype=weight.dtype, device=weight.device)
        if first.bias is not None:
            bias += second.weight @ first.bias
        if second.bias is not None:
            bias += second.bias
    new = nn.Linear(first.in_features, second.out_features)
    new.weight = nn.Parameter(weight)
    new.bias = nn.Parameter(bias)
    return new
