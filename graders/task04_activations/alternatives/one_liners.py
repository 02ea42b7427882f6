"""As short as it goes."""

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def sigmoid(x):
    return logsigmoid(x).exp()


def tanh(x):
    return (
        torch.expm1(2 * x.clamp(-20, 20)) / (torch.expm1(2 * x.clamp(-20, 20)) + 2)
        if x.dtype is not torch.half
        else tanh(x.float()).half()
    )


def relu(x):
    return torch.where(x <= 0, torch.zeros_like(x), x)


def leaky_relu(x, negative_slope=0.01):
    return torch.where(x > 0, x, x * negative_slope)


def prelu(x, weight):
    return torch.where(
        x > 0, x, x * (weight.squeeze() if weight.numel() == 1 else weight[(slice(None),) + (None,) * (x.ndim - 2)])
    )


def relu6(x):
    return x.clamp(min=0).clamp(max=6)


def elu(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * (torch.where(x > 0, x.detach().clamp(max=0), x)).expm1())


def celu(x, alpha=1.0):
    return elu(x / alpha) * alpha


def selu(x):
    return SELU_SCALE * elu(x, SELU_ALPHA)


def softplus(x, beta=1.0):
    return torch.logaddexp(x * beta, torch.zeros_like(x)) / beta


def logsigmoid(x):
    return -softplus(-x)


def softshrink(x, lambd=0.5):
    return x - torch.clamp(x, min=-lambd, max=lambd)


def tanhshrink(x):
    return x - tanh(x)


def gelu(x, approximate="none"):
    match approximate:
        case "none":
            return x * 0.5 * (1 + torch.erf(x * 0.5**0.5))
        case "tanh":
            t = x.clamp(-12, 12)
            return x * 0.5 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (t + 0.044715 * t.pow(3))))
    raise ValueError("approximate")


def silu(x):
    return sigmoid(x) * x


def hardswish(x):
    return x / 6 * relu6(x + 3)


def softmax(x, dim):
    return (x - torch.logsumexp(x, dim, keepdim=True)).exp()


def log_softmax(x, dim):
    return x - x.logsumexp(dim, True)


class SigmoidFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.y = sigmoid(x)
        return ctx.y.clone()

    @staticmethod
    def backward(ctx, grad_output):
        return ctx.y * (1 - ctx.y) * grad_output


def activation_grad(name, x):
    x = x * 1.0
    s = sigmoid(x)
    nan = torch.where(x == x, torch.zeros_like(x), x)
    if name == "sigmoid":
        out = s * (1 - s)
    elif name == "tanh":
        out = 1 - tanh(x).square()
    elif name == "relu":
        out = torch.heaviside(x, torch.zeros((), dtype=x.dtype, device=x.device))
    elif name == "leaky_relu":
        out = torch.where(x > 0, torch.ones_like(x), torch.full_like(x, 0.01))
    elif name == "elu":
        out = x.clamp(max=0).exp()
    elif name == "softplus":
        out = s
    elif name == "silu":
        out = s * (1 + x * (1 - s))
    else:
        raise ValueError(name)
    return out + nan
