"""A generator of layers, Kaiming initialisation, a network that is itself a Sequential; a summary of a copy on meta."""

# It is appended to the solution, whose helpers it may use.

import copy

import torch
from torch import nn

BASE = "64 M 128 M 256 256 M 512 512 M 512 512 M"
TEXTS = {
    "vgg11": BASE,
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}
VGG_CONFIGS = {name: [int(word) if word != "M" else word for word in text.split()] for name, text in TEXTS.items()}


def layers_of(config, channels, batch_norm):
    for item in config:
        if item == "M":
            yield nn.MaxPool2d((2, 2), (2, 2))
        else:
            convolution = nn.Conv2d(channels, item, 3, 1, 1)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(convolution.bias)
            yield convolution
            if batch_norm:
                yield nn.BatchNorm2d(item)
            yield nn.ReLU(True)
            channels = item


def make_layers(config, in_channels=3, batch_norm=False):
    return nn.Sequential(*layers_of(config, in_channels, batch_norm))


class VGG(nn.Sequential):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        numbers = [item for item in config if isinstance(item, int)]
        super().__init__(
            make_layers(config, in_channels, batch_norm),
            nn.AdaptiveAvgPool2d((7, 7)),
            nn.Flatten(),
            nn.Linear(numbers[-1] * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )


def vgg11(num_classes=1000, **kwargs):
    return VGG(VGG_CONFIGS["vgg11"], num_classes, **kwargs)


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
