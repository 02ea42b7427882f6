"""Subclassed parts, a head in a ModuleDict, functional ReLU; a summary that wraps the call of every layer."""

# It is appended to the solution, whose helpers it may use.

import functools

import torch
import torch.nn.functional as F
from torch import nn


class Features(nn.Sequential):
    """The convolutional part, with its own loop over the layers."""

    def forward(self, x):
        for layer in self:
            x = layer(x)
            if isinstance(layer, nn.BatchNorm2d) or (isinstance(layer, nn.Conv2d) and not self.normed):
                x = F.relu(x)
        return x


def make_layers(config, in_channels=3, batch_norm=False):
    part = Features()
    part.normed = batch_norm
    for item in list(config):
        if isinstance(item, str):
            part.append(nn.MaxPool2d(2))
            continue
        part.append(nn.Conv2d(in_channels, item, 3, padding=1))
        if batch_norm:
            part.append(nn.BatchNorm2d(item))
        in_channels = item
    return part


class VGG(nn.Module):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.features = make_layers(config, in_channels, batch_norm)
        self.pool = nn.AdaptiveAvgPool2d((7, 7))
        width = [n for n in config if isinstance(n, int)][-1]
        self.head = nn.ModuleDict(
            {"a": nn.Linear(width * 49, 4096), "b": nn.Linear(4096, 4096), "c": nn.Linear(4096, num_classes)}
        )

    def forward(self, x):
        x = torch.flatten(self.pool(self.features(x)), start_dim=1)
        for name in "ab":
            x = self.dropout(F.relu(self.head[name](x), inplace=True))
        return self.head["c"](x)


vgg11 = functools.partial(VGG, VGG_CONFIGS["vgg11"])


def layer_summary(model, input_size=(3, 224, 224)):
    training = {m: m.training for m in model.modules()}
    leaves = {m: n for n, m in model.named_modules() if not m._modules}
    rows = {}
    originals = {}
    try:
        for m in leaves:
            originals[m] = m.forward

            def forward(*args, _m=m, **kwargs):
                out = originals[_m](*args, **kwargs)
                first = out[0] if isinstance(out, (tuple, list)) else out
                if _m not in rows:
                    rows[_m] = list(first.shape[1:])
                return out

            m.forward = forward
        model.eval()
        p = next(model.parameters(), torch.zeros(()))
        with torch.no_grad():
            model(torch.zeros(2, *input_size, dtype=p.dtype, device=p.device))
    finally:
        for m in originals:
            del m.forward
        for m, flag in training.items():
            m.training = flag
    return [
        {"name": leaves[m], "type": type(m).__name__, "output_shape": tuple(shape),
         "num_params": sum(p.numel() for p in m.parameters(recurse=False))}
        for m, shape in rows.items()
    ]  # fmt: skip
