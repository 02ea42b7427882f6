"""Checks for task 42: encoder, attention, decoder, training, decoding, BLEU.

The networks are held against layers of PyTorch that hold the same values. Training and decoding are asked for with a
translator whose every score is known, so that each token, loss and step can be told to the number; one check trains the
submission's own networks on sentence pairs, with a floor that was measured. BLEU is counted here by loops.
"""

import itertools
import math

import torch
from torch import nn

from torchgrade.authoring import (
    LEFT_OUT,
    Rule,
    any_seed,
    check,
    expect,
    fill_by_shape,
    filled,
    grid,
    parameter_values,
    registered_parameters,
)


def told(truth, likely):
    """The wrong values that differ from the truth and from each other, by their sentences."""
    wrong = {sentence: value for sentence, value in likely.items() if not alike(value, truth)}
    return {
        sentence: value
        for sentence, value in wrong.items()
        if not any(alike(value, other) for name, other in wrong.items() if name != sentence)
    }


def alike(one, other):
    if isinstance(one, torch.Tensor):
        return one.shape == other.shape and torch.allclose(one, other, rtol=1e-3, atol=1e-4)
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-4)
    return one == other


# --- sentences -------------------------------------------------------------------------------------------

PAIRS = {
    "Don't go!\tN'y va pas !\tCC-BY 2.0": ("don t go !", "n y va pas !"),
    "Café 24.\t24号咖啡。": ("cafe 24 .", "24 号 咖 啡 ."),
    "I see.\tJe comprends.": ("i see .", "je comprends ."),
    "Où est-il, Noël?\tÇa, c'est où ?": ("ou est il , noel ?", "ca , c est ou ?"),
}
STRANGE = {
    "  Wait…   what?!  \t等等！你，好？\tx\ty": ("wait what ? !", "等 等 ! 你 , 好 ?"),
    "snake_case (a+b)\tПривет, МИР!": ("snake case a b", "привет , мир !"),
    "\tÀ": ("", "a"),
    "e\u0301te\u0301;1,000.5\tD’accord «oui»": ("ete 1 , 000 . 5", "d accord oui"),
    "ŁÓDŹ 你hello好\tĐà": ("łodz 你 hello 好", "đa"),
    "a\tb!\n": ("a", "b !"),
    "Große Straße\tGRÜßE": ("große straße", "gruße"),
    "龦鿪㐀㐁\tねこ 犬": ("龦 鿪 㐀㐁", "ねこ 犬"),
    "Мой ёж\tがっこう": ("мои еж", "かっこう"),
    "ดีใจ\tहिन्दी": ("ดใจ", "ह नद"),
    "Go...\t\t一个!": ("go . . .", ""),
    "一,一一\t": ("一 , 一 一", ""),
    "ok。Fine！7？\tねこ，a。": ("ok . fine ! 7 ?", "ねこ , a ."),
}


@check("normalize_pair brings both sentences into a plain form", points=1, category="values")
def test_normalize(submission):
    for line, truth in PAIRS.items():
        likely = {
            "the third column is left in": (truth[0], f"{truth[1]} cc by 2 . 0") if "CC" in line else truth,
            "the accents stay": ACCENTED.get(line, truth),
        }
        found = submission.normalize_pair(line)
        expect.equal(found, truth, likely=told(truth, likely), given=repr(line))


ACCENTED = {
    "Café 24.\t24号咖啡。": ("café 24 .", "24 号 咖 啡 ."),
    "Où est-il, Noël?\tÇa, c'est où ?": ("où est il , noël ?", "ça , c est où ?"),
}


@check("normalize_pair takes other scripts, marks and columns", points=0.5, category="robustness", after=test_normalize,
       hidden=True)  # fmt: skip
def test_strange(submission):
    for line, truth in STRANGE.items():
        expect.equal(submission.normalize_pair(line), truth, given=repr(line))


# --- networks --------------------------------------------------------------------------------------------

SIZES = (
    {"vocab_size": 11, "embed_dim": 5, "hidden_size": 7},
    {"vocab_size": 6, "embed_dim": 4, "hidden_size": 3, "pad_id": 2},
    {"vocab_size": 5, "embed_dim": 2, "hidden_size": 4, "pad_id": 4},
)


def batch_of(vocab_size, pad_id, lengths=(5, 2, 4, 1), width=None):
    """Ids (B, S): sentences of these lengths, and pads."""
    known = torch.tensor([n for n in range(vocab_size) if n != pad_id])
    src = torch.full((len(lengths), width or max(lengths)), pad_id)
    for row, length in zip(src, lengths, strict=True):
        row[:length] = known[torch.randint(len(known), (length,))]
    return src


def read(src, vocab_size, embed_dim, hidden_size, pad_id=0, lengths=None, backwards=False):
    """(outputs, hidden) of an encoder that is filled by shape: sentence by sentence, without its pads."""
    embedding = filled(nn.Embedding, vocab_size, embed_dim, padding_idx=pad_id)
    rnn = filled(nn.GRU, embed_dim, hidden_size, batch_first=True)
    outputs, hidden = torch.zeros(*src.shape, hidden_size), torch.zeros(1, len(src), hidden_size)
    for row, sentence in enumerate(src):
        length = lengths or int((sentence != pad_id).sum())
        tokens = sentence[:length].flip(0) if backwards else sentence[:length]
        states, _ = rnn(embedding(tokens)[None])
        outputs[row, :length], hidden[0, row] = states[0].float(), states[0, -1].float()
    return outputs, hidden


def title(name, sizes):
    return f"{name}({', '.join(f'{key}={value}' for key, value in sizes.items())})"


@check("Encoder has an embedding and a GRU of one layer", points=0.5, category="parameters")
def test_encoder_parameters(submission):
    for sizes in SIZES:
        v, e, h = (sizes[name] for name in ("vocab_size", "embed_dim", "hidden_size"))
        shapes = [(v, e), (3 * h, e), (3 * h, h), (3 * h,), (3 * h,)]
        count = sum(math.prod(shape) for shape in shapes)
        expect.parameters(submission.Encoder(**sizes), count, shapes, given=title("Encoder", sizes))


def expect_read(submission, sizes, src, device="cpu"):
    net = submission.Encoder(**sizes)
    fill_by_shape(net)
    net.to(device)(src.to(device))  # a second call starts from zeros, too
    given = f"{title('Encoder', sizes)}, src {src.tolist()}"
    outputs, hidden = expect.not_mutated(submission, net, src.to(device), given=given)
    true_outputs, true_hidden = read(src, **sizes)
    through, behind = read(src, **sizes, lengths=src.shape[1])
    expect.shape(outputs, true_outputs.shape, given=f"{given}; outputs")
    expect.shape(hidden, true_hidden.shape, given=f"{given}; hidden")
    wrong = told(true_hidden, {
        "hidden is the state behind the pads: it is that behind the last token": behind,
        "the sentences are read from their end": read(src, **sizes, backwards=True)[1],
    })  # fmt: skip
    wrong = {sentence: value.to(device) for sentence, value in wrong.items()}
    expect.close(hidden.detach(), true_hidden.to(device), scale=1e-4, likely=wrong, given=f"{given}; hidden")
    wrong = told(true_outputs, {"the outputs at pads are not zero: pads are not read": through})
    wrong = {sentence: value.to(device) for sentence, value in wrong.items()}
    expect.close(outputs.detach(), true_outputs.to(device), scale=1e-4, likely=wrong, given=f"{given}; outputs")


@check("Encoder gives the state behind each token, and behind the last", points=1, category="values")
def test_encoder(submission):
    for sizes in SIZES:
        expect_read(submission, sizes, batch_of(sizes["vocab_size"], sizes.get("pad_id", 0), (4, 4, 4)))


@check("Encoder does not read pads", points=1, category="values", after=test_encoder, devices="all")
def test_encoder_pads(submission, device):
    for sizes in SIZES:
        for lengths, width in (((5, 2, 4, 1), None), ((2, 3), 6), ((3,), None), ((1,), 4)):
            src = batch_of(sizes["vocab_size"], sizes.get("pad_id", 0), lengths, width)
            expect_read(submission, sizes, src, device)


@check("the embeddings of pads are zero and get no gradient, all else does", points=0.5, category="robustness",
       hidden=True, after=[test_encoder_parameters])  # fmt: skip
