"""Checks for task 39: attention, the Transformer, and the masks of BERT.

The oracles are PyTorch's own attention and layers, whose weights are those of the submission's, and formulas. Layers
are asked with attention that is not the submission's, and the Transformer with such layers, so that one slip costs one
part; what is put together is compared with PyTorch's layers at the end.
"""

import functools
import itertools
import math
import re

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    FLOATS,
    LAYOUTS,
    LEFT_OUT,
    RECORDING,
    Rule,
    any_seed,
    check,
    expect,
    grid,
    kit,
    normal,
    on_meta,
    parameter_count,
    registered_parameters,
)

ATTENTION = (
    "scaled_dot_product_attention",
    "MultiHeadAttention",
    "self_attention_2d",
    "grouped_query_attention",
    "attend_with_cache",
)
OWN_WORK = Rule(
    of=(*ATTENTION, "EncoderLayer", "DecoderLayer", "Transformer"),
    functions=("scaled_dot_product_attention", "multi_head_attention_forward"),
    names=(
        "F.scaled_dot_product_attention",
        "F.multi_head_attention_forward",
        "nn.MultiheadAttention",
        "nn.Transformer",
        "nn.TransformerEncoder",
        "nn.TransformerDecoder",
        "nn.TransformerEncoderLayer",
        "nn.TransformerDecoderLayer",
        "nn.attention",
    ),
    instead="a matrix product and a softmax",
)
BOOL = torch.bool
FAR_AWAY = 6000  # beyond the tables that are made for some thousand places


# masks


def seeing(shape, dtype, generator):
    """True and False by chance, one True in each row at least, and one False where there is room"""
    found = torch.randint(0, 2, tuple(shape), generator=generator).double()
    place = torch.randint(0, shape[-1], (*shape[:-1], 1), generator=generator)
    found.scatter_(-1, (place + 1) % shape[-1], 0.0)
    return found.scatter_(-1, place, 1.0)


def blind(shape, dtype, generator):
    """True and False by chance, every second row all False"""
    found = seeing(shape, dtype, generator)
    found[..., ::2, :] = 0
    return found


def seeing_two(shape, dtype, generator):
    """True and False by chance, two True in each row at least: a single key has all the weight, and no gradient"""
    found = torch.randint(0, 2, tuple(shape), generator=generator).double()
    order = torch.rand(tuple(shape), generator=generator).argsort(-1)
    found[order == 2] = 0
    found[order < 2] = 1
    return found


def blind_or_two(shape, dtype, generator):
    """True and False by chance, every second row all False, the others with two True at least"""
    found = seeing_two(shape, dtype, generator)
    found[..., ::2, :] = 0
    return found


def mask_like(draw, form, sizes, values=seeing):
    """A mask whose shape is written out in letters, or None."""
    if form is None:
        return None
    return draw(*(int(letter) if letter.isdigit() else sizes[letter] for letter in form), values=values, dtype=BOOL)


def length_rows(lengths, T):
    return torch.stack([torch.arange(T) < length for length in lengths.tolist()])


@check("padding_mask is True for tokens and False for the padding", points=1, category="values")
def test_padding_mask(submission):
    def lengths(draw, rows):
        return {"lengths": torch.tensor(rows).repeat_interleave(2)[::2]}

    cases = grid(lengths, rows=[(2, 3, 0), (4,), (1, 5, 2, 9)], T=[3, 1, 5])
    expect.agrees(
        submission.padding_mask,
        length_rows,
        cases,
        unchanged=True,
        likely={
            "the mask is inverted: True stands for the padding": lambda lengths, T: ~length_rows(lengths, T),
            "a sentence of length n has n + 1 tokens": lambda lengths, T: length_rows(lengths + 1, T),
            "the padding stands in front, not behind": lambda lengths, T: length_rows(lengths, T).flip(1),
            "T is the longest length, not what was given": lambda lengths, T: length_rows(lengths, int(lengths.max())),
            "the mask is no bool": lambda lengths, T: length_rows(lengths, T).long(),
        },
    )

    def small(draw, rows, kind):
        return {"lengths": torch.tensor(rows, dtype=kind)}

    kinds = [torch.int32, torch.int8, torch.uint8, torch.int16]
    cases = grid(small, rows=[(2, 0, 3), (100, 7, 127)], kind=kinds, T=[3, 6, 300])
    expect.agrees(submission.padding_mask, length_rows, cases)


def full(T, past):
    return torch.ones(T, past + T, dtype=BOOL)


def sees(T, past=0):
    return torch.tensor([[key <= past + query for key in range(past + T)] for query in range(T)])


@check("causal_mask shows each token itself and what was before it", points=1, category="values")
def test_causal_mask(submission):
    expect.agrees(
        submission.causal_mask,
        sees,
        grid(T=[3, 1, 2, 5], past=[LEFT_OUT, 1, 4, 0]),
        likely={
            "the mask is inverted: True stands for the future": lambda T, past=0: ~sees(T, past),
            "the mask shows the future and hides the past": lambda T, past=0: full(T, past).triu(past),
            "a token does not see itself": lambda T, past=0: full(T, past).tril(past - 1),
            "the diagonal starts at the top left corner: a new token sees all old ones": lambda T, past=0: full(
                T, past
            ).tril(),
            "the mask has a row for each old token, too": lambda T, past=0: sees(past + T),
        },
    )
    expect.agrees(submission.causal_mask, sees, grid(T=[2], past=[FAR_AWAY]))
    again = submission.probes.after_a_change(submission.causal_mask, 3, 2)
    expect.close(again, sees(3, 2), given="causal_mask(3, 2), when the mask of the call before was filled with zeros")


# scaled_dot_product_attention


def attention(q, k, v, mask=None):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def by_formula(q, k, v, mask=None, scale=None, axis=-1, hide=-torch.inf, after=False):
    """Attention with one thing changed."""
    scores = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None and not after:
        scores = scores.masked_fill(~mask, hide)
    weights = scores.softmax(axis)
    if mask is not None and after:
        weights = weights * mask
    return weights @ v


def asked(draw, lead, size, masked):
    """What ``drawn`` makes, with a mask that leaves every query a key."""
    return drawn(draw, lead, size, masked, seeing)


def drawn(draw, lead, size, masked=None, values=seeing):
    """q (..., T, D), k (..., S, D), v (..., S, E), and a mask."""
    T, S, D, E = size
    found = {"q": draw(*lead, T, D), "k": draw(*lead, S, D), "v": draw(*lead, S, E)}
    if masked is None:
        return found
    sizes = {"T": T, "S": S}
    some = {"lead": lead, "inner": lead[1:], "outer": (*lead[:1], *(1 for _ in lead[1:]))}
    if masked in some:
        return {**found, "mask": draw(*some[masked], T, S, values=values, dtype=BOOL)}
    return {**found, "mask": mask_like(draw, masked, sizes, values)}


LEADS = [(2,), (), (2, 3), (1, 2, 2)]
SIZES = [(3, 4, 5, 2), (1, 1, 2, 3), (4, 4, 1, 1), (2, 5, 3, 3)]
SEVERAL = [SIZES[0], *SIZES[2:]]  # keys
MASKS = ["TS", "lead", "1S", "1TS", "inner", "outer"]
UNMASKED = grid(lambda draw, lead, size: drawn(draw, lead, size), lead=LEADS, size=SIZES)


def broadcasts(lead, masked):
    """A mask with an axis more than the queries have is nobody's question."""
    return len(lead) > 1 if masked in ("inner", "outer") else masked != "1TS" or lead != ()


MASKED = grid(asked, where=broadcasts, lead=LEADS, size=[*SEVERAL, (1, 4, 3, 2)], masked=MASKS)


def wide(shape, dtype, generator):
    """numbers of both signs, apart by 3"""
    return 3 * kit.normal(shape, dtype, generator)


@check("attention weighs the values by a softmax of scaled scores", points=1.5, category="values", devices="all")
def test_attention(submission, device):
    expect.agrees(
        submission.scaled_dot_product_attention,
        attention,
        UNMASKED.vary(values=[kit.normal, wide]),
        device=device,
        likely={
            "the scores are not divided by √D": lambda q, k, v: by_formula(q, k, v, scale=1),
            "the scores are divided by D, not by its root": lambda q, k, v: by_formula(q, k, v, scale=1 / q.shape[-1]),
            "the scores are multiplied by √D, not divided": lambda q, k, v: by_formula(
                q, k, v, scale=q.shape[-1] ** 0.5
            ),
            "the scores are divided by the root of the number of keys": lambda q, k, v: by_formula(
                q, k, v, scale=k.shape[-2] ** -0.5
            ),
            "the softmax runs over the queries, not over the keys": lambda q, k, v: by_formula(q, k, v, axis=-2),
            "the values are added up with their scores: the softmax is missing": lambda q, k, v: (
                q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 @ v
            ),
        },
    )
    expect.agrees(submission.scaled_dot_product_attention, attention, UNMASKED.vary(values=[kit.thousands]).plain())


@check("attention looks only where the mask is True", points=1, category="values", devices="all")
def test_attention_mask(submission, device, pictures):
    expect.agrees(
        submission.scaled_dot_product_attention,
        attention,
        MASKED,
        device=device,
        likely={
            "the mask is inverted: it hides where it is True": lambda q, k, v, mask: by_formula(
                q, k, v, ~mask
            ).nan_to_num(),
            "the mask is not used": lambda q, k, v, mask: by_formula(q, k, v),
            "the weights are masked behind the softmax: they do not add up to 1": lambda q, k, v, mask: by_formula(
                q, k, v, mask, after=True
            ),
            "masked scores become 0, which is a score like others": lambda q, k, v, mask: by_formula(
                q, k, v, mask, hide=0.0
            ),
        },
    )
    expect.agrees(
        submission.scaled_dot_product_attention,
        attention,
        MASKED.vary(values=[kit.thousands]).plain(),
        likely={
            "-10,000 stands for never, but scores can be lower": lambda q, k, v, mask: by_formula(
                q, k, v, mask, hide=-1e4
            ),
        },
    )
    x = 2 * normal(6, 4)
    eye = torch.eye(6, dtype=torch.float64)
    pads = torch.arange(6) < 4
    masks = {"no mask": None, "causal mask": sees(6), "padding mask": pads[None], "both masks": sees(6) & pads}
    maps = {}
    for label, mask in masks.items():
        arguments = (x, x, eye) if mask is None else (x, x, eye, mask)
        maps[label] = submission.scaled_dot_product_attention(*arguments)
        given = f"q = k, v the unit matrix, so that the result is the weights; {label}"
        if mask is not None:
            expect.close(maps[label], attention(x, x, eye, mask), given=given)
    pictures.heatmaps("attention", maps, rows="query", columns="key")


