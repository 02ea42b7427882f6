"""GRU cells, loops over sentences and tokens, lists and dicts."""

import math
import random
import unicodedata

import torch
from torch import nn


def normalize_pair(line):
    columns = line.split("\t")
    return simple(columns[0]), simple(columns[1])


def simple(text):
    out = ""
    for letter in text.lower():
        letter = unicodedata.normalize("NFD", letter)
        for part in letter:
            if unicodedata.category(part) == "Mn":
                continue
            if part in "。！？，":
                part = ".!?,"["。！？，".index(part)]
            if part in ".!?," or "一" <= part <= "\u9fff":
                out += " " + part + " "
            elif part.isalnum():
                out += part
            else:
                out += " "
    return " ".join(out.split())


class Encoder(nn.Module):
    def __init__(self, vocab_size, embed_dim, hidden_size, pad_id=0):
        super().__init__()
        self.pad_id, self.hidden_size = pad_id, hidden_size
        self.cell = nn.GRUCell(embed_dim, hidden_size)
        self.embed = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)

    def forward(self, src):
        batch, length = src.shape
        state = torch.zeros(batch, self.hidden_size, device=src.device)
        outputs = []
        for t in range(length):
            new = self.cell(self.embed(src[:, t]), state)
            real = (src[:, t] != self.pad_id).unsqueeze(1)
            state = torch.where(real, new, state)
            outputs.append(torch.where(real, new, torch.zeros_like(new)))
        return torch.stack(outputs, dim=1), state.unsqueeze(0)


class Attention(nn.Module):
    def __init__(self, hidden_size, kind="additive"):
        super().__init__()
        self.kind = kind
        if kind == "additive":
            self.w = nn.Linear(hidden_size, hidden_size, bias=False)
            self.u = nn.Linear(hidden_size, hidden_size, bias=False)
            self.v = nn.Linear(hidden_size, 1, bias=False)
        elif kind != "dot":
            raise ValueError("unknown kind")

    def forward(self, query, keys, mask):
        scores = []
        for s in range(keys.shape[1]):
            if self.kind == "dot":
                score = (keys[:, s] * query).sum(dim=1)
            else:
                score = self.v(torch.tanh(self.w(query) + self.u(keys[:, s]))).squeeze(1)
            score[~mask[:, s]] = float("-inf")
            scores.append(score)
        weights = torch.softmax(torch.stack(scores, dim=1), dim=1)
        context = torch.zeros_like(query)
        for s in range(keys.shape[1]):
            context = context + weights[:, s : s + 1] * keys[:, s]
        return context, weights


class Decoder(nn.Module):
    def __init__(self, vocab_size, embed_dim, hidden_size, attention, pad_id=0):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.cell = nn.GRUCell(embed_dim + hidden_size, hidden_size)
        self.linear = nn.Linear(hidden_size, vocab_size)
        self.attention = attention

    def forward(self, token, hidden, keys, mask):
        before = hidden.squeeze(0)
        context, weights = self.attention(before, keys, mask)
        after = self.cell(torch.cat((self.embed(token), context), dim=-1), before)
        return self.linear(after), after.unsqueeze(0), weights


class Seq2Seq(nn.Module):
    def __init__(self, encoder, decoder, sos_id=1, eos_id=2, pad_id=0):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.sos_id = sos_id
        self.eos_id = eos_id
        self.pad_id = pad_id

    def forward(self, src, tgt, teacher_forcing=1.0):
        keys, hidden = self.encoder(src)
        mask = src.ne(self.pad_id)
        logits = []
        for t in range(tgt.shape[1] - 1):
            if t == 0 or random.random() < teacher_forcing:
                token = tgt[:, t]
            else:
                token = logits[-1].argmax(dim=-1)
            scores, hidden, _ = self.decoder(token, hidden, keys, mask)
            logits.append(scores)
        return torch.stack(logits, dim=1)


def masked_cross_entropy(logits, target, pad_id=0):
    total, count = (logits * 0).sum(), 0
    for b in range(target.shape[0]):
        for t in range(target.shape[1]):
            if target[b, t].item() != pad_id:
                total = total - torch.log_softmax(logits[b, t], dim=0)[target[b, t]]
                count += 1
    return total / count if count else total


