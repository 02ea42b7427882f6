"""Heads that become part of the batch, attention by bmm, scores that are filled twice, words by multinomial luck."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def scaled_dot_product_attention(q, k, v, mask=None):
    lead, (T, D), S, E = q.shape[:-2], q.shape[-2:], k.shape[-2], v.shape[-1]
    flat = [x.expand(*lead, *x.shape[-2:]).reshape(-1, *x.shape[-2:]) for x in (q, k, v)]
    scores = torch.bmm(flat[0], flat[1].transpose(1, 2)).div(D**0.5).reshape(*lead, T, S)
    if mask is not None:
        scores = scores.masked_fill(mask.logical_not(), float("-inf"))
        dead = scores.isneginf().all(-1, keepdim=True)
        scores = scores.masked_fill(dead, 0.0)
    weights = nn.functional.softmax(scores, dim=-1)
    if mask is not None:
        weights = weights.masked_fill(dead, 0.0)
    return torch.bmm(weights.reshape(-1, T, S), flat[2]).reshape(*lead, T, E)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"{d_model} / {num_heads}")
        self.heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, query, key, value, mask=None):
        def split(x):  # the heads become part of the batch
            return torch.cat(x.chunk(self.heads, dim=-1), dim=0)

        if mask is not None and mask.dim() > 2:
            mask = mask.expand(len(query), -1, -1).repeat(self.heads, 1, 1)
        parts = split(self.q_proj(query)), split(self.k_proj(key)), split(self.v_proj(value))
        heads = scaled_dot_product_attention(*parts, mask)
        return self.out_proj(torch.cat(heads.chunk(self.heads, dim=0), dim=-1))


def self_attention_2d(x, w_q, w_k, w_v):
    q, k, v = (nn.functional.conv2d(x, w[:, :, None, None]).flatten(2).mT for w in (w_q, w_k, w_v))
    return scaled_dot_product_attention(q, k, v).mT.unflatten(-1, x.shape[-2:])


def sinusoidal_encoding(length, dim):
    half = torch.arange((dim + 1) // 2, dtype=torch.float64)
    angle = torch.arange(length, dtype=torch.float64).unsqueeze(1) * 10000 ** (-2 * half / dim)
    return torch.stack([angle.sin(), angle.cos()], dim=2).reshape(length, -1)[:, :dim].float()


def rotary(x, start=0):
    D = x.shape[-1]
    if D % 2:
        raise ValueError(D)
    wide = x if x.dtype == torch.float64 else x.float()
    place = torch.arange(x.shape[-2], device=x.device).add(start).to(wide.dtype)
    angle = place[:, None] / 10000 ** (torch.arange(0, D, 2, device=x.device).to(wide.dtype) / D)
    angle = angle.repeat_interleave(2, -1)
    other = torch.stack([-wide[..., 1::2], wide[..., ::2]], -1).reshape(wide.shape)
    return (wide * angle.cos() + other * angle.sin()).type_as(x)


def mask_tokens(ids, special_ids, vocab_size, generator):
    labels, inputs = ids.clone(), ids.clone()
    share = torch.full(ids.shape, 0.15)
    for special in special_ids.values():
        share[ids == special] = 0.0
    chosen = torch.bernoulli(share, generator=generator).bool()
    labels[~chosen] = -100
    hidden = torch.bernoulli(torch.full(ids.shape, 0.8), generator=generator).bool() & chosen
    inputs[hidden] = special_ids["mask"]
    other = torch.bernoulli(torch.full(ids.shape, 0.5), generator=generator).bool() & chosen & ~hidden
    weights = torch.ones(vocab_size)
    weights[list(special_ids.values())] = 0.0
    count = int(other.sum())
    if count:
        inputs[other] = torch.multinomial(weights, count, replacement=True, generator=generator)
    return inputs, labels
