"""Loops and plain steps: sizes by a loop over the places of the kernel, zeros that are written into."""

import torch
from torch import nn


def prepare_images(images):
    if isinstance(images, torch.Tensor):
        levels = images
    else:
        levels = torch.tensor(images)
    if str(levels.dtype) != "torch.uint8":
        raise TypeError("expected uint8")
    shape = list(levels.shape)
    if len(shape) == 2:
        shape = [1, 1] + shape
    elif len(shape) == 3:
        shape = [shape[0], 1] + shape[1:]
    elif len(shape) != 4 or shape[1] != 1:
        raise ValueError("wrong shape")
    result = torch.zeros(shape, device=levels.device)
    result[:] = levels.reshape(shape) / 255.0
    return result


def flat_features(input_size):
    size = input_size
    for _ in range(2):
        places = 0
        for start in range(size):
            if start + 5 <= size:
                places += 1
        size = 0
        for start in range(0, places, 2):
            if start + 2 <= places:
                size += 1
    if size == 0:
        raise ValueError("too small")
    count = 0
    for _ in range(16):
        count += size * size
    return count


def shortcut_option_a(x, out_channels, stride):
    channels = x.shape[1]
    if out_channels < channels:
        raise ValueError("too few channels")
    rows = [row for row in range(x.shape[2]) if row % stride == 0]
    columns = [column for column in range(x.shape[3]) if column % stride == 0]
    out = torch.zeros((x.shape[0], out_channels, len(rows), len(columns)), dtype=x.dtype, device=x.device)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            out[:, :channels, i, j] = x[:, :, row, column]
    return out


class MnistResNet(nn.Module):
    def __init__(self, block, num_blocks, num_classes=10):
        super().__init__()
        a, b, c = num_blocks  # a ValueError for any other number
        self.conv = nn.Conv2d(1, 16, (3, 3), padding=(1, 1), bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.stage1 = nn.ModuleList()
        for _ in range(a):
            self.stage1.append(block(16, 16, 1))
        self.stage2 = nn.ModuleList()
        for i in range(b):
            self.stage2.append(block(16, 32, 2) if i == 0 else block(32, 32, 1))
        self.stage3 = nn.ModuleList()
        for i in range(c):
            self.stage3.append(block(32, 64, 2) if i == 0 else block(64, 64, 1))
        self.out = nn.Linear(64, num_classes)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        for stage in (self.stage1, self.stage2, self.stage3):
            for one in stage:
                x = one(x)
        x = x.sum(dim=3).sum(dim=2) / (x.shape[2] * x.shape[3])
        return self.out(x)


def classify(model, images, batch_size=100):
    mode = model.training
    model.eval()
    device = next(iter(model.parameters())).device
    ready = prepare_images(images)
    classes = torch.zeros(len(ready), dtype=torch.int64)
    start = 0
    while start < len(ready):
        batch = ready[start : start + batch_size].to(device)
        logits = ask(model, batch)
        classes[start : start + len(batch)] = torch.max(logits, 1)[1].cpu()
        start += batch_size
    if mode:
        model.train()
    return classes


@torch.no_grad()
def ask(model, batch):
    return model(batch)
