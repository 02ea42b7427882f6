"""A convolution that brings its norm, a projection that is always there as a module, one function for both networks."""

# It is appended to the solution, whose helpers it may use.

import functools

import torch
from torch import nn


class Normed(nn.Conv2d):
    """A convolution without bias, then its own batch norm."""

    def __init__(self, inner, outer, size, stride=1):
        super().__init__(inner, outer, size, stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x):
        return self.norm(super().forward(x))


class BasicBlock(nn.Module):
    expansion: int = 1

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.a = Normed(in_channels, out_channels, 3, stride)
        self.b = Normed(out_channels, out_channels, 3)
        changes = (in_channels, 1) != (out_channels, stride)
        self.c = Normed(in_channels, out_channels, 1, stride) if changes else nn.Identity()

    def forward(self, x):
        return nn.functional.relu(self.b(nn.functional.relu(self.a(x), inplace=True)) + self.c(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000, in_channels=3):
        super().__init__()
        channels = 64
        self.blocks = nn.ModuleList()
        for width, depth, first in ((64, layers[0], 1), (128, layers[1], 2), (256, layers[2], 2), (512, layers[3], 2)):
            for stride in [first, *[1] * (depth - 1)]:
                self.blocks.append(block(channels, width, stride))
                channels = block.expansion * width
        self.stem = Normed(in_channels, 64, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.stem(x)))
        x = functools.reduce(lambda y, block: block(y), self.blocks, x)
        return self.fc(torch.mean(x, dim=(-1, -2)))


def make(depths):
    def build(num_classes=1000, in_channels=3):
        return ResNet(BasicBlock, depths, num_classes, in_channels)

    return build


resnet18, resnet34 = make([2, 2, 2, 2]), make([3, 4, 6, 3])


def zero_init_residual(model):
    for module in model.modules():
        if isinstance(module, BasicBlock):
            with torch.no_grad():
                for parameter in (module.b.norm.weight, module.b.norm.bias):
                    parameter.copy_(torch.zeros_like(parameter))
