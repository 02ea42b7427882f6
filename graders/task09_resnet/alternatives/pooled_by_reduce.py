"""Modules by name, sums over height and width, in-place ReLU; a summary by a global forward hook."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook


def conv3x3(inner, outer, stride=1):
    return nn.Conv2d(inner, outer, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.layers = nn.ModuleDict({"b": nn.BatchNorm2d(out_channels), "d": nn.BatchNorm2d(out_channels)})
        self.layers["a"] = conv3x3(in_channels, out_channels, stride)
        self.layers["c"] = conv3x3(out_channels, out_channels)
        if stride > 1 or in_channels != out_channels:
            self.layers["p"] = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.layers["q"] = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        part = self.layers
        y = part["d"](part["c"](part["b"](part["a"](x)).relu_()))
        if "p" in part:
            x = part["q"](part["p"](x))
        return (y + x).relu_()


class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000, in_channels=3):
        super().__init__()
        self.first = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.depth, inner, number = 0, 64, 0
        for stage, depth in enumerate(layers):
            for index in range(depth):
                stride = 2 if stage and not index else 1
                self.add_module(f"block{number}", block(inner, 64 << stage, stride))
                inner, number = (64 << stage) * block.expansion, number + 1
        self.depth = number
        self.last = nn.Linear(inner, num_classes)

    def forward(self, x):
        x = self.pool(self.norm(self.first(x)).relu())
        for number in range(self.depth):
            x = getattr(self, f"block{number}")(x)
        area = x.shape[2] * x.shape[3]
        return self.last(x.sum(dim=(-2, -1)) / area)


def resnet18(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, in_channels)


def resnet34(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, in_channels)


def layer_summary(model, input_size=(3, 224, 224)):
    names = {id(module): name for name, module in model.named_modules() if len(list(module.children())) == 0}
    rows, seen = [], set()

    def note(module, inputs, output):
        if id(module) in names and id(module) not in seen:
            seen.add(id(module))
            count = 0
            for parameter in module.parameters():
                count += parameter.numel()
            output = output[0] if isinstance(output, tuple) else output
            rows.append(
                {
                    "name": names[id(module)],
                    "type": module._get_name(),
                    "output_shape": tuple(int(size) for size in output.shape[1:]),
                    "num_params": count,
                }
            )

    training = [module for module in model.modules() if module.training]
    frozen = [module for module in model.modules() if not module.training]
    tensors = [*model.parameters(), *model.buffers(), torch.zeros(())]
    hook = register_module_forward_hook(note)
    try:
        with torch.inference_mode():
            model.train(False)
            model(tensors[0].new_zeros((2, *input_size)))
    finally:
        hook.remove()
        for module in training:
            module.training = True
        for module in frozen:
            module.training = False
    return rows


def zero_init_residual(model):
    blocks = (module for module in model.modules() if isinstance(module, BasicBlock))
    for block in blocks:
        for parameter in block.layers["d"].parameters():
            nn.init.constant_(parameter, 0.0)
