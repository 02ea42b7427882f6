"""Convolution and norm as one part, stages in a ModuleList, the mean of flattened maps; a summary of a copy on meta."""

# It is appended to the solution, whose helpers it may use.

import copy

import torch
from torch import nn
from torch.nn import functional as F


class Conv(nn.Module):
    """Convolution and batch norm."""

    def __init__(self, inner, outer, size, step=1):
        super().__init__()
        self.norm = nn.BatchNorm2d(outer)
        self.kernel = nn.Conv2d(inner, outer, size, step, size // 2, bias=False)

    def forward(self, x):
        return self.norm(self.kernel(x))


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        same = stride == 1 and in_channels == out_channels
        self.short = nn.Identity() if same else Conv(in_channels, out_channels, 1, stride)
        self.parts = nn.ModuleList([Conv(in_channels, out_channels, 3, stride), Conv(out_channels, out_channels, 3)])

    def forward(self, x):
        first, second = self.parts
        return torch.clamp(torch.add(self.short(x), second(torch.clamp(first(x), min=0))), min=0)


class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000, in_channels=3):
        super().__init__()
        channels = [64] + [width * block.expansion for width in (64, 128, 256, 512)]
        self.stages = nn.ModuleList()
        for number, depth in enumerate(layers):
            first = block(channels[number], 64 * 2**number, 2 if number else 1)
            rest = [block(channels[number + 1], 64 * 2**number, 1) for _ in range(1, depth)]
            self.stages.append(nn.Sequential(first, *rest))
        self.entry = Conv(in_channels, 64, 7, 2)
        self.exit = nn.Linear(channels[-1], num_classes)

    def forward(self, x):
        x = F.relu(self.entry(x))
        x = F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=float("-inf")), 3, 2)
        for stage in self.stages:
            x = stage(x)
        return self.exit(x.flatten(2).mean(2))


def resnet18(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes=num_classes, in_channels=in_channels)


def resnet34(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes=num_classes, in_channels=in_channels)


def layer_summary(model, input_size=(3, 224, 224)):
    twin = copy.deepcopy(model).to("meta").eval()
    names, table = {module: name for name, module in twin.named_modules()}, {}

    def note(module, _, output):
        if not list(module.children()) and names[module] not in table:
            size = sum(p.numel() for p in module.parameters())
            output = output[0] if isinstance(output, tuple) else output
            table[names[module]] = [type(module).__name__, tuple(output.shape[1:]), size]

    for module in twin.modules():
        module.register_forward_hook(note)
    dtypes = [p.dtype for p in twin.parameters()] or [torch.get_default_dtype()]
    twin(torch.empty(2, *input_size, dtype=dtypes[0], device="meta"))
    keys = ("type", "output_shape", "num_params")
    return [{"name": name, **dict(zip(keys, facts, strict=True))} for name, facts in table.items()]


def zero_init_residual(model):
    for module in model.modules():
        if isinstance(module, BasicBlock):
            norm = module.parts[1].norm
            norm.weight.data.fill_(0)
            norm.bias.data.fill_(0)
