"""Masks that are multiplied or added, minus infinity before ReLU, einsum, a padded batch for all filters at once."""

from torch.nn.utils import rnn


def pad_batch(samples, pad_id=0):
    labels, rows = zip(*samples)
    rows = [torch.tensor(row or [pad_id], dtype=torch.int64) for row in rows]
    return torch.as_tensor(labels), rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)


def masked_mean(states, mask):
    weights = mask.to(states.dtype) / mask.sum(1, keepdim=True).clamp(min=1).to(states.dtype)
    return torch.einsum("bt,bte->be", weights, states)


class FastText(nn.Module):
    def __init__(self, vocab_size, embed_dim, num_classes, pad_id=0):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab_size, embed_dim, mode="mean", padding_idx=pad_id)
        self.out = nn.Linear(embed_dim, num_classes)

    def forward(self, ids):
        return self.out(self.bag(ids))


class TextCNN(nn.Module):
    def __init__(self, vocab_size, embed_dim, kernel_sizes, num_filters, num_classes, pad_id=0, dropout=0.5):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.blocks = nn.ModuleDict({str(n): nn.Conv1d(embed_dim, num_filters, k) for n, k in enumerate(kernel_sizes)})
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(num_filters * len(self.blocks), num_classes))
        self.pad, self.sizes = pad_id, tuple(kernel_sizes)

    def forward(self, ids):
        widest = max(self.sizes)
        ids = F.pad(ids, (0, widest - 1), value=self.pad)
        counts = ids.ne(self.pad).sum(1, keepdim=True)
        x = self.embed(ids).permute(0, 2, 1)
        best = []
        for size, block in zip(self.sizes, self.blocks.values()):
            y = block(x)
            place = torch.arange(y.size(-1), device=ids.device).unsqueeze(0)
            outside = (place > 0) & (place + size > counts)
            y = y + torch.zeros_like(place, dtype=y.dtype).masked_fill(outside, float("-inf")).unsqueeze(1)
            best.append(F.relu(F.adaptive_max_pool1d(y, 1).squeeze(-1)))
        return self.head(torch.cat(best, -1))


class AttentionPooling(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1, bias=False))

    def forward(self, states, mask):
        keep = mask.unsqueeze(-1).to(states.dtype)
        powers = self.layers(states).exp() * keep
        weights = powers / (powers.sum(1, keepdim=True) + (~mask.any(1))[:, None, None].to(states.dtype))
        return (weights * states).sum(1), weights.squeeze(-1)


class TextRNN(nn.Module):
    def __init__(self, vocab_size, embed_dim, hidden_size, num_classes, pad_id=0, pooling="last"):
        super().__init__()
        if pooling not in {"last", "attention"}:
            raise ValueError(pooling)
        self.embed = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.lstm = nn.LSTM(embed_dim, hidden_size, 1, batch_first=True, bidirectional=True)
        self.attend = AttentionPooling(2 * hidden_size) if pooling == "attention" else None
        self.head = nn.Linear(2 * hidden_size, num_classes)
        self.pad = pad_id

    def forward(self, ids):
        counts = ids.ne(self.pad).sum(1).clamp(min=1)
        order = counts.argsort(descending=True)
        x = rnn.pack_padded_sequence(self.embed(ids[order]), counts[order].tolist(), batch_first=True)
        y, (h, c) = self.lstm(x)
        back = order.argsort()
        if self.attend is None:
            features = h.transpose(0, 1).flatten(1)
        else:
            y, n = rnn.pad_packed_sequence(y, batch_first=True)
            features, _ = self.attend(y, torch.arange(y.size(1))[None].to(ids.device) < n.to(ids.device)[:, None])
        return self.head(features[back])


def predict_sentiment(model, text, vocab):
    tokens = text.split() if isinstance(text, str) else list(text)
    ids = torch.tensor([vocab.get(t, vocab[UNK]) for t in tokens or [PAD]], dtype=torch.int64)
    training = {name: part.training for name, part in model.named_modules()}
    try:
        with torch.inference_mode():
            return model.eval()(ids.to(next(iter(model.parameters())).device)[None]).argmax(-1).item()
    finally:
        for name, part in model.named_modules():
            part.training = training[name]
