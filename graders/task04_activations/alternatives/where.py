"""torch.where for each corner."""

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def _need_float(x):
    if not x.is_floating_point():
        raise TypeError("x must be a tensor of floats")


def sigmoid(x):
    _need_float(x)
    up = torch.exp(-x.clamp(min=0))
    down = torch.exp(x.clamp(max=0))
    return torch.where(x >= 0, 1 / (1 + up), down / (1 + down))


def tanh(x):
    _need_float(x)
    up = torch.expm1(-2 * x.clamp(min=0))
    down = torch.expm1(2 * x.clamp(max=0))
    return torch.where(x >= 0, -up / (up + 2), down / (down + 2))


def relu(x):
    _need_float(x)
    return x.clamp(min=0)


def leaky_relu(x, negative_slope=0.01):
    _need_float(x)
    return torch.where(x > 0, x, negative_slope * x)


def prelu(x, weight):
    _need_float(x)
    if weight.numel() == 1:
        weight = weight.reshape(())
    else:
        weight = weight.reshape(1, -1, *[1] * (x.dim() - 2))
    return torch.where(x > 0, x, weight * x)


def relu6(x):
    _need_float(x)
    return x.clamp(0, 6)


def elu(x, alpha=1.0):
    _need_float(x)
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def celu(x, alpha=1.0):
    _need_float(x)
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0) / alpha))


def softplus(x, beta=1.0):
    _need_float(x)
    return torch.maximum(x, torch.zeros_like(x)) + torch.log1p(torch.exp(-(beta * x).abs())) / beta


def softshrink(x, lambd=0.5):
    _need_float(x)
    return x - x.clamp(-lambd, lambd)


def gelu(x, approximate="none"):
    _need_float(x)
    if approximate == "none":
        return x / 2 * (1 + torch.erf(x / math.sqrt(2)))
    if approximate == "tanh":
        inner = x.clamp(-10, 10)
        return x / 2 * (1 + tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
    raise ValueError(f"unknown approximation {approximate!r}")


def hardswish(x):
    return x * (relu6(x + 3) / 6)


def softmax(x, dim):
    _need_float(x)
    e = torch.exp(x - x.detach().amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True)


def log_softmax(x, dim):
    _need_float(x)
    shifted = x - x.detach().amax(dim, keepdim=True)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


def activation_grad(name, x):
    _need_float(x)
    one = torch.ones_like(x)
    if name == "sigmoid":
        return sigmoid(x) * sigmoid(-x)
    if name == "tanh":
        return 1 - tanh(x) ** 2
    if name == "relu":
        return torch.where(x > 0, one, torch.where(x <= 0, 0 * one, x))
    if name == "leaky_relu":
        return torch.where(x > 0, one, torch.where(x <= 0, 0.01 * one, x))
    if name == "elu":
        return torch.where(x > 0, one, torch.exp(x.clamp(max=0)))
    if name == "softplus":
        return sigmoid(x)
    if name == "silu":
        near = x.clamp(-100, 100)
        return sigmoid(x) * (1 + near * sigmoid(-near))
    raise ValueError(f"no slope for {name!r}")
