"""Checks for task 41: networks that read a sentence and say what kind it is.

The oracles read each sentence by itself, cut to its words, so that there is no padding in them at all: they are layers
of PyTorch whose weights follow from their shapes alone. Two checks train on generated sentences, with floors that were
measured.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    FLOATS,
    LAYOUTS,
    RECORDING,
    any_seed,
    check,
    expect,
    fill_by_shape,
    filled,
    grid,
    parameter_gradients,
    registered_parameters,
)

PAD, UNK = "<PAD>", "<UNK>"
VOCAB = {PAD: 0, UNK: 1, "good": 2, "bad": 3, "not": 4, "Good": 5}
SINGLE, DOUBLE = torch.float32, torch.float64

# --- batches -----------------------------------------------------------------------------------------------


@check("pad_batch puts labels first and PAD behind the words", points=1.5, category="values")
def test_pad_batch(submission):
    for samples, pad in (
        ([(1, [5, 6, 7]), (0, [8])], 9),
        ([(0, [3]), (2, [4, 1]), (1, [1, 2, 3, 4])], 0),
        ([(400, [70_000, 7])], 5),
    ):
        longest = max(len(ids) for _, ids in samples)
        labels = torch.tensor([label for label, _ in samples])
        behind = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for _, ids in samples])
        front = torch.tensor([[*[pad] * (longest - len(ids)), *ids] for _, ids in samples])
        zeros = torch.tensor([[*ids, *[0] * (longest - len(ids))] for _, ids in samples])
        cut = behind[:, : min(len(ids) for _, ids in samples)]
        likely = {"labels and ids are swapped: labels come first": [behind, labels]}
        if len(samples) > 1:
            likely |= {"PAD stands in front of the words, not behind them": [labels, front]}
            likely |= {"the sentences are cut to the shortest": [labels, cut]}
        if pad and len(samples) > 1:
            likely |= {"pad_id is not used: PAD is 0": [labels, zeros]}
        settings = {} if pad == 0 else {"pad_id": pad}
        expect.equal(
            list(submission.pad_batch(samples, **settings)),
            [labels, behind],
            trivial="labels are small numbers",
            likely=likely,
            given=f"pad_batch({samples}, {settings})",
        )


@check("pad_batch takes sentences without words, and changes nothing", points=0.5, category="robustness", hidden=True)
def test_pad_batch_kinds(submission):
    for samples, wanted in (
        ([(1, []), (0, [4, 5])], [[6, 6], [4, 5]]),
        ([(1, [])], [[6]]),
        ([(0, []), (1, [])], [[6], [6]]),
    ):
        labels, ids = submission.pad_batch(samples, 6)
        expect.equal(ids, torch.tensor(wanted), trivial="a row without words is one PAD", given=f"{samples}, pad_id=6")
        expect.equal(labels, torch.tensor([label for label, _ in samples]), trivial="labels", given=f"{samples}")
    samples = [[1, [5, 6, 7]], [0, [8]]]
    after = submission.probes.texts_after(submission.pad_batch, samples)
    expect.equal(after, [[1, [5, 6, 7]], [0, [8]]], because="samples are not changed")
    after = submission.probes.texts_after(submission.pad_batch, [[1, []], [0, [8]]], 6)
    expect.equal(after, [[1, []], [0, [8]]], because="samples are not changed", given="a sentence without words")


# --- means and weights -------------------------------------------------------------------------------------


def masked(draw, lengths, places, width, padding, order):
    """States with ``padding`` at padded places, and the mask; its places come in order, or in any."""
    states = draw(len(lengths), places, width)
    mask = torch.arange(places) < torch.tensor(lengths)[:, None]
    if order == "mixed":
        mask = mask[:, torch.randperm(places)]
    mask = mask.to(states.device)
    if 0 not in states.stride():
        states.data[~mask] = padding
    return {"states": states, "mask": mask}


ROWS = grid(
    masked,
    lengths=[(3, 1, 2), (4,), (2, 4)],
    places=[4, 6],
    width=[3, 1],
    padding=[99.0],
    order=["words first"],
    dtype=[SINGLE, DOUBLE],
)
NONE = ROWS.vary(lengths=[(0, 2), (0,)])
ANYWHERE = ROWS.vary(lengths=[(3, 1, 2), (0, 2)], padding=[99.0, 1e30], order=["words first", "mixed"])


def mean(states, mask):
    rows = [row[keep].mean(0) if keep.any() else row[0] * 0 for row, keep in zip(states, mask, strict=True)]
    return torch.stack(rows)


@check("masked_mean is the mean over the words alone", points=1, category="values", devices="all")
def test_mean(submission, device):
    def over_all(states, mask):
        return states.mean(1)

    def divided_by_places(states, mask):
        return torch.where(mask[..., None], states, 0).mean(1)

    expect.agrees(
        submission.masked_mean,
        mean,
        ROWS,
        device=device,
        likely={
            "padding is in the mean": over_all,
            "divided by the number of places, not by that of the words": divided_by_places,
            "the mask is inverted: True is a word": lambda states, mask: mean(states, ~mask),
            "this is the sum over the words": lambda states, mask: torch.where(mask[..., None], states, 0).sum(1),
        },
    )


@check("masked_mean takes no words, words anywhere, any layout", points=0.5, category="robustness", hidden=True)
def test_mean_inputs(submission):
    expect.agrees(submission.masked_mean, mean, NONE, trivial="a mean of nothing is 0")
    expect.agrees(submission.masked_mean, mean, ANYWHERE)
    cases = ROWS.plain().vary(layout=LAYOUTS, grad=RECORDING, dtype=FLOATS[:2])
    expect.agrees(submission.masked_mean, mean, cases, unchanged=True)
    expect.agrees(submission.masked_mean, mean, ROWS.vary(lengths=[(3, 1, 2), (0, 4)]), gradients=True)


DIM = 4


def attention(states, mask, softmax="words", inverted=False, late=False, bend=torch.tanh):
    """What AttentionPooling computes when it is filled by shape: (pooled, weights)."""
    project = filled(nn.Linear, DIM, DIM).to(states.device)
    score = filled(nn.Linear, DIM, 1, bias=False).to(states.device)
    scores = score(bend(project(states.double())))[..., 0]
    mask = ~mask if inverted else mask
    if softmax == "batch":
        weights = scores.softmax(0) * mask
    elif late:
        weights = scores.softmax(1) * mask
    elif softmax == "all":
        weights = scores.softmax(1)
    else:
        weights = scores.masked_fill(~mask, -torch.inf).softmax(1).nan_to_num()
    states = torch.where(mask[..., None], states, 0) if softmax != "all" else states
    pooled = (weights[..., None] * states).sum(1)
    return [pooled.to(states.dtype), weights.to(states.dtype)]


def attending(submission, states, mask):
    layer = submission.AttentionPooling(DIM)
    fill_by_shape(layer)
    layer.to(states.dtype)
    pooled, weights = layer(states, mask)
    return [pooled.detach(), weights.detach()]


def slopes(pooled, weights, states, cotangents):
    """The gradient of the states, of a sum of both results with these factors."""
    total = sum((part * factor).sum() for part, factor in zip((pooled, weights), cotangents, strict=True))
    return torch.autograd.grad(total, states)[0]


@check("AttentionPooling has the parameters of its two layers", points=0.5, category="parameters")
def test_attention_parameters(submission):
    expect.parameters(
        submission.AttentionPooling(10),
        120,
        [(10, 10), (10,), (1, 10)],
        likely={"the second layer has a bias, too": 121, "the first layer has no bias": 110},
        given="AttentionPooling(10)",
    )


@check("AttentionPooling weighs the words, and the words alone", points=2, category="values")
def test_attention(submission):
    for lengths, places, turned in (((3, 1, 2), 4, False), ((5, 2), 5, False), ((2,), 3, False), ((2, 3), 5, True)):
        mask = torch.arange(places) < torch.tensor(lengths)[:, None]
        mask = mask.flip(1) if turned else mask
        states = torch.randn(len(lengths), places, DIM)
        given = f"{places} places, lengths {lengths}" + ("; the words stand last" if turned else "")
        truth = attention(states, mask)
        likely = {
            "the mask is inverted: True is a word": attention(states, mask, inverted=True),
            "padding gets weight": attention(states, mask, softmax="all"),
            "padding is taken out after the softmax: the weights of the words do not add up to 1": attention(
                states, mask, late=True
            ),
            "the softmax runs over the sentences of the batch, not over the words": attention(
                states, mask, softmax="batch"
            ),
            "tanh is left out": attention(states, mask, bend=lambda value: value),
        }
        likely = likely if lengths == (3, 1, 2) else {}
        expect.close(attending(submission, states, mask), truth, rtol=1e-4, atol=1e-5, likely=likely, given=given)
    mask, cotangents = torch.arange(4) < torch.tensor([[3], [2]]), (torch.randn(2, DIM), torch.randn(2, 4))
    mine, theirs = (states[:2, :4].clone().requires_grad_() for _ in range(2))
    layer = submission.AttentionPooling(DIM)
    fill_by_shape(layer)
    expect.close(
        slopes(*layer(mine, mask), mine, cotangents),
        slopes(*attention(theirs, mask), theirs, cotangents),
        rtol=1e-4,
        atol=1e-5,
        given="4 places, lengths (3, 2): the gradient of the states, which goes through the weights, too",
    )


@check("AttentionPooling keeps to the words whatever stands elsewhere", points=1, category="robustness", hidden=True)
def test_attention_none(submission):
    mask = (torch.arange(4)[:, None] < torch.tensor([3, 0, 1])).T
    states = torch.randn(3, DIM, 4).transpose(1, 2)  # neither is contiguous
    truth = attention(states, mask)
    given = "a sentence without words between two others"
    expect.close(attending(submission, states, mask), truth, rtol=1e-4, atol=1e-5, given=given)
    for number in (1e6, 3e38, -3e38):
        far, text = torch.where(mask[..., None], states, number), f"{given}, padding of {number:g}"
        expect.close(attending(submission, far, mask), truth, rtol=1e-4, atol=1e-5, given=text)
    wide = states.double()
    text = f"{given}, in float64"
    expect.close(attending(submission, wide, mask), attention(wide, mask), rtol=1e-9, atol=1e-10, given=text)
    layer = submission.AttentionPooling(DIM)
    fill_by_shape(layer)
    source = states.clone().requires_grad_()
    pooled, weights = layer(source, mask)
    expect.equal(weights.detach()[~mask], torch.zeros(8), trivial="weights at padding are 0", given=given)
    ((pooled * torch.randn(3, DIM)).sum() + (weights * torch.randn(3, 4)).sum()).backward()
    gradient = source.grad
    for name, slope in {"states": gradient, **parameter_gradients(layer)}.items():
        finite = slope is None or bool(slope.isfinite().all())
        about = f"{given}: gradients of {name}"
        expect.true(finite, expected="finite gradients", got="gradients with NaN", given=about)
    zero = torch.zeros(8, DIM)
    expect.close(gradient[~mask], zero, trivial="padding has no part in it", given=f"{given}: gradients at padding")
    layer = submission.AttentionPooling(DIM).double()
    pooled, weights = layer(states.double(), mask)
    given = "a layer and states in float64"
    expect.dtype(pooled, DOUBLE, given=given)
    zero = torch.zeros(8, dtype=DOUBLE)
    expect.equal(weights.detach()[~mask], zero, trivial="weights at padding are 0", given=given)
    expect.not_mutated(submission, layer, states.double(), mask)


# --- networks ----------------------------------------------------------------------------------------------

WORDS, EMBED, CLASSES = 13, 5, 3
KERNELS, FILTERS, HIDDEN = (2, 3, 4), 6, 7


def sentences(*lengths, pad=0, places=None):
    """Ids of sentences of these lengths, other ids than that of PAD."""
    words = torch.tensor([word for word in range(WORDS) if word != pad])
    rows = torch.full((len(lengths), places or max(1, *lengths)), pad)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = words[torch.randint(len(words), (length,))]
    if pad:
        rows[0, : min(1, lengths[0])] = 0  # a word like others, where PAD is another
    return rows


def ready(net, pad=0):
    """The network, filled by shape, the embedding of PAD zero, in evaluation mode."""
    fill_by_shape(net)
    state = net.state_dict()
    for value in state.values():
        if tuple(value.shape) == (WORDS, EMBED):
            value[pad] = 0
    net.load_state_dict(state)
    return net.eval()


def embedded(ids, pad=0, keep=False):
    """For each sentence the embeddings of its words, (n, EMBED) with n at least 1; with ``keep`` those of PAD, too."""
    table = filled(nn.Embedding, WORDS, EMBED).weight.clone()
    table[pad] = 0
    for row in ids:
        words = row if keep else row[row != pad]
        yield table[words] if len(words) else torch.zeros(1, EMBED, dtype=DOUBLE)


def fasttext(ids, pad=0, keep=False):
    rows = [words.mean(0) for words in embedded(ids, pad, keep)]
    return filled(nn.Linear, EMBED, CLASSES)(torch.stack(rows)).float()


def cnn(ids, pad=0, keep=False, bend=F.relu, pool=torch.amax, turned=False, reach=False, kernels=KERNELS):
    layers = [filled(nn.Conv1d, EMBED, FILTERS, k) for k in kernels]
    rows = []
    for words in embedded(ids, pad, keep):
        answers = []
        for layer in layers:
            short = layer.kernel_size[0] - (1 if reach else len(words))
            x = F.pad(words, (0, 0, 0, short)) if short > 0 else words
            x = x.flip(0) if turned else x
            answers.append(pool(bend(layer(x.T[None])[0]), 1))
        rows.append(torch.cat(answers))
    return filled(nn.Linear, len(kernels) * FILTERS, CLASSES)(torch.stack(rows)).float()


def rnn(ids, pad=0, keep=False, feature="ends", pooling="last"):
    lstm = filled(nn.LSTM, EMBED, HIDDEN, bidirectional=True, batch_first=True)
    project, score = filled(nn.Linear, 2 * HIDDEN, 2 * HIDDEN), filled(nn.Linear, 2 * HIDDEN, 1, bias=False)
    rows = []
    for row, words in zip(ids, embedded(ids, pad, keep), strict=True):
        outputs, (h, c) = lstm(words[None])
        outputs = outputs[0]  # (n, 2H)
        if pooling == "attention":
            outputs = outputs[: max(int((row != pad).sum()), 1)] if feature == "words" else outputs
            weights = score(torch.tanh(project(outputs)))[:, 0].softmax(0)
            rows.append(weights @ outputs)
        elif feature == "last place":
            rows.append(outputs[-1])
        elif feature == "cells":
            rows.append(torch.cat([c[0, 0], c[1, 0]]))
        elif feature == "mean":
            rows.append(outputs.mean(0))
        elif feature == "turned":
            rows.append(torch.cat([h[1, 0], h[0, 0]]))
        else:
            rows.append(torch.cat([h[0, 0], h[1, 0]]))
    return filled(nn.Linear, 2 * HIDDEN, CLASSES)(torch.stack(rows)).float()


def make_fasttext(submission, pad=0):
    return submission.FastText(WORDS, EMBED, CLASSES, *(() if pad == 0 else (pad,)))


def make_cnn(submission, pad=0, **settings):
    return submission.TextCNN(WORDS, EMBED, KERNELS, FILTERS, CLASSES, **({"pad_id": pad} if pad else {}), **settings)


def make_rnn(submission, pad=0, **settings):
    return submission.TextRNN(WORDS, EMBED, HIDDEN, CLASSES, **({"pad_id": pad} if pad else {}), **settings)


def make_attending(submission, pad=0):
    return make_rnn(submission, pad, pooling="attention")


MODELS = {
    "FastText": (make_fasttext, fasttext),
    "TextCNN": (make_cnn, cnn),
    "TextRNN": (make_rnn, rnn),
    'TextRNN with pooling="attention"': (make_attending, lambda ids, pad=0: rnn(ids, pad, pooling="attention")),
}
EVEN = (6, 4, 5)  # no sentence is shorter than a filter


def scores(net, ids, device="cpu"):
    return net.to(device)(ids.to(device)).detach().cpu()


@check("FastText is a mean of embeddings and a linear layer", points=1, category="values", devices="all")
def test_fasttext(submission, device):
    expect.parameters(make_fasttext(submission), 83, [(WORDS, EMBED), (CLASSES, EMBED), (CLASSES,)])
    for pad in (0, 4):
        ids = sentences(3, 1, 5, pad=pad)
        expect.close(
            scores(ready(make_fasttext(submission, pad), pad), ids, device),
            fasttext(ids, pad),
            rtol=1e-4,
            atol=1e-5,
            likely={"padding is in the mean": fasttext(ids, pad, keep=True)},
            given=f"ids {ids.tolist()}, pad_id={pad}",
        )
    expect_one_class(submission.FastText(WORDS, EMBED, 1), f"FastText({WORDS}, {EMBED}, 1)")


def expect_one_class(net, name):
    expect.shape(net(sentences(4, 6)), (2, 1), given=f"{name}, two sentences, one class")


CNN_SHAPES = [(1000, 128), *((100, 128, k) for k in (3, 4, 5)), *[(100,)] * 3, (2, 300), (2,)]


@check("TextCNN has 282,502 parameters", points=0.5, category="parameters")
def test_cnn_parameters(submission):
    expect.parameters(
        submission.TextCNN(1000, 128, (3, 4, 5), 100, 2),
        282_502,
        CNN_SHAPES,
        likely={
            "only one filter size is registered: convolutions in a list need nn.ModuleList": 128_000 + 602,
            "the convolutions have no biases": 282_202,
        },
        given="TextCNN(1000, 128, (3, 4, 5), 100, 2)",
    )


@check(
    "TextCNN takes the largest answer of each filter",
    points=1.5,
    category="values",
    after=test_cnn_parameters,
    devices="all",
)
def test_cnn(submission, device):
    for pad in (0, 4):
        ids = sentences(6, 6, 6, pad=pad)
        expect.close(
            scores(ready(make_cnn(submission, pad), pad), ids, device),
            cnn(ids, pad),
            rtol=1e-4,
            atol=1e-5,
            likely={
                "the mean of the answers is taken, not the largest": cnn(ids, pad, pool=torch.mean),
                "the filters read the sentence backwards": cnn(ids, pad, turned=True),
                "tanh stands in for ReLU": cnn(ids, pad, bend=torch.tanh),
            },
            given=f"three sentences of six words, kernel sizes {KERNELS}, pad_id={pad}",
        )
    expect_one_class(submission.TextCNN(WORDS, EMBED, KERNELS, 1, 1), f"TextCNN({WORDS}, {EMBED}, {KERNELS}, 1, 1)")


def windows_apart(pad):
    """Sentences with PAD behind them, and the scores when all windows count, or all that begin within; they differ."""
    while True:
        ids = sentences(*EVEN, pad=pad, places=9)
        every, begun = cnn(ids, pad, keep=True), cnn(ids, pad, reach=True)
        if not torch.allclose(every, begun, rtol=1e-2, atol=1e-2):
            return ids, every, begun


@check("TextCNN looks at windows within the sentence only", points=1.5, category="values", after=test_cnn_parameters)
def test_cnn_windows(submission):
    for pad in (0, 4):
        ids, every, begun = windows_apart(pad)
        likely = {
            "padding leaks: windows that reach into PAD may win": every,
            "padding leaks: a window may begin within the sentence and reach into PAD": begun,
        }
        expect.close(
            scores(ready(make_cnn(submission, pad), pad), ids),
            cnn(ids, pad),
            rtol=1e-4,
            atol=1e-5,
            likely=likely,
            given=f"sentences of {EVEN} words in 9 places, kernel sizes {KERNELS}, pad_id={pad}",
        )


@check(
    "TextCNN reads sentences that are shorter than a filter", points=1, category="robustness", after=test_cnn_parameters
)
def test_cnn_short(submission):
    net = ready(make_cnn(submission))
    for lengths, places in (((1,), 1), ((3, 1, 2), 3), ((2, 0, 6), 6), ((0,), 2), ((3, 2), 8)):
        ids = sentences(*lengths, places=places)
        given = f"sentences of {lengths} words in {places} places, kernel sizes {KERNELS}"
        expect.close(scores(net, ids), cnn(ids), rtol=1e-4, atol=1e-5, given=given)
    for kernels in ([1], (4, 2)):
        net = submission.TextCNN(WORDS, EMBED, kernels, FILTERS, CLASSES)
        ids = sentences(3, 6)
        given = f"kernel_sizes={kernels}, sentences of 3 and 6 words"
        expect.close(scores(ready(net), ids), cnn(ids, kernels=kernels), rtol=1e-4, atol=1e-5, given=given)


def kept_answers(submission, **settings):
    """What a TextCNN in training mode passes on of 100 answers of 1.0, for each of 64 sentences."""
    net = submission.TextCNN(WORDS, EMBED, (2, 3), 50, 100, **settings)
    values = {(WORDS, EMBED): torch.ones(WORDS, EMBED), (100, 100): torch.eye(100)}
    values |= {(50, EMBED, k): torch.full((50, EMBED, k), 1 / (EMBED * k)) for k in (2, 3)}
    state = net.state_dict()
    net.load_state_dict({key: values.get(tuple(value.shape), torch.zeros_like(value)) for key, value in state.items()})
    return scores(net.train(), sentences(*(64 * [6])))


@check("TextCNN drops in training mode only", points=0.5, category="robustness", after=test_cnn, hidden=True)
def test_dropout(submission):
    ids = sentences(6, 5, 4, 6)
    net = ready(make_cnn(submission))
    expect.close(scores(net, ids), scores(net, ids), given="two calls in evaluation mode")
    new = make_cnn(submission)
    for one, given in ((net.train(), "three calls in training mode"), (new, "three calls of a new network")):
        draws = [scores(one, ids) for _ in range(3)]
        same = bool(torch.allclose(draws[0], draws[1]) and torch.allclose(draws[0], draws[2]))
        expect.equal(same, False, because="dropout is 0.5 by default", given=given)
    for settings, p in (({}, 0.5), ({"dropout": 0.25}, 0.25)):
        answers = kept_answers(submission, **settings)
        top, given = 1 / (1 - p), f"training mode, {settings or 'dropout left out'}, where each filter answers 1.0"
        odd = answers[((answers - top).abs() > 1e-3) & (answers.abs() > 1e-3)]
        expect.true(
            len(odd) == 0,
            f"0 or {top:.3f} of each filter",
            f"{float(odd[0]) if len(odd) else 0:.3f} of one",
            given=given,
            likely={"what goes into the filters is dropped, too": len(odd) > 0},
        )
        kept, spread = float((answers > 0.5).double().mean()), 6 * (p * (1 - p) / answers.numel()) ** 0.5
        expect.true(
            abs(kept - (1 - p)) < spread,
            f"a share of {1 - p:.2f} that stays, give or take {spread:.2f}",
            f"{kept:.2f}",
            given=given,
            likely={"the windows are dropped, not the largest answers": kept > 1 - p},
        )
    still = ready(make_cnn(submission, 4, dropout=0.0), 4)
    same = sentences(6, 5, 4, pad=4)
    expect.close(scores(still.train(), same), cnn(same, 4), rtol=1e-4, atol=1e-5, given="training mode, dropout=0.0")
    gone = ready(make_cnn(submission, dropout=1.0))
    bias = filled(nn.Linear, len(KERNELS) * FILTERS, CLASSES).bias.float().expand(4, CLASSES)
    given = "training mode, dropout=1.0: only the last bias is left"
    expect.close(scores(gone.train(), ids), bias, rtol=1e-4, atol=1e-5, given=given)


@check("TextRNN joins the states at both ends of the sentence", points=2, category="values", devices="all")
def test_rnn(submission, device):
    for pad, lengths in ((0, (6, 3, 5)), (4, (2, 6, 1)), (0, (4,))):
        ids = sentences(*lengths, pad=pad)
        likely = {
            "the backward state is that behind the last word: it has read one word only": rnn(
                ids, pad, feature="last place"
            ),
            "these are the cell states, not the states h": rnn(ids, pad, feature="cells"),
            "the backward state stands in front of the forward state": rnn(ids, pad, feature="turned"),
            "this is the mean of all outputs": rnn(ids, pad, feature="mean"),
        }
        if pad == 0 and len(lengths) > 1:
            likely |= {"padding leaks: the LSTM reads PAD": rnn(ids, pad, keep=True)}
            likely |= {
                "this is the output at the last place, which may be PAD": rnn(ids, pad, keep=True, feature="last place")
            }
        expect.close(
            scores(ready(make_rnn(submission, pad), pad), ids, device),
            rnn(ids, pad),
            rtol=1e-4,
            atol=1e-5,
            likely=likely if lengths == (6, 3, 5) else {},
            given=f"sentences of {lengths} words, pad_id={pad}",
        )
    expect_one_class(submission.TextRNN(WORDS, EMBED, 1, 1), f"TextRNN({WORDS}, {EMBED}, 1, 1)")


@check("TextRNN pools by attention where it is asked to", points=1, category="values", devices="all")
def test_rnn_attention(submission, device):
    for lengths, places in (((6, 3, 5), 6), ((2, 1), 4)):
        ids = sentences(*lengths, places=places)
        expect.close(
            scores(ready(make_attending(submission)), ids, device),
            rnn(ids, pooling="attention"),
            rtol=1e-4,
            atol=1e-5,
            likely={
                'pooling="attention" is ignored': rnn(ids),
                "padding leaks: the LSTM reads PAD, and the weights do": rnn(ids, keep=True, pooling="attention"),
                "padding leaks: the LSTM reads PAD": rnn(ids, keep=True, feature="words", pooling="attention"),
            },
            given=f"sentences of {lengths} words in {places} places",
        )


@check(
    "TextRNN has a pooling layer where it uses one, and refuses others", points=0.5, category="parameters", hidden=True
)
def test_rnn_parameters(submission):
    shapes = [(WORDS, EMBED), *[(28, EMBED), (28, HIDDEN), (28,), (28,)] * 2, (CLASSES, 14), (CLASSES,)]
    expect.parameters(make_rnn(submission), None, shapes, given='pooling="last"')
    more = [*shapes, (14, 14), (14,), (1, 14)]
    expect.parameters(make_attending(submission), None, more, given='pooling="attention"')
    for pooling in ("max", "Last", "", "att", "lastly"):
        expect.raises("ValueError", make_rnn, submission, 0, pooling=pooling, given=f"pooling={pooling!r}")


@check("TextCNN has a convolution for each size, also for equal ones", points=0.5, category="parameters", hidden=True,
       after=test_cnn_parameters)  # fmt: skip
def test_cnn_equal_sizes(submission):
    expect.parameters(
        submission.TextCNN(9, 4, [2, 3, 2], 5, 6),
        287,
        [(9, 4), (5, 4, 2), (5, 4, 3), (5, 4, 2), *[(5,)] * 3, (6, 15), (6,)],
        likely={"a filter size that comes twice has one convolution": 242},
        given="TextCNN(9, 4, [2, 3, 2], 5, 6)",
    )


@check("FastText and TextRNN drop nothing in training mode", points=0.5, category="robustness", hidden=True,
       after=[test_fasttext, test_rnn, test_rnn_attention])  # fmt: skip
def test_training_mode(submission):
    ids = sentences(6, 5, 4)
    for name, (make, oracle) in MODELS.items():
        if name != "TextCNN":
            found = scores(ready(make(submission)).train(), ids)
            expect.close(found, oracle(ids), rtol=1e-4, atol=1e-5, given=f"{name} in training mode")


@check("more PADs and other sentences change no score", points=1.5, category="robustness", hidden=True)
def test_padding(submission):
    for name, (make, oracle) in MODELS.items():
        nets = {pad: ready(make(submission, pad), pad) for pad in (0, 12)}  # both, before one of them is asked
        for pad, net in nets.items():
            ids = sentences(4, 1, 5, 0, pad=pad)
            alone = torch.cat(
                [scores(net, row[row != pad][None] if (row != pad).any() else row[:1][None]) for row in ids]
            )
            given = f"{name}, pad_id={pad}, sentences of 4, 1, 5 and 0 words"
            expect.close(alone, oracle(ids, pad), rtol=1e-4, atol=1e-5, given=f"{given}, each by itself")
            for more in (0, 3):
                longer = F.pad(ids, (0, more), value=pad)
                text = f"{given}, {longer.shape[1]} places; expected is each by itself, without PAD"
                expect.close(scores(net, longer.T.contiguous().T), alone, rtol=1e-4, atol=1e-5, given=text)
            mixed = torch.cat([ids, sentences(9, pad=pad)[:, : ids.shape[1]]]).flip(0)
            text = f"{given}, in another order with one more"
            expect.close(scores(net, mixed).flip(0)[:4], alone, rtol=1e-4, atol=1e-5, given=text)


@check("the embedding of PAD is zero and gets no gradient", points=1, category="gradients", hidden=True)
def test_pad_row(submission):
    for name, (make, _) in MODELS.items():
        for pad in (0, 4):
            net = make(submission, pad)
            # The largest window of a TextCNN decides: among so many sentences each word is in some of them.
            ids = sentences(*[5] * 40, 2, 0, pad=pad)
            gradient, table = submission.probes.embedding_gradient(net, ids, (WORDS, EMBED))
            given = f"{name}, pad_id={pad}"
            zero = torch.zeros(EMBED)
            expect.close(table[pad], zero, trivial="PAD starts as zeros", given=f"{given}: the embedding of PAD")
            expect.close(gradient[pad], zero, trivial="PAD has no gradient", given=f"{given}: the gradient of PAD")
            used = sorted(set(ids.flatten().tolist()) - {pad})
            reached = [bool(gradient[word].abs().sum() > 0) for word in used]
            expect.equal(reached, [True] * len(used), because="gradients reach each word", given=given)


@check("gradients reach every parameter, and models share none", points=0.5, category="gradients", hidden=True)
def test_gradients(submission):
    for name, (make, _) in MODELS.items():
        net, other = make(submission).double(), make(submission)
        before = {key: value.clone() for key, value in other.state_dict().items()}
        expect.gradient_flow(net.eval()(sentences(6, 6, 5)), module=net)
        expect.dtype(scores(net, sentences(3, 2)), DOUBLE, given=f"{name} in float64")
        net.load_state_dict({key: value + 1 for key, value in net.state_dict().items()})
        expect.close(dict(other.state_dict()), before, trivial="nothing was done to the second", given=f"two {name}")
        expect_trained(net, name)
    expect_trained(submission.AttentionPooling(DIM), "AttentionPooling")


def expect_trained(net, name):
    frozen = [row["name"] for row in registered_parameters(net) if not row["requires_grad"]]
    expect.equal(frozen, [], because="all of them are trained", given=f"{name}: the parameters that want no gradient")


STARTS = {
    "FastText": ((40, 64, 20), lambda: [nn.Embedding(40, 64, 0), nn.Linear(64, 20)]),
    "TextCNN": (
        (40, 32, (3, 5), 24, 20),
        lambda: [nn.Embedding(40, 32, 0), nn.Conv1d(32, 24, 3), nn.Conv1d(32, 24, 5), nn.Linear(48, 20)],
    ),
    "AttentionPooling": ((48,), lambda: [nn.Linear(48, 48), nn.Linear(48, 1, bias=False)]),
    "TextRNN": (
        (40, 32, 24, 20),
        lambda: [nn.Embedding(40, 32, 0), nn.LSTM(32, 24, bidirectional=True), nn.Linear(48, 20)],
    ),
}


@check("layers start as those of PyTorch do", points=0.5, category="values", hidden=True,
       after=[test_fasttext, test_cnn_parameters, test_attention_parameters, test_rnn_parameters])  # fmt: skip
def test_start(submission):
    for name, (args, layers) in STARTS.items():
        made = functools.partial(getattr(submission, name), *args)
        expect.starts_like(made, lambda layers=layers: nn.ModuleList(layers()), times=16, given=f"{name}{args}")


@check("ids outside of the vocabulary are an error", points=0.5, category="robustness", hidden=True)
def test_ids(submission):
    expect.shape(submission.FastText(6, 2, 4)(torch.tensor([[5, 1]])), (1, 4), given="FastText(6, 2, 4)")
    for name, (make, _) in MODELS.items():
        net = make(submission).eval()
        expect.shape(net(sentences(3, 1)), (2, CLASSES), given=name)
        for wrong in (WORDS, WORDS + 3, -1, -WORDS):
            ids = torch.tensor([[1, wrong, 2]])
            expect.raises("Exception", net, ids, given=f"{name}, ids {ids.tolist()}")


# --- training ----------------------------------------------------------------------------------------------


class Descent:
    """Adam on a bag of words: ``weight`` after it, and the mean ``losses``; or with a mistake."""

    def __init__(self, start, labels, ids, size, epochs=5, lr=1e-3, kind=torch.optim.Adam, keep=False, old=None,
                 loss=F.cross_entropy, sign=1, late=False, most=None):  # fmt: skip
        weight = start.clone().requires_grad_()
        weight.grad = None if old is None else torch.full_like(start, old)
        optimizer = kind([weight], lr=lr)
        self.losses, self.batches = [], []
        for _ in range(epochs):
            total, each = 0.0, []
            for y, x in zip(labels.split(size), ids.split(size), strict=True):
                value = loss(sign * weight[x].sum(1), y)
                if not keep and not late:
                    optimizer.zero_grad()
                value.backward()
                if most is not None:
                    nn.utils.clip_grad_norm_([weight], most)
                optimizer.step()
                if late:
                    optimizer.zero_grad()
                total += float(value.detach()) * len(y)
                each.append(float(value.detach()))
            self.losses.append(total / len(labels))
            self.batches.append(sum(each) / len(each))
        self.weight = weight.detach()


def lesson(count=13, words=4):
    """The weights of a bag of 8 words and 3 classes, labels, and ids; of many words each weighs less."""
    return 4 / words * torch.randn(8, 3), torch.randint(0, 3, (count,)), torch.randint(0, 8, (count, words))


def softmax_twice(values, labels):
    return F.cross_entropy(values.softmax(1), labels)


@check("train_classifier takes a step of Adam for each batch", points=2, category="values", devices="all")
def test_steps(submission, device):
    for words, settings in (
        (4, {"epochs": 3, "lr": 0.05}),
        (4, {"epochs": 2}),
        (4, {"lr": 0.01}),
        (4, {}),
        (60, {"epochs": 2, "lr": 0.03}),
    ):
        start, labels, ids = lesson(words=words)
        model = submission.probes.bag(start).to(device)
        loader = submission.probes.in_order(labels, ids, 4)
        submission.train_classifier(model, loader, **settings)
        clipped = Descent(start, labels, ids, 4, **settings, most=1.0).weight
        likely = {
            "gradients are cut down to a norm of 1": clipped,
            "the weights did not move: no step, or gradients that were cleared before it": start,
            "the gradients are never cleared": Descent(start, labels, ids, 4, **settings, keep=True).weight,
            "the last, smaller batch is left out": Descent(start, labels[:12], ids[:12], 4, **settings).weight,
            "this is plain SGD, not Adam": Descent(start, labels, ids, 4, **settings, kind=torch.optim.SGD).weight,
            "softmax before the cross entropy, which applies it already": Descent(
                start, labels, ids, 4, **settings, loss=softmax_twice
            ).weight,
        }
        if "lr" in settings:
            free = {key: value for key, value in settings.items() if key != "lr"}
            likely["lr is not used"] = Descent(start, labels, ids, 4, **free).weight
        expect.close(
            model.state_dict()["weight"].cpu(),
            Descent(start, labels, ids, 4, **settings).weight,
            rtol=1e-4,
            atol=1e-6,
            likely=likely if settings.get("lr") == 0.05 else {},
            given=f"a bag of words, 13 sentences of {words} words in batches of 4, {settings or 'no settings'}",
        )
        count = settings.get("epochs", 5)
        expect.equal(submission.probes.passes(loader), count, because="one pass for each epoch", given=f"{settings}")


@check("train_classifier returns the mean loss over sentences", points=1, category="values", after=test_steps)
def test_losses(submission):
    start, labels, ids = lesson()
    model = submission.probes.bag(start)
    losses = submission.train_classifier(model, submission.probes.in_order(labels, ids, 4), 3, 0.05)
    truth = Descent(start, labels, ids, 4, 3, 0.05)
    expect.close(
        expect.record(losses, [float], finite=True),
        truth.losses,
        rtol=1e-5,
        atol=1e-6,
        likely={
            "an average over batches: the last one is smaller than the others": truth.batches,
            "the sum over the sentences is not divided": [13 * value for value in truth.losses],
        },
        given="13 sentences in batches of 4, epochs=3, lr=0.05",
    )
    start, labels, ids = lesson(1)
    losses = submission.train_classifier(submission.probes.bag(start), submission.probes.in_order(labels, ids, 4), 2)
    expect.close(losses, Descent(start, labels, ids, 4, 2).losses, rtol=1e-5, atol=1e-6, given="a single sentence")
    for epochs, count in ((0, 13), (2, 0)):
        loader = submission.probes.in_order(labels, ids, 4) if count else []
        losses = submission.train_classifier(submission.probes.bag(start), loader, epochs)
        expect.equal(
            expect.record(losses, [float]),
            [0.0] * (0 if count else epochs),
            trivial="nothing has no loss",
            given=f"epochs={epochs}, {count} sentences",
        )


@check(
    "train_classifier trains in training mode, from scratch",
    points=0.5,
    category="values",
    after=test_steps,
    hidden=True,
)
def test_modes(submission):
    start, labels, ids = lesson()
    model = submission.probes.bag(start, moody=True).eval()
    submission.train_classifier(model, submission.probes.in_order(labels, ids, 4), 2, 0.05)
    truth = Descent(start, labels, ids, 4, 2, 0.05).weight
    likely = {
        "the model came in evaluation mode, and stayed in it": Descent(start, labels, ids, 4, 2, 0.05, sign=-1).weight
    }
    given = "a model that came in evaluation mode"
    expect.close(model.state_dict()["weight"], truth, rtol=1e-4, atol=1e-6, likely=likely, given=given)
    expect.equal(model.training, True, because="it is left in training mode", given=given)
    model = submission.probes.bag(start).eval()
    submission.train_classifier(model, [], 2)
    modes = submission.probes.modes_after_training(submission.train_classifier, submission.probes.bag(start))
    given = "a model that came in training mode, one part of it in evaluation mode"
    expect.equal(modes, [True, True, True], because="the whole model is in training mode", given=given)
    given = "a model that came in evaluation mode, and a loader without batches"
    expect.equal(model.training, True, because="it is left in training mode", given=given)
    model = submission.probes.with_old_gradients(submission.probes.bag(start))
    submission.train_classifier(model, submission.probes.in_order(labels, ids, 4), 2, 0.05)
    given = "a model whose parameters hold gradients of 3.0 when it comes"
    late = Descent(start, labels, ids, 4, 2, 0.05, old=3.0, late=True).weight
    likely = {"the gradients are cleared behind each step only: those from before count in the first one": late}
    expect.close(model.state_dict()["weight"], truth, rtol=1e-4, atol=1e-6, likely=likely, given=given)


@check("tensors are made where the network is", points=0.5, category="devices", hidden=True,
       after=test_cnn_parameters)  # fmt: skip
def test_devices(submission):
    states, mask = torch.randn(2, 4, DIM), torch.tensor([[True, True, False, False], [True] * 4])
    ids = sentences(3, 5)
    for name, inputs, build in (
        ("masked_mean", (states, mask), ()),
        ("AttentionPooling", (states, mask), (DIM,)),
        ("FastText", (ids,), (WORDS + 1, EMBED, CLASSES)),
        ("TextCNN", (ids,), (WORDS, EMBED, KERNELS, FILTERS, CLASSES)),
    ):  # of TextRNN only a GPU can tell: lengths belong on the CPU
        given = f"{name} with its input on another device"
        expect.portable(getattr(submission, name), *inputs, build=build, given=given)
    model = submission.make(nn.EmbeddingBag, len(VOCAB), CLASSES).to("meta")
    loader = submission.probes.in_order(torch.tensor([0, 2, 1]), torch.randint(0, 6, (3, 4)), 2)
    for name, *call in (
        ("train_classifier", submission.train_classifier, model, loader),
        ("predict_sentiment", submission.predict_sentiment, model, "not good", VOCAB),
    ):
        given = f"{name} with a model on another device"
        expect.follows_device(*call, expected="labels and ids on the device of the model", given=given)


# --- prediction --------------------------------------------------------------------------------------------

SHUFFLED = {"good": 0, PAD: 3, "bad": 2, UNK: 4, "not": 1, "Good": 5}


@check("predict_sentiment names the class with the highest score", points=1.5, category="values")
def test_predict(submission):
    for vocab in (VOCAB, SHUFFLED):
        for text in ("not good", "bad", "good bad bad"):
            weight = torch.randn(6, 4)
            model = submission.probes.bag(weight)
            found = submission.predict_sentiment(model, text, vocab)
            ids = torch.tensor([[vocab[word] for word in text.split()]])
            given = f"{text!r}, vocab {vocab}"
            met = submission.probes.seen(model)[0]
            likely = {
                "the batch axis is missing: a model takes (1, T)": [ids[0]],
                "letters are looked up, not words": [torch.tensor([[vocab[UNK]] * len(text)])],
            }
            expect.equal(met, [ids], trivial="ids are small numbers", likely=likely, given=f"{given}: the ids")
            totals = weight[ids[0]].sum(0)
            wrong = {"this is the lowest score": int(totals.argmin())}
            expect.equal(found, int(totals.argmax()), likely=wrong, given=given)


@check("predict_sentiment takes lists, unknown words and no words", points=1, category="robustness", hidden=True)
def test_predict_text(submission):
    for vocab in (VOCAB, SHUFFLED):
        for text, words in (
            ("nice bad", [UNK, "bad"]),
            ("Good  good\tGOOD\n", ["Good", "good", UNK]),
            (["not good", "good"], [UNK, "good"]),
            (["bad"], ["bad"]),
            ("good, not bad!", [UNK, "not", UNK]),
            (["Good", "BAD", "good.", " bad"], ["Good", UNK, UNK, UNK]),
            (("not", "bad"), ["not", "bad"]),
            ([UNK, "bad", PAD], [UNK, "bad", PAD]),
            ("", [PAD]),
            ("  \n", [PAD]),
            ([], [PAD]),
        ):
            model = submission.probes.bag(torch.randn(6, 3))
            submission.predict_sentiment(model, text, vocab)
            ids = torch.tensor([[vocab[word] for word in words]])
            given = f"{text!r}, vocab {vocab}: the ids"
            expect.equal(submission.probes.seen(model)[0], [ids], trivial="ids are small numbers", given=given)
    after = submission.probes.vocabulary_after(submission.predict_sentiment, model, "nice bad", VOCAB)
    expect.equal(after, VOCAB, given="the vocabulary after a word that it does not hold")
    for text in ([], ["nice", "Good"]):
        after = submission.probes.text_after(submission.predict_sentiment, model, list(text), VOCAB)
        expect.equal(after, text, because="the text is not changed", given=f"{text} after the call")


@check(
    "predict_sentiment measures in evaluation mode, and gives all back", points=0.5, category="robustness", hidden=True
)
def test_predict_mode(submission):
    weight = torch.randn(6, 3)
    for training in (True, False):
        model = submission.probes.bag(weight, moody=True).train(training)
        found = submission.predict_sentiment(model, "not good", VOCAB)
        given = f"a model in {'training' if training else 'evaluation'} mode"
        wanted = int((-weight[[4, 2]].sum(0)).argmax())
        expect.equal(found, wanted, given=given)
        _, modes, recorded = submission.probes.seen(model)
        expect.equal(modes, [False], because="it is in evaluation mode meanwhile", given=given)
        expect.equal(recorded, [False], because="no gradients are recorded", given=given)
        modes, gradient, recording = submission.probes.modes_after(submission.predict_sentiment, model, "bad", VOCAB)
        expect.equal(modes, [training, not training, training], because="each part has its own mode again", given=given)
        expect.equal(gradient, torch.ones(6, 3), trivial="gradients stay", given=f"{given}, with gradients of 1")
        expect.equal(recording, True, because="gradients are recorded again", given=given)
        still = submission.probes.recorded_after(submission.predict_sentiment, model, "bad", VOCAB)
        because = "what was switched off before stays switched off"
        expect.equal(still, False, because=because, given=f"{given}, called within torch.no_grad()")


# --- opinions ----------------------------------------------------------------------------------------------


def opinions(submission, dataset):
    """A loader of sentences to learn from, others as ids, their labels, and how many words there are."""
    module = dataset("opinions")
    vocab = {word: number for number, word in enumerate((PAD, UNK, *module.WORDS))}
    texts, labels = module.generate(1040, seed=any_seed())
    ids = [[vocab[word] for word in text.split()] for text in texts]
    unseen = torch.zeros(400, max(map(len, ids)), dtype=torch.int64)
    for row, words in zip(unseen, ids[640:], strict=True):
        row[: len(words)] = torch.tensor(words)
    loader = submission.probes.sentences(labels[:640].tolist(), ids[:640], 32, 0)
    return loader, unseen, torch.from_numpy(labels[640:]), len(vocab)


@check(
    "TextCNN learns what a negation does",
    points=2,
    category="accuracy",
    after=test_cnn_parameters,
    seconds=60,
    tries=2,
)
def test_cnn_learns(submission, dataset, calibration, pictures):
    loader, unseen, answers, size = opinions(submission, dataset)
    net = submission.TextCNN(size, 16, (2, 3), 24, 2)
    losses = submission.train_classifier(net, loader, 6, 2e-2)
    pictures.curves("TextCNN", "epoch", {"loss": expect.record(losses, [float])})
    right = (submission.probes.guesses(net, unseen) == answers).double().mean()
    calibration.holds("cnn_accuracy", float(right), unit="(accuracy on unseen sentences)")


@check(
    "TextRNN learns what a negation does",
    points=2,
    category="accuracy",
    seconds=60,
    tries=2,
)
def test_rnn_learns(submission, dataset, calibration, pictures):
    loader, unseen, answers, size = opinions(submission, dataset)
    net = submission.TextRNN(size, 16, 12, 2)
    losses = submission.train_classifier(net, loader, 6, 2e-2)
    pictures.curves("TextRNN", "epoch", {"loss": expect.record(losses, [float])})
    right = (submission.probes.guesses(net, unseen) == answers).double().mean()
    calibration.holds("rnn_accuracy", float(right), unit="(accuracy on unseen sentences)")
