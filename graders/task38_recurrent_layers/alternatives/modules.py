"""The layer as a list of small modules, one for each direction, whose parameters are registered once more by name."""


class Direction:
    """One layer in one direction, on the parameters of its owner."""

    def __init__(self, owner, layer, backwards):
        tail = f"_l{layer}_reverse" if backwards else f"_l{layer}"
        self.names = [name + tail for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        self.owner, self.backwards = owner, backwards

    def run(self, x, state, lengths):
        parameters = self.owner._parameters
        return scan(self.owner.cell, x, state, tuple(parameters[name] for name in self.names), lengths, self.backwards)


class Recurrent(nn.Module):
    def __init__(self, input_size, hidden_size, bidirectional=False, batch_first=False, num_layers=1):
        super().__init__()
        self.settings = (input_size, hidden_size, 2 if bidirectional else 1, batch_first, num_layers)
        for layer in range(num_layers):
            for backwards in range(self.settings[2]):
                width = hidden_size * self.settings[2] if layer > 0 else input_size
                shapes = [(self.gates * hidden_size, width), (self.gates * hidden_size, hidden_size)]
                shapes += [(self.gates * hidden_size,)] * 2
                for name, shape in zip(Direction(self, layer, backwards).names, shapes):
                    self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self.reset_parameters()

    def reset_parameters(self):
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(self.settings[1] ** -0.5), self.settings[1] ** -0.5)

    def forward(self, x, state=None, lengths=None):
        _, hidden, directions, batch_first, depth = self.settings
        if batch_first:
            x = x.swapaxes(0, 1)
        count = directions * depth
        if state is None:
            blank = [torch.zeros(x.shape[1], hidden).to(x) for _ in range(count)]
            starts = blank if self.states == 1 else [(b, b) for b in blank]
        elif self.states == 1:
            starts = [state[k] for k in range(count)]
        else:
            starts = [(state[0][k], state[1][k]) for k in range(count)]
        ends = []
        for layer in range(depth):
            results = []
            for backwards in range(directions):
                runner = Direction(self, layer, bool(backwards))
                results.append(runner.run(x, starts[layer * directions + backwards], lengths))
            x = torch.cat([output for output, _ in results], dim=-1)
            ends.extend(end for _, end in results)
        if self.states == 1:
            end = torch.stack(ends, 0)
        else:
            end = (torch.stack([h for h, _ in ends], 0), torch.stack([c for _, c in ends], 0))
        return (x.swapaxes(0, 1) if batch_first else x), end


class RNN(Recurrent):
    cell = staticmethod(rnn_cell)
    gates, states = 1, 1


class LSTM(Recurrent):
    cell = staticmethod(lstm_cell)
    gates, states = 4, 2


class GRU(Recurrent):
    cell = staticmethod(gru_cell)
    gates, states = 3, 1


def forward_in_chunks(layer, x, size, state=None):
    outputs, start = [], 0
    while start < x.shape[0]:
        out, state = layer(x[start : start + size], state)
        outputs.append(out)
        start += size
        if start < x.shape[0]:
            if isinstance(state, tuple):
                state = (state[0].clone().detach(), state[1].clone().detach())
            else:
                state = state.clone().detach()
    return torch.vstack(outputs), state
