"""Stages as attributes, ReLU and pooling as modules, Kaiming initialisation; a summary by torch.fx."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import fx, nn


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.down = None
        if (in_channels, stride) != (out_channels, 1):
            self.down = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        self.last_norm = nn.BatchNorm2d(out_channels)
        self.way = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            self.last_norm,
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.way(x)
        out += x if self.down is None else self.down(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000, in_channels=3):
        super().__init__()
        self.width = 64
        self.layer4 = self.layer3 = self.layer2 = self.layer1 = None
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        for number, depth in enumerate(layers, start=1):
            setattr(self, f"layer{number}", self.stage(block, 32 << number, depth, 1 if number == 1 else 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stage(self, block, width, depth, stride):
        blocks = []
        for step in [stride] + [1] * (depth - 1):
            blocks.append(block(self.width, width, step))
            self.width = width * block.expansion
        return nn.Sequential(*blocks)

    def forward(self, x):
        x = self.stem(x)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet18(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, [2] * 4, num_classes, in_channels)


def resnet34(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, in_channels)


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


def zero_init_residual(model):
    for module in model.modules():
        if isinstance(module, BasicBlock):
            with torch.no_grad():
                module.last_norm.weight.zero_()
                module.last_norm.bias.zero_()
