"""Pooling visits the cells of the window, one strided slice each; normalisation takes moments in float64."""

from itertools import product

import torch


def shifted(x, kernel_size, stride, padding, dilation, ceil_mode, fill):
    """Yield (row, column, slice): what every window sees at one of its cells, (N, C, OH, OW)."""
    (kh, kw), (sh, sw), (dh, dw) = pair(kernel_size), pair(stride), pair(dilation)
    out = []
    for size, k, s, p, d in zip(x.shape[2:], (kh, kw), (sh, sw), pair(padding), (dh, dw), strict=True):
        free = size + 2 * p - d * (k - 1) - 1
        count = (free + (s - 1 if ceil_mode else 0)) // s + 1
        out.append(count - 1 if (count - 1) * s >= size + p else count)
    ph, pw = pair(padding)
    behind = [(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in zip(out, (kh, kw), (sh, sw), (dh, dw), strict=True)]
    shape = (max(behind[0], x.shape[2] + ph), max(behind[1], x.shape[3] + pw))
    canvas = x.new_full((*x.shape[:2], *shape), fill)
    canvas[:, :, ph : ph + x.shape[2], pw : pw + x.shape[3]] = x
    for i, j in product(range(kh), range(kw)):
        rows = slice(i * dh, i * dh + (out[0] - 1) * sh + 1, sh)
        columns = slice(j * dw, j * dw + (out[1] - 1) * sw + 1, sw)
        yield i, j, canvas[:, :, rows, columns]


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    stride = kernel_size if stride is None else stride
    (ph, pw), (dh, dw) = pair(padding), pair(dilation)
    best = index = None
    for i, j, values in shifted(x, kernel_size, stride, padding, dilation, ceil_mode, float("-inf")):
        row = torch.arange(values.shape[2], device=x.device) * pair(stride)[0] - ph + i * dh
        column = torch.arange(values.shape[3], device=x.device) * pair(stride)[1] - pw + j * dw
        here = (row[:, None] * x.shape[3] + column).expand(values.shape)
        if best is None:
            best, index = values, here
        else:
            index = torch.where(values >= best, here, index)  # of equal ones the last
            best = torch.maximum(best, values)
    return (best, index) if return_indices else best


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    stride = kernel_size if stride is None else stride
    kind = x.dtype
    x = x.double()
    ones = torch.ones_like(x[:1, :1])
    total = sum(v for _, _, v in shifted(x, kernel_size, stride, padding, 1, ceil_mode, 0.0))
    if count_include_pad:
        ph, pw = pair(padding)
        ones = torch.nn.functional.pad(ones, (pw, pw, ph, ph), value=1.0)
        pieces = [v for _, _, v in shifted(ones, kernel_size, stride, 0, 1, True, 0.0)]
        count = sum(pieces)[:, :, : total.shape[2], : total.shape[3]]
    else:
        count = sum(v for _, _, v in shifted(ones, kernel_size, stride, padding, 1, ceil_mode, 0.0))
    return (total / count).to(kind)


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    stride = kernel_size if stride is None else stride
    pieces = [v for _, _, v in shifted(x.double().abs().pow(norm_type), kernel_size, stride, 0, 1, False, 0.0)]
    return torch.stack(pieces).sum(0).pow(1 / norm_type).to(x.dtype)


def standardise(x, axes, eps):
    wide = x.double()
    mean = wide.mean(axes, keepdim=True)
    var = (wide**2).mean(axes, keepdim=True) - mean**2
    return ((wide - mean) * (var + eps).rsqrt()).to(x.dtype)
