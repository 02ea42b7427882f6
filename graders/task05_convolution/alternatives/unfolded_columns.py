"""F.unfold makes a column of every patch, one matrix product for each group makes the map."""


def conv2d_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    h, w = pair(size)
    kh, kw = pair(kernel_size)
    sh, sw = pair(stride)
    ph, pw = pair(padding)
    dh, dw = pair(dilation)
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    if oh < 1 or ow < 1:
        raise ValueError(f"kernel of {kernel_size} with dilation {dilation} is larger than the padded input")
    return oh, ow


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    n, _c, h, w = x.shape
    o, c_per_group, kh, kw = weight.shape
    if padding == "same":
        if pair(stride) != (1, 1):
            raise ValueError("padding='same' is only supported for stride 1")
        total_h, total_w = (d * (k - 1) for d, k in zip(pair(dilation), (kh, kw), strict=True))
        x = F.pad(x, [total_w // 2, total_w - total_w // 2, total_h // 2, total_h - total_h // 2])
        padding = 0
        h, w = x.shape[2:]
    oh, ow = conv2d_output_size((h, w), (kh, kw), stride, padding, dilation)
    if n == 0:
        return x.new_zeros((0, o, oh, ow))
    outputs = []
    for g in range(groups):
        block = x[:, g * c_per_group : (g + 1) * c_per_group]
        columns = F.unfold(block, (kh, kw), dilation=dilation, padding=padding, stride=stride)  # (N, C*KH*KW, OH*OW)
        kernel = weight[g * (o // groups) : (g + 1) * (o // groups)].flatten(1)
        outputs.append(kernel @ columns)
    out = torch.cat(outputs, dim=1)
    if bias is not None:
        out = out + bias.unsqueeze(-1)
    return out.view(n, o, oh, ow)


class ManualConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        super().__init__()
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *pair(kernel_size)))
        if bias:
            self.bias = nn.Parameter(torch.zeros(out_channels))
        else:
            self.register_parameter("bias", None)
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x):
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
