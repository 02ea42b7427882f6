"""Convolutions made first, max-pooling in a module of its own, named layers; a summary by a global hook."""

# It is appended to the solution, whose helpers it may use.

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook


class Halve(nn.Module):
    """A max-pool of one's own."""

    def forward(self, x):
        return F.max_pool2d(x, kernel_size=2)


def make_layers(config, in_channels=3, batch_norm=False):
    widths = [in_channels, *(item for item in config if item != "M")]
    convolutions = iter([nn.Conv2d(a, b, kernel_size=3, padding=1) for a, b in pairwise(widths)])
    layers = []
    for item in config:
        if item == "M":
            layers.append(Halve())
        else:
            layers += [next(convolutions), *([nn.BatchNorm2d(item)] if batch_norm else []), nn.ReLU()]
    return nn.Sequential(*layers)


class VGG(nn.Module):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        super().__init__()
        self.convolutions = make_layers(config, in_channels, batch_norm)
        widths = [next(item for item in reversed(config) if item != "M") * 49, 4096, 4096, num_classes]
        self.linears = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(widths)])
        self.drop = nn.Dropout(p=dropout)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.convolutions(x), 7).flatten(start_dim=1)
        for linear in list(self.linears)[:-1]:
            x = self.drop(torch.relu(linear(x)))
        return self.linears[-1](x)


def vgg11(num_classes=1000, **kwargs):
    return VGG(list(VGG_CONFIGS["vgg11"]), num_classes, **kwargs)


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
