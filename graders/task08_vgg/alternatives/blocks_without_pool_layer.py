"""Blocks, functional ReLU and dropout in the classifier, lists made by rule; a summary by torch.fx."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import fx, nn
from torch.nn import functional as F

DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
VGG_CONFIGS = {
    name: [item for depth, width in zip(depths, WIDTHS, strict=True) for item in [width] * depth + ["M"]]
    for name, depths in DEPTHS.items()
}


def make_layers(config, in_channels=3, batch_norm=False):
    blocks, block = nn.Sequential(), nn.Sequential()
    for item in config:
        if isinstance(item, str):
            block.append(nn.MaxPool2d(2))
            blocks.append(block)
            block = nn.Sequential()
        else:
            block.append(nn.Conv2d(in_channels, item, (3, 3), padding="same"))
            if batch_norm:
                block.append(nn.BatchNorm2d(item))
            block.append(nn.ReLU())
            in_channels = item
    if len(block):
        blocks.append(block)
    return blocks


class VGG(nn.Module):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        super().__init__()
        channels = max(index for index, item in enumerate(config) if item != "M")
        self.fc3 = nn.Linear(4096, num_classes)
        self.fc2 = nn.Linear(4096, 4096)
        self.fc1 = nn.Linear(config[channels] * 49, 4096)
        self.body = make_layers(config, in_channels, batch_norm)
        self.dropout = dropout

    def forward(self, x):
        x = self.body(x).reshape(x.shape[0], -1)
        x = F.dropout(F.relu(self.fc1(x)), self.dropout, self.training)
        x = F.dropout(F.relu(self.fc2(x)), self.dropout, self.training)
        return self.fc3(x)


def vgg11(num_classes=1000, **kwargs):
    return VGG(VGG_CONFIGS["vgg11"], num_classes=num_classes, **kwargs)


class Leaves(fx.Tracer):
    def is_leaf_module(self, module, name):
        return next(module.children(), None) is None


class Reporter(fx.Interpreter):
    """Runs the traced graph, and writes down each call of a module."""

    def __init__(self, module, graph):
        super().__init__(module, graph=graph)
        self.rows = {}

    def call_module(self, target, args, kwargs):
        output = super().call_module(target, args, kwargs)
        if target not in self.rows:
            self.rows[target] = row_of(target, self.fetch_attr(target), output)
        return output


def row_of(name, layer, output):
    first = output[0] if isinstance(output, tuple) else output
    count = sum(p.numel() for p in layer.parameters(recurse=False))
    facts = name, layer.__class__.__name__, tuple(first.shape)[1:], count
    return dict(zip(("name", "type", "output_shape", "num_params"), facts, strict=True))


@torch.no_grad()
def layer_summary(model, input_size=(3, 224, 224)):
    modes = {module: module.training for module in model.modules()}
    x = next(model.parameters(), torch.zeros(0)).new_zeros(2, *input_size)
    try:
        model.eval()
        if next(model.children(), None) is None:
            return [row_of("", model, model(x))]
        reporter = Reporter(model, Leaves().trace(model))
        reporter.run(x)
        names = {module: name for name, module in model.named_modules()}
        renamed = {names[model.get_submodule(target)]: row for target, row in reporter.rows.items()}
        return [{**row, "name": name} for name, row in renamed.items()]
    finally:
        for module, mode in modes.items():
            module.training = mode
