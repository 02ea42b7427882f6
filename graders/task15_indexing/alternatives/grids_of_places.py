"""Places of rows and columns laid against each other, and copies into new memory."""

import functools
import math


def select_where(cond, a, b):
    shape = torch.broadcast_shapes(cond.shape, a.shape, b.shape)
    kind = (a.new_zeros((1,) * a.ndim) + b.new_zeros((1,) * b.ndim)).dtype
    take = cond.expand(shape)
    out = b.to(kind).expand(shape).clone(memory_format=torch.contiguous_format)
    out[take] = a.to(kind).expand(shape)[take]
    return out


def gather_rows(x, index):
    columns = torch.arange(index.shape[1], device=x.device).unsqueeze(0)
    return x[index, columns]


def one_hot(t, n):
    flat = t.reshape(-1, 1)
    out = torch.zeros((flat.shape[0], n), dtype=torch.int64, device=t.device)
    out.scatter_(1, flat, 1)
    return out.reshape(tuple(t.shape) + (n,))


def masked_fill_mean(x, mask):
    seen = torch.logical_not(mask).expand(x.shape)
    clean = x.masked_fill(mask, 0)
    mean = clean.double().sum() / seen.sum()
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    out[seen] = x[seen]
    out[~seen] = mean.to(x.dtype)
    return out


def join(tensors, dim=0):
    if len(tensors) == 0:
        raise ValueError("nothing to join")
    first = tensors[0]
    if first.ndim == 0:
        raise ValueError("no axis")
    if not -first.ndim <= dim < first.ndim:
        raise IndexError("no such axis")
    axis = dim % first.ndim
    total = 0
    for t in tensors:
        if t.ndim != first.ndim:
            raise ValueError("other number of axes")
        for d in range(t.ndim):
            if d != axis and t.shape[d] != first.shape[d]:
                raise ValueError("other sizes")
        total = total + t.shape[axis]
    shape = list(first.shape)
    shape[axis] = total
    kind = functools.reduce(torch.promote_types, [t.dtype for t in tensors])
    out = torch.empty(shape, dtype=kind, device=first.device)
    start = 0
    for t in tensors:
        out.narrow(axis, start, t.shape[axis]).copy_(t)
        start += t.shape[axis]
    return out


def pile(tensors, dim=0):
    if len({tuple(t.shape) for t in tensors}) != 1:
        raise ValueError("one shape, please")
    return join([t.unsqueeze(dim) for t in tensors], dim)


def split_sizes(x, sizes, dim=0):
    length = x.shape[dim]
    if isinstance(sizes, int):
        lengths = []
        left = length
        while left > 0:
            lengths.append(min(sizes, left))
            left -= sizes
    else:
        lengths = sizes
    if sum(lengths) != length:
        raise ValueError("wrong sum")
    pieces, start = [], 0
    for n in lengths:
        pieces.append(x.narrow(dim, start, n))
        start += n
    return pieces


def split_evenly(x, n, dim=0):
    return torch.tensor_split(x, n, dim=dim)


def windows(x, size, step):
    length = x.shape[-1]
    if size > length:
        raise ValueError("window too long")
    w = (length - size) // step + 1
    place = step * torch.arange(w, device=x.device)[:, None] + torch.arange(size, device=x.device)[None, :]
    return x[..., place]


def _grid(height, width, p, device):
    down = torch.arange(height, device=device).reshape(height // p, 1, p, 1)
    right = torch.arange(width, device=device).reshape(1, width // p, 1, p)
    return down, right


def patchify(img, p):
    c, h, w = img.shape
    assert h % p == 0
    assert w % p == 0
    down, right = _grid(h, w, p, img.device)
    return img[:, down, right].flatten(1, 2).transpose(0, 1)


def unpatchify(patches, height, width):
    count, c, p, _ = patches.shape
    assert height % p == 0
    assert width % p == 0
    assert (height // p) * (width // p) == count
    down, right = _grid(height, width, p, patches.device)
    out = torch.empty((c, height, width), dtype=patches.dtype, device=patches.device)
    out[:, down, right] = patches.transpose(0, 1).reshape(c, height // p, width // p, p, p)
    return out


def rotate90(x, k):
    turns = k % 4
    if turns == 1:
        return x.transpose(-2, -1).flip(-2)
    if turns == 2:
        return x.flip(-2, -1)
    if turns == 3:
        return x.flip(-2).transpose(-2, -1)
    return x


def hflip(x):
    last = x.shape[-1] - 1
    return x[..., last - torch.arange(last + 1, device=x.device)]


def fft_magnitude(x):
    length = x.shape[-1]
    n = torch.arange(length, device=x.device)
    angle = (torch.outer(n, n) % length).double() * (2 * math.pi / length)
    wide = x.double()
    return torch.hypot(wide @ angle.cos(), wide @ angle.sin()).to(x.dtype)
