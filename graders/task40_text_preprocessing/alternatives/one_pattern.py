"""One pattern with named groups for all contractions, counts of n-grams alone, layers in a row."""

_TAG = re.compile(r"<(?=[^\W\d_]|/|!)[^>]*>")


def strip_tags(text: str) -> str:
    return html.unescape(_TAG.sub("", text))


def _bare(match):
    kept = [c for c in unicodedata.normalize("NFD", match[0]) if unicodedata.category(c) != "Mn"]
    return "".join(kept) if len(kept) < len(unicodedata.normalize("NFD", match[0])) else match[0]


def strip_accents(text: str) -> str:
    marks = "".join(sorted({c for c in text if unicodedata.category(c) == "Mn"}))
    tail = f"[{re.escape(marks)}]*" if marks else ""
    return re.sub(rf"[^\W\d_]{tail}", _bare, text)


def _cap(word):
    return f"(?:{word[0]}|{word[0].upper()}){word[1:]}".replace("'", "['’]")


_CONTRACTION = re.compile(
    rf"\b(?P<whole>{'|'.join(map(_cap, WHOLE))})\b"
    rf"|(?<=[^\W\d_])(?P<ending>{'|'.join(ENDINGS).replace(chr(39), '[' + chr(39) + '’]')})\b"
    rf"|\b(?P<is>{'|'.join(map(_cap, IS))})['’]s\b"
)


def expand_contractions(text: str) -> str:
    def write_out(m):
        found = m[0].replace("’", "'")
        match m.lastgroup:
            case "whole":
                return found[0] + WHOLE[found[0].lower() + found[1:]][1:]
            case "ending":
                return ENDINGS[found]
            case _:
                return m["is"] + " is"

    return _CONTRACTION.sub(write_out, text)


def remove_special(text: str, remove_digits: bool = False) -> str:
    tests = [str.isalpha, str.isspace] + ([] if remove_digits else [str.isdigit])
    return "".join(filter(lambda c: any(t(c) for t in tests), text))


def remove_stopwords(tokens, stopwords=STOPWORDS):
    stop = set(stopwords)
    return list(filter(lambda t: t.lower() not in stop, tokens))


def build_vocab(tokens, min_freq=1, max_size=None):
    counts = Counter(tokens)
    del counts[PAD], counts[UNK]
    ranked = sorted(((-n, t) for t, n in counts.items() if n >= min_freq))[:max_size]
    return {t: i for i, t in enumerate([PAD, UNK, *(t for _, t in ranked)])}


def write_vocab(vocab, path):
    with open(path, "w", encoding="utf8", newline="") as f:
        f.writelines(f"{t},{vocab[t]}\n" for t in sorted(vocab, key=vocab.get))


def read_vocab(path):
    with open(path, "r", encoding="utf8", newline="") as f:
        pairs = (line.rsplit(",", 1) for line in f.read().split("\n") if line)
        return {t: int(i) for t, i in pairs}


def encode(tokens, vocab, max_len):
    filled = list(tokens[:max_len]) + [PAD] * max(0, max_len - len(tokens))
    return [vocab[t] if t in vocab else vocab[UNK] for t in filled]


class TextDataset(Dataset):
    def __init__(self, lines, vocab, max_len=None):
        cut = [line.split(",", 1) for line in lines if line.strip()]
        words = [text.split() for _, text in cut]
        width = max(map(len, words), default=0) if max_len is None else max_len
        self.y = torch.tensor([int(label) for label, _ in cut], dtype=torch.long)
        self.x = torch.tensor([encode(w, vocab, width) for w in words], dtype=torch.long).reshape(len(cut), width)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return self.y[index], self.x[index]


def bag_of_words(tokens, vocab):
    ids = torch.tensor([vocab[t] for t in tokens if t in vocab], dtype=torch.long)
    return torch.bincount(ids, minlength=len(vocab))


def tf_idf(docs, smooth=False, norm=None):
    if norm is not None and norm != "l2":
        raise ValueError(norm)
    words = {w: i for i, w in enumerate(sorted(set().union(*docs)))}
    if not words:
        return torch.zeros(len(docs), 0)
    counts = torch.stack([bag_of_words(d, words) for d in docs]).double()
    N, df = len(docs), (counts > 0).sum(0).double()
    idf = ((1 + N) / (1 + df)).log() + 1 if smooth else (N / df).log()
    weights = counts / counts.sum(1, keepdim=True).clamp(min=1) * idf
    if norm:
        weights = F.normalize(weights, dim=1, eps=1e-300)
    return weights.float()


def ngrams(tokens, n):
    return list(zip(*(tokens[k:] for k in range(n))))


class NGramLM:
    def __init__(self, n, alpha=1.0):
        self.n, self.alpha = n, alpha

    def _frame(self, sentence):
        return ngrams([START] * (self.n - 1) + [*sentence, END], self.n)

    def fit(self, sentences):
        sentences = list(sentences)
        self.known = {UNK, END}.union(*sentences)
        self.count = Counter(g for s in sentences for g in self._frame(s))
        self.seen = Counter(g[:-1] for g in self.count.elements())
        return self

    def prob(self, word, context):
        context = tuple(context)[len(context) - self.n + 1 :]
        context = tuple(c if c in self.known | {START} else UNK for c in context)
        word = word if word in self.known else UNK
        try:
            return (self.count[(*context, word)] + self.alpha) / (self.seen[context] + self.alpha * len(self.known))
        except ZeroDivisionError:
            return 0.0

    def log_probs(self, sentence):
        probs = (self.prob(g[-1], g[:-1]) for g in self._frame(sentence))
        return [math.log(p) if p else -math.inf for p in probs]

    def log_prob(self, sentence):
        return math.fsum(self.log_probs(sentence))


def perplexity(log_probs, mask=None):
    values = log_probs.detach() if isinstance(log_probs, Tensor) else torch.tensor(log_probs, dtype=torch.float64)
    values = values.to(torch.float64)
    if mask is None:
        mask = torch.ones_like(values)
    mask = torch.as_tensor(mask).to(values.device, torch.bool)
    return float(values.where(mask, 0.0).sum().div(mask.sum()).neg().exp())


class NeuralLM(nn.Module):
    def __init__(self, vocab_size, embed_dim=16, context_size=2, hidden_size=32, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.layers = nn.Sequential(
            nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id),
            nn.Flatten(),
            nn.Linear(context_size * embed_dim, hidden_size),
            nn.Tanh(),
            nn.Linear(hidden_size, vocab_size),
        )

    def forward(self, context):
        return self.layers(context)

    def loss(self, context, target):
        logp = self(context).log_softmax(1)
        keep = (target != self.pad_id).to(logp.dtype)
        nll = -logp.gather(1, target[:, None])[:, 0]
        return (nll * keep).sum() / keep.sum().clamp(min=1)
