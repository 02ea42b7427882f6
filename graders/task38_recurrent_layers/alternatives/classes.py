"""Three classes that share no code but one loop over time; nn.Parameter by setattr; padding by arithmetic."""


def scan(cell, x, state, weights, lengths=None, reverse=False):
    T, B = x.shape[:2]
    if lengths is None:
        lengths = torch.full((B,), T, device=x.device)
    outputs = {}
    for t in range(T - 1, -1, -1) if reverse else range(T):
        alive = (lengths > t).to(x.dtype).unsqueeze(1)
        new = cell(x[t], state, *weights)
        if type(state) is tuple:
            state = tuple(alive * a + (1 - alive) * b for a, b in zip(new, state))
            outputs[t] = alive * state[0]
        else:
            state = alive * new + (1 - alive) * state
            outputs[t] = alive * state
    return torch.stack([outputs[t] for t in range(T)], dim=0), state


def _build(self, gates, inputs, H, D, L):
    k = 1 / H**0.5
    for layer in range(L):
        for tail in ["", "_reverse"][:D]:
            width = inputs if layer == 0 else H * D
            setattr(self, f"weight_ih_l{layer}{tail}", nn.Parameter((torch.rand(gates * H, width) * 2 - 1) * k))
            setattr(self, f"weight_hh_l{layer}{tail}", nn.Parameter((torch.rand(gates * H, H) * 2 - 1) * k))
            setattr(self, f"bias_ih_l{layer}{tail}", nn.Parameter((torch.rand(gates * H) * 2 - 1) * k))
            setattr(self, f"bias_hh_l{layer}{tail}", nn.Parameter((torch.rand(gates * H) * 2 - 1) * k))


def _weights(self, layer, tail):
    state = dict(self.named_parameters())
    return [state[f"{n}_l{layer}{tail}"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


class RNN(nn.Module):
    cell = staticmethod(rnn_cell)
    gates = 1

    def __init__(self, input_size, hidden_size, bidirectional=False, batch_first=False, num_layers=1):
        super().__init__()
        self.H, self.D, self.L, self.batch_first = hidden_size, 1 + bidirectional, num_layers, batch_first
        _build(self, self.gates, input_size, hidden_size, self.D, num_layers)

    def forward(self, x, state=None, lengths=None):
        x = x.permute(1, 0, 2) if self.batch_first else x
        if state is None:
            state = torch.zeros(self.L * self.D, x.shape[1], self.H, dtype=x.dtype, device=x.device)
        ends = torch.empty_like(state[:0])
        for layer in range(self.L):
            ahead, end = scan(self.cell, x, state[layer * self.D], _weights(self, layer, ""), lengths)
            ends = torch.cat([ends, end[None]])
            if self.D == 2:
                back, end = scan(self.cell, x, state[layer * 2 + 1], _weights(self, layer, "_reverse"), lengths, True)
                ends = torch.cat([ends, end[None]])
                ahead = torch.cat([ahead, back], dim=2)
            x = ahead
        return (x.permute(1, 0, 2) if self.batch_first else x), ends


class GRU(RNN):
    cell = staticmethod(gru_cell)
    gates = 3


class LSTM(nn.Module):
    def __init__(self, input_size, hidden_size, bidirectional=False, batch_first=False, num_layers=1):
        super().__init__()
        self.hidden, self.both, self.depth, self.first = hidden_size, bidirectional, num_layers, batch_first
        _build(self, 4, input_size, hidden_size, 2 if bidirectional else 1, num_layers)

    def forward(self, x, state=None, lengths=None):
        if self.first:
            x = torch.transpose(x, 0, 1)
        tails = ["", "_reverse"] if self.both else [""]
        hs, cs, k = [], [], 0
        for layer in range(self.depth):
            found = []
            for tail in tails:
                if state is None:
                    start = (x.new_zeros(x.size(1), self.hidden), x.new_zeros(x.size(1), self.hidden))
                else:
                    start = (state[0][k], state[1][k])
                out, (h, c) = scan(lstm_cell, x, start, _weights(self, layer, tail), lengths, tail != "")
                found.append(out)
                hs.append(h)
                cs.append(c)
                k += 1
            x = torch.cat(found, 2)
        return (torch.transpose(x, 0, 1) if self.first else x), (torch.stack(hs), torch.stack(cs))
