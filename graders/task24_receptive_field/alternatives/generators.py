"""Generators and a dataclass for the windows; an ExitStack that gives everything back; the field on one channel."""

import contextlib
from dataclasses import dataclass
from math import prod


@dataclass
class Layer:
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def first(v):
    return next(iter(v)) if hasattr(v, "__iter__") else v


def walk(x):
    if isinstance(x, (list, nn.Sequential)):
        for y in x:
            yield from walk(y)
    elif isinstance(x, tuple):
        yield Layer(*x)
    elif isinstance(x, (nn.Conv2d, nn.MaxPool2d)):
        yield Layer(*map(first, (x.kernel_size, x.stride, x.padding, x.dilation)))
    elif isinstance(x, nn.AvgPool2d):
        yield Layer(*map(first, (x.kernel_size, x.stride, x.padding)))


def receptive_field(layers) -> tuple[int, int, float]:
    s, j, m = 1, 1, 0.0
    for layer in walk(layers):
        r = (layer.kernel - 1) * layer.dilation
        s, m, j = s + r * j, m + (r / 2 - layer.padding) * j, j * layer.stride
    return s, j, m


def count_params(model: nn.Module) -> int:
    return sum(prod(p.shape) for p in set(model.parameters()))


@contextlib.contextmanager
def untouched(model):
    modes = {m: m.training for m in model.modules()}
    state = {n: b.clone() for n, b in model.named_buffers()}
    with contextlib.ExitStack() as stack:
        try:
            yield stack
        finally:
            for m, t in modes.items():
                m.training = t
            for n, b in model.named_buffers():
                b.data.copy_(state[n])


def count_macs(model: nn.Module, input_size) -> int:
    p = next(iter(model.parameters()), None)
    if p is None:
        return 0
    macs = 0

    def hook(m, _, y):
        nonlocal macs
        macs += y.numel() * prod(m.weight.shape[1:])

    with untouched(model) as stack, torch.no_grad():
        for m in model.modules():
            m.training = False
            if isinstance(m, (nn.Linear, nn.Conv2d)):
                h = m.register_forward_hook(hook)
                stack.callback(h.remove)
        model(torch.zeros(*input_size).to(p)[None])
    return macs


def conv_cost(kind, cin, cout, k, h, w, groups=1) -> tuple[int, int]:
    if kind == "grouped" and (not groups or cin % groups or cout % groups):
        raise ValueError("groups")
    table = {
        "standard": lambda: k * k * cin * cout,
        "grouped": lambda: k * k * cin * cout // groups,
        "depthwise_separable": lambda: cin * (k * k + cout),
    }
    if kind not in table:
        raise ValueError("kind")
    n = table[kind]()
    return n, n * h * w


def fc_vs_conv(h, w, units, k) -> tuple[int, int, int]:
    return h * w * units, k * k * units, k * k


def linear_to_conv(linear: nn.Linear, c, h, w) -> nn.Conv2d:
    if prod((c, h, w)) != linear.in_features:
        raise ValueError
    conv = nn.utils.skip_init(nn.Conv2d, c, linear.out_features, (h, w), bias=linear.bias is not None)
    conv.to(device=linear.weight.device, dtype=linear.weight.dtype)
    state = {"weight": linear.weight.detach().unflatten(1, (c, h, w))}
    if linear.bias is not None:
        state["bias"] = linear.bias.detach()
    conv.load_state_dict(state)
    return conv.requires_grad_(True)


def positive(m):
    if isinstance(m, nn.Conv2d):
        m.in_channels = m.out_channels = m.groups = 1
        m.weight = nn.Parameter(torch.full((1, 1, *m.kernel_size), 1 / prod(m.kernel_size), dtype=torch.float64))
        m.bias = None
        m.padding_mode = "zeros"
    elif isinstance(m, nn.MaxPool2d):
        return nn.AvgPool2d(m.kernel_size, m.stride, m.padding, m.ceil_mode)
    elif isinstance(m, (nn.BatchNorm2d, nn.Dropout)):
        return nn.Identity()
    else:
        for n in list(m._modules):
            m._modules[n] = positive(m._modules[n])
    return m


def empirical_receptive_field(model: nn.Module) -> int:
    net = positive(copy.deepcopy(model)).eval()
    with torch.enable_grad():
        x = torch.full((1, 1, 500, 500), 1.0, dtype=torch.float64, requires_grad=True)
        y = net(x)
        (g,) = torch.autograd.grad(y[:, :, y.size(2) // 2, y.size(3) // 2].sum(), x)
    rows = g.nan_to_num().abs().amax((0, 1, 3)).nonzero()
    return (rows.max() - rows.min()).item() + 1
