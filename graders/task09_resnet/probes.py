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


def traces_left(fn, input_size):
    """Names of what ``fn(model, input_size)`` changed in a model that has gradients, a hook and mixed modes."""
    model = SmallResidual()
    model.last.eval()  # mixed modes: a frozen part in a model that trains
    model(torch.randn(2, *input_size)).square().sum().backward()
    hook = model.first.register_forward_hook(lambda *_: None)
    before = _state(model)
    fn(model, input_size)
    after = _state(model)
    hook.remove()
    return [name for name in before if not _same(before[name], after[name])]


def _state(model):
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "buffers": [buffer.clone() for buffer in model.buffers()],
        "parameters": [p.detach().clone() for p in model.parameters()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "random generator": torch.get_rng_state(),
        "gradient mode": torch.is_grad_enabled(),
    }


def _same(one, other):
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return one == other
