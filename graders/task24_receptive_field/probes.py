"""Networks of the suite, made beside the submission."""

import torch
from torch import nn


def derived(name):
    """A class of its own, derived from that of torch.nn."""
    return type("My" + name, (getattr(nn, name),), {})


def stack(layers, own=()):
    """[name, arguments, settings] is a layer of torch.nn, and a list of such layers an nn.Sequential; those whose
    names are in ``own`` are of derived classes."""
    if isinstance(layers[0], str):
        name, arguments, settings = layers
        return (derived(name) if name in own else getattr(nn, name))(*arguments, **settings)
    made = [stack(layer, own) for layer in layers]
    return (derived("Sequential") if "Sequential" in own else nn.Sequential)(*made)


def doubled(layers):
    """In float64."""
    return stack(layers).double()


def stack_on_meta(layers):
    with torch.device("meta"):
        return stack(layers)


def same_layer_twice(layer, between):
    """An nn.Sequential in which one layer stands in two places."""
    layer = stack(layer)
    return nn.Sequential(layer, stack(between), layer)


def overwritten(layer):
    """The layer with other parameters: all are 7."""
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 7)
    return layer


def frozen(net):
    return net.requires_grad_(False)


def partly_frozen(net):
    next(net.parameters()).requires_grad_(False)
    return net


def dead(net):
    """The network as a bad start leaves it: weights of 0, or so negative that no ReLU lets anything pass."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, -1)
            layer.weight.data[..., ::2, :] = 0  # neither rows nor columns show the borders of the field
            layer.weight.data[..., ::2] = 0
            if layer.bias is not None:
                nn.init.constant_(layer.bias, -50)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.weight)
            layer.running_mean.fill_(3)
    return net


class Tied(nn.Module):
    """Two layers that share one weight."""

    def __init__(self):
        super().__init__()
        self.there = nn.Linear(6, 4, bias=False)
        self.back = nn.Linear(6, 4)
        self.back.weight = self.there.weight


class Gained(nn.Module):
    """A factor without axes, and two layers that start alike."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.parts = nn.ModuleList([nn.GroupNorm(2, 4), nn.GroupNorm(2, 4), nn.PReLU(3), nn.Embedding(5, 2)])


class Loop(nn.Module):
    """A layer that works three times inside of another module, and one that never works."""

    def __init__(self):
        super().__init__()
        self.body = nn.ModuleDict({"conv": nn.Conv2d(4, 4, 3, padding=1), "idle": nn.Linear(100, 100)})
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        for _ in range(3):
            x = torch.relu(self.body["conv"](x)) + x
        return self.head(x.mean((2, 3)))


def tied():
    return Tied()


def loop():
    return Loop()


def gained():
    return Gained()


def places(layer):
    """Devices and dtypes of a layer's parameters, as text."""
    return sorted({f"{parameter.device.type} {parameter.dtype}" for parameter in layer.parameters()})


def trains(layer):
    """Whether all parameters are leaves that ask for a gradient."""
    return all(parameter.requires_grad and parameter.is_leaf for parameter in layer.parameters())
