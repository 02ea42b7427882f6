"""Task 42: translate sentences: an encoder, attention, a decoder, and the BLEU score.

One network reads a sentence, another one writes its translation, word by word, and before each word it looks back at
the words that were read: that is attention. Here you write both networks, their training, two ways of decoding, and the
measure by which translations are judged. Nearly everything that goes wrong here goes wrong in silence: pads that are
attended to, a loss that pads make small, a target that is not shifted, so that the network copies what it shall
predict, an evaluation in which the right answer is put in, a score above 1.

An example to check by hand, with PAD = 0, SOS = 1, EOS = 2 and two sentences:

    tgt    1 7 8 2        what the decoder is fed:    1 7 8        what it shall predict:    7 8 2
           1 9 2 0                                    1 9 2                                  9 2 0

The last target is a pad: it counts nowhere. If the network gives each word of a vocabulary of 10 the same probability,
the loss is ln 10 = 2.3026, however many pads there are.

Conventions
- A batch of sentences is int64 (B, S): the ids of the tokens, at the end filled up with ``pad_id``. Each sentence has
  at least one token. ``src`` (B, S) is what is read; ``tgt`` (B, T) is what shall be written, each sentence from SOS to
  EOS. PAD and SOS may be written, too, like any other token: nothing forbids them to a network.
- H is hidden_size, E embed_dim, V vocab_size. A mask is boolean: True is a token that may be used, False a pad.
- Scores are logits: no softmax stands at the end of a network. Nothing is printed.
- What is given is not changed, but for the parameters that ``train_step`` is there to change.

Forbidden: PyTorch's and other libraries' ready-made attention (``scaled_dot_product_attention``,
``nn.MultiheadAttention``) and BLEU (nltk, sacrebleu, torchtext, torchmetrics, evaluate, ...). ``nn.GRU`` is allowed.
"""

import math
import re
import unicodedata
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def normalize_pair(line: str) -> tuple[str, str]:
    """Take a line of a file of sentence pairs apart and bring both sentences into a plain form.

    A tab separates the sentences; columns behind the second are left out. In each sentence, in this order:
    1. upper case becomes lower case, and letters lose their accents (what Unicode's NFD takes off them, category Mn);
    2. the marks 。 ！ ？ ， become . ! ? ,
    3. each of . ! ? , and each Chinese character (U+4E00 to U+9FFF) becomes a word of its own;
    4. everything else that is neither a letter (of any script) nor a digit separates words, as blanks do.
    The words of a sentence are joined by single blanks, none at its ends.

        "Don't go!\\tN'y va pas !\\tCC-BY 2.0"   ->   ("don t go !", "n y va pas !")
        "Café 24.\\t24号咖啡。"                  ->   ("cafe 24 .", "24 号 咖 啡 .")
    """
    # TODO: split at the tabs; then one step after the other.
    # BEGIN SOLUTION
    source, target = line.split("\t")[:2]
    return _normalized(source), _normalized(target)
    # END SOLUTION


# BEGIN SOLUTION
def _normalized(text):
    text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    text = text.translate(str.maketrans("。！？，", ".!?,"))
    text = re.sub(r"([.!?,\u4e00-\u9fff])", r" \1 ", text)
    return " ".join(re.sub(r"[^\w.!?,]|_", " ", text).split())


# END SOLUTION


class Encoder(nn.Module):
    """Read a batch of sentences.

        layer                                                             output
        embedding; that of ``pad_id`` is zero and gets no gradient        (B, S, E)
        nn.GRU, one layer, one direction, starting from zeros             (B, S, H)

    Pads are not read: what is returned of a sentence does not depend on how many pads stand behind it.
    """

    def __init__(self, vocab_size: int, embed_dim: int, hidden_size: int, pad_id: int = 0):
        super().__init__()
        # TODO: two layers.
        # BEGIN SOLUTION
        self.pad_id = pad_id
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim, hidden_size, batch_first=True)
        # END SOLUTION

    def forward(self, src: Tensor) -> tuple[Tensor, Tensor]:
        """src: int64 (B, S). Returns (outputs, hidden).

        outputs: (B, S, H), the state behind each token; zeros at pads. hidden: (1, B, H), the state behind the last
        token of each sentence, not behind its pads.
        """
        # TODO: where does each sentence end? pack_padded_sequence helps, or looking the last state up.
        # BEGIN SOLUTION
        lengths = (src != self.pad_id).sum(1).cpu()
        packed = pack_padded_sequence(self.embedding(src), lengths, batch_first=True, enforce_sorted=False)
        outputs, hidden = self.rnn(packed)
        return pad_packed_sequence(outputs, batch_first=True, total_length=src.shape[1])[0], hidden
        # END SOLUTION