def train_step(model, optimizer, src, tgt, teacher_forcing=1.0):
    model.train()
    optimizer.zero_grad()
    logits = model(src, tgt, teacher_forcing)
    criterion = nn.CrossEntropyLoss(ignore_index=model.pad_id)
    loss = criterion(logits.reshape(-1, logits.shape[-1]), tgt[:, 1:].reshape(-1))
    loss.backward()
    optimizer.step()
    return float(loss)


def greedy_decode(model, src, max_len):
    before = [(part, part.training) for part in model.modules()]
    model.eval()
    result = []
    with torch.no_grad():
        for b in range(src.shape[0]):
            sentence = src[b : b + 1]
            keys, hidden = model.encoder(sentence)
            token = torch.tensor([model.sos_id], device=src.device)
            ids = []
            for _ in range(max_len):
                logits, hidden, _ = model.decoder(token, hidden, keys, sentence != model.pad_id)
                token = logits.argmax(dim=1)
                if token.item() == model.eos_id:
                    break
                ids.append(token.item())
            result.append(ids)
    for part, mode in before:
        part.training = mode
    return result


def token_accuracy(model, src, tgt):
    found = greedy_decode(model, src, tgt.shape[1] - 1)
    right = total = 0
    for b in range(len(found)):
        written = found[b] + [model.eos_id]
        for t in range(1, tgt.shape[1]):
            if tgt[b, t] == model.pad_id:
                continue
            total += 1
            if t - 1 < len(written) and written[t - 1] == tgt[b, t].item():
                right += 1
    return right / total


@torch.no_grad()
def beam_search(model, src, beam_size, max_len):
    training = model.training
    model.eval()
    answers = []
    for b in range(len(src)):
        sentence = src[b].unsqueeze(0)
        mask = sentence != model.pad_id
        keys, first = model.encoder(sentence)
        alive = [{"ids": [], "score": 0.0, "state": first, "done": False}]
        for _ in range(max_len):
            everything = []
            for one in alive:
                if one["done"]:
                    everything.append(one)
                else:
                    last = one["ids"][-1] if one["ids"] else model.sos_id
                    logits, state, _ = model.decoder(torch.tensor([last]), one["state"], keys, mask)
                    logs = torch.log_softmax(logits.squeeze(0), dim=-1)
                    for token in range(len(logs)):
                        done = token == model.eos_id
                        everything.append({
                            "ids": one["ids"] if done else one["ids"] + [token],
                            "score": one["score"] + logs[token].item(),
                            "state": state,
                            "done": done,
                        })  # fmt: skip
            everything.sort(key=lambda one: one["score"])
            alive = everything[-beam_size:]
        answers.append((alive[-1]["ids"], alive[-1]["score"]))
    model.train(training)
    return answers


def bleu(candidate, references, max_n=4, smooth=False):
    if len(candidate) > 0 and type(candidate[0]) is list:
        candidates, all_references = candidate, references
    else:
        candidates, all_references = [candidate], [references]
    matches, totals = [0] * max_n, [0] * max_n
    c, r = 0, 0
    for i in range(len(candidates)):
        words = candidates[i]
        c += len(words)
        best = None
        for reference in all_references[i]:
            distance = abs(len(reference) - len(words))
            if best is None or distance < best[0] or (distance == best[0] and len(reference) < best[1]):
                best = (distance, len(reference))
        r += best[1]
        for n in range(1, max_n + 1):
            counts = counted(words, n)
            for gram in counts:
                most = 0
                for reference in all_references[i]:
                    most = max(most, counted(reference, n).get(gram, 0))
                matches[n - 1] += min(counts[gram], most)
                totals[n - 1] += counts[gram]
    if c == 0 or matches[0] == 0:
        return 0.0
    product = 1.0
    for n in range(max_n):
        m, t = matches[n], totals[n]
        if smooth and n > 0:
            m, t = m + 1, t + 1
        if t == 0 or m == 0:
            return 0.0
        product *= m / t
    brevity = 1.0 if c > r else math.exp(1 - r / c)
    return brevity * product ** (1 / max_n)


def counted(words, n):
    counts = {}
    for i in range(len(words) - n + 1):
        gram = " ".join(words[i : i + n])
        counts[gram] = counts.get(gram, 0) + 1
    return counts