def test_pad_rows(submission):
    for sizes in SIZES:
        pad_id, size = sizes.get("pad_id", 0), (sizes["vocab_size"], sizes["embed_dim"])
        attention = submission.probes.mean_attention()
        decoder = submission.Decoder(*size, sizes["hidden_size"], attention, pad_id)
        for name, net in (("Encoder", submission.Encoder(**sizes)), ("Decoder", decoder)):
            row = submission.probes.pad_rows(net, pad_id, size)
            given = f"{title(name, sizes)}, the row of pad_id in the embedding"
            expect.close(row, torch.zeros(size[1]), trivial="a pad means nothing", given=given)
            if name == "Encoder":
                arguments = (batch_of(size[0], pad_id, (3, 1)),)
            else:
                _, keys, mask = questions(2, 5, sizes["hidden_size"])
                arguments = torch.tensor([pad_id, pad_id - 1]) % size[0], torch.randn(1, 2, len(keys[0, 0])), keys, mask
            change = submission.probes.pad_gradients(net, pad_id, size, *arguments)
            expect.close(change, torch.zeros(size[1]), trivial="none arrives", given=f"{given}; its gradient")
            parts = ("outputs", "hidden") if name == "Encoder" else ("logits",)
            for what, output in zip(parts, net(*arguments), strict=False):
                expect.gradient_flow(output, module=net, given=f"{title(name, sizes)}, from its {what}")


def looked(query, keys, mask, kind, scale=1.0, axis=1, late=False, never=-math.inf):
    """(context, weights) of an attention that is filled by shape."""
    query, keys = query.double(), keys.double()
    if kind == "dot":
        scores = torch.einsum("bh,bsh->bs", query, keys) * scale
    else:
        matrix, vector = (
            filled(nn.Linear, query.shape[1], query.shape[1], bias=False),
            filled(nn.Linear, query.shape[1], 1, bias=False),
        )
        scores = vector(torch.tanh(matrix(query)[:, None] + matrix(keys)))[..., 0]
    weights = (scores if late else torch.where(mask, scores, never)).softmax(axis).nan_to_num(0.0)
    weights = weights * mask if late else weights
    return torch.einsum("bs,bsh->bh", weights, keys).float(), weights.float()


def questions(batch=4, length=5, hidden=6, lengths=(5, 2, 4, 1)):
    mask = torch.arange(length) < torch.tensor(lengths)[:batch, None]
    return torch.randn(batch, hidden), torch.randn(batch, length, hidden), mask


def expect_looked(submission, kind, case, given, device="cpu", say=True, slips=()):
    """``slips``: other mistakes that are told, with what they make of ``looked``."""
    query, keys, mask = case
    options = {} if kind is LEFT_OUT else {"kind": kind}
    kind = "additive" if kind is LEFT_OUT else kind
    net = submission.Attention(query.shape[1], **options)
    fill_by_shape(net)
    found = expect.not_mutated(submission, net.to(device), *(value.to(device) for value in case), given=given)
    truth = looked(query, keys, mask, kind)
    everything = torch.ones_like(mask)
    likely = {
        "the mask comes after the softmax: the weights of a row do not add up to 1": looked(*case, kind, late=True),
        "the mask is not used: pads are attended to": looked(query, keys, everything, kind),
        "the mask is turned round: True may be used": looked(query, keys, ~mask, kind),
        "the softmax runs over the sentences of the batch, not over the keys": looked(*case, kind, axis=0),
        "the scores are divided by the root of H: they are plain products": looked(
            *case, kind, scale=query.shape[1] ** -0.5
        ),
    }
    if slips:
        likely = {sentence: looked(*case, kind, **slip) for sentence, slip in slips.items()}
    for place, what in ((1, "weights"), (0, "context")):
        wrong = told(truth[place], {sentence: value[place] for sentence, value in likely.items()} if say else {})
        wrong = {sentence: value.to(device) for sentence, value in wrong.items()}
        true = truth[place].to(device)
        expect.shape(found[place], true.shape, given=f"{given}; {what}")
        expect.close(found[place].detach(), true, rtol=1e-3, atol=1e-4, likely=wrong, given=f"{given}; {what}",
                     trivial="a single key has all the weight" if keys.shape[1] == 1 else None)  # fmt: skip
    sums = found[1].detach().sum(1)
    expect.close(sums, torch.ones_like(sums), rtol=1e-5, atol=1e-5, trivial="weights add up to 1",
                 given=f"{given}; the sums of the weights")  # fmt: skip
    return found


@check('Attention of the kind "dot" weighs keys by their product', points=1, category="values", devices="all")
def test_dot(submission, device):
    expect.parameters(submission.Attention(6, "dot"), 0, [], given='Attention(6, "dot")')
    expect_looked(submission, "dot", questions(), 'Attention(6, "dot"), keys with pads', device)
    expect_looked(submission, "dot", questions(1, 3, 2, (3,)), 'Attention(2, "dot"), a single sentence', device)


@check('Attention of the kind "additive" has three matrices', points=1, category="values", devices="all")
def test_additive(submission, device):
    shapes = [(6, 6), (6, 6), (1, 6)]
    expect.parameters(submission.Attention(6, "additive"), 78, shapes, given='Attention(6, "additive")')
    expect_looked(submission, "additive", questions(), 'Attention(6, "additive"), keys with pads', device)
    expect_looked(submission, LEFT_OUT, questions(2, 4, 3, (1, 4)), "Attention(3), the default kind", device)


@check("weights sum to 1, and what is masked has no influence", points=0.5, category="robustness",
       after=[test_dot, test_additive], hidden=True)  # fmt: skip
def test_mask(submission):
    for kind in ("dot", "additive"):
        query, keys, mask = questions()
        holes = torch.tensor([[True, False, True, False, True]] * 4)
        holes[1] = torch.tensor([False, False, False, False, True])
        for used in (mask, holes):
            for size in (1.0, 1e4, 1e30):
                filled_in = torch.where(used[..., None], keys, size * keys)
                given = f'kind "{kind}", masked keys of a size about {size:g}'
                found = expect_looked(submission, kind, (query, filled_in, used), given, say=False)
                zeros = found[1].detach()[~used]
                expect.close(
                    zeros, torch.zeros_like(zeros), rtol=0, atol=0, trivial="masked", given=f"{given}; weights"
                )
        given = f'kind "{kind}", scores beyond 1000'
        expect_looked(submission, kind, (1e3 * query, 10 * keys, mask), given, say=False)
        given = f'kind "{kind}", scores far below 0'
        low = (1e6 * query.abs() + 1e6, -1e6 * keys.abs() - 1e6, mask)
        slips = {"a number stands for never, but scores can be lower: minus infinity is the lowest": {"never": -1e10}}
        expect_looked(submission, kind, low, given, slips=slips if kind == "dot" else (), say=kind == "dot")
        for batch in (3, 1):
            given = f'kind "{kind}", {batch} sentences of a single token'
            expect_looked(submission, kind, questions(batch, 1, 4, (1,) * batch), given, say=False)
        views = tuple(value.transpose(0, 1).contiguous().transpose(0, 1) for value in questions())
        given = f'kind "{kind}", arguments that are transposed views, as pad_packed_sequence returns them'
        expect_looked(submission, kind, views, given, say=False)


def expect_own(given, make, *args, **options):
    one, other = make(*args, **options), make(*args, **options)
    before = parameter_values(other)
    one.load_state_dict({name: value + 1 for name, value in one.state_dict().items()})
    same = all(torch.equal(before[name], value) for name, value in parameter_values(other).items())
    given = f"{given}, made twice; whether the parameters of the second stay when those of the first change"
    expect.equal(same, True, given=given, because="each has its own", trivial="they stay")


def expect_trained(net, given):
    frozen = [row["name"] for row in registered_parameters(net) if not row["requires_grad"]]
    expect.equal(frozen, [], because="all are trained", given=f"the parameters of {given} that want no gradient",
                 trivial="none")  # fmt: skip


@check("gradients reach query, keys and parameters of Attention", points=0.5, category="gradients",
       after=[test_dot, test_additive], hidden=True)  # fmt: skip
