"""Tables of cell numbers pick every window by advanced indexing; all cells outside share one number, the last."""

import torch
from torch.nn import functional as F


def cell_table(shape, kernel_size, stride, padding, dilation, ceil_mode, device):
    """(OH * OW, KH * KW) numbers of cells, and (OH, OW)."""
    lines = []
    for size, k, s, p, d in zip(shape, *map(pair, (kernel_size, stride, padding, dilation)), strict=True):
        room = size + 2 * p - (d * (k - 1) + 1)
        moves = (room + s - 1) // s if ceil_mode else room // s
        count = moves + 1 if moves * s < size + p or not ceil_mode else moves
        lines.append(torch.arange(count, device=device)[:, None] * s - p + torch.arange(k, device=device) * d)
    rows, columns = lines
    inside = ((rows >= 0) & (rows < shape[0]))[:, None, :, None] & ((columns >= 0) & (columns < shape[1]))[
        None, :, None
    ]
    cells = rows[:, None, :, None] * shape[1] + columns[None, :, None]
    cells = torch.where(inside, cells, shape[0] * shape[1])
    return cells.flatten(0, 1).flatten(1), (len(rows), len(columns))


def gathered(x, cells, filler):
    flat = F.pad(x.flatten(2), (0, 1), value=filler)
    return flat[:, :, cells]  # (N, C, OH * OW, KH * KW)


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    stride = kernel_size if stride is None else stride
    cells, size = cell_table(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode, x.device)
    table = gathered(x, cells, float("-inf"))
    place = table.argmax(-1)
    values = table.amax(-1).unflatten(2, size)
    if not return_indices:
        return values
    numbers = cells[torch.arange(len(cells), device=x.device), place]
    return values, numbers.unflatten(2, size)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    stride = kernel_size if stride is None else stride
    cells, size = cell_table(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode, x.device)
    real = x.shape[2] * x.shape[3]
    counts = (cells < real).sum(-1)
    if count_include_pad:
        ph, pw = pair(padding)
        padded = (x.shape[2] + 2 * ph, x.shape[3] + 2 * pw)
        table, more = cell_table(padded, kernel_size, stride, 0, 1, True, x.device)
        table = table.unflatten(0, more)[: size[0], : size[1]].flatten(0, 1)
        counts = (table < padded[0] * padded[1]).sum(-1)
    table = gathered(x, cells, 0.0)
    if x.dtype.itemsize < 4:
        table = table.float()
    return (table.sum(-1) / counts).unflatten(2, size).to(x.dtype)


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    stride = kernel_size if stride is None else stride
    cells, size = cell_table(x.shape[2:], kernel_size, stride, 0, 1, False, x.device)
    table = gathered(x.float() if x.dtype.itemsize < 4 else x, cells, 0.0).abs()
    return table.pow(norm_type).sum(-1).pow(1 / norm_type).unflatten(2, size).to(x.dtype)


def adaptive_avg_pool2d(x, output_size):
    out_h, out_w = pair(output_size)
    kind = x.dtype
    x = x.float() if kind.itemsize < 4 else x
    h, w = x.shape[-2:]
    rows = [x[:, :, h * i // out_h : -(h * (i + 1) // -out_h)].mean(dim=2) for i in range(out_h)]
    x = torch.stack(rows, dim=2)
    columns = [x[:, :, :, w * j // out_w : -(w * (j + 1) // -out_w)].mean(dim=3) for j in range(out_w)]
    return torch.stack(columns, dim=3).to(kind)
