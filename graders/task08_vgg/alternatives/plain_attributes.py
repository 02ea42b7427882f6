"""Only the parts of a learner who writes as little as possible."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def make_layers(config, in_channels=3, batch_norm=False):
    modules = []
    channels = [in_channels] + [c for c in config if c != "M"]
    i = 0
    for c in config:
        if c == "M":
            modules.append(nn.MaxPool2d(2, stride=2, padding=0, ceil_mode=False))
        else:
            modules.append(nn.Conv2d(channels[i], channels[i + 1], 3, stride=1, padding=1, bias=True))
            if batch_norm is True:
                modules.append(nn.BatchNorm2d(channels[i + 1], eps=1e-5, momentum=0.1))
            modules.append(nn.ReLU(inplace=False))
            i = i + 1
    return nn.Sequential(*modules)


class VGG(nn.Module):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        super().__init__()
        self.features = make_layers(config, in_channels, batch_norm)
        c = None
        for item in config:
            if item != "M":
                c = item
        self.classifier = nn.Sequential(
            nn.Linear(c * 7 * 7, 4096), nn.ReLU(), nn.Dropout(p=dropout),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x):
        x = self.features(x)
        x = x.flatten(1)
        x = self.classifier(x)
        return x


def vgg11(num_classes=1000, **kwargs):
    return VGG(VGG_CONFIGS["vgg11"], num_classes, **kwargs)


def layer_summary(model, input_size=(3, 224, 224)):
    modes = [m.training for m in model.modules()]
    result = []
    seen = []

    def make_hook(name):
        def hook(m, inp, out):
            if name in seen:
                return
            seen.append(name)
            if isinstance(out, tuple):
                out = out[0]
            n = 0
            for p in m.parameters():
                k = 1
                for s in p.shape:
                    k *= s
                n += k
            shape = tuple(out.shape[i] for i in range(1, out.dim()))
            result.append({"name": name, "type": m.__class__.__name__, "output_shape": shape, "num_params": n})

        return hook

    hooks = []
    try:
        for name, m in model.named_modules():
            if len(list(m.children())) == 0:
                hooks.append(m.register_forward_hook(make_hook(name)))
        device, dtype = "cpu", torch.float32
        for p in model.parameters():
            device, dtype = p.device, p.dtype
            break
        model.eval()
        with torch.no_grad():
            model(torch.zeros((2, *tuple(input_size)), device=device, dtype=dtype))
    finally:
        for h in hooks:
            h.remove()
        for m, mode in zip(model.modules(), modes, strict=False):
            m.training = mode
    return result
