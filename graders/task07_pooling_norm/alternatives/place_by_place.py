"""The window visits its places one by one and keeps the better value; batch norm as the textbook has it."""

import torch
from torch import nn
from torch.nn import functional as F


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    k, s, p, d = pair(kernel_size), pair(kernel_size if stride is None else stride), pair(padding), pair(dilation)
    n, c, h, w = x.shape
    sizes = []
    for size, i in ((h, 0), (w, 1)):
        top = size + 2 * p[i] - d[i] * (k[i] - 1) - 1
        steps = top // s[i]
        if ceil_mode and top % s[i] and (steps + 1) * s[i] < size + p[i]:
            steps += 1
        sizes.append(steps + 1)
    need = [max(0, (sizes[i] - 1) * s[i] + d[i] * (k[i] - 1) + 1 - (h, w)[i] - p[i]) for i in (0, 1)]
    best = torch.full((n, c, *sizes), float("-inf"), dtype=x.dtype, device=x.device)
    where = torch.zeros(n, c, *sizes, dtype=torch.int64, device=x.device)
    padded = F.pad(x, (p[1], need[1], p[0], need[0]), value=float("-inf"))
    rows = torch.arange(sizes[0], device=x.device).view(-1, 1) * s[0] - p[0]
    columns = torch.arange(sizes[1], device=x.device).view(1, -1) * s[1] - p[1]
    for i in range(k[0]):
        for j in range(k[1]):
            top, left = i * d[0], j * d[1]
            seen = padded[
                :, :, top : top + s[0] * (sizes[0] - 1) + 1 : s[0], left : left + s[1] * (sizes[1] - 1) + 1 : s[1]
            ]
            r, q = rows + top, columns + left
            inside = (r >= 0) & (r < h) & (q >= 0) & (q < w)
            better = inside & ((seen > best) | (best == float("-inf")))
            best = torch.where(better, seen, best)
            where = torch.where(better, (r * w + q).expand_as(where), where)
    return (best, where) if return_indices else best


class BatchNorm2d(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        if self.affine:
            self.weight = nn.Parameter(torch.ones(num_features))
            self.bias = nn.Parameter(torch.zeros(num_features))
        else:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)
        if self.track_running_stats:
            self.register_buffer("running_mean", torch.zeros(num_features))
            self.register_buffer("running_var", torch.ones(num_features))
            self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))
        else:
            self.register_buffer("running_mean", None)
            self.register_buffer("running_var", None)
            self.register_buffer("num_batches_tracked", None)

    def forward(self, x):
        y = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        if self.training or not self.track_running_stats:
            m = y.size(0) * y.size(2) * y.size(3)
            if m < 2:
                raise ValueError("Expected more than 1 value per channel when training")
            mean = y.mean([0, 2, 3])
            var = y.var([0, 2, 3], unbiased=False)
            if self.training and self.track_running_stats:
                self.num_batches_tracked += 1
                with torch.no_grad():
                    self.running_mean = self.momentum * mean + (1 - self.momentum) * self.running_mean
                    self.running_var = self.momentum * var * m / (m - 1) + (1 - self.momentum) * self.running_var
        else:
            mean, var = self.running_mean, self.running_var
        y = (y - mean[None, :, None, None]) / torch.sqrt(var[None, :, None, None] + self.eps)
        if self.affine:
            y = y * self.weight[None, :, None, None] + self.bias[None, :, None, None]
        return y.to(x.dtype)
