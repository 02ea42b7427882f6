"""The sum is an einsum."""


def total(x: Tensor) -> Tensor:
    return torch.einsum("i->", x.reshape(-1))
