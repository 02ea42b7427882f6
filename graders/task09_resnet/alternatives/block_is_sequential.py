"""Blocks that derive from Sequential, optional projection by name, initialisation that starts from zero scales."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def unit(inner, outer, size, stride):
    return nn.Conv2d(inner, outer, size, stride, (size - 1) // 2, bias=False), nn.BatchNorm2d(outer)


class BasicBlock(nn.Sequential):
    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(
            *unit(in_channels, out_channels, 3, stride), nn.ReLU(), *unit(out_channels, out_channels, 3, 1)
        )
        self.projects = stride != 1 or in_channels != out_channels
        if self.projects:
            self.projection = nn.Sequential(*unit(in_channels, out_channels, 1, stride))

    def forward(self, x):
        way = x
        for part in list(self)[:5]:
            way = part(way)
        return torch.relu(way + (self.projection(x) if self.projects else x))


class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000, in_channels=3):
        super().__init__()
        stem = nn.Sequential(*unit(in_channels, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        parts, inner, last = [stem], 64, 0
        for outer, depth in zip([64, 128, 256, 512], layers, strict=False):
            for _ in range(depth):
                halve = len(parts) > 1 and outer != last
                parts.append(block(inner, outer, 2 if halve else 1))
                inner, last = outer * block.expansion, outer
        self.body = nn.Sequential(*parts)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inner, num_classes))
        zero_init_residual(self)

    def forward(self, x):
        return self.head(self.body(x))


def resnet18(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, [2] * 4, num_classes, in_channels)


def resnet34(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, in_channels)


def zero_init_residual(model):
    for block in filter(lambda m: isinstance(m, BasicBlock), model.modules()):
        torch.nn.init.zeros_(block[4].weight)
        torch.nn.init.zeros_(block[4].bias)
