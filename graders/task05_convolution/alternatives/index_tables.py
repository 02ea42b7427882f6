"""Tables of row and column numbers pick every patch by advanced indexing, as in the classical im2col."""

import math


def conv2d_num_params(in_channels, out_channels, kernel_size, groups=1, bias=True):
    per_filter = in_channels // groups * math.prod(pair(kernel_size))
    return out_channels * (per_filter + bool(bias))


def conv2d_num_macs(in_channels, out_channels, kernel_size, input_size, stride=1, padding=0, dilation=1, groups=1):
    per_place = out_channels * (in_channels // groups) * math.prod(pair(kernel_size))
    return per_place * math.prod(conv2d_output_size(input_size, kernel_size, stride, padding, dilation))


def numbers(count, k, stride, dilation, device):
    """(count, k): which row, or column, each place of the kernel sees."""
    first = torch.arange(count, device=device) * stride
    return first[:, None] + torch.arange(k, device=device) * dilation


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    (kh, kw), (sh, sw), (dh, dw) = weight.shape[-2:], pair(stride), pair(dilation)
    if isinstance(padding, str):
        if (sh, sw) != (1, 1):
            raise ValueError(f"padding={padding!r} with stride {stride}")
        (top, bottom), (left, right) = ((d * (k - 1) // 2, -(-d * (k - 1) // 2)) for d, k in ((dh, kh), (dw, kw)))
    else:
        top, left = bottom, right = pair(padding)
    canvas = x.new_zeros(x.shape[0], x.shape[1], x.shape[2] + top + bottom, x.shape[3] + left + right)
    canvas[:, :, top : top + x.shape[2], left : left + x.shape[3]] = x
    oh, ow = conv2d_output_size(canvas.shape[2:], (kh, kw), stride, 0, dilation)
    rows = numbers(oh, kh, sh, dh, x.device)[:, None, :, None]
    columns = numbers(ow, kw, sw, dw, x.device)[None, :, None, :]
    patches = canvas[:, :, rows, columns]  # (N, C, OH, OW, KH, KW)
    pieces = [
        torch.tensordot(block, filters, dims=([1, 4, 5], [1, 2, 3]))  # (N, OH, OW, O / G)
        for block, filters in zip(patches.chunk(groups, 1), weight.chunk(groups, 0), strict=True)
    ]
    y = torch.cat(pieces, -1)
    if bias is not None:
        y = y + bias
    return y.permute(0, 3, 1, 2)
