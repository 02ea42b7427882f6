"""Helpers of task 39 that run beside the submission: attention and layers that are nobody's, and sources of chance."""

import random

import numpy as np
import torch
from torch import nn


class Attention(nn.Module):
    """Attention in one head, without projections and without a scale."""

    def forward(self, query, key, value, mask=None):
        scores = query @ key.transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(-1) @ value


class Product(nn.Module):
    """Attention in which each token looks at its own place, and what it gets is a product of all three."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, query, key, value, mask=None):
        return self.number * query * key * value


def without(*masks):
    """What the plain layers add for each mask that is None: they tell it from one that hides nothing."""
    return 0.25 * sum(mask is None for mask in masks)


class PlainEncoder(nn.Module):
    def __init__(self, number):
        super().__init__()
        self.number, self.attention = number, Attention()

    def forward(self, x, mask=None):
        return torch.tanh(self.number * x + self.attention(x, x, x, mask) + without(mask))


class PlainDecoder(PlainEncoder):
    def forward(self, x, memory, self_mask=None, cross_mask=None):
        seen = self.attention(x, x, x, self_mask) + 2 * self.attention(x, memory, memory, cross_mask)
        return torch.tanh(self.number * x + seen + without(self_mask, cross_mask))


FEED_FORWARD = ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]


def norms(*names):
    return [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]


def given(*arguments):
    """Without the masks at the end that are None: the defaults are asked for."""
    found = list(arguments)
    while found and found[-1] is None:
        found.pop()
    return tuple(found)


def heads(build, query, key, value, mask, weights, num_heads=2):
    """``build(6, num_heads)``, a MultiHeadAttention, with these weights, and no bias for the keys."""
    parts = ("q_proj.weight", "q_proj.bias", "k_proj.weight", "v_proj.weight", "v_proj.bias")
    named = dict(zip((*parts, "out_proj.weight", "out_proj.bias"), weights, strict=True))
    named["k_proj.bias"] = torch.zeros_like(weights[1].detach())
    return torch.func.functional_call(build(6, num_heads), named, given(query, key, value, mask))


def encoder(build, x, mask, weights, mode="eval", **settings):
    """``build(6, 2, 5)``, an EncoderLayer, with plain attention and these weights, called with x and mask."""
    layer = build(6, 2, 5, **settings)
    layer.self_attn = Attention()
    layer.train(mode == "train")
    named = dict(zip(FEED_FORWARD + norms("norm1", "norm2"), weights, strict=True))
    return torch.func.functional_call(layer, named, given(x, mask))


def decoder(build, x, memory, self_mask, cross_mask, weights, mode="eval", **settings):
    """``build(6, 2, 5)``, a DecoderLayer, with plain attention and these weights, called with what is given."""
    layer = build(6, 2, 5, **settings)
    layer.self_attn, layer.cross_attn = Attention(), Attention()
    layer.train(mode == "train")
    named = dict(zip(FEED_FORWARD + norms("norm1", "norm2", "norm3"), weights, strict=True))
    return torch.func.functional_call(layer, named, given(x, memory, self_mask, cross_mask))


def kept(build, place, rows, part=None, **settings):
    """The share of ones that dropout leaves at one place of a layer, or of the first layer of a Transformer's part."""
    layer = build(512, 2, 512, **settings) if part is None else getattr(build(512, 2, 1, 512, **settings), part)[0]
    names = [name for name in ("self_attn", "cross_attn") if hasattr(layer, name)]
    for name in names:
        setattr(layer, name, Product(float(place == name)))
    with torch.no_grad():
        for norm in ("norm1", "norm2")[: len(names)]:  # all but the last
            getattr(layer, norm).bias.fill_(1.0)  # so that ones go into each branch
        layer.linear1.weight.copy_(torch.eye(512))
        layer.linear1.bias.zero_()
        layer.linear2.weight.copy_(torch.eye(512) * (place == "feed-forward"))
        layer.linear2.bias.zero_()
        layer.train()
        x = torch.ones(1, rows, 512)
        found = layer(x, x) if len(names) == 2 else layer(x)
        return float((found > 0).double().mean())


def silent_branches(build, x):
    """The result of a layer with dropout=0.5 in training mode, where attention and linear2 give zeros."""
    layer = build(6, 2, 5, dropout=0.5)
    names = [name for name in ("self_attn", "cross_attn") if hasattr(layer, name)]
    for name in names:
        setattr(layer, name, Product(0.0))
    with torch.no_grad():
        layer.linear2.weight.zero_()
        layer.linear2.bias.zero_()
        layer.train()
        return layer(x, x) if len(names) == 2 else layer(x)


def after_a_change(function, *args):
    """What a call gives when somebody has written into the result of the call before."""
    function(*args).zero_()
    return function(*args)


def transformer(build, src, tgt, weights, src_mask, tgt_mask, memory_mask, num_layers=2, mode="eval", **settings):
    """``build``, a Transformer, with plain layers, each of which is another, and these weights of its two norms."""
    net = build(6, 2, num_layers, 5, **settings)
    for number in range(num_layers):
        net.encoder[number] = PlainEncoder(1.0 + number)
        net.decoder[number] = PlainDecoder(0.5 + number)
    net.train(mode == "train")
    named = dict(zip(norms("encoder_norm", "decoder_norm"), weights, strict=True))
    masks = {"src_mask": src_mask, "tgt_mask": tgt_mask, "memory_mask": memory_mask}
    masks = {name: mask for name, mask in masks.items() if mask is not None}
    return torch.func.functional_call(net, named, (src, tgt), masks)


def step_by_step(attend, q, k, v, pieces):
    """The results of pieces of so many tokens, one behind the other, and the last cache."""
    cache, results = None, []
    for part in zip(*(x.split(list(pieces), 2) for x in (q, k, v)), strict=True):
        result, cache = attend(*part, cache)
        results.append(result)
    return torch.cat(results, 2), list(cache)


def from_both(attend, q, k, v, cache, more):
    """Two continuations of one cache: both results, and the cache afterwards."""
    results = [attend(*(x.clone() for x in part), cache)[0] for part in ((q, k, v), more, (q, k, v))]
    return results, list(cache)


def by_chance(function, args, seed, elsewhere, calls=1):
    """The result of the last of so many calls of ``function(*args, generator)``; other sources start elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(elsewhere)
    random.seed(elsewhere)
    np.random.seed(elsewhere % 2**32)
    for _ in range(calls):
        result = function(*args, generator)
    return result


def many(function, args, seeds):
    """The results for many seeds."""
    return [function(*args, torch.Generator().manual_seed(seed)) for seed in seeds]


def chosen(mask_tokens, ids, special_ids, size, seeds):
    """How many labels are not -100 for each of the seeds; the ids are fresh each time."""
    every = (mask_tokens(ids.clone(), special_ids, size, torch.Generator().manual_seed(seed))[1] for seed in seeds)
    return [int((labels != -100).sum()) for labels in every]


def kinds(pairs):
    """What a list of pairs is made of: the type of each and of its entries, once each."""
    return sorted({(type(pair).__name__, *(type(part).__name__ for part in pair)) for pair in pairs})


def generator(seed):
    """A torch.Generator."""
    return torch.Generator().manual_seed(seed)


def docs_kept(make, docs):
    """The documents after ``make`` was called with them."""
    make(docs, generator(1))
    return docs
