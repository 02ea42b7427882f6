"""Networks as one nn.Sequential, the block with a bottleneck list, the mismatch by wrapped forwards on a copy."""

import copy
import math

import torch
from torch import nn


def pooled_sizes(size):
    x = torch.zeros(1, 1, size, size, device="meta")
    sizes = []
    for padding in (0, 0, 1, 0):
        try:
            x = nn.functional.max_pool2d(x, 2, padding=padding)
        except (RuntimeError, IndexError) as error:
            raise ValueError("too small") from error
        sizes.append(int(x.shape[-1]))
    return sizes


def conv_block(in_channels, out_channels):
    block = nn.Sequential()
    block.add_module("conv", nn.Conv2d(in_channels, out_channels, (3, 3), padding="same"))
    block.add_module("norm", nn.BatchNorm2d(out_channels))
    block.add_module("relu", nn.ReLU(True))
    return block


def normalized_log_probs(logits):
    return logits - torch.logsumexp(logits, dim=-1, keepdim=True)


def softmax_loss_floor(num_classes=10):
    if num_classes < 1:
        raise ValueError(f"{num_classes} classes")
    return math.log(1 + (num_classes - 1) * math.exp(-1))


class VGGBase(nn.Sequential):
    def __init__(self, num_classes=10, log_probs=False):
        parts = []
        for a, b, padding in (
            (3, 64, 0), (64, 128, None), (128, 128, 0), (128, 256, None), (256, 256, 1), (256, 512, None), (512, 512, 0)
        ):  # fmt: skip
            parts.append(conv_block(a, b))
            if padding is not None:
                parts.append(nn.MaxPool2d(2, padding=padding))
        parts += [nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(2048, num_classes)]
        if log_probs:
            parts.append(nn.LogSoftmax(dim=-1))
        super().__init__(*parts)


class Found(Exception):
    pass


def find_mismatch(model, input_size):
    twin = copy.deepcopy(model)
    twin.eval()

    def guard(name, module, wanted, axis):
        old = module.forward

        def forward(*args, **kwargs):
            x = args[0] if args else list(kwargs.values())[0]
            if x.size(axis) != wanted:
                raise Found(name, wanted, x.size(axis))
            return old(*args, **kwargs)

        module.forward = forward

    for name, module in twin.named_modules():
        if isinstance(module, nn.Conv2d):
            guard(name, module, module.in_channels, 1)
        elif isinstance(module, nn.BatchNorm2d):
            guard(name, module, module.num_features, 1)
        elif isinstance(module, nn.Linear):
            guard(name, module, module.in_features, -1)
    like = next(iter(twin.parameters()))
    try:
        twin(like.new_ones(2, *input_size))
    except Found as found:
        return found.args
    return None


class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, reduction=1):
        super().__init__()
        if reduction < 1 or out_channels // reduction == 0:
            raise ValueError("reduction")
        narrow = out_channels // reduction
        self.conv1 = nn.Conv2d(in_channels, narrow, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, out_channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if in_channels != out_channels or stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return torch.relu_(out)


class CifarResNet(nn.Sequential):
    def __init__(self, num_classes=10, reduction=1):
        super().__init__(
            nn.Conv2d(3, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            *(ResidualBlock(max(32, c // 2), c, 2, reduction) if first else ResidualBlock(c, c, 1, reduction)
              for c in (64, 128, 256, 512) for first in (True, False)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(512, num_classes),
        )  # fmt: skip
