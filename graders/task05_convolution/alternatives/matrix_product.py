"""The patches become the columns of a matrix, the filters the rows of another: F.unfold and one product."""


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel = tuple(weight.shape[2:])
    if padding == "same":
        if pair(stride) != (1, 1):
            raise ValueError("padding='same' needs stride 1")
        down, across = (d * (k - 1) for d, k in zip(pair(dilation), kernel, strict=True))
        x = F.pad(x, (across // 2, (across + 1) // 2, down // 2, (down + 1) // 2))
        padding = 0
    size = conv2d_output_size(tuple(x.shape[2:]), kernel, stride, padding, dilation)
    columns = F.unfold(x, kernel, dilation, padding, stride)  # (N, C * KH * KW, OH * OW)
    blocks = torch.stack(columns.chunk(groups, 1), 1)  # (N, G, C / G * KH * KW, OH * OW)
    rows = weight.reshape(groups, len(weight) // groups, weight[0].numel())
    y = torch.matmul(rows, blocks).reshape(len(x), len(weight), *size)
    if bias is not None:
        y += bias.view(1, -1, 1, 1)
    return y
