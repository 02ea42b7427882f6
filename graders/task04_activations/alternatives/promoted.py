"""Integers are computed as floats; helpers; torch.tanh where it is allowed; masks in place on own copies."""

from math import pi, sqrt

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def as_float(x):
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def below(x):
    return torch.minimum(x, torch.zeros_like(x))


def above(x):
    return torch.maximum(x, torch.zeros_like(x))


def sigmoid(x):
    return (torch.tanh(as_float(x) / 2) + 1) / 2


def tanh(x):
    z = as_float(x)
    return (torch.expm1(2 * below(z)) - torch.expm1(-2 * above(z))) / (2 + torch.expm1(2 * (below(z) - above(z))))


def relu(x):
    return above(x)


def leaky_relu(x, negative_slope=0.01):
    x = as_float(x)
    return above(x) + negative_slope * below(x)


def prelu(x, weight):
    x = as_float(x)
    if weight.dim() == 1 and weight.shape[0] > 1:
        shape = [1] * x.dim()
        shape[1] = weight.shape[0]
        weight = weight.view(shape)
    elif weight.dim() == 1:
        weight = weight[0]
    return above(x) + weight * below(x)


def relu6(x):
    return torch.clamp(x, min=0, max=6)


def elu(x, alpha=1.0):
    x = as_float(x)
    return above(x) + alpha * torch.expm1(below(x))


def celu(x, alpha=1.0):
    x = as_float(x)
    return above(x) + alpha * torch.expm1(below(x) / alpha)


def selu(x):
    return SELU_SCALE * elu(x, alpha=SELU_ALPHA)


def softplus(x, beta=1.0):
    z = as_float(x) * beta
    return (above(z) + torch.log1p(torch.exp(below(z) - above(z)))) / beta


def logsigmoid(x):
    return -softplus(-as_float(x))


def softshrink(x, lambd=0.5):
    x = as_float(x)
    return above(x - lambd) + below(x + lambd)


def tanhshrink(x):
    return as_float(x) - tanh(x)


def gelu(x, approximate="none"):
    x = as_float(x)
    if approximate not in ("none", "tanh"):
        raise ValueError("approximate is none or tanh")
    if approximate == "none":
        inner = torch.erf(x / sqrt(2))
    else:
        t = torch.clamp(x, -20, 20)
        inner = torch.tanh(sqrt(2 / pi) * t * (1 + 0.044715 * t * t))
    return x / 2 * (1 + inner)


def silu(x):
    return as_float(x) * sigmoid(x)


def hardswish(x):
    x = as_float(x)
    return x * relu6(x + 3) / 6


def softmax(x, dim):
    return log_softmax(x, dim).exp()


def log_softmax(x, dim):
    x = as_float(x)
    x = x - x.max(dim=dim, keepdim=True).values
    return x - torch.log(torch.sum(torch.exp(x), dim=dim, keepdim=True))


class SigmoidFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return sigmoid(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * activation_grad("sigmoid", x)


def activation_grad(name, x):
    x = as_float(x)
    nan = x.clamp(0, 0)
    s = sigmoid(x)
    table = {
        "sigmoid": lambda: s - s * s,
        "tanh": lambda: (1 - torch.tanh(x)) * (1 + torch.tanh(x)),
        "relu": lambda: (x > 0).to(x.dtype) + nan,
        "leaky_relu": lambda: torch.full_like(x, 0.01).masked_fill(x > 0, 1.0) + nan,
        "elu": lambda: torch.exp(below(x)),
        "softplus": lambda: s,
        "silu": lambda: s + x * s * (1 - s),
    }
    if name not in table:
        raise ValueError(name)
    return table[name]()