@check("a query that may look at nothing gets zeros", points=0.5, category="values", devices="all")
def test_attention_blind(submission, device):
    def nothing(draw, lead, size, masked):
        return drawn(draw, lead, size, masked, blind)

    cases = grid(nothing, where=broadcasts, lead=LEADS, size=[SIZES[0], SIZES[3]], masked=MASKS)
    expect.agrees(
        submission.scaled_dot_product_attention,
        attention,
        cases,
        device=device,
        likely={
            "the softmax of minus infinities is NaN": by_formula,
            "where all is masked the weights are equal, not 0": lambda q, k, v, mask: by_formula(
                q, k, v, mask, hide=torch.finfo(q.dtype).min
            ),
        },
    )
    half = cases.plain().vary(dtype=FLOATS[2:])
    expect.agrees(submission.scaled_dot_product_attention, attention, half, device=device, slack=4)


@check("gradients of attention reach q, k and v, and are finite", points=0.5, category="gradients")
def test_attention_gradients(submission):
    cases = UNMASKED.vary(size=SEVERAL)
    expect.agrees(submission.scaled_dot_product_attention, attention, cases, gradients=True, slack=10)

    def two(draw, lead, size, masked):
        return drawn(draw, lead, size, masked, seeing_two)

    cases = grid(two, where=broadcasts, **MASKED.axes)
    expect.agrees(submission.scaled_dot_product_attention, attention, cases, gradients=True, slack=10)

    def nothing(draw, lead, size, masked):
        return drawn(draw, lead, size, masked, blind_or_two)

    cases = grid(nothing, where=broadcasts, lead=LEADS[:2], size=[SIZES[0], SIZES[3]], masked=MASKS)
    expect.agrees(submission.scaled_dot_product_attention, attention, cases, gradients=True, slack=10)


@check("attention works in every floating dtype and layout", points=0.5, category="robustness", hidden=True)
def test_attention_inputs(submission):
    cases = MASKED.plain().vary(dtype=FLOATS, layout=LAYOUTS, grad=RECORDING)
    expect.agrees(submission.scaled_dot_product_attention, attention, cases, unchanged=True, slack=4)
    cases = UNMASKED.plain().vary(dtype=FLOATS, layout=LAYOUTS, grad=RECORDING)
    expect.agrees(submission.scaled_dot_product_attention, attention, cases, unchanged=True, slack=4)


@check("what a masked key and its value hold has no influence", points=0.5, category="robustness", hidden=True)
def test_attention_hidden_keys(submission):
    def spoiled(draw, lead, size, hold):
        found = asked(draw, lead, size, "1S")
        gone = ~found["mask"].transpose(-2, -1)  # (S, 1)
        for name in ("k", "v"):
            found[name] = torch.where(gone, hold, found[name])
        return found

    common = {"lead": LEADS, "size": SEVERAL}
    cases = grid(spoiled, **common, hold=[1e30], dtype=[torch.float32, torch.float64])
    expect.agrees(submission.scaled_dot_product_attention, attention, cases)
    cases = grid(spoiled, **common, hold=[3e38, -3e38], dtype=[torch.float32])  # finite, but scores overflow
    expect.agrees(submission.scaled_dot_product_attention, attention, cases)


# MultiHeadAttention


def library_names(state):
    """The parameters of our layers under the names that PyTorch's layers give them."""
    found = {}
    for name, value in state.items():
        path = re.sub(r"^(encoder|decoder)\.(\d+)\.", r"\1.layers.\2.", name).replace("coder_norm", "coder.norm")
        path = path.replace("cross_attn", "multihead_attn")
        if "k_proj" in path or "v_proj" in path:
            continue
        if "q_proj" in path:
            value = torch.cat([state[name.replace("q_proj", f"{letter}_proj")] for letter in "qkv"])
            path = path.replace("q_proj.", "in_proj_")
        found[path] = value
    return found


class Library(nn.Module):
    """PyTorch's own layer, which computes with the parameters of its parts; these bear the names of the task."""

    def __init__(self, whole, num_heads):
        super().__init__()
        self.whole, self.num_heads = [whole.train()], num_heads  # in a list, so that it registers nothing

    def computed(self, *args, **masks):
        named = library_names(dict(self.named_parameters()))
        return torch.func.functional_call(self.whole[0], named, args, masks)

    def mask(self, mask, B, T, S):
        """As PyTorch takes it: True hides, and (B·H, T, S) where sentences differ."""
        if mask is None or mask.dim() == 2:
            return mask if mask is None else ~mask
        return ~mask.expand(B, T, S).repeat_interleave(self.num_heads, 0)


class LibraryAttention(Library):
    def __init__(self, d_model, num_heads):
        super().__init__(nn.MultiheadAttention(d_model, num_heads, batch_first=True), num_heads)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            self.add_module(name, nn.Linear(d_model, d_model))

    def forward(self, query, key, value, mask=None):
        sizes = (len(query), query.shape[1], key.shape[1])
        return self.computed(query, key, value, attn_mask=self.mask(mask, *sizes), need_weights=False)[0]


class HandmadeAttention(LibraryAttention):
    """Multi-head attention with one thing changed."""

    def split(self, x):
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def attend(self, q, k, v, mask):
        return by_formula(q, k, v, mask)

    def spread(self, mask):
        return mask.unsqueeze(1) if mask is not None and mask.dim() == 3 else mask

    def join(self, heads):
        return heads.transpose(1, 2).flatten(2)

    def forward(self, query, key, value, mask=None):
        parts = (self.q_proj(query), self.k_proj(key), self.v_proj(value))
        heads = self.attend(*map(self.split, parts), self.spread(mask))
        return self.out_proj(self.join(heads))


class Reshaped(HandmadeAttention):
    def split(self, x):
        return x.reshape(len(x), self.num_heads, x.shape[1], -1)

    def join(self, heads):
        return heads.reshape(len(heads), heads.shape[2], -1)


class JoinedWithoutTranspose(HandmadeAttention):
    def join(self, heads):
        return heads.reshape(len(heads), heads.shape[2], -1)


class Interleaved(HandmadeAttention):
    def split(self, x):
        return x.unflatten(-1, (-1, self.num_heads)).movedim(-1, 1)


class ScaledByModel(HandmadeAttention):
    def attend(self, q, k, v, mask):
        return by_formula(q, k, v, mask, scale=(q.shape[-1] * self.num_heads) ** -0.5)


class OneHead(HandmadeAttention):
    def split(self, x):
        return x.unsqueeze(1)


class WithoutOutput(HandmadeAttention):
    def __init__(self, d_model, num_heads):
        super().__init__(d_model, num_heads)
        self.out_proj.forward = lambda x: x


class Inverted(HandmadeAttention):
    def spread(self, mask):
        return mask if mask is None else ~super().spread(mask)

    def attend(self, q, k, v, mask):
        return super().attend(q, k, v, mask).nan_to_num()


class Unmasked(HandmadeAttention):
    def spread(self, mask):
        return None


class AlongHeads(HandmadeAttention):
    def spread(self, mask):
        return mask


def sequences(draw, size, masked, *, d_model, num_heads):
    B, T, S = size
    found = {"query": draw(B, T, d_model), "key": draw(B, S, d_model), "value": draw(B, S, d_model)}
    if masked is not None:
        found["mask"] = mask_like(draw, masked, {"B": B, "T": T, "S": S})
    return found


HEADS = grid(
    sequences,
    where=lambda d_model, num_heads: d_model % num_heads == 0,
    size=[(2, 3, 4), (1, 1, 1), (3, 2, 5), (2, 4, 4)],
    masked=[None],
    d_model=[6, 4, 12],
    num_heads=[2, 1, 3],
    state=["loaded"],
    training=[True, False],
)


@check("MultiHeadAttention(512, 8) has 1,050,624 parameters", points=1, category="parameters")
def test_heads_parameters(submission):
    expect.equal(
        parameter_count(on_meta(submission.MultiHeadAttention, 512, 8)),
        1_050_624,
        because="four linear layers of 512·512 weights and 512 biases",
        given="MultiHeadAttention(512, 8)",
        likely={
            "the linear layers have no bias": 4 * 512 * 512,
            "the linear layer behind the heads is missing": 3 * 512 * 513,
        },
    )
    names = [f"{letter}_proj.{kind}" for letter in ("q", "k", "v", "out") for kind in ("weight", "bias")]
    layer = on_meta(submission.MultiHeadAttention, 6, 3)
    expect.state_dict_keys(layer, names, given="MultiHeadAttention(6, 3)")
    expect.parameters(layer, 4 * 42, shapes=4 * [(6, 6), (6,)], given="MultiHeadAttention(6, 3)")


@check(
    "MultiHeadAttention attends in each head by itself",
    points=1,
    category="values",
    devices="all",
    after=[test_heads_parameters, test_attention, test_attention_mask],
)
def test_heads(submission, device):
    expect.agrees(
        submission.MultiHeadAttention,
        LibraryAttention,
        HEADS.vary(objects=[1, 2], steps=[1, 2]),
        device=device,
        likely={
            "the heads are cut out by a reshape without a transpose: each takes other tokens": Reshaped,
            "the heads are put together without a transpose": JoinedWithoutTranspose,
            "a head takes every H-th number, not D neighbours": Interleaved,
            "the scores are divided by √d_model, not by the root of a head's numbers": ScaledByModel,
            "there is one head, whatever num_heads says": OneHead,
            "the linear layer behind the heads is not used": WithoutOutput,
        },
    )


@check(
    "MultiHeadAttention takes a mask for all, or for each sentence",
    points=1,
    category="values",
    after=[test_heads_parameters, test_attention, test_attention_mask],
)
def test_heads_mask(submission):
    expect.agrees(
        submission.MultiHeadAttention,
        LibraryAttention,
        HEADS.vary(size=[(2, 3, 4), (3, 2, 5), (2, 4, 4), (1, 3, 3), (3, 3, 4), (3, 3, 3)], masked=["TS"]),
        likely={
            "the mask is inverted: it hides where it is True": Inverted,
            "the mask is not used": Unmasked,
        },
    )
    expect.agrees(  # as many heads as sentences: a mask along the wrong axis fits, too
        submission.MultiHeadAttention,
        LibraryAttention,
        HEADS.vary(size=[(2, 3, 4), (2, 4, 4)], masked=["BTS", "B1S"], num_heads=[2], training=[True]),
        likely={
            "the mask of a sentence is laid along the heads: it needs an axis for them": AlongHeads,
            "the mask is inverted: it hides where it is True": Inverted,
        },
    )
    expect.agrees(
        submission.MultiHeadAttention,
        LibraryAttention,
        HEADS.vary(size=[(3, 2, 5), (3, 4, 4), (1, 3, 3)], masked=["BTS", "B1S"]),
    )
    used, new = submission.MultiHeadAttention(6, 2), submission.MultiHeadAttention(6, 2)
    new.load_state_dict(used.state_dict())
    x, mask = torch.randn(2, 3, 6), sees(3)
    used(x, x, x, mask)
    expect.close(used(x, x, x, mask.T), new(x, x, x, mask.T), given="a second call with another mask of the same shape")


