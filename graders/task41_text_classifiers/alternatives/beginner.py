"""One sentence after the other, one word after the other, in plain loops."""


def pad_batch(samples, pad_id=0):
    longest = 1
    for label, ids in samples:
        if len(ids) > longest:
            longest = len(ids)
    labels = torch.zeros(len(samples), dtype=torch.long)
    batch = torch.zeros(len(samples), longest, dtype=torch.long)
    for row in range(len(samples)):
        labels[row] = samples[row][0]
        for place in range(longest):
            ids = samples[row][1]
            batch[row, place] = ids[place] if place < len(ids) else pad_id
    return labels, batch


def masked_mean(states, mask):
    rows = []
    for row in range(states.shape[0]):
        total = states.new_zeros(states.shape[2])
        count = 0
        for place in range(states.shape[1]):
            if mask[row, place]:
                total = total + states[row, place]
                count += 1
        rows.append(total / count if count > 0 else total)
    return torch.stack(rows)


class AttentionPooling(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.v = nn.Linear(dim, 1, bias=False)
        self.w = nn.Linear(dim, dim)

    def forward(self, states, mask):
        pooled, weights = [], []
        for s, m in zip(states, mask):
            w = torch.zeros_like(s[:, 0])
            if m.any():
                w = torch.zeros_like(w).index_put(
                    (m.nonzero()[:, 0],), torch.softmax(self.v(torch.tanh(self.w(s[m])))[:, 0], 0)
                )
                pooled.append((w[m].unsqueeze(1) * s[m]).sum(0))
            else:
                pooled.append(torch.zeros_like(s[0]) + 0 * s[0])
            weights.append(w)
        return torch.stack(pooled), torch.stack(weights)


def train_classifier(model, loader, epochs=5, lr=1e-3):
    history = []
    opt = torch.optim.Adam(model.parameters(), lr)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        losses, sizes = [], []
        for batch in loader:
            opt.zero_grad()
            labels = batch[0].to(next(model.parameters()).device)
            ids = batch[1].to(next(model.parameters()).device)
            loss = criterion(model(ids), labels)
            loss.backward()
            opt.step()
            losses.append(loss.item())
            sizes.append(len(labels))
        if sizes:
            history.append(sum(a * b for a, b in zip(losses, sizes)) / sum(sizes))
        else:
            history.append(0.0)
    model.train()
    return history


def predict_sentiment(model, text, vocab):
    if isinstance(text, str):
        text = text.split()
    ids = []
    for word in text:
        if word in vocab:
            ids.append(vocab[word])
        else:
            ids.append(vocab["<UNK>"])
    if len(ids) == 0:
        ids.append(vocab["<PAD>"])
    before = [m.training for m in model.modules()]
    model.eval()
    with torch.no_grad():
        x = torch.LongTensor(ids).unsqueeze(0).to(next(model.parameters()).device)
        best = torch.max(model(x), dim=1)[1].item()
    for m, mode in zip(model.modules(), before):
        m.training = mode
    return best
