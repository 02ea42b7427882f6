"""Task 01: multiply and add."""

import torch
from torch import Tensor, nn


def scale(x: Tensor, factor: float = 2.0) -> Tensor:
    """Return ``factor`` times ``x``; the input is not changed."""
    # TODO: multiply
    # BEGIN SOLUTION
    return x * factor
    # END SOLUTION


def total(x: Tensor) -> Tensor:
    """Return the sum of all elements as a 0-d tensor."""
    # BEGIN SOLUTION
    return x.sum()
    # END SOLUTION


class Affine(nn.Module):
    """``weight * x + bias`` with one learned number each."""

    def __init__(self) -> None:
        super().__init__()
        # BEGIN SOLUTION
        self.weight = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(()))
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        # BEGIN SOLUTION
        return self.weight * x + self.bias
        # END SOLUTION
