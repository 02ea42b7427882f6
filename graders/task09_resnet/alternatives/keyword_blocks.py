"""Blocks asked for by keyword, a deque of depths, averages over one axis after the other; a summary of named rows."""

# It is appended to the solution, whose helpers it may use.

import collections

import torch
from torch import nn


class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=1000, in_channels=3):
        super().__init__()
        depths = collections.deque(layers)
        self.stem = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm2d(num_features=64)
        channels = 64
        for stage in range(1, 5):
            blocks = nn.Sequential()
            for number in range(depths.popleft()):
                stride = 2 if (stage > 1 and number == 0) else 1
                blocks.append(block(in_channels=channels, out_channels=32 * 2**stage, stride=stride))
                channels = 32 * 2**stage * block.expansion
            self.add_module(f"stage{stage}", blocks)
        self.fc = nn.Linear(channels, num_classes)
        nn.init.normal_(self.fc.weight, std=0.01)

    def forward(self, x):
        x = self.stem_norm(self.stem(x))
        x = torch.nn.functional.max_pool2d(x, kernel_size=3, stride=2, padding=1).relu()  # the maximum commutes
        x = self.stage4(self.stage3(self.stage2(self.stage1(x))))
        return self.fc(x.mean(dim=3).mean(dim=2))


def resnet18(num_classes=1000, in_channels=3):
    net = ResNet(BasicBlock, [2, 2, 2, 2], num_classes, in_channels)
    return net.train()


def resnet34(num_classes=1000, in_channels=3):
    return ResNet(BasicBlock, layers=[3, 4, 6, 3], num_classes=num_classes, in_channels=in_channels)


def layer_summary(model, input_size=(3, 224, 224)):
    row = collections.namedtuple("Row", "name type output_shape num_params")
    modes = {module: module.training for module in model.modules()}
    found, handles = collections.OrderedDict(), []
    for name, module in model.named_modules():
        if next(module.children(), None) is not None:
            continue

        def note(module, inputs, output, name=name):
            tensors = [t for t in (output, *output) if isinstance(t, torch.Tensor)]
            count = sum(parameter.numel() for _, parameter in module.named_parameters())
            found.setdefault(name, row(name, type(module).__name__, tuple(tensors[0].shape[1:]), count))

        handles.append(module.register_forward_hook(note))
    example = next(model.parameters(), torch.ones(1)).new_ones((2, *input_size))
    try:
        with torch.inference_mode():
            model.eval()(example)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return [entry._asdict() for entry in found.values()]
