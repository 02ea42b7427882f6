"""Weights as nn.Parameter with functional calls; sizes by recursion; the mismatch from hooks that raise."""

import torch
from torch import nn
from torch.nn import functional as F


def pooled_sizes(size, paddings=(0, 0, 1, 0)):
    if not paddings:
        return []
    size = (size - 2 + 2 * paddings[0]) // 2 + 1
    if size <= 0:
        raise ValueError("nothing is left")
    return [size, *pooled_sizes(size, paddings[1:])]


class Conv(nn.Module):
    """A convolution on parameters of its own."""

    def __init__(self, inner, outer, size, stride=1, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outer, inner, size, size))
        self.bias = nn.Parameter(torch.zeros(outer)) if bias else None
        self.stride, self.padding = stride, size // 2
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class Norm(nn.Module):
    """A batch norm on parameters and buffers of its own."""

    def __init__(self, width):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))

    def forward(self, x):
        return F.batch_norm(x, self.mean, self.var, self.scale, self.shift, self.training)


class conv_block(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv, self.norm = Conv(in_channels, out_channels, 3), Norm(out_channels)

    def forward(self, x):
        return self.norm(self.conv(x)).clamp(min=0)


def normalized_log_probs(logits):
    return nn.LogSoftmax(dim=logits.dim() - 1)(logits)


class VGGBase(nn.Module):
    def __init__(self, num_classes=10, log_probs=False):
        super().__init__()
        widths = (3, 64, 128, 128, 256, 256, 512, 512)
        self.convs = nn.ModuleList(conv_block(*pair) for pair in zip(widths, widths[1:]))
        self.weight = nn.Parameter(torch.randn(num_classes, 2048) / 45)
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self.finish = normalized_log_probs if log_probs else nn.Identity()

    def forward(self, x):
        for n, layer in enumerate(self.convs):
            x = layer(x)
            if n in (0, 2, 4, 6):
                x = F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf) if n == 4 else x, 2)
        if x.shape[2:] != (2, 2):
            x = F.adaptive_avg_pool2d(x, 2)
        return self.finish(torch.einsum("nk,ck->nc", x.reshape(len(x), -1), self.weight) + self.bias)


def find_mismatch(model, input_size):
    class Stop(Exception):
        pass

    def before(module, args, kwargs):
        x = args[0] if args else next(iter(kwargs.values()))
        if isinstance(module, nn.Linear):
            wanted, got = module.in_features, x.shape[-1]
        else:
            wanted, got = getattr(module, "in_channels", None) or module.num_features, x.shape[1]
        if wanted != got:
            raise Stop(names[module], wanted, got)

    names = {module: name for name, module in model.named_modules()}
    modes = {module: module.training for module in names}
    handles = [
        module.register_forward_pre_hook(before, with_kwargs=True)
        for module in names
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))
    ]
    parameters = list(model.parameters())
    dtype, device = (parameters[0].dtype, parameters[0].device) if parameters else (None, None)
    try:
        with torch.inference_mode():
            model.train(False)
            model(torch.zeros((2, *input_size), dtype=dtype, device=device))
            return None
    except Stop as stop:
        return tuple(stop.args)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode


class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, reduction=1):
        super().__init__()
        if reduction <= 0 or reduction > out_channels:
            raise ValueError("reduction out of range")
        m = int(out_channels / reduction)
        self.a, self.na = Conv(in_channels, m, 3, stride, bias=False), Norm(m)
        self.b, self.nb = Conv(m, out_channels, 3, bias=False), Norm(out_channels)
        self.fits = (in_channels, 1) == (out_channels, stride)
        if not self.fits:
            self.c, self.nc = Conv(in_channels, out_channels, 1, stride, bias=False), Norm(out_channels)

    def forward(self, x):
        short = x if self.fits else self.nc(self.c(x))
        return (short + self.nb(self.b(self.na(self.a(x)).clamp(min=0)))).clamp(min=0)


class CifarResNet(nn.Module):
    def __init__(self, num_classes=10, reduction=1):
        super().__init__()
        self.stem, self.norm = Conv(3, 32, 3, bias=False), Norm(32)
        self.stages = nn.ModuleDict()
        inner = 32
        for outer in (64, 128, 256, 512):
            self.stages[f"down{outer}"] = ResidualBlock(inner, outer, 2, reduction)
            self.stages[f"keep{outer}"] = ResidualBlock(outer, outer, reduction=reduction)
            inner = outer
        self.head = nn.Linear(512, num_classes)

    def forward(self, x):
        x = self.norm(self.stem(x)).clamp(min=0)
        for stage in self.stages.values():
            x = stage(x)
        return self.head(x.flatten(2).mean(-1))