def test_attention_gradients(submission):
    for kind in ("dot", "additive"):
        query, keys, mask = questions(lengths=(5, 4, 3, 2))
        query.requires_grad_()
        keys.requires_grad_()
        net = submission.Attention(6, kind)
        expect_trained(net, f'Attention(6, "{kind}")')
        expect.gradient_flow(net(query, keys, mask)[0], query, keys, module=net, given=f'kind "{kind}"')
        fill_by_shape(net)
        weight = torch.randn(4, 6)
        found = torch.autograd.grad(net(query, keys, mask)[0], (query, keys), weight)
        truth = torch.autograd.grad(looked(query, keys, mask, kind)[0], (query, keys), weight)
        for name, one, other in zip(("query", "keys"), found, truth, strict=True):
            expect.close(one, other, scale=1e-3, given=f'kind "{kind}", the gradient of {name}')
    expect_own('Attention(6, "additive")', submission.Attention, 6, "additive")
    for kind in ("general", "Dot", "add", ""):
        expect.raises("ValueError", submission.Attention, 6, kind, given=f"kind={kind!r}")


def stepped(token, hidden, keys, mask, vocab_size, embed_dim, hidden_size, pad_id=0, turned=False, late=False):
    """(logits, hidden) of a decoder that is filled by shape, with the plain attention of the probes."""
    embedding = filled(nn.Embedding, vocab_size, embed_dim, padding_idx=pad_id)
    rnn = filled(nn.GRU, embed_dim + hidden_size, hidden_size, batch_first=True)
    out = filled(nn.Linear, hidden_size, vocab_size)
    hidden, keys = hidden.double(), keys.double()
    context = torch.stack([key[used].mean(0) for key, used in zip(keys, mask, strict=True)]) + hidden[0] / 4
    parts = [embedding(token), context]
    state, new = rnn(torch.cat(parts[::-1] if turned else parts, 1)[:, None], hidden)
    return out(hidden[0] if late else state[:, 0]).float(), new.float()


@check("Decoder does one step as its table says", points=1.5, category="values", devices="all")
def test_decoder(submission, device):
    for sizes in SIZES:
        v, e, h = (sizes[name] for name in ("vocab_size", "embed_dim", "hidden_size"))
        net = submission.Decoder(attention=submission.probes.mean_attention(), **sizes)
        fill_by_shape(net)
        shapes = [(v, e), (3 * h, e + h), (3 * h, h), (3 * h,), (3 * h,), (v, h), (v,)]
        given = title("Decoder", {**sizes, "attention": "the mean of the keys"})
        expect.parameters(net, sum(math.prod(shape) for shape in shapes), shapes, given=given)
        within = submission.Decoder(attention=submission.probes.layer(3, 2), **sizes)
        given_layer = title("Decoder", {**sizes, "attention": "a module with two parameters"})
        expect.parameters(within, None, [*shapes, (2, 3), (2,)], given=given_layer)
        for batch, lengths in ((4, (5, 2, 4, 1)), (1, (5,))):
            _, keys, mask = questions(batch, 5, h, lengths)
            token, hidden = torch.randint(0, v, (batch,)), torch.randn(1, batch, h)
            case = token, hidden, keys, mask
            logits, state, weights = expect.not_mutated(
                submission, net.to(device), *(value.to(device) for value in case), given=given
            )
            true_logits, true_state = stepped(*case, **sizes)
            wrong = told(true_logits, {
                "context and embedding are in another order: the embedding comes first": stepped(
                    *case, **sizes, turned=True
                )[0],
                "softmax: the scores are asked for": true_logits.softmax(1),
                "the scores are made of the state before the step": stepped(*case, **sizes, late=True)[0],
            })  # fmt: skip
            wrong = {sentence: value.to(device) for sentence, value in wrong.items()}
            shown = f"{given}, {batch} tokens"
            expect.shape(logits, true_logits.shape, given=f"{shown}; logits")
            expect.close(logits.detach(), true_logits.to(device), scale=1e-4, likely=wrong, given=f"{shown}; logits")
            expect.shape(state, true_state.shape, given=f"{shown}; hidden")
            expect.close(state.detach(), true_state.to(device), scale=1e-4, given=f"{shown}; hidden")
            used = (mask / mask.sum(1, keepdim=True)).to(device)
            told_so = f"{shown}; weights, as the attention gave them"
            expect.close(weights.detach(), used, trivial="without pads they are equal", given=told_so)


# --- the known translator --------------------------------------------------------------------------------


class Known:
    """The scores of the translator of the probes, and what follows from them."""

    def __init__(self, vocab_size=8, ids=(1, 2, 0), end=0.4):
        self.sos, self.eos, self.pad = self.ids = ids
        self.table, self.shift, self.lean = (
            torch.randn(vocab_size, vocab_size),
            torch.zeros(vocab_size),
            torch.randn(vocab_size),
        )
        self.lean /= 2
        self.shift[self.eos] = end  # the further, the likelier is the end

    def model(self, submission):
        return submission.probes.translator(self.table, self.shift, self.lean, self.ids)

    def logits(self, tokens, sentence, pads=False, state=None):
        """Scores (V,) after tokens, SOS first; ``pads``: they are not masked, ``state``: the one of another step."""
        state = sum(map(self.moves, tokens[:-1])) if state is None else state
        total = sum((n + 1) / 8 for n in sentence if pads or n != self.pad)
        return self.table[tokens[-1]] + state * self.shift + total * self.lean

    @staticmethod
    def moves(token):
        """How far the state moves when this token is read."""
        return 1 + token % 3 / 4

    def forward(self, src, tgt, own=False, pads=False, ahead=0, still=False):
        """Logits (B, T - 1, V). ``own``: from the second step on its own tokens are read."""
        rows = []
        for sentence, target in zip(src.tolist(), tgt.tolist(), strict=True):
            row, state = [], 0
            for step in range(len(target) - 1):
                token = int(row[-1].argmax()) if own and step else target[step + ahead]
                row.append(self.logits([token], sentence, pads, state))
                state += 0 if still else self.moves(token)
            rows.append(torch.stack(row))
        return torch.stack(rows)

    def greedy(self, src, max_len, on=False):
        """Its translations; ``on``: with all that comes after the first EOS, and EOS itself."""
        found = []
        for sentence in src.tolist():
            ids = []
            for _ in range(max_len):
                token = int(self.logits([self.sos, *ids], sentence).argmax())
                if token == self.eos and not on:
                    break
                ids.append(token)
            found.append(ids)
        return found

    def beam(self, sentence, beam_size, max_len, apart=False):
        """(ids, score) of the search that the task describes; ``apart``: what has ended takes no place in the beam."""
        beam, ended = [((), 0.0)], []
        for _ in range(max_len):
            grown = []
            for ids, score in beam:
                if ids[-1:] == (self.eos,):
                    grown.append((ids, score))
                    continue
                logs = self.logits([self.sos, *ids], sentence).double().log_softmax(0).tolist()
                grown += [((*ids, token), score + log) for token, log in enumerate(logs)]
            grown.sort(key=lambda one: -one[1])
            if apart:
                ended += [one for one in grown if one[0][-1] == self.eos]
                grown = [one for one in grown if one[0][-1] != self.eos]
            beam = grown[:beam_size]
        return max([*beam, *ended], key=lambda one: one[1])

    def best(self, sentence, max_len):
        """(ids, score) of the best of all sentences there are, found by trying each."""
        every = []
        for ids in itertools.product(range(len(self.lean)), repeat=max_len):
            ids = ids[: ids.index(self.eos) + 1] if self.eos in ids else ids
            score = 0.0
            for step, new in enumerate(ids):
                score += float(self.logits([self.sos, *ids[:step]], sentence).double().log_softmax(0)[new])
            every.append((ids, score))
        return max(every, key=lambda one: one[1])

    def ended(self, ids):
        return [token for token in ids if token != self.eos]


IDS = ((1, 2, 0), (5, 0, 3), (0, 6, 4))
ATTRIBUTES = ("sos_id", "eos_id", "pad_id")


def sentences(known, batch=4, length=5):
    lengths = [1 + (3 * n + 4) % length for n in range(batch)]
    return batch_of(8, known.pad, lengths, length)


