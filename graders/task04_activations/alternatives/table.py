"""Half precision is computed in float32; wide helper; slopes in a dict of functions."""

import functools

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def widened(function):
    @functools.wraps(function)
    def inner(x, *args, **kwargs):
        if not x.is_floating_point():
            raise ValueError("floats only")
        if x.dtype in (torch.float16, torch.bfloat16):
            return function(x.float(), *args, **kwargs).to(x.dtype)
        return function(x, *args, **kwargs)

    return inner


@widened
def sigmoid(x):
    small = torch.exp(-torch.maximum(x, -x))
    return torch.exp(torch.minimum(x, x.new_zeros(()))) / (1 + small)


@widened
def tanh(x):
    small = torch.expm1(-2 * torch.maximum(x, -x))
    t = small / (small + 2)
    return torch.where(x > 0, -t, torch.where(x < 0, t, x))


@widened
def relu(x):
    return torch.maximum(x, x.new_zeros(()))


@widened
def leaky_relu(x, negative_slope=0.01):
    slope = torch.where(x > 0, x.new_ones(()), x.new_tensor(negative_slope))
    return slope * x


@widened
def prelu(x, weight):
    if weight.numel() > 1:
        weight = weight.unflatten(0, (-1, *[1] * (x.ndim - 2))) if x.ndim > 2 else weight
    elif weight.ndim:
        weight = weight.sum()
    return relu(x) - weight * relu(-x)


@widened
def relu6(x):
    return torch.minimum(relu(x), x.new_tensor(6.0))


@widened
def elu(x, alpha=1.0):
    return relu(x) + alpha * torch.expm1(-relu(-x))


@widened
def celu(x, alpha=1.0):
    return relu(x) + alpha * torch.expm1(-relu(-x) / alpha)


@widened
def selu(x):
    return SELU_SCALE * elu(x, SELU_ALPHA)


@widened
def softplus(x, beta=1.0):
    z = beta * x
    return (relu(z) + torch.log1p(torch.exp(-torch.maximum(z, -z)))) / beta


@widened
def logsigmoid(x):
    return -softplus(-x)


@widened
def softshrink(x, lambd=0.5):
    return relu(x - lambd) - relu(-x - lambd)


@widened
def tanhshrink(x):
    return x - tanh(x)


@widened
def gelu(x, approximate="none"):
    kinds = {
        "none": lambda: torch.erf(x / 2**0.5),
        "tanh": lambda: tanh(math.sqrt(2 / math.pi) * (x.clamp(-30, 30) + 0.044715 * x.clamp(-30, 30) ** 3)),
    }
    if not isinstance(approximate, str) or approximate not in kinds:
        raise ValueError(f"approximate={approximate!r}")
    return 0.5 * x * (1 + kinds[approximate]())


@widened
def silu(x):
    return x * sigmoid(x)


@widened
def hardswish(x):
    return x * relu6(x + 3) / 6


@widened
def softmax(x, dim):
    e = torch.exp(x - torch.amax(x, dim, keepdim=True))
    return e.div(e.sum(dim, keepdim=True))


@widened
def log_softmax(x, dim):
    top = torch.amax(x, dim, keepdim=True)
    return x - top - torch.exp(x - top).sum(dim, keepdim=True).log()


class SigmoidFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = sigmoid(x)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        x, y = ctx.saved_tensors
        return grad_output * (y * sigmoid(-x))


def _step(x, low):
    return torch.where(x.isnan(), x, torch.where(x > 0, torch.ones_like(x), torch.full_like(x, low)))


_SLOPES = {
    "sigmoid": lambda x: sigmoid(x) * sigmoid(-x),
    "tanh": lambda x: 4 * sigmoid(2 * x) * sigmoid(-2 * x),
    "relu": lambda x: _step(x, 0.0),
    "leaky_relu": lambda x: _step(x, 0.01),
    "elu": lambda x: torch.exp(-relu(-x)),
    "softplus": lambda x: sigmoid(x),
    "silu": lambda x: sigmoid(x) + silu(x) * sigmoid(-x),
}


def activation_grad(name, x):
    try:
        slope = _SLOPES[name]
    except KeyError:
        raise ValueError(f"{name} is none of {list(_SLOPES)}") from None
    return slope(x)
