"""tensordot, a class for a product and one for a layer with its activation."""

import math

from torch import nn
from torch.nn import functional as F


class Product:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        return torch.tensordot(x, self.weight, dims=([-1], [1]))


def linear_forward(x, weight, bias=None):
    out = Product(weight)(x)
    if bias is not None:
        out += bias
    return out


def linear_backward(grad_out, x, weight):
    lead = list(range(x.dim() - 1))
    grad_x = torch.matmul(grad_out.unsqueeze(-2), weight).squeeze(-2)
    grad_weight = torch.tensordot(grad_out, x, dims=(lead, lead))
    grad_bias = grad_out
    while grad_bias.dim() > 1:
        grad_bias = grad_bias.sum(0)
    return grad_x, grad_weight, grad_bias


class ManualLinear(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.register_parameter("weight", nn.Parameter(torch.empty((out_features, in_features))))
        self.register_parameter("bias", nn.Parameter(torch.empty(out_features)) if bias else None)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self):
        bound = 1 / math.sqrt(self.in_features)
        for p in self.parameters():
            p.copy_(torch.distributions.Uniform(-bound, bound).sample(p.shape))

    def forward(self, x):
        return linear_forward(x, self.weight, self.bias)


class Step(nn.Module):
    def __init__(self, a, b, last):
        super().__init__()
        self.lin = nn.Linear(a, b)
        self.last = last

    def forward(self, x):
        y = self.lin(x)
        return y if self.last else F.leaky_relu_(y)


class MLP(nn.Module):
    def __init__(self, in_features, hidden, out_features):
        super().__init__()
        sizes = list(hidden)
        sizes.insert(0, in_features)
        sizes.append(out_features)
        self.steps = nn.ModuleDict(
            {str(i): Step(sizes[i], sizes[i + 1], i == len(sizes) - 2) for i in range(len(sizes) - 1)}
        )

    def forward(self, x):
        for step in self.steps.values():
            x = step(x)
        return x


def collapse_linear(first, second):
    new = nn.utils.skip_init(
        nn.Linear, first.in_features, second.out_features, device=first.weight.device, dtype=first.weight.dtype
    )
    b = torch.zeros_like(second.weight[:, 0]) if second.bias is None else second.bias
    b1 = torch.zeros_like(first.weight[:, 0]) if first.bias is None else first.bias
    new.load_state_dict({"weight": second.weight.mm(first.weight), "bias": b + second.weight.mv(b1)})
    return new
