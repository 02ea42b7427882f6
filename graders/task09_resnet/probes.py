"""Helpers of task 9 that run beside the submission: blocks of another kind, and images in another memory format."""

import torch
from torch import nn
from torch.nn import functional as F


def block_of(expansion):
    """A class of blocks without shortcut; ``asked`` keeps what each was built with."""
    asked = []

    class Plain(nn.Module):
        def __init__(self, in_channels, out_channels, stride=1):
            super().__init__()
            asked.append([in_channels, out_channels, stride])
            self.conv = nn.Conv2d(in_channels, expansion * out_channels, 3, stride, padding=1, bias=False)

        def forward(self, x):
            return F.relu(self.conv(x))

    Plain.expansion, Plain.asked = expansion, asked
    return Plain


def plain_resnet(make, layers, num_classes=10, in_channels=3, expansion=1):
    """``make`` called with a class of plain blocks."""
    return make(block_of(expansion), layers, num_classes, in_channels)


def blocks_asked(make, layers, expansion):
    """What ``make`` builds its blocks with: in_channels, out_channels and stride of each, in order."""
    block = block_of(expansion)
    with torch.device("meta"):
        make(block, layers)
    return block.asked


def list_kept(make, layers):
    """``layers`` after ``make`` was called with it."""
    with torch.device("meta"):
        make(block_of(1), layers)
    return layers


def channels_last(net, x):
    """The output for a network and images whose channels lie together in memory; the network is put back."""
    try:
        with torch.no_grad():
            return net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    finally:
        net.to(memory_format=torch.contiguous_format)


def layer(*sizes):
    """A linear layer, which is a model without children."""
    return nn.Linear(*sizes)


def derived(block, *args):
    """A block of a class of its own, derived from ``block``."""
    return type("OwnBlock", (block,), {})(*args)


def without_parameters():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten())


def halves():
    """In half precision, and nothing of it is trained."""
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh()).bfloat16().requires_grad_(False)
