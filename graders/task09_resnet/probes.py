"""Helpers of task 9 that run beside the submission: another block, small models, an observer of side effects."""

import torch
from torch import nn


class WideBlock(nn.Module):
    """A block without shortcut that puts out twice the channels it is asked for."""

    expansion = 2

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 2 * out_channels, 1, stride)

    def forward(self, x):
        return self.conv(x)


def wide_resnet(make, layers, num_classes):
    """``make`` called with a block of expansion 2."""
    return make(WideBlock, layers, num_classes)


def channels_last(net, x):
    """The output for a network and images whose channels lie together in memory; the network is put back."""
    try:
        with torch.no_grad():
            return net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    finally:
        net.to(memory_format=torch.contiguous_format)


class SmallResidual(nn.Module):
    """Registered in another order than called; norm and ReLU serve twice, one layer never."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 7)
        self.spare = nn.Linear(9, 9)
        self.bend = nn.ReLU()
        self.second = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.Conv2d(3, 4, 3, bias=False)

    def forward(self, x):
        x = self.bend(self.norm(self.first(x)))
        x = self.bend(x + self.norm(self.second(x)))
        return self.last(x.mean((2, 3)))


def small_residual():
    return SmallResidual()
