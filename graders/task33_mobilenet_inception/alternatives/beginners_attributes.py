"""Each layer under a name of its own, as in a book; 1×1 convolutions in squeeze and excitation; sizes by a loop."""

import torch
from torch import nn
from torch.nn import functional as F


def h_swish(x):
    gate = (x + 3).clamp(min=0, max=6)
    return x * (gate / 6)


def deconv_output_size(n, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
    if output_padding >= stride and output_padding >= dilation:
        raise ValueError("output_padding is too large")
    last = 0
    for pixel in range(n):
        for step in range(kernel_size):
            last = max(last, pixel * stride + step * dilation)
    size = last + 1 - padding - padding + output_padding
    if size <= 0:
        raise ValueError("nothing is left")
    return size


class conv_bn_relu(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1):
        super(conv_bn_relu, self).__init__()
        padding = (kernel_size - 1) // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        x = self.conv(x)
        x = self.bn(x)
        return F.relu(x)


class MobileNetV1Small(nn.Module):
    def __init__(self, num_classes=10):
        super(MobileNetV1Small, self).__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 32, 3, 1, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.conv_dw2 = self.conv_dw(32, 32, 1)
        self.conv_dw3 = self.conv_dw(32, 64, 2)
        self.conv_dw4 = self.conv_dw(64, 64, 1)
        self.conv_dw5 = self.conv_dw(64, 128, 2)
        self.conv_dw6 = self.conv_dw(128, 128, 1)
        self.conv_dw7 = self.conv_dw(128, 256, 2)
        self.conv_dw8 = self.conv_dw(256, 256, 1)
        self.conv_dw9 = self.conv_dw(256, 512, 2)
        self.fc = nn.Linear(512, num_classes)

    def conv_dw(self, in_channel, out_channel, stride):
        return nn.Sequential(
            nn.Conv2d(in_channel, in_channel, kernel_size=3, stride=stride, padding=1, groups=in_channel, bias=False),
            nn.BatchNorm2d(in_channel),
            nn.ReLU(),
            nn.Conv2d(in_channel, out_channel, kernel_size=1, stride=1, padding=0, bias=False),
            nn.BatchNorm2d(out_channel),
            nn.ReLU(),
        )

    def forward(self, x):
        out = self.conv1(x)
        for n in range(2, 10):
            out = getattr(self, f"conv_dw{n}")(out)
        out = F.adaptive_avg_pool2d(out, (1, 1))
        out = out.view(x.size(0), 512)
        return self.fc(out)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=4):
        super(SqueezeExcite, self).__init__()
        if reduction < 1 or channels // reduction < 1:
            raise ValueError("reduction")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, channels // reduction, kernel_size=1)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(channels // reduction, channels, kernel_size=1)

    def forward(self, x):
        w = self.pool(x)
        w = self.relu(self.fc1(w))
        w = torch.sigmoid(self.fc2(w))
        return x * w


class InvertedResidual(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, expand_ratio=6, use_se=False):
        super(InvertedResidual, self).__init__()
        hidden = in_channels * expand_ratio
        self.use_res_connect = stride == 1 and in_channels == out_channels
        self.expand = nn.Sequential(nn.Conv2d(in_channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6())
        self.depth = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(True)
        )
        self.se = SqueezeExcite(hidden) if use_se else None
        self.project = nn.Sequential(nn.Conv2d(hidden, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))

    def forward(self, x):
        out = self.depth(self.expand(x))
        if self.se is not None:
            out = self.se(out)
        out = self.project(out)
        if self.use_res_connect:
            out += x
        return out


class Inception(nn.Module):
    def __init__(self, in_channels, out_channels, reduce_channels):
        super(Inception, self).__init__()
        if not (len(out_channels) == 4 and len(reduce_channels) == 2):
            raise ValueError("four and two numbers")
        self.branch1_conv = conv_bn_relu(in_channels, out_channels[0], 1)
        self.branch2_conv1 = conv_bn_relu(in_channels, reduce_channels[0], 1)
        self.branch2_conv2 = conv_bn_relu(reduce_channels[0], out_channels[1], 3)
        self.branch3_conv1 = conv_bn_relu(in_channels, reduce_channels[1], 1)
        self.branch3_conv2 = conv_bn_relu(reduce_channels[1], out_channels[2], 5)
        self.branch4_pool = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
        self.branch4_conv = conv_bn_relu(in_channels, out_channels[3], 3)

    def forward(self, x):
        out1 = self.branch1_conv(x)
        out2 = self.branch2_conv2(self.branch2_conv1(x))
        out3 = self.branch3_conv2(self.branch3_conv1(x))
        out4 = self.branch4_conv(self.branch4_pool(x))
        return torch.cat([out1, out2, out3, out4], dim=1)


class InceptionSmall(nn.Module):
    def __init__(self, num_classes=10, stem_padding=1):
        super(InceptionSmall, self).__init__()
        self.block1 = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=stem_padding), nn.BatchNorm2d(64), nn.ReLU()
        )
        self.block2 = nn.Sequential(
            nn.Conv2d(64, 128, kernel_size=3, stride=2, padding=1), nn.BatchNorm2d(128), nn.ReLU()
        )
        self.block3 = Inception(128, [64, 64, 64, 64], [16, 16])
        self.block4 = Inception(256, [96, 96, 96, 96], [32, 32])
        self.fc = nn.Linear(96 * 4, num_classes)

    def forward(self, x):
        out = self.block2(self.block1(x))
        out = F.max_pool2d(self.block3(out), 3, 2, 1)
        out = F.max_pool2d(self.block4(out), 3, 2, 1)
        out = F.adaptive_avg_pool2d(out, 1)
        out = torch.flatten(out, 1)
        return self.fc(out)
