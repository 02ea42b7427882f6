"""One-liners: a batch axis in front before the axes are merged, tensordot, GELU, a list of the biases there are."""


def linear_forward(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.matmul(x, weight.mT) + (0 if bias is None else bias)


@torch.no_grad()
def linear_backward(grad_out: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    g = grad_out.unsqueeze(0).flatten(0, -2)
    r = x.unsqueeze(0).flatten(0, -2)
    return torch.matmul(grad_out, weight), torch.tensordot(g, r, dims=([0], [0])), g.sum(dim=0)


class ManualLinear(nn.Module):
    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        k = in_features**-0.5
        self.weight = nn.Parameter(nn.init.uniform_(torch.empty(out_features, in_features), -k, k))
        self.register_parameter(
            "bias", nn.Parameter(nn.init.uniform_(torch.empty(out_features), -k, k)) if bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        return linear_forward(x, self.weight, self.bias)


class MLP(nn.Sequential):
    def __init__(self, in_features: int, hidden: list[int], out_features: int) -> None:
        layers = [nn.Linear(a, b) for a, b in pairwise([in_features] + list(hidden) + [out_features])]
        super().__init__(*[m for layer in layers for m in (layer, nn.GELU())][:-1])


def collapse_linear(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    with torch.no_grad():
        biases = [] if first.bias is None else [second.weight @ first.bias]
        biases += [] if second.bias is None else [second.bias]
        new = nn.Linear(first.in_features, second.out_features, bias=bool(biases))
        new.weight = nn.Parameter((second.weight @ first.weight).clone())
        if biases:
            new.bias = nn.Parameter(sum(biases).clone())
    return new
