"""A layer of its own: windows become rows, and F.linear is laid on the rows of every group at once by bmm."""

import math


def windows(x, kernel, stride, dilation):
    """(N, C, H, W) -> (N, OH, OW, C, KH, KW)."""
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = x.unfold(2, spans[0], stride[0]).unfold(3, spans[1], stride[1])
    return view[..., :: dilation[0], :: dilation[1]].permute(0, 2, 3, 1, 4, 5)


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    stride, dilation = pair(stride), pair(dilation)
    if padding == "same":
        if max(stride) > 1:
            raise ValueError("stride must be 1")
        rows, columns = (d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True))
        x = F.pad(x, (columns // 2, (columns + 1) // 2, rows // 2, (rows + 1) // 2))
    else:
        top, left = pair(padding)
        x = F.pad(x, (left, left, top, top))
    patches = windows(x, weight.shape[2:], stride, dilation)
    n, oh, ow = patches.shape[:3]
    fan_in = weight[0].numel()
    rows = patches.reshape(n * oh * ow, groups, fan_in).transpose(0, 1)  # (G, N * OH * OW, fan in)
    filters = weight.reshape(groups, weight.shape[0] // groups, fan_in).transpose(1, 2)
    y = torch.bmm(rows, filters).transpose(0, 1).reshape(n, oh, ow, weight.shape[0])
    if bias is not None:
        y += bias
    return y.permute(0, 3, 1, 2).contiguous()


class ManualConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ValueError("channels must be divisible by groups")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = pair(kernel_size), stride, padding
        self.dilation, self.groups = dilation, groups
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self):
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
