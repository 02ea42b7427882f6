"""Task 3: the fully connected layer.

A fully connected layer computes ``y = x · Wᵀ + b``. Write it as a matrix product, derive its backward pass by
hand, turn it into a Module that stands in for ``nn.Linear``, stack it to a network, and show that a stack
without activations is only one layer.

Conventions, the same as PyTorch's:

* ``x`` is (..., in_features): any number of leading axes, also none. A batch may be empty.
* ``weight`` is (out_features, in_features) and ``bias`` is (out_features,).

Forbidden: ``F.linear``, ``nn.Linear`` and ``nn.Bilinear`` in `linear_forward` and in `ManualLinear` (every
other product of PyTorch is fine: ``@``, ``matmul``, ``einsum``, ``addmm``, ...); autograd in
`linear_backward`; Python loops over the samples or over the units. `MLP` and `collapse_linear` may use
``nn.Linear``.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


def linear_forward(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x · weightᵀ + bias``, differentiable in all three.

    x: (..., in_features). weight: (out_features, in_features). bias: (out_features,), or None for no bias.
    Returns: (..., out_features).
    """
    # TODO: multiply by the transposed weight, and add the bias if there is one.
    # BEGIN SOLUTION
    y = x @ weight.T  # (..., out)
    return y if bias is None else y + bias
    # END SOLUTION


def linear_backward(grad_out: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a loss with respect to x, weight and bias, by formula, without autograd.

    grad_out: (..., out_features), the gradient of the loss with respect to the output of `linear_forward`.
    x: (..., in_features), with the same leading axes. weight: (out_features, in_features).
    Returns: (grad_x, grad_weight, grad_bias), shaped like x, weight and the bias. Weight and bias are shared
    by all samples, so their gradients are sums over all leading axes.
    """
    # TODO: write the three products; merge the leading axes where a sum runs over them.
    # BEGIN SOLUTION
    flat_grad = grad_out.reshape(-1, grad_out.shape[-1])  # (n, out)
    flat_x = x.reshape(-1, x.shape[-1])  # (n, in)
    return grad_out @ weight, flat_grad.T @ flat_x, flat_grad.sum(0)
    # END SOLUTION


class ManualLinear(nn.Module):
    """A fully connected layer that can stand in for ``nn.Linear``.

    Its parameters are called ``weight`` (out_features, in_features) and ``bias`` (out_features,), so that a
    state_dict of ``nn.Linear`` can be loaded, and the reverse. With ``bias=False`` there is no bias:
    ``self.bias`` is None.

    The weight starts uniformly distributed between -1/sqrt(in_features) and +1/sqrt(in_features), anew for
    every instance. The bias starts within the same bounds (zeros are within them).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        # TODO: register the parameters, and give them their first values.
        # BEGIN SOLUTION
        bound = in_features**-0.5
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound))
        else:
            self.register_parameter("bias", None)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., in_features). Returns: (..., out_features)."""
        # TODO: call linear_forward.
        # BEGIN SOLUTION
        return linear_forward(x, self.weight, self.bias)
        # END SOLUTION


class MLP(nn.Module):
    """Fully connected layers in a row: in_features, then the widths in ``hidden``, then out_features.

    Every layer has a bias. A non-linear activation without parameters, of your choice, stands between every
    two layers; none stands after the last one. With ``hidden=[]`` there is a single layer. The layers must be
    registered: all of their parameters appear in ``parameters()``. How they are initialised is up to you, as
    long as the network can learn.
    """

    def __init__(self, in_features: int, hidden: list[int], out_features: int) -> None:
        super().__init__()
        # TODO: make one layer for each pair of neighbouring widths.
        # BEGIN SOLUTION
        widths = [in_features, *hidden, out_features]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., in_features). Returns: (..., out_features), not squashed."""
        # TODO: apply the layers, with an activation between every two of them.
        # BEGIN SOLUTION
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)
        # END SOLUTION


def collapse_linear(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """Return one new layer that computes the same as ``second(first(x))``, for every x.

    first: in_features → middle. second: middle → out_features. Either may lack its bias.
    Returns: an ``nn.Linear`` from in_features to out_features, of the same dtype and on the same device. It
    owns its parameters, which can be trained: training it changes neither ``first`` nor ``second``, which
    stay as they are.
    """
    # TODO: write second(first(x)) out, and read off the weight and the bias.
    # BEGIN SOLUTION
    weight = (second.weight @ first.weight).detach()  # (out, in)
    bias = torch.zeros_like(weight[:, 0])  # (out,)
    if first.bias is not None:
        bias += second.weight.detach() @ first.bias.detach()
    if second.bias is not None:
        bias += second.bias.detach()
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype, device=weight.device)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer
    # END SOLUTION