def targets(known, batch=4, length=6):
    """From SOS to EOS, of unequal lengths; EOS and SOS occur nowhere else."""
    words = torch.tensor([n for n in range(8) if n not in known.ids])
    tgt = torch.full((batch, length), known.pad)
    for number, row in enumerate(tgt):
        end = length - 1 - number % (length - 1)
        row[0], row[1:end], row[end] = known.sos, words[torch.randint(len(words), (end - 1,))], known.eos
    return tgt


@check("Seq2Seq feeds the target, shifted by one, where it is forced to", points=1, category="values")
def test_teacher(submission):
    for ids in IDS:
        known = Known(ids=ids)
        toy = known.model(submission)
        net = submission.Seq2Seq(toy.encoder, toy.decoder, *ids)
        kept = [getattr(net, name) for name in ATTRIBUTES]
        expect.equal(kept, list(ids), given=f"SOS, EOS, PAD = {ids}; the attributes sos_id, eos_id, pad_id")
        given = "Seq2Seq of a known encoder and decoder; its parameters are theirs"
        expect.parameters(net, None, [value.shape for value in (known.table, known.shift, known.lean)], given=given)
        for batch, length, pads in ((4, 6, 0), (1, 2, 0), (3, 4, 0), (1, 4, 2)):
            src, tgt = sentences(known, batch), targets(known, batch, length)
            tgt = torch.cat([tgt, torch.full((batch, pads), known.pad)], 1)
            truth = known.forward(src, tgt)
            likely = {
                "the step reads the very token that it shall predict: the target is not shifted": known.forward(
                    src, tgt, ahead=1
                ),
                "pads are not masked: the mask is src != pad_id": known.forward(src, tgt, pads=True),
                "each step starts from the first state": known.forward(src, tgt, still=True),
                "the steps read their own tokens, not the target": known.forward(src, tgt, own=True),
            }
            given = f"SOS, EOS, PAD = {ids}; src {list(src.shape)}, tgt {list(tgt.shape)}"
            for training, options in ((True, ()), (False, (1.0,))):
                net.train(training)
                found = expect.not_mutated(submission, net, src, tgt, *options, given=given)
                expect.shape(found, truth.shape, given=given)
                expect.close(found.detach(), truth, rtol=1e-4, atol=1e-5, likely=told(truth, likely), given=given)


@check("Seq2Seq reads its own tokens where it is not forced", points=1, category="values", after=test_teacher)
def test_free(submission):
    for ids in IDS:
        known = Known(ids=ids)
        toy = known.model(submission)
        net = submission.Seq2Seq(toy.encoder, toy.decoder, *ids)
        for training, batch in ((True, 4), (False, 4), (True, 1)):
            src, tgt = sentences(known, batch), targets(known, batch)
            truth = known.forward(src, tgt, own=True)
            likely = {"the target is read although teacher_forcing is 0": known.forward(src, tgt)}
            mode = "training" if training else "evaluation"
            given = f"teacher_forcing=0.0; SOS, EOS, PAD = {ids}; {mode} mode; a batch of {batch}"
            found = net.train(training)(src, tgt, 0.0)
            expect.close(found.detach(), truth, rtol=1e-4, atol=1e-5, likely=told(truth, likely), given=given)


@check("Seq2Seq throws a coin for each step", points=0.5, category="values", after=[test_teacher, test_free],
       hidden=True)  # fmt: skip
def test_coins(submission):
    steps = 600
    for share in (0.25, 0.7):
        known = Known(vocab_size=60, end=0.0)
        toy = known.model(submission)
        net = submission.Seq2Seq(toy.encoder, toy.decoder).train(share > 0.5)  # the ids are the default ones
        kept = [getattr(net, name) for name in ATTRIBUTES]
        expect.equal(kept, [1, 2, 0], given="the defaults of sos_id, eos_id, pad_id")
        src, tgt = batch_of(60, 0, (3, 4, 2, 4)), torch.randint(3, 60, (4, steps))
        logits = net(src, tgt, share).detach()
        read, own = submission.probes.fed(toy.decoder).T, logits.argmax(2)  # (4, steps - 1)
        given = f"teacher_forcing={share}, {steps - 1} steps of four sentences"
        expect.shape(read, (4, steps - 1), given=f"the tokens that the decoder reads; {given}")
        expect.close(read[:, 0], tgt[:, 0], given=f"the tokens of the first step; {given}")
        taught = (read[:, 1:] == tgt[:, 1:-1]).all(0)
        alone = (read[:, 1:] == own[:, :-1]).all(0)
        count = int((taught | alone).sum())
        expect.equal(
            count, steps - 2, because="each step reads the target or its own tokens, all sentences", given=given
        )
        near = 6 * math.sqrt(share * (1 - share) / (steps - 2))
        found = float(taught.double().mean())
        expect.between(found, share - near, share + near, unit="of the steps that read the target", given=given)
        net(src, tgt[:, :80], share)
        again = (submission.probes.fed(toy.decoder).T[:, 1:] == tgt[:, 1:79]).all(0)
        expect.equal(bool((again == taught[:78]).all()), False, because="the coins are thrown anew",
                     given=f"two calls, {given}; whether the same steps read the target")  # fmt: skip


def expect_slopes(net, case, sizes, given):
    """The gradients of both outputs of a decoder at its state and at the keys."""
    fill_by_shape(net)
    _, hidden, keys, _ = case
    pairs = zip(net(*case)[:2], stepped(*case, **sizes), ("logits", "hidden"), strict=True)
    for found, truth, what in pairs:
        weight = torch.randn(truth.shape)
        slopes, right = (torch.autograd.grad(one, (hidden, keys), weight, retain_graph=True, materialize_grads=True)
                         for one in (found, truth))  # fmt: skip
        for got, wanted, name in zip(slopes, right, ("hidden", "keys"), strict=True):
            expect.close(got, wanted, scale=1e-3, given=f"{given}; the gradient of the returned {what} at {name}")


@check("gradients flow through Decoder, and through all steps of Seq2Seq", points=0.5, category="gradients",
       after=[test_decoder, test_teacher], hidden=True)  # fmt: skip
def test_flow(submission):
    for sizes in SIZES:
        v, h = sizes["vocab_size"], sizes["hidden_size"]
        for mode, given in (
            (True, "a Decoder of an attention in training mode; whether that trains afterwards"),
            (False, "a Decoder of an attention in evaluation mode; whether that trains afterwards"),
        ):
            attention = submission.probes.mean_attention().train(mode)
            net = submission.Decoder(attention=attention, **sizes)
            expect.equal(attention.training, mode, given=given, because="it stays as it is", trivial="it may be")
        for batch, length in ((4, 5), (2, 1)):
            _, keys, mask = questions(batch, length, h, [length] * batch)
            token, hidden = torch.randint(0, v, (batch,)), torch.randn(1, batch, h, requires_grad=True)
            given = f"{title('Decoder', sizes)}, the logits of {len(keys)} tokens"
            expect.gradient_flow(net(token, hidden, keys.requires_grad_(), mask)[0], hidden, keys, given=given)
            expect_slopes(net, (token, hidden, keys, mask), sizes, f"{title('Decoder', sizes)}, {batch} tokens")
        expect_own(title("Decoder", sizes), submission.Decoder, attention=attention, **sizes)
    for ids in IDS:
        known = Known(ids=ids)
        toy = known.model(submission)
        toy.encoder.eval()
        net = submission.Seq2Seq(toy.encoder, toy.decoder, *ids)
        came = [toy.encoder.training, toy.decoder.training]
        given = "Seq2Seq of an encoder in evaluation mode and a decoder in training mode; whether they train afterwards"
        expect.equal(came, [False, True], given=given, because="they stay as they are")
        expect_trained(net, "Seq2Seq")
        src, tgt = sentences(known), targets(known)
        for forcing in (1.0, 0.0):
            found, truth = submission.probes.encoder_gradients(net, toy, src, tgt, forcing)
            given = f"the gradient at the encoder's keys and first state, teacher_forcing={forcing}"
            expect.close(found, truth, scale=1e-3, given=given)