def blind_sentence(shape, dtype, generator):
    """The last sentence is masked all over; the others have two words at least: one alone has a weight that is fixed"""
    found = seeing(shape, dtype, generator)
    found[..., :2], found[-1] = 1, 0
    return found


def heads_and_weights(draw, size, masked):
    B, T, S = size
    values = blind_sentence if masked == "B1S" else seeing_two
    found = {"query": draw(B, T, 6), "key": draw(B, S, 6), "value": draw(B, S, 6)}
    found["mask"] = mask_like(draw, masked, {"B": B, "T": T, "S": S}, values)
    return {**found, "weights": [draw(*shape) for shape in ((6, 6), (6,), (6, 6), (6, 6), (6,), (6, 6), (6,))]}


def in_heads(query, key, value, mask, weights, num_heads=2):
    """Multi-head attention. The keys have no bias: a softmax does not feel it, and its gradient is 0."""
    wq, bq, wk, wv, bv, wo, bo = weights
    parts = (F.linear(query, wq, bq), F.linear(key, wk), F.linear(value, wv, bv))
    q, k, v = (x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in parts)
    mask = mask.unsqueeze(1) if mask is not None and mask.dim() == 3 else mask
    return F.linear(attention(q, k, v, mask).transpose(1, 2).flatten(2), wo, bo)


@check(
    "gradients reach inputs and weights of MultiHeadAttention",
    points=0.5,
    category="gradients",
    hidden=True,
    after=[test_heads, test_heads_mask, test_attention_gradients],
)
def test_heads_gradients(submission):
    cases = grid(
        heads_and_weights,
        size=[(2, 3, 4), (3, 2, 5)],
        masked=[None, "TS", "BTS", "B1S"],
        num_heads=[2, 3, 1],
        dtype=[torch.float64, torch.float32],
    )
    expect.agrees(
        submission.probes.heads,
        in_heads,
        cases,
        bound=[submission.MultiHeadAttention],
        name="MultiHeadAttention",
        gradients=True,
        slack=30,
    )


@check(
    "MultiHeadAttention takes any layout, and refuses odd heads",
    points=0.5,
    category="robustness",
    hidden=True,
    after=[test_heads, test_heads_mask, test_attention_inputs],
)
def test_heads_inputs(submission):
    cases = HEADS.plain().vary(masked=["TS", "B1S"], size=[(2, 3, 4)], layout=LAYOUTS, grad=RECORDING)
    cases = cases.vary(dtype=FLOATS)
    expect.agrees(submission.MultiHeadAttention, LibraryAttention, cases, unchanged=True, slack=10)
    for d_model, num_heads in ((6, 4), (5, 2), (4, 8)):
        given = f"MultiHeadAttention({d_model}, {num_heads})"
        expect.raises("ValueError", submission.MultiHeadAttention, d_model, num_heads, given=given)


# self_attention_2d


def over_pixels(x, w_q, w_k, w_v, scale=None, axis=-1):
    q, k, v = (torch.einsum("dc,nchw->nhwd", w, x).flatten(1, 2) for w in (w_q, w_k, w_v))
    return by_formula(q, k, v, scale=scale, axis=axis).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def pixels(draw, size, channels):
    (D, E), C = channels, size[1]
    return {"x": draw(*size), "w_q": draw(D, C), "w_k": draw(D, C), "w_v": draw(E, C)}


PIXELS = grid(pixels, size=[(2, 3, 2, 4), (1, 2, 3, 3), (2, 1, 1, 1), (1, 4, 5, 2)], channels=[(2, 3), (1, 1), (5, 2)])


@check(
    "self_attention_2d lets every pixel look at every other",
    points=1,
    category="values",
    devices="all",
    after=[test_attention, test_attention_mask, test_attention_gradients],
)
def test_pixels(submission, device):
    def misplaced(x, w_q, w_k, w_v):
        found = over_pixels(x, w_q, w_k, w_v).flatten(2).transpose(1, 2)
        return found.reshape(len(x), -1, *x.shape[2:])

    def cut_wrong(x, w_q, w_k, w_v):
        tokens = x.reshape(len(x), -1, x.shape[1])
        found = by_formula(tokens @ w_q.T, tokens @ w_k.T, tokens @ w_v.T)
        return found.transpose(1, 2).reshape(len(x), -1, *x.shape[2:])

    def sides_swapped(x, w_q, w_k, w_v):
        return over_pixels(x, w_q, w_k, w_v).flatten(2).unflatten(2, (x.shape[3], x.shape[2]))

    expect.agrees(
        submission.self_attention_2d,
        over_pixels,
        PIXELS,
        device=device,
        likely={
            "the result is reshaped without a transpose: channels and pixels are mixed": misplaced,
            "the map is reshaped without a transpose: channels and pixels are mixed": cut_wrong,
            "height and width are swapped": sides_swapped,
            "the scores are not divided by √D": lambda *args: over_pixels(*args, scale=1),
            "the scores are divided by √C, not by √D": lambda *args: over_pixels(*args, scale=args[0].shape[1] ** -0.5),
            "the softmax runs over the queries, not over the keys": lambda *args: over_pixels(*args, axis=-2),
        },
    )
    cases = PIXELS.vary(size=[(2, 3, 2, 4), (1, 2, 3, 3), (1, 4, 5, 2)]).plain()
    expect.agrees(submission.self_attention_2d, over_pixels, cases, gradients=True, slack=10)


@check(
    "self_attention_2d works in every floating dtype and layout",
    points=0.5,
    category="robustness",
    hidden=True,
    after=[test_pixels, test_attention_inputs],
)
def test_pixels_inputs(submission):
    cases = PIXELS.plain().vary(dtype=FLOATS, layout=LAYOUTS, grad=RECORDING)
    expect.agrees(submission.self_attention_2d, over_pixels, cases, unchanged=True, slack=8)


# positions


def pair_angle(place, column, dim):
    return place / 10000 ** ((column - column % 2) / dim)


def waves_by(angle=pair_angle, halves=False, first=math.sin, second=math.cos):
    """The encoding with another angle, with other functions, or with all sines before all cosines."""

    def encoded(length, dim):
        rows = [[angle(place, column, dim) for column in range(dim)] for place in range(length)]
        found = torch.tensor([[(first, second)[n % 2](a) for n, a in enumerate(row)] for row in rows])
        return torch.cat([found[:, 0::2], found[:, 1::2]], 1) if halves else found

    return encoded


waves = waves_by()


