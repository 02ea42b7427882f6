"""A unit of convolution, norm and ReLU as a module; ReLU by clamp, dropout by a mask of its own."""

# It is appended to the solution, whose helpers it may use.

import contextlib

import torch
from torch import nn


class Unit(nn.Module):
    def __init__(self, inner, outer, norm):
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, kernel_size=(3, 3), padding=(1, 1))
        self.norm = nn.BatchNorm2d(outer) if norm else None

    def forward(self, x):
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return x.clamp_min(0)


def make_layers(config, in_channels=3, batch_norm=False):
    units = nn.Sequential()
    inner = in_channels
    for number, item in enumerate(config):
        if item == "M":
            units.add_module(f"pool{number}", nn.MaxPool2d(2))
        else:
            units.add_module(f"unit{number}", Unit(inner, item, batch_norm))
            inner = item
    return units


class VGG(nn.Module):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        super().__init__()
        self.features = make_layers(config, in_channels, batch_norm)
        width = max(range(len(config)), key=lambda i: i if config[i] != "M" else -1)
        self.one = nn.Linear(config[width] * 7 * 7, 4096)
        self.two = nn.Linear(4096, 4096)
        self.three = nn.Linear(4096, num_classes)
        self.p = dropout

    def drop(self, x):
        if not self.training or self.p == 0:
            return x
        keep = torch.rand_like(x) >= self.p
        return torch.where(keep, x / (1 - self.p), torch.zeros_like(x))

    def forward(self, x):
        maps = self.features(x)
        flat = maps.reshape(len(maps), -1)
        hidden = self.drop(torch.relu(self.one(flat)))
        hidden = self.drop(torch.relu(self.two(hidden)))
        return self.three(hidden)


def vgg11(num_classes=1000, **kwargs):
    return VGG(VGG_CONFIGS["vgg11"], num_classes=num_classes, **kwargs)


@contextlib.contextmanager
def observed(model, note):
    was = {module: module.training for module in model.modules()}
    handles = [m.register_forward_hook(note) for m in model.modules() if next(m.children(), None) is None]
    try:
        model.eval()
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, training in was.items():
            module.training = training


def layer_summary(model, input_size=(3, 224, 224)):
    rows = {}

    def note(module, _, output):
        while not torch.is_tensor(output):
            output = output[0]
        rows.setdefault(module, tuple(output.shape[1:]))

    tensor = next(model.parameters(), None)
    options = {} if tensor is None else {"dtype": tensor.dtype, "device": tensor.device}
    with observed(model, note), torch.no_grad():
        model(torch.zeros((2, *tuple(input_size)), **options))
    names = {module: name for name, module in model.named_modules()}
    return [
        {
            "name": names[m],
            "type": type(m).__name__,
            "output_shape": shape,
            "num_params": sum(map(torch.numel, m.parameters())),
        }
        for m, shape in rows.items()
    ]