def crossed(logits, target, pad_id=0, kind="tokens"):
    """The loss by a loop over the tokens; ``kind``: other ways to take the mean."""
    rows = []
    for scores, tokens in zip(logits, target, strict=True):
        rows.append([torch.logsumexp(s, 0) - s[t] for s, t in zip(scores, tokens, strict=True) if int(t) != pad_id])
    flat = [value for row in rows for value in row]
    if not flat:
        return logits.sum() * 0
    if kind == "sentences":
        return torch.stack([torch.stack(row).mean() for row in rows if row]).mean()
    return torch.stack(flat).sum() / {"tokens": len(flat), "places": target.numel(), "sum": 1}[kind]


def scored(draw, batch, length, padded, *, pad_id):
    pad = 0 if pad_id is LEFT_OUT else pad_id
    known = [n for n in range(6) if n != pad]

    def ids(shape, dtype, generator):
        found = torch.tensor(known)[torch.randint(5, tuple(shape), generator=generator)].double()
        if padded:
            for number, row in enumerate(found):
                row[max(length - number, 1) :] = pad
        return found

    ids.__doc__ = "token ids"
    return {
        "logits": draw(batch, length, 6),
        "target": draw(batch, length, values=ids, dtype=torch.int64).detach(),
    }


SCORED = grid(
    scored, batch=[4, 3, 1], length=[5, 3, 1], padded=[True, False], pad_id=[LEFT_OUT, 0, 3, 5],
    dtype=[torch.float32, torch.float64],
)  # fmt: skip


@check("masked_cross_entropy is the mean over the tokens that are no pads", points=1, category="values", devices="all")
def test_loss(submission, device):
    expect.agrees(
        submission.masked_cross_entropy,
        crossed,
        SCORED,
        device=device,
        unchanged=True,
        likely={
            "pads count in the loss": lambda logits, target, pad_id=0: crossed(logits, target, -1),
            "the sum is divided by all places, pads too": lambda logits, target, pad_id=0: crossed(
                logits, target, pad_id, "places"
            ),
            "each sentence counts alike: it is each token that does": lambda logits, target, pad_id=0: crossed(
                logits, target, pad_id, "sentences"
            ),
            "this is the sum: the mean is asked for": lambda logits, target, pad_id=0: crossed(
                logits, target, pad_id, "sum"
            ),
        },
    )


@check("masked_cross_entropy of pads alone is 0; gradients are right", points=0.5, category="gradients",
       after=test_loss, hidden=True)  # fmt: skip
def test_loss_gradients(submission):
    cases = SCORED.vary(dtype=[torch.float64], layout=["contiguous", "transposed", "gaps"])
    expect.agrees(submission.masked_cross_entropy, crossed, cases, gradients=True)
    for pad_id, dtype in ((0, torch.float32), (4, torch.float64)):
        logits = torch.randn(2, 3, 6, dtype=dtype, requires_grad=True)
        found = submission.masked_cross_entropy(logits, torch.full((2, 3), pad_id), pad_id)
        given = f"2 sentences of 3 pads, pad_id={pad_id}"
        expect.close(found.detach(), torch.tensor(0.0, dtype=dtype), trivial="no token counts", given=given)
        expect.equal(found.requires_grad, True, given=f"{given}; whether the loss has the graph of the logits",
                     trivial="it has")  # fmt: skip
        (change,) = torch.autograd.grad(found, logits)
        expect.close(change, torch.zeros_like(logits), given=f"{given}; the gradient", trivial="no token counts")
    logits, target = 150 * torch.randn(3, 4, 6), torch.tensor([[1, 2, 3, 4], [5, 1, 0, 0], [2, 0, 0, 0]])
    found = submission.masked_cross_entropy(logits, target)
    expect.close(found, crossed(logits, target), rtol=1e-4, atol=1e-4, given="logits of a size about 150")


def moved(known, src, tgt, lr, steps=1, keep=False, loss=None):
    """(loss of the last step, parameters) after steps of plain descent."""
    loss = loss or (lambda logits, tgt: crossed(logits, tgt[:, 1:], known.pad))
    kept = known.table, known.shift, known.lean
    known.table, known.shift, known.lean = leaves = [value.clone().requires_grad_() for value in kept]
    total = [torch.zeros_like(value) for value in kept]
    for _ in range(steps):
        value = loss(known.forward(src, tgt), tgt)
        found = torch.autograd.grad(value, leaves, materialize_grads=True)
        total = [old + new for old, new in zip(total, found, strict=True)] if keep else found
        with torch.no_grad():
            for leaf, grad in zip(leaves, total, strict=True):
                leaf -= lr * grad
    known.table, known.shift, known.lean = kept
    return float(value.detach()), [leaf.detach() for leaf in leaves]


@check("train_step does one step on the loss of the shifted target", points=1.5, category="values")
def test_step(submission):
    sizes = ((4, 6), (4, 9), (4, 500), (1, 6), (1, 2))  # of long sentences the gradient is large: more than 50
    for ids, (batch, length) in zip((*IDS, *IDS[:2]), sizes, strict=True):
        known = Known(ids=ids, end=0.4 if length < 500 else 0.0)
        model = known.model(submission).eval()
        optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
        src, tgt = sentences(known, batch), targets(known, batch, length)
        value, after = moved(known, src, tgt, 0.5)
        logits = known.forward(src, tgt)
        likely = {
            "the target is not shifted: step t predicts token t + 1": float(crossed(logits, tgt[:, :-1], known.pad)),
            "pads count in the loss": float(crossed(logits, tgt[:, 1:], -1)),
            "this is the loss after the step": moved(known, src, tgt, 0.5, 2)[0],
        }
        given = f"SOS, EOS, PAD = {ids}; {batch} x {length} targets; plain descent, lr=0.5"
        found = expect.not_mutated(submission, submission.train_step, model, optimizer, src, tgt, given=given)
        found = expect.record(found, float, given=given)
        expect.close(found, value, rtol=1e-4, atol=1e-5, likely=told(value, likely), given=f"the loss; {given}")
        for name, got, truth in zip(("table", "shift", "lean"), parameter_values(model).values(), after, strict=True):
            about = f"the decoder's {name} after the step; {given}"
            trivial = "one sentence moves little of it" if batch == 1 else None
            expect.close(got, truth, rtol=1e-3, atol=1e-4, given=about, trivial=trivial)


@check("train_step trains in training mode, and clears old gradients", points=0.5, category="robustness",
       after=test_step, hidden=True)  # fmt: skip
def test_step_state(submission):
    known = Known()
    model = known.model(submission).eval()
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
    src, tgt = sentences(known), targets(known)
    for round_, forcing in enumerate((1.0, 0.0, 0.5), 1):
        arguments = (src, tgt) if round_ == 1 else (src, tgt, forcing)
        model.train(round_ == 2)
        model.decoder.eval()
        _, training, recording, left, _, text = submission.probes.modes(
            model, True, submission.train_step, optimizer, *arguments
        )
        given = f"step {round_}, teacher_forcing={forcing}"
        for found, what in ((training, "in training mode"), (recording, "recording gradients")):
            expect.equal(found, PARTS, because="all of them are", given=f"{given}; the parts that ran {what}")
        expect.equal(left, PARTS, because="all of them are", given=f"{given}; the parts in training mode afterwards")
        expect.equal(text, "", given=f"{given}; what is printed", trivial="nothing is")
        expect.equal(submission.probes.forced(model), [forcing], because="one pass, with it", given=given,
                     trivial="it may be 1")  # fmt: skip
    model = known.model(submission)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
    for steps in (1, 2, 3):
        found = submission.train_step(model, optimizer, src, tgt)
        value, _ = moved(known, src, tgt, 0.5, steps)
        likely = told(value, {"the gradients are not cleared": moved(known, src, tgt, 0.5, steps, keep=True)[0]})
        given = f"the loss of step {steps}"
        expect.close(found, value, rtol=1e-3, atol=1e-4, likely=likely, given=given)
    model = known.model(submission)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
    submission.probes.spoil_gradients(model)
    submission.train_step(model, optimizer, src, tgt)
    given = "a model whose parameters have gradients from before; after the step, the decoder's"
    for name, got, truth in zip(
        ("table", "shift", "lean"), parameter_values(model).values(), moved(known, src, tgt, 0.5)[1], strict=True
    ):
        expect.close(got, truth, rtol=1e-3, atol=1e-4, given=f"{given} {name}")


# --- decoding --------------------------------------------------------------------------------------------


