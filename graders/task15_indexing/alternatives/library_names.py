"""The longest name in the library for each: one_hot, tensor_split, hstack-like joins, pixel_unshuffle, as_strided."""

import torch
import torch.nn.functional as F


def select_where(cond, a, b):
    return a.where(cond, b)


def gather_rows(x, index):
    return x.t().gather(1, index.t()).t()


def pick_labels(logits, target):
    return logits.take_along_dim(target[:, None], 1)[:, 0]


def one_hot(t, n):
    return F.one_hot(t, num_classes=n)


def masked_fill_mean(x, mask):
    return x.masked_fill(mask, 0) + torch.masked_select(x, ~mask).mean() * mask


def split_evenly(x, n, dim=0):
    return torch.tensor_split(x, n, dim=dim)


def windows(x, size, step):
    x = x.contiguous()
    count = (x.size(-1) - size) // step + 1
    if count < 1:
        raise ValueError("the window is longer than the axis")
    return torch.as_strided(
        x, x.shape[:-1] + (count, size), x.stride()[:-1] + (step * x.stride(-1), x.stride(-1)), x.storage_offset()
    )


def patchify(img, p):
    C, H, W = img.shape
    shuffled = F.pixel_unshuffle(img.unsqueeze(1), p)
    return shuffled.view(C, p, p, -1).permute(3, 0, 1, 2)


def unpatchify(patches, height, width):
    L, C, p, _ = patches.shape
    assert height % p == width % p == 0, "p does not divide the picture"
    planes = patches.permute(1, 2, 3, 0).reshape(C, p * p, height // p, width // p)
    return F.pixel_shuffle(planes, p)[:, 0]


def rotate90(x, k):
    return [lambda: x, lambda: x.mT.flip(-2), lambda: x.flip(-1, -2), lambda: x.mT.flip(-1)][k % 4]()


def fft_magnitude(x):
    z = torch.view_as_real(torch.fft.fft(x, dim=-1))
    return torch.linalg.vector_norm(z, dim=-1)
