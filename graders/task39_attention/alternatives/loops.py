"""A beginner's loops: over sentences, places, heads, columns, tokens and sentences."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def padding_mask(lengths, T):
    mask = torch.zeros(len(lengths), T, dtype=torch.bool, device=lengths.device)
    for b in range(len(lengths)):
        mask[b, : int(lengths[b])] = True
    return mask


def causal_mask(T, past=0):
    mask = torch.zeros(T, past + T, dtype=torch.bool)
    for i in range(T):
        for j in range(past + i + 1):
            mask[i, j] = True
    return mask


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.size = d_model // num_heads
        if self.size * num_heads != d_model:
            raise ValueError("the heads do not fit")
        self.num_heads = num_heads
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"]:
            setattr(self, name, nn.Linear(d_model, d_model))

    def forward(self, query, key, value, mask=None):
        q, k, v = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        results = []
        for h in range(self.num_heads):
            part = slice(h * self.size, (h + 1) * self.size)
            results.append(scaled_dot_product_attention(q[:, :, part], k[:, :, part], v[:, :, part], mask))
        return self.out_proj(torch.cat(results, dim=2))


def self_attention_2d(x, w_q, w_k, w_v):
    maps = []
    for image in x:
        pixels = image.flatten(1).T
        result = scaled_dot_product_attention(pixels @ w_q.T, pixels @ w_k.T, pixels @ w_v.T)
        maps.append(result.T.reshape(-1, x.shape[2], x.shape[3]))
    return torch.stack(maps)


def sinusoidal_encoding(length, dim):
    table = torch.zeros(length, dim)
    for pos in range(length):
        for i in range(0, dim, 2):
            table[pos, i] = math.sin(pos / 10000 ** (i / dim))
            if i + 1 < dim:
                table[pos, i + 1] = math.cos(pos / 10000 ** (i / dim))
    return table


def rotary(x, start=0):
    T, D = x.shape[-2], x.shape[-1]
    if D % 2 != 0:
        raise ValueError("odd")
    rows = []
    for t in range(T):
        columns = []
        for i in range(D // 2):
            angle = (start + t) / 10000 ** (2 * i / D)
            a, b = x[..., t, 2 * i], x[..., t, 2 * i + 1]
            columns.append(a * math.cos(angle) - b * math.sin(angle))
            columns.append(a * math.sin(angle) + b * math.cos(angle))
        rows.append(torch.stack(columns, dim=-1))
    return torch.stack(rows, dim=-2)


def grouped_query_attention(q, k, v, mask=None):
    H, G = q.shape[1], k.shape[1]
    if H % G != 0:
        raise ValueError("H is no multiple of G")
    results = []
    for h in range(H):
        g = h // (H // G)
        own = mask
        if mask is not None and mask.dim() == 4:
            own = mask[:, h] if mask.shape[1] > 1 else mask[:, 0]
        results.append(scaled_dot_product_attention(q[:, h], k[:, g], v[:, g], own))
    return torch.stack(results, dim=1)


def attend_with_cache(q, k, v, cache=None):
    if cache is None:
        keys, values, past = k, v, 0
    else:
        past = cache[0].shape[2]
        keys = torch.cat((cache[0], k), dim=2)
        values = torch.cat((cache[1], v), dim=2)
    results = []
    for t in range(q.shape[2]):
        seen = past + t + 1
        results.append(scaled_dot_product_attention(q[:, :, t : t + 1], keys[:, :, :seen], values[:, :, :seen]))
    return torch.cat(results, dim=2), (keys, values)


def mask_tokens(ids, special_ids, vocab_size, generator):
    special = set(special_ids.values())
    words = [i for i in range(vocab_size) if i not in special]
    flat = ids.reshape(-1).tolist()
    chance = torch.rand(len(flat), generator=generator).tolist()
    fate = torch.rand(len(flat), generator=generator).tolist()
    drawn = torch.randint(0, len(words), (len(flat),), generator=generator).tolist()
    inputs, labels = list(flat), [-100] * len(flat)
    for n, token in enumerate(flat):
        if token in special or chance[n] >= 0.15:
            continue
        labels[n] = token
        if fate[n] < 0.8:
            inputs[n] = special_ids["mask"]
        elif fate[n] < 0.9:
            inputs[n] = words[drawn[n]]
    return torch.tensor(inputs).reshape(ids.shape), torch.tensor(labels).reshape(ids.shape)


def make_nsp_pairs(docs, generator):
    result = []
    for d in range(len(docs)):
        for s in range(len(docs[d]) - 1):
            rest = docs[:d] + docs[d + 1 :]
            rest = [doc for doc in rest if len(doc) > 0]
            if len(rest) == 0:
                raise ValueError("one document is not enough")
            if torch.randint(0, 2, (1,), generator=generator).item() == 1:
                result.append((docs[d][s], docs[d][s + 1], True))
            else:
                other = rest[torch.randint(0, len(rest), (1,), generator=generator).item()]
                place = torch.randint(0, len(other), (1,), generator=generator).item()
                result.append((docs[d][s], other[place], False))
    return result