def expect_translations(submission, known, src, max_len, say=True):
    truth = known.greedy(src, max_len)
    every = known.greedy(src, max_len, on=True)
    first = min((row.index(known.eos) for row in every if known.eos in row), default=max_len)
    likely = {
        "EOS is left in": [
            row[: row.index(known.eos) + 1] if known.eos in row else row for row in every
        ],
        "SOS is left in": [[known.sos, *row] for row in truth],
        "a sentence goes on behind its EOS": every,
        "all sentences stop when the first one ends": [row[: first + 1] for row in truth],
    }  # fmt: skip
    given = f"SOS, EOS, PAD = {known.ids}; {len(src)} sentences, max_len={max_len}"
    model = known.model(submission)
    found = expect.not_mutated(submission, submission.greedy_decode, model, src, max_len, given=given)
    wrong = told(truth, likely if say else {})
    expect.equal(found, truth, likely=wrong, given=given, trivial="some translations are empty")


def ending(ids=(1, 2, 0), count=4, max_len=8):
    """A translator and sentences of which some end early, and some later or never."""
    for _ in range(2000):
        known = Known(ids=ids, end=0.3)
        src = sentences(known, count)
        rows = known.greedy(src, max_len)
        lengths = {len(row) for row in rows}
        marks = {known.pad, known.sos} <= {token for row in rows for token in row}
        if len(lengths) > 2 and min(lengths) > 0 and marks:  # PAD and SOS are written like other tokens
            return known, src
    raise AssertionError("no sentences of three lengths, with PAD and SOS, in 2000 draws")


@check("greedy_decode writes the likeliest token until the end", points=1.5, category="values")
def test_greedy(submission):
    for ids in IDS:
        known, src = ending(ids)
        expect_translations(submission, known, src, 8)


@check("greedy_decode stops at max_len and takes any batch", points=0.5, category="robustness", after=test_greedy,
       hidden=True)  # fmt: skip
def test_greedy_length(submission):
    known, src = ending((5, 0, 3), 6)
    for max_len in (1, 2, 5, 0):
        expect_translations(submission, known, src, max_len, say=False)
    for row in src:
        expect_translations(submission, known, row[None], 8, say=False)
    for length in (5, 1):
        expect_translations(submission, *silent((1, 2, 0), length), 4, say=False)
    single = Known()
    expect_translations(submission, single, sentences(single, 3, 1), 5, say=False)
    expect_translations(submission, Known(end=-50.0), src, 12, say=False)
    expect_translations(submission, Known(end=50.0), src, 12, say=False)


PARTS = ["model", "encoder", "decoder"]


def expect_measured(submission, function, *args):
    """A function that measures: no training, no graph, and the model comes back in its mode."""
    known = Known()
    src = sentences(known)
    tail = (targets(known),) if args == ("tgt",) else args
    for came, records in itertools.product((True, False), repeat=2):
        model = known.model(submission).train(came)
        _, training, recording, left, after, text = submission.probes.modes(model, records, function, src, *tail)
        given = f"a model that came in {'training' if came else 'evaluation'} mode"
        expect.equal(training, [], because="it is in evaluation mode meanwhile",
                     given=f"{given}; the parts that ran in training mode", trivial="none does")  # fmt: skip
        expect.equal(recording, [], because="no gradients are recorded",
                     given=f"{given}; the parts that ran recording gradients", trivial="none does")  # fmt: skip
        expect.equal(left, PARTS if came else [], because="it comes back in its mode",
                     given=f"{given}; the parts in training mode afterwards", trivial="none may be")  # fmt: skip
        expect.equal(after, records, because="gradients are recorded as before",
                     given=f"{given}; whether gradients are recorded afterwards", trivial="they may be")  # fmt: skip
        expect.equal(text, "", given=f"{given}; what is printed", trivial="nothing is")


@check("greedy_decode leaves the model as it was", points=0.5, category="robustness", after=test_greedy,
       hidden=True)  # fmt: skip
def test_modes(submission):
    expect_measured(submission, submission.greedy_decode, 5)


def hits(translations, tgt, known, eos=True, sos=False, pads=False, mean=False):
    """The share of right tokens, as the task counts them."""
    shares, right, total = [], 0, 0
    for ids, row in zip(translations, tgt.tolist(), strict=True):
        wanted = [token for token in row[1:] if token != known.pad and (eos or token != known.eos)]
        written = ([*ids, known.eos] if eos else list(ids)) + [None] * len(wanted)
        good = sum(a == b for a, b in zip(written, wanted, strict=False)) + sos
        count = len(wanted) + sos + pads * row[1:].count(known.pad)
        shares.append(good / max(count, 1))
        right, total = right + good, total + count
    return sum(shares) / len(shares) if mean else right / total


def aimed(known, src, length=8):
    """Targets that the translator hits in part: its own translations, tokens changed, cut off or put behind them."""
    tgt = torch.full((len(src), length + 3), known.pad)
    words = [n for n in range(8) if n not in known.ids]
    for number, (row, ids) in enumerate(zip(tgt, known.greedy(src, length), strict=True)):
        ids = [*ids, words[number]] if number % 3 == 2 else ids[: max(len(ids) - number % 3, 1)]
        ids = [n if place != number % 4 and n in words else words[n % 5 - 1] for place, n in enumerate(ids)]
        row[: len(ids) + 2] = torch.tensor([known.sos, *ids, known.eos])
    return tgt


def judged(ids):
    """A translator, sentences, targets, its translations, their share, and what mistakes make of it, all different."""
    for _ in range(200):
        known, src = ending(ids)
        tgt = aimed(known, src)
        written = known.greedy(src, tgt.shape[1] - 1)
        truth = hits(written, tgt, known)
        forced = known.forward(src, tgt).argmax(2)
        counted = (tgt[:, 1:] != known.pad) & (forced == tgt[:, 1:])
        likely = {
            "the model is fed the right answers: it has to write by itself": float(
                counted.sum() / (tgt[:, 1:] != known.pad).sum()
            ),
            "pads count as tokens": hits(written, tgt, known, pads=True),
            "EOS is not counted": hits(written, tgt, known, eos=False),
            "SOS is counted": hits(written, tgt, known, sos=True),
            "each sentence counts alike: it is each token that does": hits(written, tgt, known, mean=True),
        }
        if len(told(truth, likely)) == len(likely):
            return known, src, tgt, written, truth, likely
    raise AssertionError("no targets for which all mistakes differ in 200 draws")


@check("token_accuracy judges what the model writes by itself", points=1.5, category="values", after=test_greedy)
def test_accuracy(submission):
    for ids in IDS:
        known, src, tgt, written, truth, likely = judged(ids)
        given = f"SOS, EOS, PAD = {ids}; translations {written}, targets {tgt.tolist()}"
        model = known.model(submission)
        found = expect.not_mutated(submission, submission.token_accuracy, model, src, tgt, given=given)
        found = expect.record(found, float, given=given)
        expect.close(found, truth, rtol=1e-6, atol=0, likely=likely, given=given)
        for row, target in zip(src, tgt, strict=True):
            row, target = row[None], target[None, : int((target != known.pad).nonzero().max()) + 1]
            written = known.greedy(row, target.shape[1] - 1)
            given = f"SOS, EOS, PAD = {ids}; the translation {written[0]}, the target {target.tolist()[0]}"
            found = submission.token_accuracy(known.model(submission), row, target)
            share = hits(written, target, known)
            expect.close(found, share, rtol=1e-6, atol=0, given=given, trivial="none may be right, or all")


@check("token_accuracy leaves the model as it was", points=0.5, category="robustness", after=test_accuracy,
       hidden=True)  # fmt: skip
def test_accuracy_modes(submission):
    expect_measured(submission, submission.token_accuracy, "tgt")


