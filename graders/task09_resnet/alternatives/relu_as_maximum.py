"""ReLU as a maximum, the branch as a Sequential, the mean by einsum; norms found by a flag for zero_init_residual."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def relu(x):
    return torch.maximum(x, torch.zeros((), dtype=x.dtype, device=x.device))


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
        )
        self.second = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 3, padding="same", bias=False), nn.BatchNorm2d(out_channels)
        )
        self.second[1].last = True
        needed = not (stride == 1 and in_channels == out_channels)
        self.match = (
            nn.ModuleList(
                [nn.Conv2d(in_channels, out_channels, 1, stride, 0, bias=False), nn.BatchNorm2d(out_channels)]
            )
            if needed
            else None
        )

    def forward(self, x):
        way = self.second(relu(self.first(x)))
        short = x
        for part in self.match or ():
            short = part(short)
        return relu(way.add(short))


class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000, in_channels=3):
        super().__init__()
        plan, before = [], 64
        for number in range(4):
            width = 2 ** (6 + number)
            for index in range(layers[number]):
                plan.append((before, width, 2 if number > 0 and index == 0 else 1))
                before = block.expansion * width
        self.entry = nn.ModuleDict(
            {"kernel": nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False), "norm": nn.BatchNorm2d(64)}
        )
        self.trunk = nn.ModuleList([block(*facts) for facts in plan])
        self.leave = nn.Linear(before, num_classes)

    def forward(self, x):
        x = relu(self.entry["norm"](self.entry["kernel"](x)))
        x = nn.functional.max_pool2d(x, (3, 3), (2, 2), (1, 1))
        for block in self.trunk:
            x = block(x)
        return self.leave(torch.einsum("nchw->nc", x) / (x.size(-1) * x.size(-2)))


def resnet18(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, in_channels)


def resnet34(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, in_channels)


@torch.no_grad()
def zero_init_residual(model):
    for module in model.modules():
        if getattr(module, "last", False):
            module.weight *= 0
            module.bias *= 0
