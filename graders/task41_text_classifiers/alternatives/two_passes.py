"""An LSTM for each direction in one module, sequences turned by index; a base class for the three networks."""


class Reader(nn.Module):
    def __init__(self, vocab_size, embed_dim, features, num_classes, pad_id):
        super().__init__()
        self.table = nn.Embedding(vocab_size, embed_dim, pad_id)
        self.output = nn.Linear(features, num_classes)
        self.pad_id = pad_id

    def forward(self, ids):
        mask = ids != self.pad_id
        longest = max(1, int(mask.sum(1).max()))
        mask = mask[:, :longest]
        only = mask.clone()
        only[:, 0] = True
        return self.output(self.features(self.table(ids[:, :longest]), only))


class FastText(Reader):
    def __init__(self, vocab_size, embed_dim, num_classes, pad_id=0):
        super().__init__(vocab_size, embed_dim, embed_dim, num_classes, pad_id)

    def features(self, x, mask):
        return masked_mean(x, mask)


class TextCNN(Reader):
    def __init__(self, vocab_size, embed_dim, kernel_sizes, num_filters, num_classes, pad_id=0, dropout=0.5):
        super().__init__(vocab_size, embed_dim, len(kernel_sizes) * num_filters, num_classes, pad_id)
        self.filters = nn.ParameterList()
        self.biases = nn.ParameterList()
        for k in kernel_sizes:
            layer = nn.Conv1d(embed_dim, num_filters, k)
            self.filters.append(layer.weight)
            self.biases.append(layer.bias)
        self.rate = dropout

    def features(self, x, mask):
        answers = []
        for weight, bias in zip(self.filters, self.biases):
            k = weight.shape[2]
            wide = torch.cat([x, x.new_zeros(x.shape[0], k, x.shape[2])], 1)
            windows = wide.unfold(1, k, 1)[:, : x.shape[1]]  # (B, T, E, k)
            y = torch.tensordot(windows, weight, dims=([2, 3], [1, 2])) + bias  # (B, T, F)
            ends = F.pad(mask, (0, k))[:, k - 1 : k - 1 + x.shape[1]]
            ends = ends | (torch.arange(x.shape[1], device=x.device) == 0)
            answers.append(y.masked_fill(~ends[..., None], -torch.inf).max(1).values.clamp_min(0))
        return F.dropout(torch.cat(answers, 1), self.rate, self.training)


class TextRNN(Reader):
    def __init__(self, vocab_size, embed_dim, hidden_size, num_classes, pad_id=0, pooling="last"):
        super().__init__(vocab_size, embed_dim, 2 * hidden_size, num_classes, pad_id)
        if pooling == "attention":
            self.attention = AttentionPooling(2 * hidden_size)
        elif pooling != "last":
            raise ValueError(f"unknown pooling {pooling}")
        self.ahead = nn.LSTM(embed_dim, hidden_size, batch_first=True)
        self.back = nn.LSTM(embed_dim, hidden_size, batch_first=True)

    def features(self, x, mask):
        lengths = mask.sum(1, keepdim=True)
        places = torch.arange(x.shape[1], device=x.device)[None]
        turn = torch.where(places < lengths, lengths - 1 - places, places)[..., None]
        ahead = self.ahead(x)[0]
        back = self.back(x.gather(1, turn.expand_as(x)))[0]
        if hasattr(self, "attention"):
            both = torch.cat([ahead, back.gather(1, turn.expand_as(back))], 2)
            return self.attention(both, mask)[0]
        last = (lengths - 1)[..., None].expand(-1, 1, ahead.shape[2])
        return torch.cat([ahead.gather(1, last), back.gather(1, last)], 2)[:, 0]


def train_classifier(model, loader, epochs=5, lr=1e-3):
    model = model.train()
    optimizer = torch.optim.Adam(list(model.parameters()), lr=lr)

    def epoch():
        each = []
        for labels, ids in loader:
            model.zero_grad()
            device = next(model.parameters()).device
            found = F.nll_loss(model(ids.to(device)).log_softmax(1), labels.to(device), reduction="none")
            found.mean().backward()
            optimizer.step()
            each.append(found.detach())
        return float(torch.cat(each).mean()) if each else 0.0

    return [epoch() for _ in range(epochs)]
