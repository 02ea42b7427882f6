"""Helpers of task 32 that run beside the submission: models with a layer that does not fit."""

import torch
from torch import nn
from torch.nn import functional as F


class Slim(nn.Module):
    """A block whose first convolution is narrower than all that follows; the model of the docstring is made so."""

    def __init__(self, channels, middle):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, middle, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv2(F.relu(self.bn1(self.conv1(x))))


class Backwards(nn.Module):
    """Registered in another order than called; the last two layers do not fit. Images of 3 channels, 6 × 6."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(9, 2)
        self.second = nn.Conv2d(5, 6, 3)
        self.first = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.fc(self.second(self.first(x)).mean((2, 3)))


class Twice(nn.Module):
    """A batch norm that serves twice and fits once; the layers are called with keywords. Images of 2 channels."""

    def __init__(self):
        super().__init__()
        self.up = nn.Conv2d(2, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.down = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.norm(input=self.down(input=self.norm(input=self.up(x))))


class Own(nn.Conv2d):
    """A convolution of one's own kind."""


class OwnNorm(nn.BatchNorm2d):
    """A batch norm of one's own kind."""


class Again(nn.Module):
    """A convolution that stands under two names; it fits when it is called first. Images of 3 channels."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.second = self.first

    def forward(self, x):
        return self.second(self.first(x))


class Patient(nn.Module):
    """Neither of its layers fits, nor do they complain; registered in another order than called. Five numbers."""

    def __init__(self):
        super().__init__()
        self.second = Lenient(3, 4)
        self.first = Lenient(3, 6)

    def forward(self, x):
        return self.second(self.first(x))


class Lenient(nn.Linear):
    """Passes over what is too much."""

    def forward(self, x):
        return super().forward(x[..., : self.in_features])


class Picky(nn.Module):
    """Every layer fits, and the pass raises a KeyError."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        self.conv(x)
        raise KeyError("task")


def model(kind, dtype=torch.float32, device="cpu"):
    """A model by its name."""
    made = {
        "slim": lambda: Slim(8, 2),
        "slim, the second convolution": lambda: nn.Sequential(nn.Conv2d(3, 8, 1), Fixed(8, 2)),
        "backwards": Backwards,
        "twice": Twice,
        "again": Again,
        "picky": Picky,
        "patient": Patient,
        "nested": lambda: nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), nn.Flatten(), nn.Linear(100, 5)
        ),
        "deep": lambda: nn.Sequential(nn.Sequential(nn.Sequential(Own(3, 4, 1)), nn.ReLU()), nn.BatchNorm2d(3)),
        "own": lambda: nn.Sequential(nn.Sequential(nn.Identity(), Own(4, 3, 1))),
        "normed": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), OwnNorm(3)),
        "grouped": lambda: nn.Sequential(nn.Conv2d(8, 8, 3, groups=4), nn.BatchNorm2d(8)),
        "rows": lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)),
        "conv": lambda: nn.Conv2d(3, 4, 3),
        "norm": lambda: nn.BatchNorm2d(3),
        "linear": lambda: nn.Linear(3, 4),
        "flat": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(3)),
        "transposed": lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(3, 2, 2)),
        "row": lambda: nn.Sequential(nn.Flatten(0), nn.Linear(10, 3)),
        "sound": lambda: nn.Sequential(nn.Conv1d(3, 4, 1)),
    }
    return made[kind]().to(dtype).to(device)


def hooks_kept(find, kind, size):
    """Whether a hook of one's own that every module has, before and behind, is there after ``find``."""
    net = model(kind)
    hooks = [
        (module, module.register_forward_pre_hook(lambda *_: None), module.register_forward_hook(lambda *_: None))
        for module in net.modules()
    ]
    find(net, size)
    return all(
        before.id in module._forward_pre_hooks and behind.id in module._forward_hooks
        for module, before, behind in hooks
    )


def forwards_left(find, kind, size):
    """The names of the modules that ``find`` leaves with a forward that is not that of their class."""
    net = model(kind)
    find(net, size)
    return [name for name, module in net.named_modules() if "forward" in vars(module)]


class Fixed(Slim):
    """The batch norm fits, the second convolution does not."""

    def __init__(self, channels, middle):
        super().__init__(channels, middle)
        self.bn1 = nn.BatchNorm2d(middle)


def channels_last(net, x):
    """The output for a network and images whose channels lie together in memory; the network is put back."""
    try:
        with torch.no_grad():
            return net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    finally:
        net.to(memory_format=torch.contiguous_format)
