"""All patches are one as_strided view; the layer registers parameters by name, its bias starts at zero."""


def conv2d_num_macs(in_channels, out_channels, kernel_size, input_size, stride=1, padding=0, dilation=1, groups=1):
    rows, columns = conv2d_output_size(input_size, kernel_size, stride, padding, dilation)
    k = pair(kernel_size)
    return rows * columns * groups * (in_channels // groups) * (out_channels // groups) * k[0] * k[1]


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (dh, dw) = pair(stride), pair(dilation)
    kh, kw = weight.shape[2:]
    if padding == "same":
        if (sh, sw) != (1, 1):
            raise ValueError("padding='same' needs stride 1")
        extra_h, extra_w = (kh - 1) * dh, (kw - 1) * dw
        x = F.pad(x, (extra_w // 2, -(-extra_w // 2), extra_h // 2, -(-extra_h // 2)))
    else:
        ph, pw = pair(padding)
        x = nn.ZeroPad2d((pw, pw, ph, ph))(x)
    oh, ow = conv2d_output_size(tuple(x.shape[2:]), (kh, kw), stride, 0, dilation)
    x = x.contiguous()
    n, c, h, w = x.shape
    patches = x.as_strided(
        (n, groups, c // groups, oh, ow, kh, kw),
        (c * h * w, c // groups * h * w, h * w, sh * w, sw, dh * w, dw),
    )
    kernels = weight.reshape(groups, -1, c // groups, kh, kw)
    y = torch.einsum("ngcyxij,gocij->ngoyx", patches, kernels).reshape(n, len(weight), oh, ow)
    return y if bias is None else torch.add(y, bias.reshape(-1, 1, 1))


class ManualConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        super().__init__()
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *pair(kernel_size)))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x):
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
