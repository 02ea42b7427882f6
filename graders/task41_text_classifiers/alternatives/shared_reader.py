"""The networks share a class that embeds the ids and marks the words; the means are products, the lists NumPy's."""

from contextlib import contextmanager

import numpy as np


def pad_batch(samples: Sequence[tuple[int, Sequence[int]]], pad_id: int = 0) -> tuple[Tensor, Tensor]:
    ys, xs = zip(*samples)
    table = np.full((len(xs), max([1, *map(len, xs)])), pad_id, dtype=np.int64)
    for line, x in zip(table, xs):
        line[: len(x)] = x
    return torch.from_numpy(np.array(ys, dtype=np.int64)), torch.from_numpy(table)


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    m = mask.to(states.dtype)
    share = m / torch.maximum(m.sum(1, keepdim=True), torch.ones_like(m[:, :1]))
    return torch.einsum("bte,bt->be", torch.where(mask[..., None], states, torch.zeros_like(states)), share)


class _Reader(nn.Module):
    """The embedding, and which places are words."""

    def __init__(self, vocab_size, embed_dim, pad_id):
        super().__init__()
        self.pad_id = pad_id
        self.table = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)

    def read(self, ids):
        mask = ids.ne(self.pad_id)
        first = torch.zeros_like(mask)
        first[:, 0] = True
        return self.table(ids), mask | first


class FastText(_Reader):
    def __init__(self, vocab_size: int, embed_dim: int, num_classes: int, pad_id: int = 0) -> None:
        super().__init__(vocab_size, embed_dim, pad_id)
        self.head = nn.Linear(embed_dim, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(masked_mean(*self.read(ids)))


class TextCNN(_Reader):
    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        kernel_sizes: Sequence[int],
        num_filters: int,
        num_classes: int,
        pad_id: int = 0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(vocab_size, embed_dim, pad_id)
        self.filters = nn.ModuleList(nn.Conv1d(embed_dim, num_filters, k) for k in kernel_sizes)
        self.p = dropout
        self.head = nn.Linear(len(kernel_sizes) * num_filters, num_classes)

    def _answer(self, conv, x, mask):
        k = conv.kernel_size[0]
        x, mask = F.pad(x, (0, k - 1)), F.pad(mask, (0, k - 1))
        # a window counts if its last place is a word, or if it is the first one
        ok = mask[:, k - 1 :].clone()
        ok[:, 0] = True
        return conv(x).relu().mul(ok[:, None]).max(-1).values

    def forward(self, ids: Tensor) -> Tensor:
        x, mask = self.read(ids)
        x = x.permute(0, 2, 1)
        h = torch.hstack([self._answer(f, x, mask) for f in self.filters])
        return self.head(F.dropout(h, self.p, training=self.training))


class AttentionPooling(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, dim)
        self.outer = nn.Linear(dim, 1, bias=False)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        s = torch.where(mask[..., None], states, torch.zeros((), dtype=states.dtype, device=states.device))
        e = self.outer(self.inner(s).tanh())[..., 0]
        e = torch.where(mask, e, torch.full_like(e, torch.finfo(e.dtype).min))
        a = e.softmax(1) * mask
        return torch.einsum("bt,btd->bd", a, s), a


class TextRNN(_Reader):
    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        hidden_size: int,
        num_classes: int,
        pad_id: int = 0,
        pooling: str = "last",
    ) -> None:
        super().__init__(vocab_size, embed_dim, pad_id)
        try:
            self.pool = {"last": nn.Identity, "attention": AttentionPooling}[pooling](2 * hidden_size)
        except (KeyError, TypeError):
            raise ValueError(pooling) from None
        self.hidden_size = hidden_size
        self.lstm = nn.LSTM(embed_dim, hidden_size, bidirectional=True)
        self.head = nn.Linear(2 * hidden_size, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        x, mask = self.read(ids)
        n = mask.sum(1)
        order = n.argsort(descending=True)
        packed = pack_padded_sequence(x[order].transpose(0, 1), n[order].cpu())
        out, _ = pad_packed_sequence(self.lstm(packed)[0])
        out = out.transpose(0, 1)[order.argsort()]
        if isinstance(self.pool, AttentionPooling):
            return self.head(self.pool(out, mask[:, : out.shape[1]])[0])
        h = self.hidden_size
        rows = torch.arange(len(ids), device=ids.device)
        return self.head(torch.cat((out[rows, n - 1, :h], out[:, 0, h:]), -1))


def train_classifier(
    model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], epochs: int = 5, lr: float = 1e-3
) -> list[float]:
    device = next(model.parameters()).device
    adam = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()

    def step(labels, ids):
        labels = labels.to(device)
        losses = nn.CrossEntropyLoss(reduction="none")(model(ids.to(device)), labels)
        model.zero_grad()
        losses.mean().backward()
        adam.step()
        return losses.detach().double().cpu().numpy()

    def epoch():
        all_losses = [step(*pair) for pair in loader]
        return float(np.concatenate(all_losses).mean()) if all_losses else 0.0

    return [epoch() for _ in range(epochs)]


@contextmanager
def evaluating(model):
    on = [m for m in model.modules() if m.training]
    off = [m for m in model.modules() if not m.training]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for m in on:
            m.training = True
        for m in off:
            m.training = False


def predict_sentiment(model: nn.Module, text: str | Sequence[str], vocab: Mapping[str, int]) -> int:
    words = (text.split() if isinstance(text, str) else list(text)) or [PAD]
    ids = torch.as_tensor([[vocab.get(w, vocab[UNK]) for w in words]], device=next(model.parameters()).device)
    with evaluating(model):
        return int(np.argmax(model(ids).float().cpu().numpy()))
