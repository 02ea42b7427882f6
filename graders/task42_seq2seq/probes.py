"""Helpers of task 42 that run beside the submission: a translator whose every score is known, and a plain attention."""

import contextlib
import copy
import io

import torch
from torch import nn


class KnownEncoder(nn.Module):
    """Keys (B, S, 1) from the ids, and a first state (1, B, 1) of zeros. Both are noted."""

    def __init__(self):
        super().__init__()
        self.passes = []

    def forward(self, src):
        self.passes.append([self.training, torch.is_grad_enabled()])
        self.made = (src.float() + 1)[..., None] / 8, torch.zeros(1, len(src), 1)
        return tuple(value.requires_grad_(self.watched) for value in self.made)

    watched = False


class KnownDecoder(nn.Module):
    """Logits of the token's row, of the state, which is a sum over the tokens before, and of the keys that the mask
    lets in."""

    def __init__(self, table, shift, lean):
        super().__init__()
        self.table, self.shift, self.lean = (nn.Parameter(value.clone()) for value in (table, shift, lean))
        self.passes, self.tokens = [], []

    def forward(self, token, hidden, keys, mask):
        if token.shape != hidden.shape[1:2]:
            raise ValueError(f"token is (B,), not {tuple(token.shape)}, where hidden is {tuple(hidden.shape)}")
        self.passes.append([self.training, torch.is_grad_enabled()])
        self.tokens.append(token.tolist())
        read = (keys[..., 0] * mask).sum(1, keepdim=True)  # (B, 1)
        logits = self.table[token] + hidden[-1] * self.shift + read * self.lean
        return logits, hidden + 1 + (token % 3 / 4)[None, :, None], mask / mask.sum(1, keepdim=True)


class KnownTranslator(nn.Module):
    """A Seq2Seq of these two, with teacher forcing as the task describes it."""

    def __init__(self, table, shift, lean, sos_id=1, eos_id=2, pad_id=0):
        super().__init__()
        self.encoder, self.decoder = KnownEncoder(), KnownDecoder(table, shift, lean)
        self.sos_id, self.eos_id, self.pad_id = sos_id, eos_id, pad_id
        self.forcing, self.passes = [], []

    def forward(self, src, tgt, teacher_forcing=1.0):
        self.passes.append([self.training, torch.is_grad_enabled()])
        self.forcing.append(float(teacher_forcing))
        keys, hidden = self.encoder(src)
        token, found = tgt[:, 0], []
        for step in range(1, tgt.shape[1]):
            logits, hidden, _ = self.decoder(token, hidden, keys, src != self.pad_id)
            found.append(logits)
            token = tgt[:, step] if torch.rand(()) < teacher_forcing else logits.argmax(1)
        return torch.stack(found, 1)


def translator(table, shift, lean, ids=(1, 2, 0)):
    """``ids`` are those of SOS, EOS and PAD."""
    return KnownTranslator(table, shift, lean, *ids)


def fed(decoder):
    """The tokens that the known decoder has read, (steps, B); they are forgotten."""
    tokens, decoder.tokens = decoder.tokens, []
    return torch.tensor(tokens)


def modes(model, records, function, *args):
    """[result, the parts that ran in training mode, those that recorded, those in training mode now, whether gradients
    are recorded now, what was printed]; ``records``: whether they were before."""
    parts = {"model": model, "encoder": model.encoder, "decoder": model.decoder}
    for part in parts.values():
        part.passes = []
    text = io.StringIO()
    with torch.set_grad_enabled(records), contextlib.redirect_stdout(text):
        result = function(model, *args)
        after = torch.is_grad_enabled()
    ran = [[name for name, part in parts.items() if any(one[k] for one in part.passes)] for k in (0, 1)]
    return [result, *ran, [name for name, part in parts.items() if part.training], after, text.getvalue()]


def encoder_gradients(net, translator, src, tgt, forcing):
    """[at keys and first state, by the network of the same encoder and decoder; by the known translator]."""
    translator.encoder.watched, found, weight = True, [], None
    for model in (net, translator):
        logits = model(src, tgt, forcing)
        weight = torch.randn(logits.shape) if weight is None else weight
        changes = torch.autograd.grad((logits * weight).sum(), translator.encoder.made, materialize_grads=True)
        found.append(torch.cat([change.flatten() for change in changes]))
    translator.encoder.watched = False
    return found


def spoil_gradients(model):
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)


def forced(model):
    """With which teacher_forcing the known translator was called; they are forgotten."""
    found, model.forcing = model.forcing, []
    return found


class MeanAttention(nn.Module):
    """The mean of the keys that may be used, and a quarter of the query."""

    def forward(self, query, keys, mask):
        weights = mask / mask.sum(1, keepdim=True)
        return (weights[..., None] * keys).sum(1) + query / 4, weights


def mean_attention():
    return MeanAttention()


def trained(step, model, optimizer, src, tgt, rounds, size):
    """The mean loss of each tenth of the rounds; every round takes ``size`` sentences drawn at random."""
    losses = []
    for _ in range(rounds):
        picked = torch.randint(len(src), (size,), device=src.device)
        losses.append(step(model, optimizer, src[picked], tgt[picked]))
    tenth = max(rounds // 10, 1)
    return [sum(losses[k : k + tenth]) / tenth for k in range(0, tenth * 10, tenth)]


def written(model, src, tgt):
    """(tokens (B, T - 1), weights (B, T - 1, S)): what the model writes by itself, the token of the highest score each
    time, step by step; nothing of ``tgt`` is read but its length."""
    model.eval()
    with torch.no_grad():
        keys, hidden = model.encoder(src)
        token, tokens, weights = torch.full_like(src[:, 0], model.sos_id), [], []
        for _ in range(tgt.shape[1] - 1):
            logits, hidden, looked = model.decoder(token, hidden, keys, src != model.pad_id)
            token = logits.argmax(1)
            tokens.append(token)
            weights.append(looked)
    return torch.stack(tokens, 1), torch.stack(weights, 1)


def pad_rows(net, pad_id, size):
    """The row of ``pad_id`` in the embedding, the parameter of this size."""
    return table_of(net, size)[pad_id].detach().clone()


def pad_gradients(net, pad_id, size, *arguments):
    """The gradient of that row, by a call of the network."""
    table = table_of(net, size)
    (change,) = torch.autograd.grad(net(*arguments)[0].square().sum(), table, materialize_grads=True)
    return change[pad_id]


def table_of(net, size):
    (table,) = [parameter for parameter in net.parameters() if tuple(parameter.shape) == tuple(size)]
    return table


def layer(*sizes):
    return nn.Linear(*sizes)


def kept(function, candidate, references, options):
    """[the score, whether the lists are then what they were]."""
    before = copy.deepcopy([candidate, references])
    return [function(candidate, references, **options), [candidate, references] == before]