@check("sinusoidal_encoding interleaves sines and cosines", points=1, category="values")
def test_encoding(submission):
    likely = {
        "all sines stand before all cosines": waves_by(halves=True),
        "sine and cosine are swapped": waves_by(first=math.cos, second=math.sin),
        "the exponent is the number of the column, not of its pair": waves_by(lambda p, c, dim: p / 10000 ** (c / dim)),
        "the exponent is half as large: i / dim, not 2i / dim": waves_by(
            lambda p, c, dim: p / 10000 ** ((c // 2) / dim)
        ),
        "the places are counted from 1": waves_by(lambda p, c, dim: (p + 1) / 10000 ** ((c - c % 2) / dim)),
    }
    cases = grid(length=[3, 1, 2, 50], dim=[4, 2, 6, 1, 5])
    expect.agrees(submission.sinusoidal_encoding, waves, cases, slack=3, likely=likely)
    expect.agrees(submission.sinusoidal_encoding, waves, grid(length=[FAR_AWAY], dim=[2]))
    again = submission.probes.after_a_change(submission.sinusoidal_encoding, 3, 4)
    given = "sinusoidal_encoding(3, 4), when the result of the call before was filled with zeros"
    expect.close(again, waves(3, 4), rtol=1e-5, atol=1e-5, given=given)


def turned_by(x, start=0, angle=None, halves=False, sign=1):
    """Rotary positions by a loop over the pairs; with another angle, other pairs, or the other way round."""
    T, D = x.shape[-2:]
    if D % 2:
        raise ValueError("odd")
    found = torch.empty_like(x)
    for i in range(D // 2):
        one, two = (i, i + D // 2) if halves else (2 * i, 2 * i + 1)
        for t in range(T):
            a = sign * (start + t) * 10000 ** (-2 * i / D) if angle is None else angle(start, t, i, D)
            found[..., t, one] = x[..., t, one] * math.cos(a) - x[..., t, two] * math.sin(a)
            found[..., t, two] = x[..., t, one] * math.sin(a) + x[..., t, two] * math.cos(a)
    return found


TURNED = grid(
    lambda draw, lead, size: draw(*lead, *size),
    lead=[(2,), (), (2, 3)],
    size=[(3, 4), (1, 2), (4, 6)],
    start=[LEFT_OUT, 5, 1, 0],
)


@check("rotary turns neighbouring columns by the place", points=1, category="values", devices="all")
def test_rotary(submission, device):
    expect.agrees(
        submission.rotary,
        turned_by,
        TURNED,
        device=device,
        slack=10,
        likely={
            "column i is paired with column i + D/2, not with its neighbour": lambda x, start=0: turned_by(
                x, start, halves=True
            ),
            "the pairs are turned the other way round": lambda x, start=0: turned_by(x, start, sign=-1),
            "the exponent is half as large: i / D, not 2i / D": lambda x, start=0: turned_by(
                x, start, lambda start, t, i, D: (start + t) * 10000 ** (-i / D)
            ),
            "the places are counted from 1": lambda x, start=0: turned_by(x, start + 1),
            "all pairs are turned by the same angle": lambda x, start=0: turned_by(
                x, start, lambda start, t, i, D: start + t
            ),
        },
    )


@check(
    "scores of turned vectors depend on the distance alone",
    points=0.5,
    category="values",
    hidden=True,
    after=test_rotary,
)
def test_rotary_distance(submission):
    q, k = normal(2, 3, 8), normal(2, 3, 8)
    first = submission.rotary(q, 2) @ submission.rotary(k).transpose(1, 2)
    later = submission.rotary(q, 42) @ submission.rotary(k, 40).transpose(1, 2)
    expect.close(
        later, first, rtol=1e-4, atol=1e-4, given="q from place 42 and k from 40 on, against q from 2 and k from 0 on"
    )


@check("rotary keeps dtypes, far places and layouts", points=0.5, category="robustness", hidden=True, after=test_rotary)
def test_rotary_inputs(submission):
    # torch.view_as_complex, which is a right way, refuses memory that starts at an odd place.
    layouts = [layout for layout in LAYOUTS if layout != "offset"]
    cases = TURNED.plain().vary(lead=[(2, 2)], layout=layouts, grad=RECORDING)
    expect.agrees(submission.rotary, turned_by, cases, slack=10, unchanged=True)
    expect.agrees(
        submission.rotary,
        turned_by,
        TURNED.vary(lead=[(2, 2)], size=[(3, 4)], dtype=FLOATS[2:], start=[0, 3001, FAR_AWAY], layout=LAYOUTS[:2]),
        slack=3,
    )
    expect.agrees(submission.rotary, turned_by, TURNED.vary(dtype=[torch.float64]), slack=1e3)
    row = normal(1, 6)
    why = "at place 0 nothing is turned"
    expect.close(submission.rotary(row), row, rtol=1e-12, atol=0, trivial=why, given="one row in float64")
    expect.agrees(submission.rotary, turned_by, TURNED.plain(), gradients=True, slack=10)
    expect.agrees(
        submission.rotary, turned_by, TURNED.vary(size=[(3, 4), (2, 3), (1, 1)]), slack=10, refuses=["ValueError"]
    )


# grouped_query_attention


def grouped(q, k, v, mask=None):
    if q.shape[1] % k.shape[1]:
        raise ValueError("odd")
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


def groups(draw, size, heads, masked):
    return groups_with(draw, size, heads, masked, seeing)


def groups_with(draw, size, heads, masked, values):
    (B, T, S, D), (H, G) = size, heads
    found = {"q": draw(B, H, T, D), "k": draw(B, G, S, D), "v": draw(B, G, S, D)}
    if masked is None:
        return found
    return {**found, "mask": mask_like(draw, masked, {"B": B, "H": H, "T": T, "S": S}, values)}


GROUPED = grid(
    groups, size=[(2, 3, 4, 5), (1, 1, 1, 2), (2, 4, 2, 3)], heads=[(6, 2), (4, 4), (3, 1), (6, 3)], masked=[None]
)


@check(
    "grouped_query_attention gives each block of queries one head",
    points=1,
    category="values",
    devices="all",
    after=[test_attention, test_attention_mask],
)
def test_grouped(submission, device):
    def tiled(q, k, v, mask=None):
        times = q.shape[1] // k.shape[1]
        return attention(q, k.repeat(1, times, 1, 1), v.repeat(1, times, 1, 1), mask)

    def first_alone(q, k, v, mask=None):
        return attention(q, k[:, :1].expand(-1, q.shape[1], -1, -1), v[:, :1].expand(-1, q.shape[1], -1, -1), mask)

    expect.agrees(
        submission.grouped_query_attention,
        grouped,
        GROUPED,
        device=device,
        likely={
            "the heads of keys are dealt out in turn, not to blocks of neighbours": tiled,
            "all query heads look at the first head of keys": first_alone,
        },
    )


@check(
    "grouped_query_attention takes masks, layouts and gradients",
    points=0.5,
    category="robustness",
    hidden=True,
    after=[test_grouped, test_attention_inputs, test_attention_gradients],
)
def test_grouped_inputs(submission):
    cases = GROUPED.vary(size=[(2, 3, 4, 5), (2, 4, 2, 3), (1, 2, 3, 4)], masked=["TS", "B1TS", "BHTS"])
    expect.agrees(submission.grouped_query_attention, grouped, cases)

    def nothing(draw, size, heads, masked):
        return groups_with(draw, size, heads, masked, blind)

    without_keys = grid(nothing, **cases.plain().axes)
    expect.agrees(submission.grouped_query_attention, grouped, without_keys.plain())
    cases = cases.plain().vary(layout=LAYOUTS, grad=RECORDING, dtype=FLOATS)
    expect.agrees(submission.grouped_query_attention, grouped, cases, unchanged=True, slack=4)
    cases = GROUPED.vary(size=[(2, 3, 4, 5), (2, 4, 2, 3)]).plain()
    expect.agrees(submission.grouped_query_attention, grouped, cases, gradients=True, slack=10)

    def nothing_or_two(draw, size, heads, masked):
        return groups_with(draw, size, heads, masked, blind_or_two)

    axes = {**without_keys.axes, "size": [(1, 2, 3, 4)], "heads": [(6, 2), (3, 1)]}
    cases = grid(nothing_or_two, **axes).plain()
    expect.agrees(submission.grouped_query_attention, grouped, cases, gradients=True, slack=10)


@check("grouped_query_attention refuses heads that do not divide", points=0.5, category="robustness", hidden=True)
def test_grouped_refuses(submission):
    for H, G in ((5, 2), (2, 4), (4, 3)):
        q, k, v = torch.randn(1, H, 2, 3), torch.randn(1, G, 2, 3), torch.randn(1, G, 2, 3)
        given = f"{H} query heads, {G} heads of keys and values"
        expect.raises("ValueError", submission.grouped_query_attention, q, k, v, given=given)


# attend_with_cache


def cached(q, k, v, cache=None):
    past = 0
    if cache is not None:
        past, k, v = cache[0].shape[2], torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    return attention(q, k, v, sees(q.shape[2], past).to(q.device)), (k, v)


def tokens_and_cache(draw, size, past):
    B, H, T, D = size
    found = {"q": draw(B, H, T, D), "k": draw(B, H, T, D), "v": draw(B, H, T, D)}
    return found if past is None else {**found, "cache": (draw(B, H, past, D), draw(B, H, past, D))}


CACHED = grid(tokens_and_cache, size=[(2, 2, 3, 4), (1, 1, 1, 2), (2, 3, 4, 3)], past=[None, 2, 1, 5])


@check(
    "attend_with_cache looks at old tokens and not into the future",
    points=1,
    category="values",
    devices="all",
    after=[test_causal_mask, test_attention, test_attention_mask],
)
def test_cache(submission, device):
    def changed(mask_of, order=1):
        def wrong(q, k, v, cache=None):
            past, (_, (keys, values)) = 0 if cache is None else cache[0].shape[2], cached(q, k, v, cache)
            mask = mask_of(q.shape[2], past)
            return by_formula(q, keys, values, None if mask is None else mask.to(q.device)), (keys, values)

        return wrong

    def forgetful(q, k, v, cache=None):
        return cached(q, k, v)[0], cached(q, k, v, cache)[1]

    def in_front(q, k, v, cache=None):
        result, (keys, values) = cached(q, k, v, cache)
        T = q.shape[2]
        return result, tuple(torch.cat([x[:, :, -T:], x[:, :, :-T]], 2) for x in (keys, values))

    expect.agrees(
        submission.attend_with_cache,
        cached,
        CACHED,
        device=device,
        likely={
            "the future is not hidden": changed(lambda T, past: None),
            "the causal mask starts at the top left corner: new tokens do not see all old ones": changed(
                lambda T, past: torch.ones(T, past + T, dtype=BOOL).tril()
            ),
            "the old tokens are not looked at": forgetful,
            "the cache holds the new tokens in front of the old ones": in_front,
            "the cache that is returned holds the new tokens alone": lambda q, k, v, cache=None: (
                cached(q, k, v, cache)[0],
                (k, v),
            ),
        },
    )


@check("token by token, in pieces or at once: the same results", points=0.5, category="values", after=test_cache)
def test_cache_steps(submission):
    q, k, v = normal(2, 2, 12, 3), normal(2, 2, 12, 3), normal(2, 2, 12, 3)
    whole = attention(q, k, v, sees(12))
    for pieces in ([1] * 12, (12,), (2, 10), (7, 1, 4)):
        result, cache = submission.probes.step_by_step(submission.attend_with_cache, q, k, v, list(pieces))
        given = f"12 tokens in pieces of {', '.join(map(str, pieces))}"
        expect.close(result, whole, given=given)
        expect.close(cache, [k, v], given=f"the last cache, {given}", trivial="keys and values are kept as they are")


@check(
    "a cache that was given stays as it was, in any layout",
    points=0.5,
    category="robustness",
    hidden=True,
    after=[test_cache, test_attention_inputs],
)
def test_cache_inputs(submission):
    q, k, v, *others = (normal(1, 2, 2, 3) for _ in range(8))
    results, cache = submission.probes.from_both(
        submission.attend_with_cache, q, k, v, tuple(others[:2]), tuple(others[2:5])
    )
    expect.close(cache, others[:2], trivial="it stays as it was", given="the cache after three continuations of it")
    right = [cached(*part, others[:2])[0] for part in ((q, k, v), others[2:5], (q, k, v))]
    expect.close(results, right, given="three continuations of one cache, the third of which is the first again")
    cases = CACHED.plain().vary(layout=LAYOUTS, dtype=FLOATS, grad=RECORDING, past=[2, None])
    expect.agrees(submission.attend_with_cache, cached, cases, unchanged=True, slack=4)
    expect.agrees(submission.attend_with_cache, cached, CACHED.plain().vary(dtype=[torch.float64], past=[2]))
    cases = CACHED.vary(size=[(2, 2, 3, 4), (2, 3, 4, 3)]).plain()
    expect.agrees(submission.attend_with_cache, cached, cases, gradients=True, slack=10)


# EncoderLayer and DecoderLayer


def plain_attention(q, k, v, mask=None):
    return by_formula(q, k, v, mask, scale=1)


def normed(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, (6,), weight, bias, eps)


def fed_forward(x, weights, bend=F.relu):
    w1, b1, w2, b2 = weights[:4]
    return F.linear(bend(F.linear(x, w1, b1)), w2, b2)


def encoded(x, mask, weights, mode="eval", dropout=0.1, bend=F.relu, hidden=None):
    mask = mask if hidden is None else hidden(mask)
    x = normed(x + plain_attention(x, x, x, mask), *weights[4:6])
    return normed(x + fed_forward(x, weights, bend), *weights[6:8])


def pre_norm(x, mask, weights, **settings):
    seen = normed(x, *weights[4:6])
    x = x + plain_attention(seen, seen, seen, mask)
    return x + fed_forward(normed(x, *weights[6:8]), weights)


def norm_before_sum(x, mask, weights, **settings):
    x = x + normed(plain_attention(x, x, x, mask), *weights[4:6])
    return x + normed(fed_forward(x, weights), *weights[6:8])


def no_sum(x, mask, weights, **settings):
    x = normed(plain_attention(x, x, x, mask), *weights[4:6])
    return normed(fed_forward(x, weights), *weights[6:8])


def no_attention(x, mask, weights, **settings):
    x = normed(x, *weights[4:6])
    return normed(x + fed_forward(x, weights), *weights[6:8])


def weights_drawn(draw, norms):
    return [draw(5, 6), draw(5), draw(6, 5), draw(6), *(draw(6) for _ in range(2 * norms))]


def encoder_inputs(draw, size, masked):
    B, T = size
    mask = mask_like(draw, masked, {"B": B, "T": T})
    return {"x": draw(B, T, 6), "mask": mask, "weights": weights_drawn(draw, 2)}


def drops_nothing(mode, dropout):
    return mode == "eval" or dropout == 0.0


ENCODER = grid(
    encoder_inputs,
    where=drops_nothing,
    size=[(2, 3), (1, 1), (3, 4)],
    masked=[None, "TT", "B1T", "BTT"],
    mode=["eval", "train"],
    dropout=[LEFT_OUT, 0.0, 0.5],
    dtype=[torch.float64, torch.float32],
)


def both(*names):
    return [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]


def parts_of(names, heads, *attentions):
    """The names of the parameters of some layers, and of attentions like the submission's own."""
    return both(*names) + [f"{which}.{name}" for which in attentions for name in heads.state_dict()]


@check("EncoderLayer(512, 8, 2048) has 3,152,384 parameters", points=1, category="parameters")
def test_encoder_parameters(submission):
    layer, heads = on_meta(submission.EncoderLayer, 512, 8, 2048), on_meta(submission.MultiHeadAttention, 512, 8)
    total = parameter_count(heads) + 2_101_760  # if there is a slip in the attention, it costs nothing here
    expect.equal(
        parameter_count(layer),
        total,
        because="1,050,624 of attention, 2,099,712 of two linear layers, 2·1,024 of two norms",
        given="EncoderLayer(512, 8, 2048)",
        likely={
            "there is one norm for both places": total - 1024,
            "the linear layers have no bias": total - 2560,
        },
    )
    names = ("linear1", "linear2", "norm1", "norm2")
    expect.state_dict_keys(layer, parts_of(names, heads, "self_attn"), given="EncoderLayer(512, 8, 2048)")


@check("EncoderLayer adds, then normalises, twice", points=1.5, category="values", after=test_encoder_parameters)
def test_encoder(submission):
    expect.agrees(
        submission.probes.encoder,
        encoded,
        ENCODER,
        bound=[submission.EncoderLayer],
        name="EncoderLayer",
        slack=10,
        likely={
            "the norms stand in front of attention and linear layers (pre-norm), not behind the sums": pre_norm,
            "what attention or linear layers give is normalised before it is added": norm_before_sum,
            "x is not added: the shortcuts are missing": no_sum,
            "attention is left out": no_attention,
            "the mask does not reach attention": lambda *args, **settings: encoded(
                *args, **settings, hidden=lambda mask: None
            ),
            "the ReLU between the linear layers is missing": lambda *args, **settings: encoded(
                *args, **settings, bend=lambda x: x
            ),
            "GELU stands in the place of ReLU": lambda *args, **settings: encoded(*args, **settings, bend=F.gelu),
        },
    )
    expect.agrees(
        submission.probes.encoder,
        encoded,
        ENCODER.plain(),
        bound=[submission.EncoderLayer],
        name="EncoderLayer",
        gradients=True,
        slack=100,
    )


ROWS = 16
NUMBERS = 512 * ROWS


def expect_kept(submission, build, place, times, part=None, **settings):
    """Dropout of the setting, so many times one behind the other, at a place of a layer, or of a part's first one."""
    p = settings.get("dropout", 0.1)
    share = submission.probes.kept(build, place, ROWS, part, **settings)
    truth = (1 - p) ** times
    spread = 6 * math.sqrt(truth * (1 - truth) / NUMBERS)

    def near(other):
        return abs(share - other) < 6 * math.sqrt(max(other * (1 - other), 1e-4) / NUMBERS)

    place = place if part is None else f"{part}[0].{place}"
    told = f"dropout={p}" if settings else "dropout left out, which is 0.1"
    expect.true(
        near(truth),
        f"{truth:.2f} of the numbers, give or take {spread:.2f}",
        f"{share:.3f} of them",
        given=f"in training mode, {told}: the share of numbers that dropout leaves, {place}",
        likely={
            "there is no dropout at this place": share == 0.0,
            "dropout is 0.1, whatever was asked for": p != 0.1 and near(0.9**times),
            **(
                {}
                if part
                else {
                    "what goes in is dropped, too": near((1 - p) ** (times + 1)) or near((1 - p) ** (times + 2)),
                    "dropout keeps the share that it should drop": near(p**times),
                }
            ),
            **(
                {"one of two dropouts is missing: behind the ReLU, and behind linear2": near(1 - p)}
                if times == 2
                else {}
            ),
        },
    )


def expect_shortcuts_kept(submission, build, name, norms):
    """What goes past the branches is not dropped, and neither is what comes out of a norm."""
    x = normal(2, 3, 6, dtype=torch.float32)
    wanted = x
    for _ in range(norms):
        wanted = F.layer_norm(wanted, (6,))
    given = f"{name} in training mode with dropout=0.5, where attention and linear2 give zeros: the norms of x are left"
    expect.close(submission.probes.silent_branches(build, x), wanted, rtol=1e-4, atol=1e-4, given=given)


def expect_drops(net, inputs, given):
    """A new module is in training mode, and draws anew in each call; in evaluation mode it draws nothing."""
    one, other = (net(*inputs).detach() for _ in range(2))
    given = f"whether two calls of a new {given} give the same result"
    expect.equal(torch.equal(one, other), False, because="dropout draws in training mode", given=given)
    one, other = (net.eval()(*inputs).detach() for _ in range(2))
    expect.close(one, other, given=f"{given}, in evaluation mode")


@check("EncoderLayer drops numbers at three places, in training only", points=1, category="values", after=test_encoder)
def test_encoder_dropout(submission):
    expect_shortcuts_kept(submission, submission.EncoderLayer, "EncoderLayer", 2)
    x = torch.randn(2, 3, 6)
    expect_drops(submission.EncoderLayer(6, 2, 5, 0.5), (x,), "EncoderLayer(6, 2, 5, 0.5)")
    for settings in ({}, {"dropout": 0.3}):
        for place, times in (("self_attn", 1), ("feed-forward", 2)):
            expect_kept(submission, submission.EncoderLayer, place, times, **settings)


def decoded(x, memory, self_mask, cross_mask, weights, mode="eval", dropout=0.1, masks=None):
    self_mask, cross_mask = (self_mask, cross_mask) if masks is None else masks(self_mask, cross_mask)
    x = normed(x + plain_attention(x, x, x, self_mask), *weights[4:6])
    x = normed(x + plain_attention(x, memory, memory, cross_mask), *weights[6:8])
    return normed(x + fed_forward(x, weights), *weights[8:10])


def decoder_pre_norm(x, memory, self_mask, cross_mask, weights, **settings):
    seen = normed(x, *weights[4:6])
    x = x + plain_attention(seen, seen, seen, self_mask)
    x = x + plain_attention(normed(x, *weights[6:8]), memory, memory, cross_mask)
    return x + fed_forward(normed(x, *weights[8:10]), weights)


def cross_first(x, memory, self_mask, cross_mask, weights, **settings):
    x = normed(x + plain_attention(x, memory, memory, cross_mask), *weights[4:6])
    x = normed(x + plain_attention(x, x, x, self_mask), *weights[6:8])
    return normed(x + fed_forward(x, weights), *weights[8:10])


def memory_ignored(x, memory, self_mask, cross_mask, weights, **settings):
    x = normed(x + plain_attention(x, x, x, self_mask), *weights[4:6])
    x = normed(x + plain_attention(x, x, x), *weights[6:8])
    return normed(x + fed_forward(x, weights), *weights[8:10])


def always_causal(self_mask, cross_mask, T):
    causal = sees(T)
    return (causal if self_mask is None else self_mask & causal), cross_mask


def decoder_inputs(draw, size, self_masked, cross_masked):
    B, T, S = size
    sizes = {"B": B, "T": T, "S": S}
    self_mask, cross_mask = mask_like(draw, self_masked, sizes), mask_like(draw, cross_masked, sizes)
    found = {"x": draw(B, T, 6), "memory": draw(B, S, 6), "self_mask": self_mask, "cross_mask": cross_mask}
    return {**found, "weights": weights_drawn(draw, 3)}


DECODER = grid(
    decoder_inputs,
    where=drops_nothing,
    size=[(2, 3, 4), (1, 1, 1), (3, 4, 2), (2, 3, 3)],
    self_masked=[None, "TT", "B1T", "BTT"],
    cross_masked=[None, "TS", "B1S", "BTS"],
    mode=["eval", "train"],
    dropout=[LEFT_OUT, 0.0, 0.5],
    dtype=[torch.float64, torch.float32],
)


@check("DecoderLayer(512, 8, 2048) has 4,204,032 parameters", points=1, category="parameters")
def test_decoder_parameters(submission):
    layer, heads = on_meta(submission.DecoderLayer, 512, 8, 2048), on_meta(submission.MultiHeadAttention, 512, 8)
    one = parameter_count(heads)
    total = 2 * one + 2_102_784
    expect.equal(
        parameter_count(layer),
        total,
        because="2·1,050,624 of attention, 2,099,712 of two linear layers, 3·1,024 of three norms",
        given="DecoderLayer(512, 8, 2048)",
        likely={
            "one attention serves for both": total - one,
            "the third norm is missing": total - 1024,
        },
    )
    names = ("linear1", "linear2", "norm1", "norm2", "norm3")
    expect.state_dict_keys(layer, parts_of(names, heads, "self_attn", "cross_attn"), given="DecoderLayer(512, 8, 2048)")


@check("DecoderLayer looks at itself, then at the memory", points=1.5, category="values", after=test_decoder_parameters)
def test_decoder(submission):
    def swapped(x, memory, self_mask, cross_mask, weights, **settings):
        return decoded(x, memory, None, self_mask, weights)

    expect.agrees(
        submission.probes.decoder,
        decoded,
        DECODER,
        bound=[submission.DecoderLayer],
        name="DecoderLayer",
        slack=10,
        likely={
            "the norms stand in front of attention and linear layers (pre-norm), not behind the sums": decoder_pre_norm,
            "the memory is looked at before the layer looks at itself": cross_first,
            "the second attention does not look at the memory": memory_ignored,
            "the layer makes a causal mask of its own": lambda x, memory, self_mask, cross_mask, weights, **settings: (
                decoded(x, memory, *always_causal(self_mask, cross_mask, x.shape[1]), weights)
            ),
            "self_mask does not reach attention": lambda *args, **settings: decoded(
                *args, **settings, masks=lambda own, cross: (None, cross)
            ),
            "cross_mask does not reach attention": lambda *args, **settings: decoded(
                *args, **settings, masks=lambda own, cross: (own, None)
            ),
        },
    )
    expect.agrees(
        submission.probes.decoder,
        decoded,
        DECODER.plain(),
        bound=[submission.DecoderLayer],
        name="DecoderLayer",
        gradients=True,
        slack=100,
    )


@check(
    "DecoderLayer drops numbers at four places, in training only",
    points=0.5,
    category="values",
    hidden=True,
    after=test_decoder,
)
def test_decoder_dropout(submission):
    expect_shortcuts_kept(submission, submission.DecoderLayer, "DecoderLayer", 3)
    x = torch.randn(2, 3, 6)
    expect_drops(submission.DecoderLayer(6, 2, 5, 0.5), (x, x), "DecoderLayer(6, 2, 5, 0.5)")
    for settings in ({}, {"dropout": 0.3}):
        for place, times in (("self_attn", 1), ("cross_attn", 1), ("feed-forward", 2)):
            expect_kept(submission, submission.DecoderLayer, place, times, **settings)


# Transformer


def transformed(
    src,
    tgt,
    weights,
    src_mask,
    tgt_mask,
    memory_mask,
    num_layers=2,
    mode="eval",
    dropout=0.1,
    norms=(True, True),
    reads=None,
    made=False,
):
    """Plain layers in turn, which tell None from a mask that hides nothing.

    ``reads``: what decoder layer i looks at, of the encoder's results; ``made``: masks are made where None is given.
    """

    def none(*masks):
        return 0.0 if made else 0.25 * sum(mask is None for mask in masks)

    states = [src]
    for n in range(num_layers):
        x = states[-1]
        states.append(torch.tanh((1.0 + n) * x + plain_attention(x, x, x, src_mask) + none(src_mask)))
    memory = normed(states[-1], *weights[:2]) if norms[0] else states[-1]
    for n in range(num_layers):
        seen = memory if reads is None else states[reads(n)]
        own = plain_attention(tgt, tgt, tgt, tgt_mask)
        own = own + 2 * plain_attention(tgt, seen, seen, memory_mask) + none(tgt_mask, memory_mask)
        tgt = torch.tanh((0.5 + n) * tgt + own)
    return normed(tgt, *weights[2:4]) if norms[1] else tgt


def transformer_inputs(draw, size, src_masked, tgt_masked, memory_masked):
    B, T, S = size
    sizes = {"B": B, "T": T, "S": S}
    masks = {
        "src_mask": mask_like(draw, src_masked, sizes),
        "tgt_mask": mask_like(draw, tgt_masked, sizes),
        "memory_mask": mask_like(draw, memory_masked, sizes),
    }
    return {"src": draw(B, S, 6), "tgt": draw(B, T, 6), "weights": [draw(6) for _ in range(4)], **masks}


WHOLE = grid(
    transformer_inputs,
    size=[(2, 3, 4), (1, 1, 1), (2, 3, 3)],
    src_masked=[None, "SS", "B1S"],
    tgt_masked=[None, "TT", "BTT"],
    memory_masked=[None, "TS", "B1S"],
    num_layers=[2, 1, 3],
    mode=["eval", "train"],
    dropout=[LEFT_OUT, 0.5],
    dtype=[torch.float64],
)


@check("Transformer() has 44,140,544 parameters", points=1, category="parameters")
def test_transformer_parameters(submission):
    for args in ((), (12, 3, 2, 5), (6, 2, 1, 7, 0.0)):
        d_model, heads, count, d_ff = args[:4] or (512, 8, 6, 2048)
        one, other = (
            parameter_count(on_meta(build, d_model, heads, d_ff))
            for build in (submission.EncoderLayer, submission.DecoderLayer)
        )
        total = count * (one + other) + 4 * d_model
        likely = {
            "the norms at the end are missing": total - 4 * d_model,
            "all layers are one and the same object": one + other + 4 * d_model,
            "there is one norm for both": total - 2 * d_model,
        }
        expect.equal(
            parameter_count(on_meta(submission.Transformer, *args)),
            total,
            because="the encoder layers, the decoder layers, and two norms",
            given=f"Transformer{args}",
            likely=likely if count > 1 else {},
        )
    net, names = on_meta(submission.Transformer, 6, 2, 2, 5), both("encoder_norm", "decoder_norm")
    for part, build in (("encoder", submission.EncoderLayer), ("decoder", submission.DecoderLayer)):
        layers = getattr(net, part)
        expect.instance(layers, "ModuleList", given=f"Transformer(6, 2, 2, 5).{part}")
        names += [f"{part}.{n}.{name}" for n in range(2) for name in on_meta(build, 6, 2, 5).state_dict()]
    expect.state_dict_keys(net, names, given="Transformer(6, 2, 2, 5)")


@check(
    "Transformer runs its layers in turn, with norms at the ends",
    points=1.5,
    category="values",
    after=test_transformer_parameters,
)
def test_transformer(submission):
    expect.agrees(
        submission.probes.transformer,
        transformed,
        WHOLE,
        bound=[submission.Transformer],
        name="Transformer",
        slack=100,
        likely={
            "the norm behind the encoder is missing": lambda *args, **settings: transformed(
                *args, **settings, norms=(False, True)
            ),
            "the norm behind the decoder is missing": lambda *args, **settings: transformed(
                *args, **settings, norms=(True, False)
            ),
            "decoder layer i looks at encoder layer i, not at the encoder's result": lambda *args, **settings: (
                transformed(*args, **settings, reads=lambda n: n + 1)
            ),
            "a mask is made where None is given": lambda *args, **settings: transformed(*args, **settings, made=True),
            "memory_mask is not used": lambda src, tgt, weights, own, other, cross, **settings: transformed(
                src, tgt, weights, own, other, None, **settings
            ),
            "tgt_mask is not used": lambda src, tgt, weights, own, other, cross, **settings: transformed(
                src, tgt, weights, own, None, cross, **settings
            ),
            "src_mask is not used": lambda src, tgt, weights, own, other, cross, **settings: transformed(
                src, tgt, weights, None, other, cross, **settings
            ),
        },
    )


class LibraryEncoder(Library):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.1):
        super().__init__(nn.TransformerEncoderLayer(d_model, num_heads, d_ff, 0.0, batch_first=True), num_heads)
        self.self_attn = LibraryAttention(d_model, num_heads)
        self.linear1, self.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, x, mask=None):
        B, T = x.shape[:2]
        return self.computed(x, src_mask=self.mask(mask, B, T, T))


class LibraryDecoder(LibraryEncoder):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.1):
        super().__init__(d_model, num_heads, d_ff)
        self.whole = [nn.TransformerDecoderLayer(d_model, num_heads, d_ff, 0.0, batch_first=True)]
        self.cross_attn, self.norm3 = LibraryAttention(d_model, num_heads), nn.LayerNorm(d_model)

    def forward(self, x, memory, self_mask=None, cross_mask=None):
        (B, T), S = x.shape[:2], memory.shape[1]
        masks = {"tgt_mask": self.mask(self_mask, B, T, T), "memory_mask": self.mask(cross_mask, B, T, S)}
        return self.computed(x, memory, **masks)


class LibraryTransformer(Library):
    def __init__(self, d_model, num_heads, num_layers, d_ff, dropout=0.1):
        whole = nn.Transformer(d_model, num_heads, num_layers, num_layers, d_ff, 0.0, batch_first=True)
        super().__init__(whole, num_heads)
        self.encoder = nn.ModuleList(LibraryEncoder(d_model, num_heads, d_ff) for _ in range(num_layers))
        self.decoder = nn.ModuleList(LibraryDecoder(d_model, num_heads, d_ff) for _ in range(num_layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None):
        (B, S), T = src.shape[:2], tgt.shape[1]
        masks = (self.mask(src_mask, B, S, S), self.mask(tgt_mask, B, T, T), self.mask(memory_mask, B, T, S))
        return self.computed(src, tgt, **dict(zip(("src_mask", "tgt_mask", "memory_mask"), masks, strict=True)))


def encoder_sentences(draw, size, masked):
    B, T, _S = size
    return {"x": draw(B, T, 6), "mask": mask_like(draw, masked, {"B": B, "T": T})}


def decoder_sentences(draw, size, masked):
    B, T, S = size
    sizes = {"B": B, "T": T, "S": S}
    masks = {"self_mask": mask_like(draw, masked, sizes), "cross_mask": mask_like(draw, "B1S", sizes)}
    return {"x": draw(B, T, 6), "memory": draw(B, S, 6), **masks}


def whole_sentences(draw, size, masked):
    B, T, S = size
    sizes = {"B": B, "T": T, "S": S}
    masks = (mask_like(draw, "B1S", sizes), mask_like(draw, masked, sizes), mask_like(draw, "B1S", sizes))
    names = ("src_mask", "tgt_mask", "memory_mask")
    return {"src": draw(B, S, 6), "tgt": draw(B, T, 6), **dict(zip(names, masks, strict=True))}


PARTS = {
    "size": [(2, 3, 4), (3, 2, 2)],
    "masked": ["TT", None],
    "d_model": [6],
    "num_heads": [2, 3],
    "d_ff": [5],
    "state": ["loaded"],
    "training": [False],
    "objects": [1, 2],
    "steps": [1, 2],
    "dtype": [torch.float64],
}


@check(
    "EncoderLayer computes what nn.TransformerEncoderLayer does",
    points=0.5,
    category="values",
    hidden=True,
    after=[test_heads, test_heads_mask, test_encoder],
)
def test_encoder_whole(submission):
    cases = grid(encoder_sentences, **PARTS)
    expect.agrees(submission.EncoderLayer, LibraryEncoder, cases, slack=100)


@check(
    "DecoderLayer computes what nn.TransformerDecoderLayer does",
    points=0.5,
    category="values",
    hidden=True,
    after=[test_heads, test_heads_mask, test_decoder],
)
def test_decoder_whole(submission):
    expect.agrees(submission.DecoderLayer, LibraryDecoder, grid(decoder_sentences, **PARTS), slack=100)


@check(
    "Transformer computes what nn.Transformer does",
    points=0.5,
    category="values",
    hidden=True,
    after=[test_encoder_whole, test_decoder_whole, test_transformer],
)
def test_transformer_whole(submission):
    cases = grid(whole_sentences, **{**PARTS, "num_layers": [2, 1], "training": [True, False], "dropout": [0.0]})
    expect.agrees(submission.Transformer, LibraryTransformer, cases, slack=100)
    src, tgt = torch.randn(2, 3, 6, requires_grad=True), torch.randn(2, 4, 6, requires_grad=True)
    found = submission.Transformer(6, 2, 2, 5)(src, tgt)
    expect.gradient_flow(found, src, tgt, given="a new Transformer(6, 2, 2, 5)")


@check(
    "linear layers start as nn.Linear does",
    points=0.5,
    category="values",
    hidden=True,
    after=[test_heads_parameters, test_encoder_parameters, test_decoder_parameters, test_transformer_parameters],
)
def test_start(submission):
    for name, oracle, args in (
        ("MultiHeadAttention", LibraryAttention, (64, 4)),
        ("EncoderLayer", LibraryEncoder, (64, 4, 80)),
        ("DecoderLayer", LibraryDecoder, (64, 4, 80)),
        ("Transformer", LibraryTransformer, (64, 4, 1, 80)),
    ):
        made, wanted = functools.partial(getattr(submission, name), *args), functools.partial(oracle, *args)
        expect.starts_like(made, wanted, given=f"{name}{args}")
        frozen = [row["name"] for row in registered_parameters(made()) if not row["requires_grad"]]
        given = f"{name}{args}: the parameters that want no gradient"
        expect.equal(frozen, [], because="all of them are trained", given=given)


@check(
    "Transformer hands its dropout to its layers",
    points=0.5,
    category="values",
    hidden=True,
    after=[test_transformer, test_encoder_dropout, test_decoder_dropout],
)
def test_transformer_dropout(submission):
    for part in ("encoder", "decoder"):
        for settings in ({}, {"dropout": 0.3}):
            expect_kept(submission, submission.Transformer, "self_attn", 1, part=part, **settings)
    x = torch.randn(2, 3, 6)
    expect_drops(submission.Transformer(6, 2, 2, 5, 0.5), (x, x), "Transformer(6, 2, 2, 5, 0.5)")


@check(
    "the layers take any layout, and half precision",
    points=0.5,
    category="robustness",
    hidden=True,
    after=[test_encoder_whole, test_decoder_whole, test_transformer_whole, test_heads_inputs],
)
def test_layers_inputs(submission):
    common = {**PARTS, "size": [(2, 3, 4)], "steps": [1], "objects": [1], "dtype": [torch.float32, torch.bfloat16]}
    common |= {"layout": LAYOUTS, "grad": RECORDING}
    for build, oracle, sentences, more in (
        (submission.EncoderLayer, LibraryEncoder, encoder_sentences, {}),
        (submission.DecoderLayer, LibraryDecoder, decoder_sentences, {}),
        (submission.Transformer, LibraryTransformer, whole_sentences, {"num_layers": [1]}),
    ):
        cases = grid(sentences, **{**common, **more}).plain()
        expect.agrees(build, oracle, cases, unchanged=True, slack=30)


# mask_tokens


SPECIAL = {"pad": 0, "cls": 1, "sep": 2, "mask": 3}
SCATTERED = {"mask": 19, "bos": 0, "unk": 7}


def text(*shape, size=50):
    return torch.randint(0, size, shape)


def is_special(ids, special_ids):
    return torch.isin(ids, torch.tensor(list(special_ids.values())))


def corrupted(submission, ids, special_ids, size, calls=1, seed=None, elsewhere=None):
    seed, elsewhere = any_seed() if seed is None else seed, any_seed() if elsewhere is None else elsewhere
    arguments = (ids, special_ids, size)
    return submission.probes.by_chance(submission.mask_tokens, arguments, seed, elsewhere, calls)


def near(share, truth, count):
    return abs(share - truth) < 6 * math.sqrt(max(truth * (1 - truth), 1e-6) / max(count, 1))


def expect_share(share, truth, count, given, likely):
    spread = 6 * math.sqrt(truth * (1 - truth) / max(count, 1))
    expect.true(
        near(share, truth, count),
        f"a share of {truth:.3f}, give or take {spread:.3f}",
        f"{share:.3f}",
        given=given,
        likely=likely,
    )


@check("mask_tokens labels what it chose with the old ids", points=1.5, category="values")
def test_labels(submission):
    for special_ids, size in ((SPECIAL, 50), (SCATTERED, 20)):
        ids = text(60, 50, size=size)
        inputs, labels = corrupted(submission, ids, special_ids, size)
        given = f"ids (60, 50), vocab_size={size}, special_ids={special_ids}"
        expect.shape(labels, ids.shape, given=f"the labels; {given}")
        expect.shape(inputs, ids.shape, given=f"the inputs; {given}")
        expect.dtype(labels, torch.int64, given=f"the labels; {given}")
        expect.dtype(inputs, torch.int64, given=f"the inputs; {given}")
        chosen = labels != -100
        expect.close(
            labels,
            torch.where(chosen, ids, -100),
            given=f"the labels; {given}",
            likely={"the labels hold what the inputs became, not the old ids": torch.where(chosen, inputs, -100)},
        )
        found = int((chosen & is_special(ids, special_ids)).sum())
        expect.equal(found, 0, given=f"special tokens that are chosen; {given}")
        elsewhere = torch.where(chosen, ids, inputs)
        expect.close(
            elsewhere, ids, trivial="they stay as they are", given=f"the inputs where the label is -100; {given}"
        )


def shares(inputs, labels, ids, special_ids):
    """Share chosen of the words, and of the chosen: how many, masked, changed, kept."""
    words, chosen = ~is_special(ids, special_ids), labels != -100
    count = int(chosen.sum())
    masked = chosen & (inputs == special_ids["mask"])
    changed = chosen & ~masked & (inputs != ids)
    return count / int(words.sum()), count, int(masked.sum()) / max(count, 1), int(changed.sum()) / max(count, 1)


@check("mask_tokens chooses 15 % of the words, wherever they stand", points=1, category="values")
def test_chosen(submission):
    for special_ids, size in ((SPECIAL, 50), (SCATTERED, 20)):
        ids = text(400, 300, size=size)
        labels = corrupted(submission, ids, special_ids, size)[1]
        expect.shape(labels, ids.shape, given="the labels of ids (400, 300)")
        words = ~is_special(ids, special_ids)
        chosen = words & (labels != -100)
        for where, rows in (
            ("of all words", slice(None)),
            ("of the words in the first fifth of the columns", slice(0, 60)),
            ("of the words in the last fifth of the columns", slice(240, 300)),
            ("of the words at place 0", slice(0, 1)),
            ("of the words at the last place", slice(299, 300)),
        ):
            count = int(words[:, rows].sum())
            share = int(chosen[:, rows].sum()) / count
            expect_share(
                share,
                0.15,
                count,
                f"the share {where} that is chosen, special_ids={special_ids}",
                {
                    "the labels speak of masked words alone: those that stay or change are chosen, too": near(
                        share, 0.12, count
                    ),
                    "nothing is chosen": not chosen.any(),
                    "the labels hold ids everywhere: -100 is missing": share == 1,
                    "85 % are chosen, and 15 % are not": near(share, 0.85, count),
                },
            )
        rows = (chosen.sum(1) > 0).double().mean()
        expect.equal(float(rows) > 0.99, True, given="in nearly every one of 400 sentences of 300 ids a word is chosen")


@check(
    "of the chosen words 80 % are masked, 10 % changed, 10 % kept",
    points=1.5,
    category="values",
    after=[test_labels, test_chosen],
)
def test_fates(submission):
    for special_ids, size in ((SPECIAL, 50), (SCATTERED, 20), ({"mask": 1}, 3)):
        ids = text(400, 300, size=size)
        words = size - len(special_ids)
        inputs, labels = corrupted(submission, ids, special_ids, size)
        _share, count, masked, changed = shares(inputs, labels, ids, special_ids)
        given = f"of {count} chosen words the share that is masked, special_ids={special_ids}"
        likely = {
            "all chosen words become the mask": masked == 1,
            "some other special token takes the place of the mask": masked == 0,
            "the share of 80 % is drawn of all words, and of the chosen ones again": near(masked, 0.64, count),
            "90 % become the mask: the changed ones are masked, too": near(masked, 0.9, count),
        }
        expect_share(masked, 0.8, count, given, likely)
        given = f"of {count} chosen words the share that becomes another word, special_ids={special_ids}"
        likely = {
            "no chosen word becomes a random one": changed == 0,
            "a random word is never the old one": words == 2 and near(changed, 0.1, count),
            "no chosen word stays as it is": near(changed, 0.2 * (words - 1) / words, count),
        }
        expect_share(changed, 0.1 * (words - 1) / words, count, given, likely)


def neighbours_alike(values, chosen):
    """Of the chosen values the share that equals the one before: along the rows or down the columns, the larger one."""
    found = (values[chosen], values.T[chosen.T])
    return max(float((row[1:] == row[:-1]).double().mean()) for row in found)


@check(
    "random words are drawn of all words that are not special",
    points=0.5,
    category="values",
    hidden=True,
    after=[test_chosen, test_fates],
)
def test_random_words(submission):
    for special_ids, size in ((SCATTERED, 20), (SPECIAL, 12)):
        ids = text(400, 300, size=size)
        inputs, labels = corrupted(submission, ids, special_ids, size)
        drawn = inputs[(labels != -100) & (inputs != special_ids["mask"]) & (inputs != ids)]
        counts = torch.bincount(drawn.clamp(0, size), minlength=size + 1)
        words = [word for word in range(size) if word not in special_ids.values()]
        given = f"the words that took the place of others, vocab_size={size}, special_ids={special_ids}"
        expect.equal(sorted(set(drawn.tolist())), words, given=given)
        mean = len(drawn) / len(words)
        least, most = (float(extreme(counts[words])) for extreme in (torch.min, torch.max))
        given = f"how often each of {len(words)} words took the place of others"
        low, high = mean - 6 * math.sqrt(mean), mean + 6 * math.sqrt(mean)
        expect.between(least, low, high, given=f"{given}: the rarest")
        expect.between(most, low, high, given=f"{given}: the most frequent")
        alike = neighbours_alike(inputs, (labels != -100) & (inputs != special_ids["mask"]) & (inputs != ids))
        high = 1 / len(words) + 6 / math.sqrt(len(words) * len(drawn))
        given = "how many of the words that took the place of others are the same as the one before"
        expect.between(alike, 0, high, given=f"{given}, vocab_size={size}, special_ids={special_ids}")


@check(
    "mask_tokens takes all chance from its generator",
    points=0.5,
    category="robustness",
    after=[test_labels, test_chosen],
)
def test_generator(submission):
    ids, seed = text(20, 30), any_seed()
    first = corrupted(submission, ids, SPECIAL, 50, seed=seed)
    again = corrupted(submission, ids, SPECIAL, 50, seed=seed)
    expect.equal(
        all(torch.equal(one, other) for one, other in zip(first, again, strict=True)),
        True,
        given="two generators in the same state give the same inputs and labels",
    )
    for given, other in (
        ("the second call with one generator gives the same inputs", corrupted(submission, ids, SPECIAL, 50, 2, seed)),
        ("a generator of another seed gives the same inputs", corrupted(submission, ids, SPECIAL, 50, seed=seed + 1)),
    ):
        expect.equal(torch.equal(first[0], other[0]), False, given=given)


@check(
    "mask_tokens decides for each word by itself",
    points=0.5,
    category="values",
    after=[test_labels, test_chosen, test_generator],
)
def test_each_by_itself(submission):
    ids, seeds = torch.randint(4, 50, (5, 8)), [any_seed() for _ in range(200)]
    counts = torch.tensor(submission.probes.chosen(submission.mask_tokens, ids, SPECIAL, 50, seeds)).double()
    truth = math.sqrt(40 * 0.15 * 0.85)
    spread = float(counts.std())  # of 200 counts: 5 % off its truth, six times that are allowed
    expect.true(
        abs(spread - truth) < 0.3 * truth,
        f"a standard deviation of {truth:.2f}, give or take {0.3 * truth:.2f}",
        f"{spread:.2f}",
        given="how many of 40 words are chosen, for 200 seeds",
        likely={"a fixed number of words is chosen: how many it is has to be chance, too": spread < 0.1},
    )
    ids = torch.randint(4, 50, (200, 300))
    inputs, labels = corrupted(submission, ids, SPECIAL, 50)
    chosen = labels != -100
    alike = neighbours_alike(inputs == SPECIAL["mask"], chosen)
    share = float((inputs[chosen] == SPECIAL["mask"]).double().mean())  # how many become the mask is no matter here
    expect_share(
        alike,
        share**2 + (1 - share) ** 2,
        int(chosen.sum()),
        "how many of the chosen words share the fate of the one before: both become the mask, or both do not",
        {"one draw decides for a whole sentence, or for a whole column": alike > 0.9},
    )


@check(
    "mask_tokens takes one sentence, and leaves the ids alone",
    points=0.5,
    category="robustness",
    hidden=True,
    after=[test_labels, test_chosen],
)
def test_one_sentence(submission):
    make = submission.probes.generator
    for given, ids in (
        ("ids (2000,)", text(2000)),
        ("ids (1, 2000)", text(1, 2000)),
        ("ids (40, 50), rows and columns swapped in memory", text(50, 40).T),
        ("special tokens alone, (2, 30)", text(2, 30, size=4)),
    ):
        inputs, labels = expect.not_mutated(submission, submission.mask_tokens, ids, SPECIAL, 50, make(1), given=given)
        expect.shape(inputs, ids.shape, given=given)
        expect.close(
            labels, torch.where(labels != -100, ids, -100), trivial="special tokens are never chosen", given=given
        )
        share = float((labels != -100).double().mean())
        expect.between(share, 0, 0.25, given=f"the share that is chosen; {given}")


# make_nsp_pairs


def library_of(count):
    """Documents of 0 to 5 sentences, all different."""
    lengths = torch.randint(0, 6, (count,)).tolist()
    return [[f"d{d}.s{s}" for s in range(length)] for d, length in enumerate(lengths)]


def paired(submission, docs, calls=1, seed=None, elsewhere=None):
    seed, elsewhere = any_seed() if seed is None else seed, any_seed() if elsewhere is None else elsewhere
    return submission.probes.by_chance(submission.make_nsp_pairs, (docs,), seed, elsewhere, calls)


@check("make_nsp_pairs takes the successor, or another document", points=1, category="values")
def test_pairs(submission):
    docs = library_of(60)
    pairs = paired(submission, docs)
    given = "60 documents of 0 to 5 sentences"
    firsts = [first for doc in docs for first in doc[:-1]]
    found = [pair[0] for pair in pairs]
    expect.equal(
        found,
        firsts,
        given=f"the first sentence of each pair; {given}",
        likely={
            "a sentence that was used as a second is no first": [first for doc in docs for first in doc[:-1:2]],
        },
    )
    following = {first: second for doc in docs for first, second in itertools.pairwise(doc)}
    home = {sentence: number for number, doc in enumerate(docs) for sentence in doc}
    true = [pair for pair in pairs if pair[2]]
    wrong = [pair[1] for pair in true if following[pair[0]] != pair[1]]
    expect.equal(wrong, [], given=f"second sentences that are no successors, of pairs with True; {given}")
    same = [pair[1] for pair in pairs if not pair[2] and home.get(pair[1]) in (home[pair[0]], None)]
    expect.equal(same, [], given=f"second sentences of the same document, of pairs with False; {given}")
    kinds = submission.probes.kinds(submission.make_nsp_pairs(docs, submission.probes.generator(3)))
    expect.equal(kinds, [("tuple", "str", "str", "bool")], given="what the pairs are made of")


@check("half of the pairs are true, and any other document may serve", points=1, category="values", after=test_pairs)
def test_halves(submission):
    docs = library_of(600)
    pairs = paired(submission, docs)
    share = sum(pair[2] for pair in pairs) / len(pairs)
    likely = {"all pairs are true": share == 1, "no pair is true": share == 0}
    expect_share(share, 0.5, len(pairs), f"the share of {len(pairs)} pairs with True", likely)
    for docs in ([["a", "b"], ["c"], ["d", "e", "f"], []], [["a", "b", "a", "c"], ["a", "b", "a", "c"]]):
        seeds = [any_seed() for _ in range(200)]
        answers = submission.probes.many(submission.make_nsp_pairs, (docs,), seeds)
        homes = [(doc, place) for doc in range(len(docs)) for place in range(len(docs[doc]) - 1)]
        for number, (doc, place) in enumerate(homes):
            others = {sentence for other, sentences in enumerate(docs) if other != doc for sentence in sentences}
            given = f"document {doc}, sentence {place}, 200 seeds, docs={docs}"
            for is_next, wanted in ((True, [docs[doc][place + 1]]), (False, sorted(others))):
                drawn = sorted({pairs[number][1] for pairs in answers if pairs[number][2] == is_next})
                expect.equal(drawn, wanted, given=f"the second sentences of the pairs with {is_next}; {given}")
        coins = {
            tuple(pairs[number][2] for number, (doc, _) in enumerate(homes) if doc == homes[-1][0])[:2]
            for pairs in answers
        }
        expect.equal(
            {(True, False), (False, True)} <= coins,
            True,
            given=f"one of two sentences of a document gets its successor, the other does not; 200 seeds, docs={docs}",
        )


@check("make_nsp_pairs takes all chance from its generator", points=0.5, category="robustness", after=test_pairs)
def test_pairs_generator(submission):
    docs, seed = library_of(60), any_seed()
    first = paired(submission, docs, seed=seed)
    expect.equal(
        paired(submission, docs, seed=seed) == first, True, given="two generators in the same state give the same pairs"
    )
    for given, other in (
        ("the second call with one generator gives the same pairs", paired(submission, docs, 2, seed)),
        ("a generator of another seed gives the same pairs", paired(submission, docs, seed=seed + 1)),
    ):
        expect.equal(other == first, False, given=given)


@check(
    "make_nsp_pairs refuses a single document, and keeps the docs",
    points=0.5,
    category="robustness",
    hidden=True,
    after=test_pairs,
)
def test_pairs_refuses(submission):
    make = submission.probes.generator
    for docs in ([["a", "b"]], [["a", "b", "c"], []]):
        for seed in range(12):  # also where each coin calls for a successor
            given = f"docs={docs}, a generator with the seed {seed}"
            expect.raises("ValueError", submission.make_nsp_pairs, docs, make(seed), given=given)
    for docs in ([], [[]], [["a"]], [["a"], ["b"]]):
        expect.equal(submission.make_nsp_pairs(docs, make(1)), [], given=f"docs={docs}")
    docs = library_of(9)
    kept = submission.probes.docs_kept(submission.make_nsp_pairs, docs)
    expect.equal(kept, docs, given="the documents after the call")


# All together


@check("attention is written without PyTorch's own", points=1, category="rules", gates=OWN_WORK)
def test_rule(submission):
    q, k, v = (torch.randn(2, 2, 3, 4) for _ in range(3))
    expect.avoids(submission.scaled_dot_product_attention, q, k, v, rule=OWN_WORK)


@check("tensors are made where the input is", points=0.5, category="devices", hidden=True)
def test_devices(submission):
    q, k, v = (torch.randn(2, 2, 3, 4) for _ in range(3))
    mask, x = torch.rand(2, 1, 3, 3) < 0.9, torch.randn(2, 3, 6)
    for name, inputs, build in (
        ("scaled_dot_product_attention", (q, k, v, mask), ()),
        ("grouped_query_attention", (q, k[:, :1], v[:, :1], mask), ()),
        ("attend_with_cache", (q, k, v, (k, v)), ()),
        ("self_attention_2d", (torch.randn(1, 2, 3, 3), *(torch.randn(2, 2) for _ in range(3))), ()),
        ("rotary", (q, 2), ()),
        ("padding_mask", (torch.tensor([1, 2]), 3), ()),
        ("MultiHeadAttention", (x, x, x, torch.ones(2, 1, 3, dtype=BOOL)), (6, 2)),
        ("EncoderLayer", (x,), (6, 2, 5)),
        ("DecoderLayer", (x, x), (6, 2, 5)),
        ("Transformer", (x, x), (6, 2, 1, 5)),
    ):
        given = f"{name} with its input on another device"
        expect.portable(getattr(submission, name), *inputs, build=build, given=given)