class Attention(nn.Module):
    """Look at the states of all tokens, at each as much as a query asks for.

    score of key k for query q:   "dot": q · k, no parameters
                                  "additive": v · tanh(W q + U k), with W, U (H, H) and v (1, H), no biases
    weights: softmax of the scores over the keys that the mask lets through; exactly 0 at the others.
    context: the sum of the keys, each times its weight.
    Scores may be large: nothing overflows.
    """

    def __init__(self, hidden_size: int, kind: str = "additive"):
        """kind: "dot" or "additive"; anything else raises ValueError."""
        super().__init__()
        # TODO: layers for "additive" only.
        # BEGIN SOLUTION
        if kind not in ("dot", "additive"):
            raise ValueError(f'kind is "dot" or "additive", not {kind!r}')
        self.kind = kind
        if kind == "additive":
            self.query = nn.Linear(hidden_size, hidden_size, bias=False)
            self.key = nn.Linear(hidden_size, hidden_size, bias=False)
            self.score = nn.Linear(hidden_size, 1, bias=False)
        # END SOLUTION

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """query: (B, H). keys: (B, S, H). mask: boolean (B, S), with a True in each row. In memory in any order.

        Returns (context, weights): (B, H) and (B, S). What a masked key holds, any finite numbers, has no influence.
        """
        # TODO: scores; the mask comes before the softmax; then the weighted sum.
        # BEGIN SOLUTION
        if self.kind == "dot":
            scores = (keys * query[:, None]).sum(-1)  # (B, S)
        else:
            scores = self.score(torch.tanh(self.query(query)[:, None] + self.key(keys)))[..., 0]
        weights = scores.masked_fill(~mask, -math.inf).softmax(1)
        return (weights[..., None] * keys).sum(1), weights
        # END SOLUTION


