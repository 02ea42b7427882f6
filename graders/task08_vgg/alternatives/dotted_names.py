"""Layers under dotted names of an OrderedDict, a classifier built by a loop; a summary by forward hooks on a copy."""

# It is appended to the solution, whose helpers it may use.

import copy
import itertools
from collections import OrderedDict

import torch
from torch import nn

VGG_CONFIGS = {
    "vgg11": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg13": (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg16": (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"),
    "vgg19": (64, 64, "M", 128, 128, "M") + (256,) * 4 + ("M",) + (512,) * 4 + ("M",) + (512,) * 4 + ("M",),
}
VGG_CONFIGS = {name: list(layers) for name, layers in VGG_CONFIGS.items()}


def make_layers(config, in_channels=3, batch_norm=False):
    layers = OrderedDict()
    stage, index = 1, 1
    for item in config:
        if item == "M":
            layers[f"pool{stage}"] = nn.MaxPool2d(2, 2)
            stage, index = stage + 1, 1
            continue
        name = f"{stage}_{index}"
        layers[f"conv{name}"] = nn.Conv2d(in_channels, item, 3, 1, 1)
        if batch_norm:
            layers[f"bn{name}"] = nn.BatchNorm2d(item)
        layers[f"relu{name}"] = nn.ReLU()
        in_channels, index = item, index + 1
    return nn.Sequential(layers)


class VGG(nn.Module):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        super().__init__()
        self.conv = make_layers(config, in_channels, batch_norm)
        sizes = [7 * 7 * [c for c in config if c != "M"].pop(), 4096, 4096]
        head = []
        for inner, outer in itertools.pairwise(sizes):
            head += [nn.Linear(inner, outer), nn.Dropout(dropout), nn.ReLU(True)]  # before a ReLU is as good
        self.fc = nn.Sequential(*head, nn.Linear(4096, num_classes))
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        x = self.conv(x)
        return self.fc(x.contiguous().view(x.size(0), -1))


def vgg11(num_classes=1000, **kwargs):
    return VGG(config=VGG_CONFIGS["vgg11"], num_classes=num_classes, **kwargs)


def layer_summary(model, input_size=(3, 224, 224)):
    model = copy.deepcopy(model)
    for module in model.modules():
        module._forward_hooks.clear()
    model.eval()
    table = []
    done = set()

    def hook(name):
        def after(module, args, out):
            if name not in done:
                done.add(name)
                out = out if torch.is_tensor(out) else out[0]
                params = sum(p.numel() for p in module._parameters.values() if p is not None)
                table.append(
                    {"name": name, "type": module.__class__.__name__, "output_shape": tuple(out.shape)[1:],
                     "num_params": params, "trainable": any(p.requires_grad for p in module.parameters())}
                )  # fmt: skip

        return after

    for name, module in model.named_modules():
        if not module._modules:
            module.register_forward_hook(hook(name))
    like = next(iter(model.parameters()), torch.zeros(1))
    with torch.no_grad():
        model(torch.ones((3, *input_size), dtype=like.dtype, device=like.device))
    return table
