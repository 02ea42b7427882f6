"""The classifier as a Sequential with Flatten, configurations by a table of depths; a summary of random inputs."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def _config(*depths):
    config = []
    for width, depth in zip((64, 128, 256, 512, 512), depths, strict=False):
        config.extend([width] * depth)
        config.append("M")
    return config


VGG_CONFIGS = {}
VGG_CONFIGS["vgg11"] = _config(1, 1, 2, 2, 2)
VGG_CONFIGS["vgg13"] = _config(2, 2, 2, 2, 2)
VGG_CONFIGS["vgg16"] = _config(2, 2, 3, 3, 3)
VGG_CONFIGS["vgg19"] = _config(2, 2, 4, 4, 4)


def make_layers(config, in_channels=3, batch_norm=False):
    c, net = in_channels, []
    for v in config:
        if v == "M":
            net += [nn.MaxPool2d(kernel_size=2, stride=2)]
        elif batch_norm:
            net += [nn.Conv2d(c, v, kernel_size=3, padding=1), nn.BatchNorm2d(v), nn.ReLU(inplace=True)]
            c = v
        else:
            net += [nn.Conv2d(c, v, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            c = v
    return nn.Sequential(*net)


class VGG(nn.Module):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        super().__init__()
        features = make_layers(config, in_channels, batch_norm)
        last = [m for m in features if isinstance(m, nn.Conv2d)][-1].out_channels
        self.net = nn.Sequential(
            features,
            nn.Flatten(),
            nn.Sequential(nn.Linear(last * 49, 4096), nn.ReLU(), nn.Dropout(p=dropout)),
            nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(p=dropout)),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x):
        return self.net(x)


def vgg11(num_classes=1000, **kwargs):
    options = dict(kwargs)
    return VGG(VGG_CONFIGS["vgg11"], num_classes, **options)


def layer_summary(model, input_size=(3, 224, 224)):
    state = torch.random.get_rng_state()
    flags = [(m, m.training) for m in model.modules()]
    buffers = [(b, b.clone()) for b in model.buffers()]
    rows, handles = [], []
    known = set()

    def watch(name, module):
        def hook(mod, args, output):
            if name in known:
                return
            known.add(name)
            first = output[0] if isinstance(output, tuple) else output
            rows.append({"name": name, "type": type(mod).__name__, "output_shape": tuple(first.size())[1:],
                         "num_params": sum(p.nelement() for p in mod.parameters())})  # fmt: skip

        handles.append(module.register_forward_hook(hook))

    try:
        for name, module in model.named_modules():
            if len(list(module.children())) == 0:
                watch(name, module)
        model.train(False)
        params = list(model.parameters())
        x = torch.rand(4, *input_size)
        if params:
            x = x.to(params[0])
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
        for m, flag in flags:
            m.train(flag) if not list(m.children()) else setattr(m, "training", flag)
        for buffer, value in buffers:
            buffer.data = value
        torch.random.set_rng_state(state)
    return rows
