"""Networks as one nn.Sequential; sizes from PyTorch's own layer; branches in a dictionary."""

import torch
from torch import nn


def h_swish(x):
    return torch.where(x > 3, x, torch.where(x < -3, x * 0, x * (x + 3) / 6))


def deconv_output_size(n, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
    layer = nn.ConvTranspose2d(1, 1, kernel_size, stride, padding, output_padding, dilation=dilation)
    try:
        with torch.no_grad():
            return int(layer(torch.zeros(1, 1, n, n)).shape[-1])
    except RuntimeError as error:
        raise ValueError("this cannot be") from error


def conv_bn_relu(in_channels, out_channels, kernel_size, stride=1):
    net = nn.Sequential()
    net.append(nn.ZeroPad2d(kernel_size // 2))
    net.append(nn.Conv2d(in_channels, out_channels, (kernel_size, kernel_size), (stride, stride)))
    net.append(nn.BatchNorm2d(out_channels))
    net.append(nn.ReLU(inplace=True))
    return net


def depthwise_separable(in_channels, out_channels, stride=1):
    def half(*args, **kwargs):
        return [nn.Conv2d(*args, bias=False, **kwargs), nn.BatchNorm2d(args[1]), nn.ReLU(True)]

    depth = half(in_channels, in_channels, 3, padding=1, stride=stride, groups=in_channels)
    return nn.Sequential(*depth, *half(in_channels, out_channels, 1))


class MobileNetV1Small(nn.Sequential):
    def __init__(self, num_classes=10):
        plan = [(32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
        inner = [32] + [width for width, _ in plan]
        super().__init__(
            conv_bn_relu(3, 32, 3),
            *[depthwise_separable(a, b, stride) for a, (b, stride) in zip(inner, plan)],
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(512, num_classes),
        )


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        if reduction <= 0 or reduction > channels:
            raise ValueError(reduction)
        middle = channels // reduction
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, middle),
            nn.ReLU(),
            nn.Linear(middle, channels),
            nn.Sigmoid(),
            nn.Unflatten(1, (channels, 1, 1)),
        )

    def forward(self, x):
        return self.gate(x).mul(x)


class InvertedResidual(nn.Sequential):
    def __init__(self, in_channels, out_channels, stride=1, expand_ratio=6, use_se=False):
        m = expand_ratio * in_channels
        layers = [
            nn.Conv2d(in_channels, m, 1, bias=False),
            nn.BatchNorm2d(m),
            nn.ReLU6(inplace=True),
            nn.Conv2d(m, m, 3, stride, 1, bias=False, groups=m),
            nn.BatchNorm2d(m),
            nn.ReLU6(inplace=True),
        ]
        if use_se:
            layers.append(SqueezeExcite(m))
        layers += [nn.Conv2d(m, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]
        super().__init__(*layers)
        self.shortcut = (stride, in_channels) == (1, out_channels)

    def forward(self, x):
        return super().forward(x) + (x if self.shortcut else 0)


class Inception(nn.ModuleDict):
    def __init__(self, in_channels, out_channels, reduce_channels):
        a, b, c, d = out_channels  # a ValueError for any other number
        s, t = reduce_channels
        super().__init__(
            {
                "pool": nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn_relu(in_channels, d, 3)),
                "five": nn.Sequential(conv_bn_relu(in_channels, t, 1), conv_bn_relu(t, c, 5)),
                "three": nn.Sequential(conv_bn_relu(in_channels, s, 1), conv_bn_relu(s, b, 3)),
                "one": conv_bn_relu(in_channels, a, 1),
            }
        )

    def forward(self, x):
        return torch.cat([self[name](x) for name in ("one", "three", "five", "pool")], 1)


class InceptionSmall(nn.Sequential):
    def __init__(self, num_classes=10, stem_padding=1):
        super().__init__(
            nn.Conv2d(3, 64, 7, 2, stem_padding),
            nn.BatchNorm2d(64),
            nn.ReLU(True),
            conv_bn_relu(64, 128, 3, 2),
            Inception(128, (64,) * 4, (16,) * 2),
            nn.MaxPool2d(3, 2, 1),
            Inception(256, (96,) * 4, (32,) * 2),
            nn.MaxPool2d(3, 2, 1),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Flatten(1),
            nn.Linear(384, num_classes),
        )
