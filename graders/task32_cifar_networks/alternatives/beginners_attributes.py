"""Each layer under a name of its own, as in a book; loops for the sizes; log-probabilities by hand."""

import torch
from torch import nn
from torch.nn import functional as F


def pooled_sizes(size):
    first = size // 2
    second = first // 2
    third = int((second + 2 * 1 - 2) / 2) + 1
    fourth = third // 2
    if first == 0 or second == 0 or fourth == 0:
        raise ValueError("too small")
    return [first, second, third, fourth]


class conv_block(nn.Module):
    def __init__(self, in_channels, out_channels):
        super(conv_block, self).__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=1, padding=1)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


def normalized_log_probs(logits):
    largest = logits.max(dim=-1, keepdim=True)[0] if logits.numel() else logits.new_zeros((*logits.shape[:-1], 1))
    shifted = logits - largest
    return shifted - torch.log(torch.sum(torch.exp(shifted), dim=-1, keepdim=True))


def softmax_loss_floor(num_classes=10):
    if num_classes <= 0:
        raise ValueError("no class")
    best = torch.zeros(1, num_classes, dtype=torch.float64)
    best[0, 0] = 1.0
    return F.cross_entropy(best, torch.zeros(1, dtype=torch.long)).item()


class VGGBase(nn.Module):
    def __init__(self, num_classes=10, log_probs=False):
        super(VGGBase, self).__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        self.max_pooling1 = nn.MaxPool2d(kernel_size=2, stride=2)
        self.conv2_1 = nn.Sequential(nn.Conv2d(64, 128, 3, 1, 1), nn.BatchNorm2d(128), nn.ReLU())
        self.conv2_2 = nn.Sequential(nn.Conv2d(128, 128, 3, 1, 1), nn.BatchNorm2d(128), nn.ReLU())
        self.max_pooling2 = nn.MaxPool2d(kernel_size=2, stride=2)
        self.conv3_1 = nn.Sequential(nn.Conv2d(128, 256, 3, 1, 1), nn.BatchNorm2d(256), nn.ReLU())
        self.conv3_2 = nn.Sequential(nn.Conv2d(256, 256, 3, 1, 1), nn.BatchNorm2d(256), nn.ReLU())
        self.max_pooling3 = nn.MaxPool2d(kernel_size=2, stride=2, padding=1)
        self.conv4_1 = nn.Sequential(nn.Conv2d(256, 512, 3, 1, 1), nn.BatchNorm2d(512), nn.ReLU())
        self.conv4_2 = nn.Sequential(nn.Conv2d(512, 512, 3, 1, 1), nn.BatchNorm2d(512), nn.ReLU())
        self.max_pooling4 = nn.MaxPool2d(kernel_size=2, stride=2)
        self.fc = nn.Linear(512 * 4, num_classes)
        self.log_probs = log_probs

    def forward(self, x):
        batchsize = x.size(0)
        out = self.max_pooling1(self.conv1(x))
        out = self.max_pooling2(self.conv2_2(self.conv2_1(out)))
        out = self.max_pooling3(self.conv3_2(self.conv3_1(out)))
        out = self.max_pooling4(self.conv4_2(self.conv4_1(out)))
        if out.size(2) != 2 or out.size(3) != 2:
            out = F.adaptive_max_pool2d(out, (2, 2))
        out = out.reshape(batchsize, -1)
        out = self.fc(out)
        if self.log_probs:
            out = F.log_softmax(out, dim=1)
        return out


class CifarResNet(nn.Module):
    def __init__(self, num_classes=10, reduction=1):
        super(CifarResNet, self).__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.in_channel = 32
        self.layer1 = self.make_layer(64, 2, 2, reduction)
        self.layer2 = self.make_layer(128, 2, 2, reduction)
        self.layer3 = self.make_layer(256, 2, 2, reduction)
        self.layer4 = self.make_layer(512, 2, 2, reduction)
        self.fc = nn.Linear(512, num_classes)

    def make_layer(self, out_channel, stride, block_num, reduction):
        layers_list = []
        for i in range(block_num):
            layers_list.append(ResidualBlock(self.in_channel, out_channel, stride if i == 0 else 1, reduction))
            self.in_channel = out_channel
        return nn.Sequential(*layers_list)

    def forward(self, x):
        out = self.conv1(x)
        out = self.layer1(out)
        out = self.layer2(out)
        out = self.layer3(out)
        out = self.layer4(out)
        out = F.adaptive_avg_pool2d(out, 1)
        out = out.view(out.size(0), -1)
        return self.fc(out)
