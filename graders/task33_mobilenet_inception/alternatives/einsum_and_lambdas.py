"""Helpers that make lists of layers; einsum for the head and the weighing; networks derived from nn.Sequential."""

from itertools import pairwise

from torch import einsum, nn


def _norm(conv, act=None):
    """[conv, batch norm, activation?]"""
    return [conv, nn.BatchNorm2d(conv.out_channels)] + ([act] if act else [])


def h_swish(x):
    gate = (x + 3).clamp_(0, 6).div_(6)
    return (x.clamp(min=-3)).mul(gate)


def deconv_output_size(n, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
    size = 1 + stride * (n - 1) + dilation * (kernel_size - 1) - 2 * padding + output_padding
    if size <= 0 or not (output_padding < stride or output_padding < dilation):
        raise ValueError((n, kernel_size, stride, padding, output_padding, dilation))
    return size


conv_bn_relu = lambda in_channels, out_channels, kernel_size, stride=1: nn.Sequential(  # noqa: E731
    *_norm(nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2), nn.ReLU(True))
)


def depthwise_separable(in_channels, out_channels, stride=1):
    depth = nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False)
    point = nn.Conv2d(in_channels, out_channels, (1, 1), bias=False)
    return nn.Sequential(*_norm(depth, nn.ReLU(True)), *_norm(point, nn.ReLU(True)))


class _Head(nn.Linear):
    def forward(self, maps):
        return einsum("nchw,kc->nk", maps, self.weight) / (maps.shape[2] * maps.shape[3]) + self.bias


class MobileNetV1Small(nn.Sequential):
    def __init__(self, num_classes=10):
        widths = [32, 32, 64, 64, 128, 128, 256, 256, 512]
        blocks = [depthwise_separable(a, b, 1 + i % 2) for i, (a, b) in enumerate(pairwise(widths))]
        super().__init__(conv_bn_relu(3, widths[0], 3), *blocks, _Head(widths[-1], num_classes))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        if reduction < 1 or not (m := channels // reduction):
            raise ValueError(f"{channels=} {reduction=}")
        self.mlp = nn.Sequential(nn.Linear(channels, m), nn.ReLU(), nn.Linear(m, channels), nn.Sigmoid())

    def forward(self, x):
        return einsum("nchw,nc->nchw", x, self.mlp(x.mean((-1, -2))))


class InvertedResidual(nn.Sequential):
    def __init__(self, in_channels, out_channels, stride=1, expand_ratio=6, use_se=False):
        m = in_channels * expand_ratio
        super().__init__(
            *_norm(nn.Conv2d(in_channels, m, 1, bias=False), nn.ReLU6()),
            *_norm(nn.Conv2d(m, m, 3, stride, 1, 1, m, False), nn.ReLU6()),
            *([SqueezeExcite(m)] if use_se else []),
            *_norm(nn.Conv2d(m, out_channels, 1, bias=False)),
        )
        self.weight_of_x = int((stride, in_channels) == (1, out_channels))

    def forward(self, x):
        y = super().forward(x)
        return y + x if self.weight_of_x else y


class Inception(nn.ModuleList):
    def __init__(self, in_channels, out_channels, reduce_channels):
        if (len(out_channels), len(reduce_channels)) != (4, 2):
            raise ValueError("4 and 2 numbers, please")
        a, b, c, d = out_channels
        narrow = [conv_bn_relu(in_channels, r, 1) for r in reduce_channels]
        super().__init__(
            [
                conv_bn_relu(in_channels, a, 1),
                nn.Sequential(narrow[0], conv_bn_relu(reduce_channels[0], b, 3)),
                nn.Sequential(narrow[1], conv_bn_relu(reduce_channels[1], c, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn_relu(in_channels, d, 3)),
            ]
        )

    def forward(self, x):
        return torch.cat([branch(x) for branch in self], dim=-3)


class InceptionSmall(nn.Module):
    def __init__(self, num_classes=10, stem_padding=1):
        super().__init__()
        self.all = nn.Sequential(
            *_norm(nn.Conv2d(3, 64, 7, 2, stem_padding), nn.ReLU()),
            conv_bn_relu(64, 128, 3, 2),
            Inception(128, (64,) * 4, (16,) * 2),
            nn.MaxPool2d(3, 2, 1),
            Inception(256, (96,) * 4, (32,) * 2),
            nn.MaxPool2d(3, 2, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(384, num_classes),
        )

    def forward(self, x):
        return self.all(x)
