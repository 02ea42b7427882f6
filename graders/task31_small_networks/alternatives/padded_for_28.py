"""LeNet pads its first convolution for 28, and bends behind the pooling; the stem keeps its bias; blocks in stages."""

import torch
from torch import nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    def __init__(self, in_channels=1, input_size=32, num_classes=10):
        super().__init__()
        padding = 2 if input_size == 28 else 0
        size = input_size + 2 * padding
        for _ in range(2):
            size = (size - 4) // 2
        if size <= 0:
            raise ValueError(f"input_size={input_size} leaves nothing")
        self.size = input_size
        self.first = nn.Conv2d(in_channels, 6, 5, padding=padding)
        self.second = nn.Conv2d(6, 16, 5)
        self.pool = nn.AvgPool2d(2)
        self.linear = nn.ModuleList([nn.Linear(16 * size * size, 120), nn.Linear(120, 84), nn.Linear(84, num_classes)])

    def forward(self, x):
        assert x.shape[2:] == (self.size, self.size), "another size"
        for conv in (self.first, self.second):
            x = torch.relu(self.pool(conv(x)))
        x = x.view(x.size(0), -1)
        *hidden, last = self.linear
        for layer in hidden:
            x = torch.relu(layer(x))
        return last(x)


class BasicBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += identity
        return F.relu_(out)


class MnistResNet(nn.Module):
    def __init__(self, block, num_blocks, num_classes=10):
        super().__init__()
        if len(num_blocks) != 3:
            raise ValueError("num_blocks needs three entries")
        self.in_channels = 16
        self.conv1 = nn.Conv2d(1, 16, 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._make_layer(block, 16, num_blocks[0], 1)
        self.layer2 = self._make_layer(block, 32, num_blocks[1], 2)
        self.layer3 = self._make_layer(block, 64, num_blocks[2], 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.linear = nn.Linear(64, num_classes)

    def _make_layer(self, block, out_channels, count, stride):
        layers = []
        for step in [stride] + [1] * (count - 1):
            layers.append(block(self.in_channels, out_channels, step))
            self.in_channels = out_channels
        return nn.Sequential(*layers)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(torch.flatten(self.avgpool(x), 1))
