"""einsum for every product, initial values by hand."""

from torch import nn


def linear_forward(x, weight, bias=None):
    y = torch.einsum("...i,oi->...o", x, weight)
    return y if bias is None else y.add(bias)


def linear_backward(grad_out, x, weight):
    axes = tuple(range(grad_out.dim() - 1))
    return (
        torch.einsum("...o,oi->...i", grad_out, weight),
        torch.einsum("...o,...i->oi", grad_out, x),
        grad_out.sum(axes) if axes else grad_out.clone(),
    )


class ManualLinear(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        k = in_features**-0.5
        self.weight = nn.Parameter((torch.rand(out_features, in_features) * 2 - 1) * k)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, x):
        return linear_forward(x, self.weight, self.bias)


class MLP(nn.Sequential):
    def __init__(self, in_features, hidden, out_features):
        parts = []
        for a, b in zip([in_features] + list(hidden), list(hidden) + [out_features]):
            parts += [nn.Linear(a, b), nn.Tanh()]
        super().__init__(*parts[:-1])


def collapse_linear(first, second):
    w2 = second.weight.detach()
    has_bias = first.bias is not None or second.bias is not None
    new = nn.Linear(first.in_features, second.out_features, bias=has_bias, device=w2.device, dtype=w2.dtype)
    new.weight.data.copy_(torch.einsum("om,mi->oi", w2, first.weight.detach()))
    if has_bias:
        new.bias.data.zero_()
        if first.bias is not None:
            new.bias.data.add_(torch.mv(w2, first.bias.detach()))
        if second.bias is not None:
            new.bias.data.add_(second.bias.detach())
    return new
