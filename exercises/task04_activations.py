"""Task 04: activation functions and their slopes, by hand.

Most formulas fit into one line, and that line often breaks: exp(89) is infinite in float32, and infinity
minus or divided by infinity is not a number (NaN). The functions here are right everywhere.

Conventions:

* `x` is a floating-point tensor of any shape; only softmax and log_softmax need an axis. The result has
  its shape, dtype (half precision included) and device, and `x` itself is not changed.
* Where the true value is finite, so is the result, at x = ±1000 as well as at x = ±infinity (a product
  of 0 and infinity, as in silu(-inf), is not graded). NaN stays NaN; a slope at NaN is not graded.
* Gradients flow, and in float32 and float64 none is NaN, not even at x = ±1000. The branch that
  torch.where does not choose takes part in the backward pass: 0 times infinity is NaN there, so keep
  infinity out of it.
* At a corner (relu at 0, relu6 at 0 and 6, ...) any slope between those of the two sides is right.
* A tensor of integers is either refused (TypeError, ValueError, RuntimeError) or computed as floating
  point. Never round a result to integers; where it is whole by itself, as for relu, it may stay one.

Forbidden: every activation function of PyTorch, under any name (torch.sigmoid, x.tanh(), F.elu, nn.GELU,
torch.softmax, torch.special.expit, ...). One exception: torch.tanh is allowed in sigmoid, gelu and the
slopes; tanh must not come to it, not even by way of sigmoid. Use exp, expm1, log1p, erf, abs, clamp,
maximum, where, ... and the functions that you have already written; activation_grad does without
autograd. The number of PyTorch calls must not depend on the size of `x`: no Python loop over elements.
"""


import torch

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def sigmoid(x):
    """1 / (1 + e^-x), between 0 and 1."""
    # TODO: keep e^-x from overflowing where x is very negative.
    raise NotImplementedError


def tanh(x):
    """(e^x - e^-x) / (e^x + e^-x), between -1 and 1."""
    # TODO: find a form that holds for large x of both signs.
    raise NotImplementedError


def relu(x):
    """x where x is positive, 0 elsewhere."""
    # TODO: cut off what is negative.
    raise NotImplementedError


def leaky_relu(x, negative_slope=0.01):
    """x where x is positive, negative_slope * x elsewhere."""
    # TODO: choose between the two lines.
    raise NotImplementedError


def prelu(x, weight):
    """Leaky ReLU with a learned slope: x where x is positive, weight * x elsewhere.

    `weight` is a tensor with one value, () or (1,), or with one value for each channel, (C,), of x (N, C, ...).
    Gradients reach `weight`, too.
    """
    # TODO: lay the weight along axis 1, then choose between the two lines.
    raise NotImplementedError


def relu6(x):
    """ReLU that stops at 6."""
    # TODO: keep x between 0 and 6.
    raise NotImplementedError


def elu(x, alpha=1.0):
    """x where x is positive, alpha * (e^x - 1) elsewhere."""
    # TODO: choose between line and exponential; the exponential must not overflow where it is not used.
    raise NotImplementedError


def celu(x, alpha=1.0):
    """x where x is positive, alpha * (e^(x / alpha) - 1) elsewhere, for a positive alpha."""
    # TODO: like elu, but the slope at 0 is 1 for every alpha.
    raise NotImplementedError


def selu(x):
    """SELU_SCALE * elu(x, SELU_ALPHA)."""
    # TODO: scale both sides.
    raise NotImplementedError


def softplus(x, beta=1.0):
    """log(1 + e^(beta x)) / beta, a smooth ReLU, for a positive beta."""
    # TODO: take max(beta x, 0) out of the logarithm, so that what remains in it cannot overflow.
    raise NotImplementedError


def logsigmoid(x):
    """log(sigmoid(x)), finite at x = -1000, where sigmoid is 0 in float32."""
    # TODO: write it as another function of this file.
    raise NotImplementedError


def softshrink(x, lambd=0.5):
    """Moves x towards 0 by lambd, and to 0 if it is nearer than that."""
    # TODO: treat the two sides and the middle.
    raise NotImplementedError


def tanhshrink(x):
    """x - tanh(x)."""
    # TODO: one line.
    raise NotImplementedError


def gelu(x, approximate="none"):
    """x times the probability that a standard normal number is below x.

    approximate="none" is exact: x / 2 * (1 + erf(x / sqrt(2))). approximate="tanh" replaces the error function:
    x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))). Anything else raises ValueError.
    """
    # TODO: write both forms.
    raise NotImplementedError


def silu(x):
    """x * sigmoid(x), also called swish."""
    # TODO: one line.
    raise NotImplementedError


def hardswish(x):
    """x * relu6(x + 3) / 6, silu made of straight lines."""
    # TODO: one line.
    raise NotImplementedError


def softmax(x, dim):
    """e^x / sum of e^x along the axis `dim`, which may be negative: along it the result sums to 1."""
    # TODO: shift x first, so that no exponential overflows; a shift changes nothing.
    raise NotImplementedError


def log_softmax(x, dim):
    """log(softmax(x, dim)), finite where softmax itself is 0 in float32."""
    # TODO: take the logarithm of the formula, not of its rounded result.
    raise NotImplementedError


class SigmoidFunction(torch.autograd.Function):
    """Sigmoid with a backward pass of its own; SigmoidFunction.apply(x) calls it."""

    @staticmethod
    def forward(ctx, x):
        """Return sigmoid(x), and save in ctx what backward needs."""
        # TODO: compute, save, return.
        raise NotImplementedError

    @staticmethod
    def backward(ctx, grad_output):
        """The gradient of the loss by y is given; return the gradient by x, in the same shape."""
        # TODO: multiply by the slope of sigmoid.
        raise NotImplementedError


def activation_grad(name, x):
    """The slope of an activation function at each x, from its formula and without autograd.

    `name` is one of sigmoid, tanh, relu, leaky_relu, elu, softplus, silu, each with its default arguments;
    any other name raises ValueError.
    """
    # TODO: one formula for each name.
    raise NotImplementedError