class Decoder(nn.Module):
    """Write one token.

        layer                                                                                     output
        embedding of the token; that of ``pad_id`` is zero and gets no gradient                   (B, E)
        attention, asked with the state before this step                                          (B, H)
        nn.GRU, one layer: its input is the embedding and behind it the context of the attention  (B, H)
        linear layer with bias, of the new state                                                  (B, V)

    attention: a module that is called as attention(query, keys, mask) and returns (context, weights).
    """

    def __init__(self, vocab_size: int, embed_dim: int, hidden_size: int, attention: nn.Module, pad_id: int = 0):
        super().__init__()
        # TODO: three layers, and the attention that is given.
        # BEGIN SOLUTION
        self.attention = attention
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.rnn = nn.GRU(embed_dim + hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, vocab_size)
        # END SOLUTION

    def forward(self, token: Tensor, hidden: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """token: int64 (B,). hidden: (1, B, H). keys: (B, S, H). mask: boolean (B, S).

        Returns (logits, hidden, weights): (B, V), the new state (1, B, H), and the weights of the attention (B, S).
        """
        # TODO: follow the table.
        # BEGIN SOLUTION
        context, weights = self.attention(hidden[-1], keys, mask)
        step = torch.cat([self.embedding(token), context], 1)[:, None]  # (B, 1, E + H)
        output, hidden = self.rnn(step, hidden)
        return self.out(output[:, 0]), hidden, weights
        # END SOLUTION


class Seq2Seq(nn.Module):
    """Encoder and decoder together. They are called as the classes above are: encoder(src) gives keys and first state,
    decoder(token, hidden, keys, mask) gives logits, next state and weights. ``encoder``, ``decoder``, ``sos_id``,
    ``eos_id`` and ``pad_id`` are attributes: the functions below read them.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, sos_id: int = 1, eos_id: int = 2, pad_id: int = 0):
        super().__init__()
        # TODO: keep them.
        # BEGIN SOLUTION
        self.encoder, self.decoder = encoder, decoder
        self.sos_id, self.eos_id, self.pad_id = sos_id, eos_id, pad_id
        # END SOLUTION

    def forward(self, src: Tensor, tgt: Tensor, teacher_forcing: float = 1.0) -> Tensor:
        """src: int64 (B, S). tgt: int64 (B, T), each sentence from SOS on, T at least 2. Returns logits (B, T - 1, V).

        Step t reads token t of ``tgt`` (or what stands for it) and predicts token t + 1: the logits belong to
        tgt[:, 1:], and tgt[:, -1] is never read. The first step always reads tgt[:, 0]. Each later step reads, with the
        probability ``teacher_forcing``, the token of ``tgt``, and else the token to which the step before gave the
        highest score. One coin is thrown for each step, for all sentences together: with 1.0 all steps read ``tgt``,
        with 0.0 only the first one does. The decoder's mask is True where ``src`` is no pad.
        """
        # TODO: encode once; a loop over the steps; stack the logits.
        # BEGIN SOLUTION
        keys, hidden = self.encoder(src)
        token, found = tgt[:, 0], []
        for step in range(1, tgt.shape[1]):
            logits, hidden, _ = self.decoder(token, hidden, keys, src != self.pad_id)
            found.append(logits)
            token = tgt[:, step] if torch.rand(()) < teacher_forcing else logits.argmax(1)
        return torch.stack(found, 1)
        # END SOLUTION


def masked_cross_entropy(logits: Tensor, target: Tensor, pad_id: int = 0) -> Tensor:
    """Return the mean of the cross entropy over the tokens of ``target`` that are not ``pad_id``; 0 if all of them are.

    Each token counts alike, whether its sentence is long or short. logits: (B, T, V). target: int64 (B, T).
    Returns a tensor without axes, in the dtype of the logits, with their graph.
    """
    # TODO: sum over the tokens that count, divide by their number.
    # BEGIN SOLUTION
    total = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=pad_id, reduction="sum")
    return total / (target != pad_id).sum().clamp(min=1)
    # END SOLUTION


def train_step(model: Seq2Seq, optimizer, src: Tensor, tgt: Tensor, teacher_forcing: float = 1.0) -> float:
    """Put the model into training mode, do one step of the optimiser on one batch, and return the loss as a float.

    The loss is ``masked_cross_entropy`` of model(src, tgt, teacher_forcing) and the tokens that they predict, with the
    model's ``pad_id``. It is that before the step. Gradients from before do not count.
    """
    # TODO: which tokens of tgt are predicted?
    # BEGIN SOLUTION
    model.train()
    loss = masked_cross_entropy(model(src, tgt, teacher_forcing), tgt[:, 1:], model.pad_id)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    # END SOLUTION


def greedy_decode(model: Seq2Seq, src: Tensor, max_len: int) -> list[list[int]]:
    """Translate each sentence of a batch: begin with SOS, and read at each step the token with the highest score.

    A sentence ends before its first EOS, or after ``max_len`` tokens. Returns a list of B lists of ints, without SOS at
    the beginning and without EOS; each of them may be empty. A sentence does not depend on the others of its batch.

    The model is in evaluation mode meanwhile, records no gradients, and comes back in the mode in which it came.
    """
    # TODO: encode once; step by step, until all sentences have ended; cut each one.
    # BEGIN SOLUTION
    was_training = model.training
    model.eval()
    with torch.no_grad():
        keys, hidden = model.encoder(src)
        token, found = torch.full_like(src[:, 0], model.sos_id), []
        ended = torch.zeros_like(token, dtype=torch.bool)
        while len(found) < max_len and not ended.all():
            logits, hidden, _ = model.decoder(token, hidden, keys, src != model.pad_id)
            token = logits.argmax(1)
            ended |= token == model.eos_id
            found.append(token)
    model.train(was_training)
    rows = torch.stack(found, 1).tolist() if found else [[] for _ in src]
    return [row[: row.index(model.eos_id)] if model.eos_id in row else row for row in rows]
    # END SOLUTION


def token_accuracy(model: Seq2Seq, src: Tensor, tgt: Tensor) -> float:
    """Return the share of the tokens of ``tgt``, without SOS and pads, EOS included, that greedy decoding gets right.

    The model writes by itself, with ``greedy_decode`` and as many steps as ``tgt`` has tokens to be predicted: it never
    sees ``tgt``. Token t is right if token t of what it writes is the same; the EOS is right if it ends just there. For
    the target 7 8 2 (EOS = 2) the translation [7, 8] has 3/3, [7] has 1/3, [7, 9] 2/3, and [7, 8, 8] 2/3.
    """
    # TODO: compare sentence by sentence; what does a translation with its EOS look like?
    # BEGIN SOLUTION
    right, total = 0, 0
    for found, target in zip(greedy_decode(model, src, tgt.shape[1] - 1), tgt[:, 1:].tolist(), strict=True):
        wanted = [token for token in target if token != model.pad_id]
        right += sum(a == b for a, b in zip([*found, model.eos_id], wanted, strict=False))
        total += len(wanted)
    return right / total
    # END SOLUTION


def beam_search(model: Seq2Seq, src: Tensor, beam_size: int, max_len: int) -> list[tuple[list[int], float]]:
    """Translate each sentence of a batch, with the ``beam_size`` best beginnings in view. Returns B pairs (ids, score).

    The score of a beginning is the sum of the logarithms of the probabilities of its tokens, its EOS included; nothing
    is divided by a length. The beam holds one empty beginning (SOS is read first) with score 0. At each step, each
    beginning of the beam that has not ended is continued by every token; of these and of those that have ended the
    ``beam_size`` with the highest scores are the new beam. A beginning ends with EOS. The search ends when all in the
    beam have ended, or after ``max_len`` steps (1 or more). The pair is the one with the highest score then, ended or
    not; its ids, a list of ints, are without EOS, and its score is a float. ``beam_size`` may be larger than the number
    of beginnings that there are.

    With beam_size=1 the ids are those of ``greedy_decode``. The model is treated as there.
    """
    # TODO: sentence by sentence; keep of each beginning its ids, score, state, and whether it has ended.
    # BEGIN SOLUTION
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = [_best(model, row[None], beam_size, max_len) for row in src]
    model.train(was_training)
    return found
    # END SOLUTION


# BEGIN SOLUTION
def _best(model, src, beam_size, max_len):
    """The search for one sentence, src (1, S)."""
    keys, hidden = model.encoder(src)
    beam = [([], 0.0, hidden)]  # ids, with EOS where it has ended; score; state
    for _ in range(max_len):
        grown = []
        for ids, score, hidden in beam:
            if model.eos_id in ids[-1:]:
                grown.append((ids, score, hidden))
                continue
            token = src.new_tensor([ids[-1] if ids else model.sos_id])
            logits, state, _ = model.decoder(token, hidden, keys, src != model.pad_id)
            logs = logits[0].log_softmax(0).tolist()
            grown += [([*ids, token], score + log, state) for token, log in enumerate(logs)]
        beam = sorted(grown, key=lambda one: one[1], reverse=True)[:beam_size]
        if all(model.eos_id in ids[-1:] for ids, _, _ in beam):
            break
    ids, score, _ = max(beam, key=lambda one: one[1])
    return ids[:-1] if model.eos_id in ids[-1:] else ids, score


# END SOLUTION
def bleu(candidate, references, max_n: int = 4, smooth: bool = False) -> float:
    """Return the BLEU score of a translation, or of a whole set of them, between 0 and 1.

    candidate: a list of words; references: a list of lists of words, each of them a right translation.
    For a set: candidate is a list of such candidates, references a list with the references of each.

    p(n) = matches / n-grams of the candidates, where an n-gram (n words in a row) matches at most as often as it occurs
    in the one reference that holds it most often. c is the number of words of the candidates, r that of the references:
    for each candidate the length of the reference whose length is closest to its own, the shorter of two equally close.

        BLEU = min(1, exp(1 - r / c)) · (p(1) · p(2) · ... · p(max_n)) ** (1 / max_n)

    For a set all four counts (matches, n-grams, c, r) are added up over the candidates first: BLEU of a set is not the
    mean of its sentences' BLEU. If some p(n) is 0, or 0/0, or c = 0, BLEU is 0.0. With ``smooth`` 1 is added to both
    numbers of p(n) for n > 1; then it is 0.0 if no word matches.

    "the the the the the the the" for "the cat is on the mat": p(1) = 2/7, BLEU 0.
    "a b c d" for "a b c d e f": all p(n) are 1, BLEU = exp(1 - 6/4) = .6065.
    "a b c d e f x" for "a b c d e f g": (6/7 · 5/6 · 4/5 · 3/4) ** (1/4) = .8091.
    """
    # TODO: count n-grams; clip; add up over the set; the lengths; the formula.
    # BEGIN SOLUTION
    if not (candidate and isinstance(candidate[0], (list, tuple))):
        candidate, references = [candidate], [references]
    length, wanted = sum(map(len, candidate)), 0
    matches, totals = [0] * max_n, [0] * max_n
    for words, rights in zip(candidate, references, strict=True):
        wanted += min((abs(len(right) - len(words)), len(right)) for right in rights)[1]
        for n in range(1, max_n + 1):
            own, allowed = _ngrams(words, n), Counter()
            for right in rights:
                allowed |= _ngrams(right, n)
            matches[n - 1] += (own & allowed).total()
            totals[n - 1] += own.total()
    if length == 0 or matches[0] == 0:
        return 0.0
    added = [int(smooth and n > 0) for n in range(max_n)]
    precisions = [(m + a) / (t + a) if t + a else 0.0 for m, t, a in zip(matches, totals, added, strict=True)]
    if min(precisions) == 0:
        return 0.0
    return min(1.0, math.exp(1 - wanted / length)) * math.exp(sum(map(math.log, precisions)) / max_n)
    # END SOLUTION


# BEGIN SOLUTION
def _ngrams(words, n):
    return Counter(tuple(words[k : k + n]) for k in range(len(words) - n + 1))


# END SOLUTION