def expect_beams(submission, known, src, beam_size, max_len, say=True):
    truths = [known.beam(row, beam_size, max_len) for row in src.tolist()]
    model = known.model(submission)
    given = f"SOS, EOS, PAD = {known.ids}; beam_size={beam_size}, max_len={max_len}"
    found = expect.not_mutated(submission, submission.beam_search, model, src, beam_size, max_len, given=given)
    expect.equal(len(found), len(src), because="a pair for each sentence", given=given)
    for sentence, got, (ids, score) in zip(src.tolist(), found, truths, strict=True):
        shown = f"{given}; the sentence {sentence}"
        likely = {
            "EOS is left in": list(ids),
            "this is what greedy_decode gives": known.greedy(torch.tensor([sentence]), max_len)[0],
        }
        right = known.ended(ids)
        expect.equal(list(expect.record(got[0], [int], given=shown)), right, trivial="it may be empty", given=shown,
                     likely=told(right, likely if say else {}))  # fmt: skip
        without = score - float(known.logits([known.sos, *ids[:-1]], sentence).log_softmax(0)[ids[-1]])
        likely = {
            "the score is that of probabilities: their logarithms are added": math.exp(score),
            "the score is divided by the length": score / len(ids),
            "the last token, EOS, is not in the score": without if ids[-1] == known.eos else score,
        }
        expect.close(expect.record(got[1], float, given=shown), score, rtol=1e-3, atol=1e-4, given=f"{shown}; score",
                     likely=told(score, likely if say else {}))  # fmt: skip


@check("beam_search keeps the best beginnings in view", points=1.5, category="values")
def test_beam(submission):
    for ids in IDS:
        known, src = widening(ids)
        for beam_size, max_len in ((2, 5), (3, 4)):
            expect_beams(submission, known, src, beam_size, max_len)


@check("beam_search leaves the model as it was", points=0.5, category="robustness", after=test_beam, hidden=True)
def test_beam_modes(submission):
    expect_measured(submission, submission.beam_search, 2, 4)


def widening(ids):
    """A translator and sentences: a beam of 2 finds more than one of 1, and more still with what has ended apart."""
    for _ in range(2000):
        known = Known(ids=ids, end=0.2)
        src = sentences(known)
        better = [known.beam(row, 2, 5)[1] > known.beam(row, 1, 5)[1] + 1e-3 for row in src.tolist()]
        apart = [known.beam(row, 2, 5, True)[1] > known.beam(row, 2, 5)[1] + 1e-3 for row in src.tolist()]
        if sum(better) > 1 and any(apart):
            return known, src
    raise AssertionError("no search that finds more in a wider beam in 2000 draws")


def silent(ids, length):
    """A translator that likes best to write nothing, and sentences; no score is near 0."""
    for _ in range(2000):
        known = Known(ids=ids)
        known.table[known.sos, known.eos] += 3.0
        src = sentences(known, 3, length)
        found = [known.beam(row, 2, 4) for row in src.tolist()]
        if all(best == (known.eos,) and value < -0.05 for best, value in found):
            return known, src
    raise AssertionError("no translator that writes nothing in 2000 draws")


@check("beam_search with one is greedy, with all finds the best of all", points=0.5, category="values", after=test_beam,
       hidden=True)  # fmt: skip
def test_beam_ends(submission):
    for ids in ((1, 2, 0), (3, 0, 1)):
        known = Known(vocab_size=4, ids=ids, end=0.2)
        src = batch_of(4, known.pad, (3, 1, 2))
        for max_len in (3, 1):
            found = submission.beam_search(known.model(submission), src, 4**max_len + 3, max_len)
            for sentence, got in zip(src.tolist(), found, strict=True):
                best, score = known.best(sentence, max_len)
                given = f"a beam wider than there are sentences; V=4, max_len={max_len}, {sentence}"
                expect.equal(list(got[0]), known.ended(best), trivial="it may be empty", given=given)
                expect.close(float(got[1]), score, rtol=1e-3, atol=1e-4, given=given)
    for ids in IDS:
        known, src = ending(ids)
        for max_len in (8, 2, 1):
            expect_beams(submission, known, src, 1, max_len, say=False)
            expect_beams(submission, known, src, 5, max_len, say=False)
    for ids in IDS:
        for length in (5, 1):
            known, src = silent(ids, length)
            expect_beams(submission, known, src, 2, 4, say=False)
    known = Known(vocab_size=60, end=-50.0)  # 250 steps of 60 tokens each: no float holds such a probability
    known.table, known.lean = known.table / 10, known.lean / 10
    expect_beams(submission, known, sentences(known, 1), 1, 250, say=False)


# --- BLEU ------------------------------------------------------------------------------------------------


def runs(words, n):
    return [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]


def score(candidates, references, max_n=4, smooth=False, clip=True, closest=None, brief=True, mean=False,
          plus=1, cap=True, total=False, halving=False, letters=False):  # fmt: skip
    """BLEU of a set, by loops. The further arguments make one mistake each."""
    if mean:
        each = [score([c], [r], max_n, smooth) for c, r in zip(candidates, references, strict=True)]
        return sum(each) / len(each)
    closest = closest or (lambda lengths, own: min(lengths, key=lambda length: (abs(length - own), length)))
    c = sum(len("".join(words)) if letters else len(words) for words in candidates)
    r = sum(
        closest([len(one) for one in rights], len(words)) for words, rights in zip(candidates, references, strict=True)
    )
    product = 1.0
    for n in range(1, max_n + 1):
        matches = count = 0
        for words, rights in zip(candidates, references, strict=True):
            own = runs(words, n)
            count += len(own)
            for gram in dict.fromkeys(own):
                allowed = [runs(right, n).count(gram) for right in rights]
                bound = sum(allowed) if total else max(allowed)
                matches += min(own.count(gram), bound) if clip else own.count(gram) * (bound > 0)
        if n == 1 and not matches:
            return 0.0
        extra = smooth * (n >= 2 if plus == 1 else 1)
        if not count + extra or not matches + extra:
            return 0.0
        product *= ((matches + extra) / (count + extra)) ** (0.5**n * max_n if halving else 1)
    if not c:
        return 0.0
    brevity = math.exp(1 - r / c) if brief else 1.0
    return (min(1.0, brevity) if cap else brevity) * product ** (1 / max_n)


BLEU_MISTAKES = {
    "the counts are not clipped: an n-gram matches as often as in one reference": {"clip": False},
    "an n-gram matches as often as in all references together: at most as in one": {"total": True},
    "the brevity is missing": {"brief": False},
    "c counts letters: it is the number of words": {"letters": True},
    "p(n) is raised to 1/2 to the power of n: all of them weigh alike, 1 / max_n": {"halving": True},
    "a long candidate has more than 1: the brevity is at most 1": {"cap": False},
    "the length of the longest reference is taken, not of the closest": {"closest": lambda lengths, own: max(lengths)},
    "of two references equally close the longer one is taken": {
        "closest": lambda lengths, own: min(lengths, key=lambda length: (abs(length - own), -length))
    },
}


def expect_bleu(submission, candidate, references, given, slips=(), **options):
    """The score of one candidate, or of a list of them."""
    many = bool(candidate) and isinstance(candidate[0], list)
    sets = (candidate, references) if many else ([candidate], [references])
    truth = score(*sets, **options)
    likely = {sentence: score(*sets, **options, **slip) for sentence, slip in dict(slips).items()}
    found, same = submission.probes.kept(submission.bleu, candidate, references, options)
    expect.equal(same, True, given=f"{given}; whether candidate and references stay as they are", trivial="they stay")
    found = expect.record(found, float, given=given)
    wrong = told(truth, likely)
    expect.close(found, truth, rtol=1e-6, atol=1e-9, likely=wrong, given=given, trivial="it may be 0 or 1")


ONE = (
    ("a b c d a b c d a b c d", ["a b c d e f g h i j k l", "a b c d m n o p q r s t"]),
    ("a b c d e f", ["a b c d e", "a b c d e g h", "a b c d x y z u v w p q"]),
    ("a b c d e f x", ["a b c d e f g"]),
    ("a b c d", ["a b c d e f"]),
    ("the the the the the the the", ["the cat is on the mat"]),
    ("the cat sat on the mat the end of it", ["the cat sat on the mat", "a cat sat on a mat the end"]),
    (
        "the cat is on the mat",
        ["the cat sat on the mat and slept there", "there is a cat on the mat", "on the mat it is"],
    ),
    ("a b c d e a b c", ["a b c d e", "a b c x y z"]),
    ("x y z x y z", ["x y z x", "x y z x y z a b"]),
    ("ab c x y z", ["a bc ab x c"]),
    ("The cat sees the Dog and me", ["the cat sees the dog and me", "The cat sees the Dog and you"]),
    ("a bc d e", ["a bc d e f g h i"]),
)  # fmt: skip


