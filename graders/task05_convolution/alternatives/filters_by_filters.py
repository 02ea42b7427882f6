"""A loop over the filters: each is multiplied with the patches of its group and summed up."""


class ManualConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        super().__init__()
        self.kernel_size, self.groups = pair(kernel_size), groups
        self.how = (stride, padding, dilation, groups)
        rows, columns = self.kernel_size
        limit = 1 / (in_channels // groups * rows * columns) ** 0.5
        start = (torch.rand(out_channels, in_channels // groups, rows, columns) * 2 - 1) * limit
        self.weight = nn.Parameter(start)
        self.bias = nn.Parameter((torch.rand(out_channels) * 2 - 1) * limit) if bias else None

    def forward(self, x):
        return conv2d(x, self.weight, self.bias, *self.how)


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel, stride, dilation = weight.shape[2:], pair(stride), pair(dilation)
    if padding == "same":
        if stride != (1, 1):
            raise ValueError("strided convolutions cannot keep the size")
        before = [d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True)]
        after = [d * (k - 1) - b for d, k, b in zip(dilation, kernel, before, strict=True)]
    else:
        before = after = pair(padding)
    x = F.pad(x, (before[1], after[1], before[0], after[0]))
    windows = x
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True), start=2):
        windows = windows.unfold(axis, d * (k - 1) + 1, s)
    windows = windows[..., :: dilation[0], :: dilation[1]]
    inputs, outputs = weight.shape[1], weight.shape[0] // groups
    maps = []
    for number, one in enumerate(weight):
        group = number // outputs
        seen = windows[:, group * inputs : (group + 1) * inputs]
        value = (seen * one[:, None, None]).sum(dim=(1, 4, 5))
        maps.append(value if bias is None else value + bias[number])
    return torch.stack(maps, 1)