def worded(candidate, references):
    return candidate.split(), [right.split() for right in references]


@check("bleu of a sentence: clipped n-grams, brevity, geometric mean", points=2, category="values")
def test_bleu(submission):
    for max_n in (4, 2, 1):
        for candidate, references in ONE:
            given = f"max_n={max_n}; {candidate!r} for {references}"
            expect_bleu(submission, *worded(candidate, references), given, BLEU_MISTAKES, max_n=max_n)


@check("bleu heeds every reference, in any order, and is never above 1", points=0.5, category="values", after=test_bleu,
       hidden=True)  # fmt: skip
def test_bleu_references(submission):
    words = ["a", "b", "c"]
    for length in (4, 6, 9):
        candidate = [words[n] for n in torch.randint(3, (length,))]
        rights = [[words[n] for n in torch.randint(3, (count,))] for count in (5, 7, 3)]
        for number in range(3):
            turned = rights[number:] + rights[:number]
            for max_n in (1, 3, 5):
                given = f"max_n={max_n}; {candidate} for {turned}"
                expect_bleu(submission, candidate, turned, given, max_n=max_n)
    long = ["a", "b", "c", "d", "e", "f", "g", "h"]
    expect_bleu(submission, long, [long[:4], [*long, "i"]], "8 words, references of 4 and of 9")
    same = [words[n] for n in torch.randint(3, (8,))]
    for rights in ([same], [same[:3], same], [same, same + same], [[*same, "d"], same]):
        expect_bleu(submission, same, rights, f"a candidate that is one of {len(rights)} references")


CORPUS = (
    ("a b c d e f g h", ["a b c d e f g x"]),
    ("a b", ["a b c"]),
    ("the cat sat on the mat today", ["the cat sat on a mat", "the cat sat on the mat", "a cat"]),
    ("x", ["y z"]),
)


@check("bleu of a set adds up the counts first", points=1, category="values", after=test_bleu)
def test_corpus(submission):
    for count in (4, 2, 3, 1):
        pairs = [worded(*pair) for pair in CORPUS[:count]]
        candidates, references = ([pair[k] for pair in pairs] for k in (0, 1))
        slips = {"this is the mean of the scores of the sentences": {"mean": True}} if count > 1 else {}
        for max_n in (4, 2):
            given = f"max_n={max_n}, the candidates {[' '.join(words) for words in candidates]}"
            expect_bleu(submission, candidates, references, given, slips, max_n=max_n)


@check("bleu takes short and empty candidates, smoothed or not", points=0.5, category="robustness", after=test_bleu,
       hidden=True)  # fmt: skip
def test_smooth(submission):
    short = (("a b c", ["a b c"]), ("a", ["a b"]), ("", ["a b"]), ("x y z u", ["a b c d"]), ("a x b y c", ["a b c"]))
    for candidate, references in (*short, *ONE):
        for smooth in (True, False):
            given = f"smooth={smooth}; {candidate!r} for {references}"
            slips = {"1 is added for n = 1, too": {"plus": 0}} if smooth else {}
            expect_bleu(submission, *worded(candidate, references), given, slips, smooth=smooth)
            expect_bleu(submission, *worded(candidate, references), f"max_n=2, {given}", smooth=smooth, max_n=2)
    pairs = [worded(*pair) for pair in (("", ["a"]), *CORPUS, ("", ["a b", "c"]))]
    candidates, references = ([pair[k] for pair in pairs] for k in (0, 1))
    for smooth in (True, False):
        given = f"a set whose first and last candidates are empty, smooth={smooth}"
        expect_bleu(submission, candidates, references, given, smooth=smooth)
    expect_bleu(submission, [[], []], [[["a"]], [["b", "c"]]], "a set of empty candidates", smooth=True)


# --- all together ----------------------------------------------------------------------------------------


def translations(dataset):
    """(source, target) sentences in their plain form, and the name of the floor."""
    chosen = dataset.choose("phrases", real="anki")
    name = chosen.named("token_accuracy")
    if not chosen.real:
        return [tuple(map(plain, pair)) for pair in chosen.module.pairs(600, any_seed(), "fra")], name
    pairs = [tuple(map(plain, pair)) for pair in chosen.module.load("fra")[:20000]]
    short = [pair for pair in pairs if len(pair[0].split()) <= 5 and len(pair[1].split()) <= 6]
    return [short[n] for n in torch.randperm(len(short))[:200]], name


def plain(text):
    """Words in lower case, marks apart; what a suite needs, not what the task asks."""
    return " ".join("".join(c if c.isalnum() else f" {c} " if c in ".!?," else " " for c in text.lower()).split())


def numbered(texts):
    """Ids (N, length), from SOS to EOS, and the words by id."""
    words = ["<PAD>", "<SOS>", "<EOS>", *sorted({word for text in texts for word in text.split()})]
    ids = {word: n for n, word in enumerate(words)}
    rows = [[1, *(ids[word] for word in text.split()), 2] for text in texts]
    width = max(map(len, rows))
    return torch.tensor([row + [0] * (width - len(row)) for row in rows]), words


def worded_ids(row, names):
    """The words of a sentence, up to its EOS."""
    ids = row.tolist()
    return " ".join(names[n] for n in ids[: ids.index(2) if 2 in ids else None])


@check(
    "a translator that is trained writes sentences that it has never seen",
    points=3,
    category="accuracy",
    after=[test_encoder_pads, test_additive, test_decoder, test_free, test_step],
    devices="all",
    seconds=90,
    tries=2,
)
def test_translator(submission, device, dataset, calibration, pictures):
    pairs, name = translations(dataset)
    (src, read), (tgt, words) = (numbered([pair[k] for pair in pairs]) for k in (0, 1))
    unseen = slice(500, None) if name == "token_accuracy" else slice(0, 100)
    attention = submission.Attention(48, "additive")
    net = submission.Seq2Seq(
        submission.Encoder(len(read), 24, 48), submission.Decoder(len(words), 24, 48, attention)
    ).to(device)
    src, tgt = src[:, 1:].to(device), tgt.to(device)
    optimizer = submission.make(torch.optim.Adam, net.parameters(), lr=5e-3)
    rounds = 200 if name == "token_accuracy" else 400
    losses = submission.probes.trained(submission.train_step, net, optimizer, src[:500], tgt[:500], rounds, 32)
    found, weights = submission.probes.written(net, src[unseen], tgt[unseen])
    found, weights, wanted = found.cpu(), weights.cpu(), tgt[unseen, 1:].cpu()
    pictures.curves("training", "tenth of the steps", {"loss": expect.record(losses, [float])})

    rows = [
        [worded_ids(src[unseen][n], read), worded_ids(found[n], words), worded_ids(wanted[n], words)] for n in range(10)
    ]
    pictures.table("translations", ["read", "written", "right"], rows)
    maps = {
        worded_ids(src[unseen][n], read): weights[n][: int((wanted[n] != 0).sum()), : int((src[unseen][n] != 0).sum())]
        for n in range(3)
    }
    pictures.heatmaps("attention", maps, "word that is written", "word that is read")
    counted = wanted != 0
    behind = (found == 2).cumsum(1) - (found == 2).long() > 0
    accuracy = float(((found == wanted) & ~behind)[counted].double().mean())
    calibration.holds(name, accuracy, unit="(tokens that are right)")


ATTENTION = Rule(
    of=("Attention",),
    functions=("scaled_dot_product_attention", "multi_head_attention_forward"),
    names=("nn.MultiheadAttention", "MultiheadAttention"),
    instead="products, softmax and sums",
)
SCORE = Rule(
    of=("bleu",),
    names=("nltk", "sacrebleu", "torchtext", "torchmetrics", "torcheval", "ignite", "bleu_score"),
    instead="counters",
)


@check("attention and BLEU are written here, not taken from a library", points=0.5, category="rules",
       gates=[ATTENTION, SCORE])  # fmt: skip
def test_rules(submission):
    net = submission.Attention(6, "dot")
    expect.avoids(net, *questions(), rule=ATTENTION)
    expect.avoids(submission.bleu, ["a", "b"], [["a", "b"]], rule=SCORE)
