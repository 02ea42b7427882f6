"""Checks for task 38: the RNN, the LSTM and the GRU.

Cells and layers are held against PyTorch's own, with weights and biases that all differ, since equal ones hide an order
of gates. What padding has to do is PyTorch's layer again, run over each sequence by itself, cut to its length.
"""

import math

import torch
from torch import nn

from torchgrade.authoring import (
    INTEGERS,
    LAYOUTS,
    LEFT_OUT,
    RECORDING,
    Rule,
    check,
    expect,
    grid,
    kit,
    normal,
    registered_parameters,
)

SINGLE, DOUBLE = torch.float32, torch.float64
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}

# --- cells -------------------------------------------------------------------------------------------------


def operands_of(gates, pair=False):
    """x, state and weights of a cell with so many gates; ``pair``: the state is (h, c)."""

    def operands(draw, batch, inputs, units):
        h = draw(batch, units)
        return {
            "x": draw(batch, inputs),
            **({"state": (h, draw(batch, units))} if pair else {"h": h}),
            "w_ih": draw(gates * units, inputs),
            "w_hh": draw(gates * units, units),
            "b_ih": draw(gates * units),
            "b_hh": draw(gates * units),
        }

    return operands


SIZES = {"batch": [3, 1, 2], "inputs": [4, 1, 3], "units": [3, 1, 5], "dtype": [SINGLE, DOUBLE]}
RNN_STEPS = grid(operands_of(1), **SIZES)
LSTM_STEPS = grid(operands_of(4, pair=True), **SIZES)
GRU_STEPS = grid(operands_of(3), **SIZES)


def rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    return torch.rnn_tanh_cell(x, h, w_ih, w_hh, b_ih, b_hh)


def lstm_cell(x, state, w_ih, w_hh, b_ih, b_hh):
    return torch.lstm_cell(x, state, w_ih, w_hh, b_ih, b_hh)


def gru_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    return torch.gru_cell(x, h, w_ih, w_hh, b_ih, b_hh)


def rnn_formula(bend=torch.tanh, turned=False, biases=(1, 1)):
    def cell(x, h, w_ih, w_hh, b_ih, b_hh):
        return bend(x @ w_ih.T + biases[0] * b_ih + h @ (w_hh if turned else w_hh.T) + biases[1] * b_hh)

    return cell


def lstm_formula(order="ifgo", coupled=False, squashed=True, new=torch.tanh, biases=(1, 1), old=False):
    def cell(x, state, w_ih, w_hh, b_ih, b_hh):
        h, c = state
        blocks = (x @ w_ih.T + biases[0] * b_ih + h @ w_hh.T + biases[1] * b_hh).chunk(4, 1)
        i, f, g, o = (blocks[order.index(name)] for name in "ifgo")
        keep = 1 - torch.sigmoid(i) if coupled else torch.sigmoid(f)
        after = keep * c + torch.sigmoid(i) * new(g)
        shown = c if old else after
        return torch.sigmoid(o) * (torch.tanh(shown) if squashed else shown), after

    return cell


def gru_formula(order="rzn", first=False, swapped=False, outside=False, biases=(1, 1)):
    def cell(x, h, w_ih, w_hh, b_ih, b_hh):
        place = [order.index(name) for name in "rzn"]
        a = (x @ w_ih.T + biases[0] * b_ih).chunk(3, 1)
        b = (h @ w_hh.T + biases[1] * b_hh).chunk(3, 1)
        r, z = (torch.sigmoid(a[k] + b[k]) for k in place[:2])
        weight, bias = w_hh.chunk(3)[place[2]], biases[1] * b_hh.chunk(3)[place[2]]
        if first:
            seen = (r * h) @ weight.T + bias
        elif outside:
            seen = r * (h @ weight.T) + bias
        else:
            seen = r * b[place[2]]
        n = torch.tanh(a[place[2]] + seen)
        return z * n + (1 - z) * h if swapped else (1 - z) * n + z * h

    return cell


@check("rnn_cell is tanh(W x + b + W h + b)", points=1, category="values", devices="all")
def test_rnn_cell(submission, device):
    likely = {
        "there is no tanh": rnn_formula(bend=lambda a: a),
        "this is ReLU, not tanh": rnn_formula(bend=torch.relu),
        "h is multiplied by w_hh itself, not by its transpose": rnn_formula(turned=True),
        "b_hh is left out: there are two biases": rnn_formula(biases=(1, 0)),
        "b_ih is added twice": rnn_formula(biases=(2, 0)),
    }
    expect.agrees(submission.rnn_cell, rnn_cell, RNN_STEPS, device=device, likely=likely)
    one = torch.tensor([[1.0]])
    answer = submission.rnn_cell(one, one / 4, one, 2 * one, -one[0] / 2, -one[0] / 2)
    expect.close(answer, torch.tensor([[math.tanh(0.5)]]), given="the example of the task")


@check("lstm_cell keeps the order i, f, g, o and both states", points=1.5, category="values", devices="all")
def test_lstm_cell(submission, device):
    likely = {
        "the blocks are taken as i, f, o, g": lstm_formula(order="ifog"),
        "the blocks are taken as f, i, g, o": lstm_formula(order="figo"),
        "the forget gate is 1 - i, not a gate of its own": lstm_formula(coupled=True),
        "h' is o · c', without tanh": lstm_formula(squashed=False),
        "the new is a sigmoid, not tanh": lstm_formula(new=torch.sigmoid),
        "h' is made of the old c": lstm_formula(old=True),
        "b_hh is left out: there are two biases": lstm_formula(biases=(1, 0)),
    }
    expect.agrees(submission.lstm_cell, lstm_cell, LSTM_STEPS, device=device, likely=likely)


@check("gru_cell keeps the order r, z, n and resets inside", points=1.5, category="values", devices="all")
def test_gru_cell(submission, device):
    likely = {
        "the blocks are taken as z, r, n": gru_formula(order="zrn"),
        "r multiplies h before the product: this is the GRU of the first paper": gru_formula(first=True),
        "r multiplies the product without its bias": gru_formula(outside=True),
        "z is the share of the new, not of the old": gru_formula(swapped=True),
        "b_hh is left out: there are two biases": gru_formula(biases=(1, 0)),
    }
    expect.agrees(submission.gru_cell, gru_cell, GRU_STEPS, device=device, likely=likely)


CELLS = (("rnn_cell", rnn_cell, RNN_STEPS), ("lstm_cell", lstm_cell, LSTM_STEPS), ("gru_cell", gru_cell, GRU_STEPS))


@check("gradients flow through each cell to x, state and weights", points=1, category="gradients", hidden=True)
def test_cell_gradients(submission):
    for name, oracle, cases in CELLS:
        expect.agrees(getattr(submission, name), oracle, cases, gradients=True)


@check("the cells take any layout, large numbers and no sequences", points=0.5, category="robustness", hidden=True)
def test_cell_inputs(submission):
    for name, oracle, cases in CELLS:
        wide = cases.plain().vary(layout=LAYOUTS, grad=RECORDING, values=[kit.normal, kit.thousands, kit.zeros])
        expect.agrees(getattr(submission, name), oracle, wide, unchanged=True)
        large = cases.plain().vary(values=[kit.thousands], units=[2])
        expect.agrees(getattr(submission, name), oracle, large, gradients=True)
        state = (torch.zeros(0, 3), torch.zeros(0, 3)) if name == "lstm_cell" else torch.zeros(0, 3)
        gates = {"rnn_cell": 1, "lstm_cell": 4, "gru_cell": 3}[name]
        weights = [torch.randn(gates * 3, n) for n in (4, 3)] + [torch.randn(gates * 3) for _ in range(2)]
        answer = getattr(submission, name)(torch.zeros(0, 4), state, *weights)
        for part in answer if name == "lstm_cell" else [answer]:
            expect.shape(part, (0, 3), given=f"{name} of an empty batch")


# --- lengths -----------------------------------------------------------------------------------------------


def counts(draw, batch):
    return {"lengths": draw(batch, values=kit.integers)}


def mask(lengths, max_len):
    rows = [[place < int(length) for place in range(max_len)] for length in lengths]
    return torch.tensor(rows, dtype=torch.bool, device=lengths.device).reshape(len(rows), max_len)


def wrapping(lengths, max_len):
    """The mask where place and length are compared in the dtype of the lengths."""
    places = torch.arange(max_len).to(lengths.dtype)
    return places < lengths[:, None]


LENGTHS = grid(counts, batch=[6, 1, 2], max_len=[5, 1, 12], dtype=[torch.int64])


@check("mask_by_length is True where something is valid", points=1, category="values", devices="all")
def test_mask(submission, device):
    def shifted(lengths, max_len):
        return mask(lengths + 1, max_len)

    expect.agrees(
        submission.mask_by_length,
        mask,
        LENGTHS,
        device=device,
        likely={
            "the mask is inverted: True is valid, False is padding": lambda lengths, max_len: ~mask(lengths, max_len),
            "one place too many is valid": shifted,
            "the padding is in front": lambda lengths, max_len: mask(lengths, max_len).flip(1),
            "the mask holds numbers, not bools": lambda lengths, max_len: mask(lengths, max_len).float(),
        },
    )


@check("mask_by_length takes every kind of lengths, also none", points=0.5, category="robustness", hidden=True)
def test_mask_inputs(submission):
    cases = LENGTHS.vary(
        batch=[6, 0, 1],
        max_len=[5, 0, 12, 300],
        dtype=list(INTEGERS),
        layout=["contiguous", "gaps"],
    )
    likely = {"the numbers of the places wrap around: they are in the dtype of lengths": wrapping}
    expect.agrees(submission.mask_by_length, mask, cases, unchanged=True, likely=likely)
    # a pair of values may have met in an empty batch alone
    small = LENGTHS.vary(batch=[6], max_len=[300], dtype=[torch.int8, torch.uint8, torch.int16])
    expect.agrees(submission.mask_by_length, mask, small, likely=likely)


def read_outputs(draw, lengths, places, units):
    outputs = draw(len(lengths), places, units)
    return {"outputs": outputs, "lengths": torch.tensor(lengths, dtype=torch.int64, device=outputs.device)}


def last(outputs, lengths):
    return torch.stack([row[int(length) - 1] for row, length in zip(outputs, lengths, strict=True)])


LAST = grid(
    read_outputs, lengths=[(2, 5, 1, 3), (4,), (1, 2), (5, 5, 4)], places=[6, 5], units=[3, 1], dtype=[SINGLE, DOUBLE]
)


@check("last_valid_hidden takes each sequence at its own length", points=1, category="values", devices="all")
def test_last(submission, device):
    expect.agrees(
        submission.last_valid_hidden,
        last,
        LAST,
        device=device,
        likely={
            "this is the last place, which may be padding": lambda outputs, lengths: outputs[:, -1],
            "this is one place behind the last valid one": lambda outputs, lengths: last(
                outputs, lengths % outputs.shape[1] + 1
            ),
            "all sequences are taken at the longest length": lambda outputs, lengths: outputs[
                :, int(lengths.max()) - 1
            ],
        },
    )


@check("last_valid_hidden passes gradients and takes any layout", points=0.5, category="gradients", hidden=True)
def test_last_gradients(submission):
    expect.agrees(submission.last_valid_hidden, last, LAST, gradients=True)
    expect.agrees(submission.last_valid_hidden, last, LAST.plain().vary(layout=LAYOUTS, grad=RECORDING), unchanged=True)
    outputs = torch.randn(3, 4, 2)
    for dtype in INTEGERS:
        lengths = torch.tensor([4, 1, 2], dtype=dtype)
        expect.close(
            submission.last_valid_hidden(outputs, lengths), last(outputs, lengths), given=f"lengths in {dtype}"
        )
    silent, lengths = outputs * torch.tensor([1.0, 0.0, 1.0, 0.0])[:, None], torch.tensor([4, 1, 2])
    found = submission.last_valid_hidden(silent, lengths)
    expect.close(found, last(silent, lengths), given="outputs that are 0 at every second place")
    nothing = submission.last_valid_hidden(torch.zeros(0, 4, 2), torch.zeros(0, dtype=torch.int64))
    expect.shape(nothing, (0, 2), given="an empty batch")


# --- scan --------------------------------------------------------------------------------------------------


def plain_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    return torch.tanh(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)


def pair_cell(x, state, w_ih, w_hh, b_ih, b_hh):
    h, c = state
    c = c / 2 + plain_cell(x, h, w_ih, w_hh, b_ih, b_hh)
    return torch.sin(c + b_hh), c


def spoilt(x, lengths, time=0):
    """99 in the padding of x, and the lengths as a tensor; time is the first axis, or the second."""
    if 0 not in x.stride():
        for b, length in enumerate(lengths):
            x.data.select(1 - time, b)[length:] = 99.0
    return torch.tensor(lengths, device=x.device)


def sequences(draw, length, batch, inputs, units, lengths, pair):
    found = {
        "x": draw(length, batch, inputs),
        "h": draw(batch, units),
        "c": draw(batch, units) if pair else None,
        "w_ih": draw(units, inputs),
        "w_hh": draw(units, units),
        "b_ih": draw(units),
        "b_hh": draw(units),
    }
    if lengths is None:
        return found
    fitting = [min(n, length) for n in lengths[:batch]]
    return {**found, "lengths": spoilt(found["x"], fitting)}


def reading(turned=False, start=None, ignores=False, shows=False, end=None, waits=True):
    """``scan`` as it should be, sequence by sequence, or with a mistake."""

    def scanned(x, h, c, w_ih, w_hh, b_ih, b_hh, lengths=None, reverse=False):
        weights, columns, ends = (w_ih, w_hh, b_ih, b_hh), [], []
        for b in range(x.shape[1]):
            count = len(x) if lengths is None or ignores else int(lengths[b])
            state = h[b : b + 1] if c is None else (h[b : b + 1], c[b : b + 1])
            if start is not None:
                state = torch.zeros_like(h[:1]) if c is None else (torch.zeros_like(h[:1]),) * 2
            column = [torch.zeros_like(h[:1])] * len(x)
            waiting = state if c is None else state[0]
            steps = list(range(count))
            if reverse:
                steps.reverse()
            if reverse and not waits:  # reads its padding, and hides it
                steps = list(range(len(x)))[::-1]
            for t in steps:
                state = (
                    plain_cell(x[t, b : b + 1], state, *weights)
                    if c is None
                    else pair_cell(x[t, b : b + 1], state, *weights)
                )
                shown = state if c is None else state[0]
                column[t] = shown if t < count else torch.zeros_like(shown)
            if shows:
                waiting = waiting if reverse else state if c is None else state[0]
                column[count:] = [waiting] * (len(x) - count)
            columns.append(torch.cat(column[::-1] if turned and reverse else column))
            ends.append(state)
            if end is not None and reverse and c is None:
                ends[-1] = columns[-1][len(x) - 1 : len(x)]
        outputs = torch.stack(columns, 1)
        if c is None:
            return outputs, torch.cat(ends)
        return outputs, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))

    return scanned


RUNS = grid(
    sequences,
    length=[5, 1, 2],
    batch=[3, 1],
    inputs=[2, 1],
    units=[4, 1, 2],
    lengths=[None],
    pair=[False, True],
    dtype=[SINGLE, DOUBLE],
)
PADDED = RUNS.vary(lengths=[(2, 5, 3), (1, 0, 4), (5, 5, 5)], reverse=[LEFT_OUT, True])


@check("scan reads a sequence forwards, and backwards with reverse", points=1, category="values", devices="all")
def test_scan(submission, device):
    expect.agrees(
        submission.probes.scanned,
        reading(),
        RUNS.vary(reverse=[LEFT_OUT, True, False]),
        bound=[submission.scan],
        name="scan",
        device=device,
        likely={
            "backwards the outputs are in the order in which they were made": reading(turned=True),
            "the given state is not used: it starts at 0": reading(start=0),
            "backwards the final state is the output of the last place, not that of the first": reading(end=-1),
        },
    )


@check("scan neither reads padding nor shows anything there", points=1.5, category="values", devices="all")
def test_scan_lengths(submission, device):
    expect.agrees(
        submission.probes.scanned,
        reading(),
        PADDED,
        bound=[submission.scan],
        name="scan",
        device=device,
        likely={
            "padding leaks: it is read like a step": reading(ignores=True),
            "outputs at padded places are not 0, but the state that waits there": reading(shows=True),
            "backwards the padding is read before the last valid step": reading(waits=False),
        },
    )


@check("scan passes gradients, takes any layout, changes nothing", points=0.5, category="gradients", hidden=True)
def test_scan_gradients(submission):
    cases = PADDED.vary(lengths=[(2, 5, 3), None, (1, 0, 4)])
    expect.agrees(submission.probes.scanned, reading(), cases, bound=[submission.scan], name="scan", gradients=True)
    cases = cases.plain().vary(layout=LAYOUTS, grad=RECORDING)
    expect.agrees(submission.probes.scanned, reading(), cases, bound=[submission.scan], name="scan", unchanged=True)


# --- layers ------------------------------------------------------------------------------------------------


def shapes_of(kind, inputs, units, bidirectional=False, num_layers=1):
    settings = {"bidirectional": bidirectional, "num_layers": num_layers}
    with torch.device("meta"):
        layer = KINDS[kind](inputs, units, **settings)
    return {name: tuple(parameter.shape) for name, parameter in layer.named_parameters()}


@check("RNN, LSTM and GRU have the parameters of PyTorch's layers", points=1, category="parameters")
def test_parameters(submission):
    for kind, gates in GATES.items():
        for bidirectional in (False, True):
            for num_layers in (1, 2):
                settings = {"bidirectional": bidirectional, "num_layers": num_layers}
                layer = getattr(submission, kind)(10, 20, **settings)
                shapes = shapes_of(kind, 10, 20, **settings)
                given = f"{kind}(10, 20, bidirectional={bidirectional}, num_layers={num_layers})"
                total = sum(map(math.prod, shapes.values()))
                directions = 2 if bidirectional else 1
                biases = gates * 20 * directions * num_layers
                likely = {"there is one bias for each layer, not two": total - biases}
                if bidirectional:
                    likely["the other direction has no parameters of its own"] = sum(
                        math.prod(shape) for name, shape in shapes.items() if not name.endswith("_reverse")
                    )
                expect.parameters(layer, total, shapes.values(), likely=likely, given=given)
                names = [row["name"] for row in registered_parameters(layer)]
                expect.equal(sorted(names), sorted(shapes), because="names as in PyTorch", given=given)
                expect.equal(
                    all(row["requires_grad"] for row in registered_parameters(layer)),
                    True,
                    "all are trained",
                    given=given,
                )


def cut_to_length(base, keeps=False):
    """PyTorch's layer, which with ``lengths`` reads each sequence by itself."""

    class Cut(base):
        def forward(self, x, state=None, lengths=None):
            if lengths is None:
                return super().forward(x, state)
            time, rows = (1, 0) if self.batch_first else (0, 1)
            pair, outputs, ends = base is nn.LSTM, [], []
            directions = 2 if self.bidirectional else 1
            for b in range(x.shape[rows]):
                if state is None:
                    zeros = x.new_zeros(self.num_layers * directions, 1, self.hidden_size)
                    start = (zeros, zeros) if pair else zeros
                else:
                    start = tuple(part[:, b : b + 1] for part in state) if pair else state[:, b : b + 1]
                count = int(lengths[b])
                row = x.narrow(rows, b, 1)
                size = list(row.shape)
                size[2] = directions * self.hidden_size
                output = x.new_zeros(size)
                if count:
                    valid, start = super().forward(row.narrow(time, 0, count), start)
                    rest = valid.new_zeros(
                        *(n if k != time else x.shape[time] - count for k, n in enumerate(valid.shape))
                    )
                    output = torch.cat([valid, rest], time)
                outputs.append(output)
                ends.append(start)
            end = tuple(torch.cat(parts, 1) for parts in zip(*ends, strict=True)) if pair else torch.cat(ends, 1)
            return torch.cat(outputs, rows), end

    Cut.__name__ = base.__name__
    return Cut


SMALL = {"length": [4, 1], "batch": [2, 1, 3], "input_size": [3, 1], "hidden_size": [2, 1]}
CUT = {kind: cut_to_length(base) for kind, base in KINDS.items()}


def batches(pair):
    """x, with its initial state and lengths where they are asked for."""

    def operands(
        draw, length, batch, start, lengths, *, input_size, hidden_size, batch_first, bidirectional, num_layers
    ):
        first, both, layers = (
            default if value is LEFT_OUT else value
            for value, default in ((batch_first, False), (bidirectional, False), (num_layers, 1))
        )
        found = {"x": draw(*((batch, length) if first else (length, batch)), input_size)}
        shape = (layers * (2 if both else 1), batch, hidden_size)
        if start == "given":
            found["state"] = (draw(*shape), draw(*shape)) if pair else draw(*shape)
        if lengths is not None:
            found.setdefault("state", None)
            fitting = [min(n, length) for n in lengths[:batch]]
            found["lengths"] = spoilt(found["x"], fitting, time=1 if first else 0)
        return found

    return operands


def layers(kind, **axes):
    """A grid of layers of this kind, all of whose weights differ."""
    plain = {
        "length": [4, 1, 3],
        "batch": [2, 1, 3],
        "start": ["zero", "given"],
        "lengths": [None],
        "input_size": [3, 1, 2],
        "hidden_size": [2, 1, 3],
        "batch_first": [LEFT_OUT, True],
        "bidirectional": [LEFT_OUT],
        "num_layers": [LEFT_OUT],
        "state": ["loaded"],
    }
    return grid(batches(kind == "LSTM"), **{**plain, **axes})


def starting_at_zero(base):
    class Zero(base):
        def forward(self, x, state=None, lengths=None):
            return super().forward(x, None)

    return Zero


def layer_values(submission, device, kind):
    expect.agrees(
        getattr(submission, kind),
        KINDS[kind],
        layers(kind, dtype=[SINGLE, DOUBLE]),
        device=device,
        likely={"the given state is not used: it starts at 0": starting_at_zero(KINDS[kind])},
    )


@check("RNN computes what nn.RNN does", points=1, category="values", devices="all")
def test_rnn(submission, device):
    layer_values(submission, device, "RNN")


@check("LSTM computes what nn.LSTM does", points=1, category="values", devices="all")
def test_lstm(submission, device):
    layer_values(submission, device, "LSTM")


@check("GRU computes what nn.GRU does", points=1, category="values", devices="all")
def test_gru(submission, device):
    layer_values(submission, device, "GRU")


def both_ways(change):
    """nn.RNN whose output and final state are changed where it runs in both directions."""

    class Changed(nn.RNN):
        def forward(self, x, state=None):
            output, end = super().forward(x, state)
            return change(output, end, self) if self.bidirectional else (output, end)

    return Changed


def wrong_end(output, end, layer):
    place = output[:, -1] if layer.batch_first else output[-1]
    return output, torch.stack([end[0], place[:, layer.hidden_size :]])


def not_turned_back(output, end, layer):
    ahead, back = output.chunk(2, 2)
    return torch.cat([ahead, back.flip(1 if layer.batch_first else 0)], 2), end


def back_first(output, end, layer):
    return torch.cat(output.chunk(2, 2)[::-1], 2), end


def added(output, end, layer):
    return sum(output.chunk(2, 2)), end


@check("RNN reads in both directions, and ends each at its own end", points=1.5, category="values", after=test_rnn)
def test_bidirectional(submission):
    expect.agrees(
        submission.RNN,
        nn.RNN,
        layers("RNN", bidirectional=[True, False]),
        likely={
            "the final state of the backward direction is taken at the last place, not at the first": both_ways(
                wrong_end
            ),
            "the outputs of the backward direction are not turned back": both_ways(not_turned_back),
            "the backward direction comes first in the output": both_ways(back_first),
            "the two directions are added, not put side by side": both_ways(added),
        },
    )


@check("GRU puts layers on top of each other", points=0.5, category="values", after=test_gru)
def test_stacked(submission):
    def last_state(**settings):
        class Last(nn.GRU):
            def forward(self, x, state=None):
                output, end = super().forward(x, state)
                return output, end[-1:]

        return Last(**settings)

    expect.agrees(
        submission.GRU,
        nn.GRU,
        layers("GRU", num_layers=[2, 3, 1]),
        likely={"only the final state of the last layer is returned": last_state},
    )


def without_lengths(base):
    class Leaking(base):
        def forward(self, x, state=None, lengths=None):
            return super().forward(x, state)

    return Leaking


@check("LSTM with lengths reads no padding, in either direction", points=1, category="values", after=test_lstm)
def test_lengths(submission):
    cases = layers("LSTM", lengths=[(2, 4, 3), (4, 1, 2), (3, 0, 4)], bidirectional=[LEFT_OUT, True])
    likely = {"padding leaks: lengths are not used": without_lengths(nn.LSTM)}
    expect.agrees(submission.LSTM, CUT["LSTM"], cases, likely=likely)


@check("LSTM and GRU do all of it at once: directions, layers, lengths", points=1, category="values", hidden=True)
def test_together(submission):
    for kind in ("LSTM", "GRU"):
        cases = layers(
            kind,
            **SMALL,
            lengths=[(2, 4, 3), None, (4, 0, 1)],
            bidirectional=[True, False],
            num_layers=[2, 3],
            batch_first=[True, LEFT_OUT],
        )
        expect.agrees(getattr(submission, kind), CUT[kind], cases)


@check("gradients reach every weight of every layer", points=1, category="gradients", hidden=True)
def test_layer_gradients(submission):
    for kind in GATES:
        cases = layers(
            kind,
            **SMALL,
            lengths=[None, (2, 4, 3)],
            bidirectional=[LEFT_OUT, True],
            num_layers=[LEFT_OUT, 2],
            dtype=[DOUBLE],
        )
        expect.agrees(getattr(submission, kind), CUT[kind], cases, gradients=True)


@check("a layer carries nothing from one call to the next", points=0.5, category="robustness", hidden=True)
def test_calls(submission):
    def carried(base):
        class Carried(base):
            kept = None

            def forward(self, x, state=None, lengths=None):
                output, self.kept = super().forward(x, self.kept if state is None else state)
                return output, self.kept

        return Carried

    for kind in GATES:
        expect.agrees(
            getattr(submission, kind),
            KINDS[kind],
            layers(kind, length=[4], batch=[2]).vary(steps=[2, 3], start=["zero", "given"], objects=[1, 2]),
            likely={"the state of the call before is carried over": carried(KINDS[kind])},
        )


@check("a layer takes any layout and mode, and changes nothing", points=0.5, category="robustness", hidden=True)
def test_layer_inputs(submission):
    for kind in GATES:
        cases = layers(kind, **SMALL, lengths=[(2, 4, 3), None]).plain()
        cases = cases.vary(layout=LAYOUTS, grad=RECORDING, training=[True, False], objects=[1, 2])
        expect.agrees(getattr(submission, kind), CUT[kind], cases, unchanged=True)


def flat(state):
    return list(state) if isinstance(state, tuple) else [state]


@check("a layer starts uniform within ±1/sqrt(H)", points=0.5, category="values", hidden=True)
def test_init(submission):
    # of 64 numbers or more none reaches 0.75 of the bound once in 10^8 times; 0.4 and 0.75 are five standard errors off
    for kind, gates in GATES.items():
        settings = {"bidirectional": True, "num_layers": 2}
        first, second = (getattr(submission, kind)(60, 64, **settings).state_dict() for _ in range(2))
        seen = []
        for name, weight in first.items():
            values = weight.double() * 8  # in units of 1/sqrt(64)
            given = f"{name} of {kind}(60, 64, bidirectional=True, num_layers=2)"
            expect.equal(len(values), gates * 64, given=given)
            expect.between(float(values.abs().max()), 0.75, 1.000001, "times 1/sqrt(H), the largest", given=given)
            expect.between(float(values.std()), 0.4, 0.75, "times 1/sqrt(H), the deviation", given=given)
            same = bool(torch.equal(weight, second[name]))
            expect.equal(same, False, because="two layers start differently", given=given)
            alike = any(torch.equal(weight, other) for other in seen)
            expect.equal(alike, False, because="each parameter starts at numbers of its own", given=given)
            seen.append(weight)


BY_HAND = Rule(
    of=("rnn_cell", "lstm_cell", "gru_cell", "RNN", "LSTM", "GRU"),
    functions=("rnn_tanh", "rnn_relu", "lstm", "gru", "rnn_tanh_cell", "rnn_relu_cell", "lstm_cell", "gru_cell"),
    instead="products, sigmoid and tanh",
)


@check("cells and layers do without PyTorch's recurrent ones", points=0.5, category="rules", gates=BY_HAND)
def test_rule(submission):
    x, h = torch.randn(2, 3), torch.randn(2, 4)
    for name, gates in (("rnn_cell", 1), ("lstm_cell", 4), ("gru_cell", 3)):
        weights = torch.randn(gates * 4, 3), torch.randn(gates * 4, 4), torch.randn(gates * 4), torch.randn(gates * 4)
        state = (h, h) if name == "lstm_cell" else h
        expect.avoids(getattr(submission, name), x, state, *weights, rule=BY_HAND, given=name)
    for kind in GATES:
        expect.avoids(getattr(submission, kind)(3, 4), x[None], rule=BY_HAND, given=f"{kind}(3, 4)")


@check("nothing in a layer is tied to one device", points=0.5, category="devices", hidden=True)
def test_portable(submission):
    for kind in GATES:
        layer = getattr(submission, kind)(3, 4, bidirectional=True)
        expect.portable(layer, torch.rand(5, 2, 3))


@check(
    "LSTM learns to remember the first symbol",
    points=1.5,
    category="convergence",
    hidden=True,
    seconds=40,
    tries=2,
)
def test_recall(submission, calibration, pictures):
    losses, share = submission.probes.recall(submission.LSTM, 6, 5, 100)
    pictures.curves("training", "step", {"loss": losses})
    calibration.holds("recall", float(share), unit="(share of new sequences whose first symbol is named)")


# --- gradients over time -----------------------------------------------------------------------------------


def in_chunks(layer, x, size, state, detach=True, restarts=False):
    """``forward_in_chunks`` as it should be, or with a mistake."""
    outputs = []
    for number, chunk in enumerate(x.split(size)):
        if number and detach:
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        output, state = layer(chunk, None if restarts and number else state)
        outputs.append(output)
    return torch.cat(outputs), state


class Running(nn.Module):
    """A layer of its own kind: its state is (B, I, 2), its output (T, B, I, 2)."""

    def forward(self, x, state=None):
        state = x.new_zeros(*x.shape[1:], 2) if state is None else state
        steps = []
        for step in x:
            state = torch.tanh(step[..., None] * x.new_tensor([1.0, 0.5]) + state.flip(2) / 2)
            steps.append(state)
        return torch.stack(steps), state


def chunk_cases(submission):
    """(given, layer, the same layer here, x, size, state) for kinds of layers and sizes of chunks."""
    for kind, size, start in (
        ("RNN", 3, False),
        ("LSTM", 2, True),
        ("GRU", 1, True),
        ("LSTM", 4, False),
        ("RNN", 9, True),
        ("LSTM", 7, True),
    ):
        own = KINDS[kind](2, 3).double()
        state = {name: normal(*value.shape) for name, value in own.state_dict().items()}
        own.load_state_dict(state)
        layer = submission.probes.library(kind, 2, 3, state=state, dtype=DOUBLE)
        x = normal(7, 2, 2, requires_grad=True)
        h = normal(1, 2, 3, requires_grad=True)
        begin = None if not start else (h, normal(1, 2, 3)) if kind == "LSTM" else h
        given = f"nn.{kind}, 7 steps in chunks of {size}, {'a given state' if start else 'no state'}"
        yield given, layer, own, x, size, begin
    own = nn.LSTM(2, 3, num_layers=2).double()
    state = {name: normal(*value.shape) for name, value in own.state_dict().items()}
    own.load_state_dict(state)
    layer = submission.probes.library("LSTM", 2, 3, num_layers=2, state=state, dtype=DOUBLE)
    yield "nn.LSTM of two layers, 7 steps in chunks of 3", layer, own, normal(7, 2, 2, requires_grad=True), 3, None
    for begin in (None, normal(2, 3, 2, requires_grad=True)):
        given = f"a layer of its own kind, its output (7, 2, 3, 2), {'no state' if begin is None else 'a given state'}"
        yield given, submission.probes.running(), Running(), normal(7, 2, 3, requires_grad=True), 3, begin


def called(submission, layer, x, size, state):
    """With a state where there is one, without where there is none."""
    return submission.forward_in_chunks(layer, x, size, *(() if state is None else (state,)))


@check("forward_in_chunks computes what one pass over all does", points=1, category="values")
def test_chunks(submission):
    for given, layer, own, x, size, state in chunk_cases(submission):
        output, end = called(submission, layer, x, size, state)
        truth, last_state = own(x, state)
        wrong = in_chunks(own, x, size, state, restarts=True)[0].detach()
        likely = {"each chunk starts at 0, not where the one before ended": wrong} if size < 7 else {}
        expect.close(output.detach(), truth.detach(), rtol=1e-8, atol=1e-8, likely=likely, given=given)
        parts = [part.detach() for part in flat(end)]
        wanted = [part.detach() for part in flat(last_state)]
        expect.close(parts, wanted, rtol=1e-8, atol=1e-8, given=f"{given}: the final state")


@check("no gradient crosses from one chunk to the one before", points=1, category="gradients", after=test_chunks)
def test_chunk_gradients(submission):
    for given, layer, own, x, size, state in chunk_cases(submission):
        sources = [x] if state is None else [x, flat(state)[0]]
        got = slopes(called(submission, layer, x, size, state), sources)
        truth = slopes(in_chunks(own, x, size, state), sources)
        likely = {
            "the state is not detached: gradients go back to the beginning": slopes(
                in_chunks(own, x, size, state, detach=False), sources
            ),
            "the final state is cut off from the graph": slopes(detached_end(own, x, size, state), sources),
        }
        if state is not None:
            cut = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
            mistake = "the given state is cut off from the graph, too: only the states between two chunks are"
            likely[mistake] = slopes(in_chunks(own, x, size, cut), sources)
        likely = likely if size < len(x) else {}
        expect.close(got, truth, rtol=1e-7, atol=1e-9, likely=likely, given=f"{given}: gradients of x and the state")


def slopes(answer, sources):
    """The gradients of a random sum of outputs and final state, the same sum in each call."""
    output, end = answer
    generator = torch.Generator().manual_seed(5)
    heads = [output, *flat(end)]
    weights = [torch.randn(head.shape, generator=generator, dtype=DOUBLE) for head in heads]
    total = sum((head * weight).sum() for head, weight in zip(heads, weights, strict=True))
    found = torch.autograd.grad(total, sources, allow_unused=True)
    return [torch.zeros_like(s) if g is None else g for g, s in zip(found, sources, strict=True)]


def detached_end(layer, x, size, state):
    output, end = in_chunks(layer, x, size, state)
    return output, tuple(part.detach() for part in flat(end))


def by_autograd(x, u, w, v, target):
    with torch.enable_grad():
        u, w, v = (value.detach().clone().requires_grad_() for value in (u, w, v))
        h, loss = x.new_zeros(len(w)), 0
        for step, wanted in zip(x.detach(), target.detach(), strict=True):
            h = torch.tanh(u @ step + w @ h)
            loss = loss + (v @ h - wanted).square().sum() / 2
        return (loss.detach(), *torch.autograd.grad(loss, (u, w, v), allow_unused=True, materialize_grads=True))


def through_time(carries=True, turned=False, slope="output", same=False, scale=1.0, shows=True):
    """The formulas, or one of them mistaken."""

    def bptt(x, u, w, v, target):
        h, sums = [x.new_zeros(len(w))], []
        for step in x:
            sums.append(u @ step + w @ h[-1])
            h.append(torch.tanh(sums[-1]))
        error = torch.stack(h[1:]) @ v.T - target
        du, dw, dv, later = torch.zeros_like(u), torch.zeros_like(w), torch.zeros_like(v), torch.zeros_like(h[0])
        for t in reversed(range(len(x))):
            dv = dv + torch.outer(error[t], h[t + 1])
            inner = v.T @ error[t] + (later if carries else 0)
            before = inner * (1 - (h[t + 1] if slope == "output" else sums[t]) ** 2) if slope else inner
            du = du + torch.outer(before, x[t])
            dw = dw + torch.outer(before, h[t + 1] if same else h[t])
            later = (w if turned else w.T) @ before
        loss = error.square().sum() / 2
        return scale * loss, scale * du, scale * dw, scale * dv

    return bptt


def network(draw, length, inputs, units, outputs):
    return {
        "x": draw(length, inputs),
        "u": draw(units, inputs),
        "w": draw(units, units),
        "v": draw(outputs, units),
        "target": draw(length, outputs),
    }


NETWORKS = grid(
    network, length=[4, 1, 2, 6], inputs=[2, 1, 3], units=[3, 1, 2], outputs=[2, 1, 3], dtype=[DOUBLE, SINGLE]
)


@check("bptt returns the loss and the gradients of all three matrices", points=1.5, category="gradients")
def test_bptt(submission):
    expect.agrees(
        submission.bptt,
        by_autograd,
        NETWORKS,
        slack=10,
        likely={
            "the gradient is not carried to the step before": through_time(carries=False),
            "the gradient is carried through w, not through its transpose": through_time(turned=True),
            "the slope of tanh is 1 - h², with its output, not with its argument": through_time(slope="argument"),
            "the slope of tanh is left out": through_time(slope=None),
            "dw multiplies by the state of the same step, not by that of the step before": through_time(same=True),
            "the loss is not halved": through_time(scale=2.0),
        },
    )
    one = torch.tensor([[1.0]])
    answer = submission.bptt(torch.tensor([[1.0], [0.0]]), one / 2, one / 2, one, torch.zeros(2, 1))
    expect.close(
        list(answer),
        [torch.tensor(0.1325), *(torch.tensor([[value]]) for value in (0.4481, 0.0995, 0.2651))],
        rtol=0,
        atol=6e-5,
        given="the example of the task",
    )


@check("bptt takes any layout, and changes nothing", points=0.5, category="robustness", hidden=True)
def test_bptt_inputs(submission):
    cases = NETWORKS.plain().vary(layout=LAYOUTS, grad=RECORDING)
    expect.agrees(submission.bptt, by_autograd, cases, unchanged=True, slack=10)
    given = [normal(*shape) for shape in ((4, 2), (3, 2), (3, 3), (2, 3), (4, 2))]
    truth = list(by_autograd(*given))
    expect.close(list(submission.bptt(*given)), truth, rtol=1e-11, atol=1e-13, given="float64 to its last digits")


BY_FORMULA = Rule(of="bptt", functions=("grad", "backward", "vjp", "jacrev"), instead="the formulas")


@check("bptt works by formula, without autograd", points=0.5, category="rules", gates=BY_FORMULA, hidden=True)
def test_bptt_rule(submission):
    expect.avoids(
        submission.bptt, normal(4, 2), normal(3, 2), normal(3, 3), normal(2, 3), normal(4, 2), rule=BY_FORMULA
    )


def apart(truth, *, likely):
    """Those slips that differ from the truth, and from each other, so much that they can be told apart."""
    found, told = {}, [truth]
    for sentence, value in likely.items():
        if not any(near(value, other) for other in told):
            found[sentence] = value
            told.append(value)
    return found


def near(one, other):
    if isinstance(one, float):
        return abs(one - other) <= 1e-3 * max(abs(one), abs(other))
    return all(torch.allclose(a, b, 1e-4, 1e-12) for a, b in zip(one, other, strict=True))


@check("gradient_norm_through_time is the norm of a power of w", points=1, category="values")
def test_gradient_norm(submission):
    half = torch.tensor([[0.5]], dtype=DOUBLE)
    shift = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=DOUBLE)
    for w, steps, what in (
        (half, 5, "w = 0.5"),
        (normal(4, 4), 6, "w 4 x 4"),
        (half, 20, "w = 0.5"),
        (half, 50, "w = 0.5"),
        (half, 200, "w = 0.5"),
        (-1.25 * half, 4, "w = -0.625"),
        (torch.tensor([[0.5, 2.0], [0.0, 0.25]], dtype=DOUBLE), 4, "w = [[0.5, 2], [0, 0.25]]"),
        (shift, 2, "w = [[0, 1], [0, 0]]"),
        (shift, 3, "w = [[0, 1], [0, 0]]"),
    ):
        power = torch.linalg.matrix_power(w, steps - 1)
        truth = float(torch.linalg.svdvals(power)[0])
        one = float(torch.linalg.svdvals(w)[0])
        likely = apart(
            truth,
            likely={
                "this is a power of the norm, not the norm of the power": one ** (steps - 1),
                "steps matrices are multiplied, not steps - 1": float(torch.linalg.svdvals(power @ w)[0]),
                "this is the root of the sum of all squares, not the largest singular value": float(power.norm()),
                "this is the largest eigenvalue, not the largest singular value": float(
                    torch.linalg.eigvals(power).abs().max()
                ),
            },
        )
        expect.close(
            submission.gradient_norm_through_time(w, steps),
            truth,
            rtol=1e-6,
            atol=0.0,
            likely=likely,
            trivial="for a shift it is 1 after two steps and 0 after three",
            given=f"{what}, {steps} steps",
        )


@check("gradient_norm_through_time takes one step and float32", points=0.5, category="robustness", hidden=True)
def test_gradient_norm_inputs(submission):
    w = torch.randn(3, 3)
    for matrix, steps in ((w, 1), (w.T, 4), (w.clone().requires_grad_(), 4), (torch.tensor([[2.0]]), 9)):
        power = torch.linalg.matrix_power(matrix.detach().double(), steps - 1)
        expect.close(
            submission.gradient_norm_through_time(matrix, steps),
            float(torch.linalg.svdvals(power)[0]),
            rtol=1e-4,
            atol=0.0,
            trivial="for one step it is 1",
            given=f"w {tuple(matrix.shape)} in float32, {steps} steps",
        )
    expect.not_mutated(submission, submission.gradient_norm_through_time, w, 5)


def clipping(grads, max_norm):
    norm = torch.cat([grad.flatten() for grad in grads if grad is not None]).norm()
    factor = min(1.0, float(max_norm / (norm + 1e-6)))
    return norm, [None if grad is None else grad * factor for grad in grads]


@check("clip_grad_norm_ scales all gradients by one factor", points=1, category="values")
def test_clip(submission):
    several = [torch.randn(3), torch.randn(2, 4), torch.randn(())]
    for grads, max_norm, what in (
        (several, 0.5, "three gradients"),
        ([torch.tensor([3.0]), torch.tensor([4.0])], 1.0, "the example of the task"),
        (several, 1e3, "three gradients below max_norm"),
        ([torch.full((3,), 100.0)], 2.5, "one gradient of three times 100"),
        ([torch.tensor([1e-7, 2e-7])], 1e-7, "a tiny gradient"),
        ([torch.tensor([3e-7, 4e-7])], 1e-6, "a tiny gradient, whose norm and 1e-6 are above max_norm"),
    ):
        given = f"{what}, max_norm={max_norm}"
        norm, after = clipping(grads, max_norm)
        found_norm, found, _, kept = submission.probes.clipped(submission.clip_grad_norm_, "list", grads, max_norm)
        each = [grad * min(1.0, max_norm / (float(grad.norm()) + 1e-6)) for grad in grads]
        always = [grad * (max_norm / (float(norm) + 1e-6)) for grad in grads]
        likely = apart(
            after,
            likely={
                "each gradient is clipped by its own norm, not all by one": each,
                "gradients below max_norm are scaled up": always,
                "the gradients are not scaled": grads,
                "the numbers are clamped, not scaled": [grad.clamp(-max_norm, max_norm) for grad in grads],
                "1e-6 is left out of the divisor": [grad * min(1.0, max_norm / float(norm)) for grad in grads],
            },
        )
        expect.close(
            found, after, rtol=1e-5, atol=1e-12, likely=likely, trivial="below max_norm they stay", given=given
        )
        clipped_norm = torch.cat([grad.flatten() for grad in after]).norm()
        expect.close(
            found_norm,
            norm,
            rtol=1e-5,
            atol=1e-12,
            trivial="a single number",
            likely={"the norm after clipping is returned": clipped_norm} if norm > 1.1 * max_norm else {},
            given=f"{given}: the norm that is returned",
        )
        expect.close(kept, [torch.ones_like(grad) for grad in grads], trivial="the parameters stay", given=given)


@check(
    "clip_grad_norm_ takes a tensor, a generator, gradients of None",
    points=0.5,
    category="robustness",
    hidden=True,
)
def test_clip_kinds(submission):
    grads = [torch.randn(3), torch.randn(2, 2), None]
    for how, some in (
        ("generator", grads),
        ("module", grads),
        ("tensor", grads[:1]),
        ("parameter", grads[:1]),
        ("list", grads),
        ("list", [torch.randn(3, dtype=DOUBLE), torch.randn(2, dtype=DOUBLE)]),
        ("list", [torch.randn(3, 2).T, torch.randn(4, 2, 3).transpose(0, 2)]),
    ):
        norm, after = clipping(some, 0.25)
        given = f"{how}, gradients {[None if grad is None else tuple(grad.shape) for grad in some]}"
        found_norm, found, same, _ = submission.probes.clipped(submission.clip_grad_norm_, how, some, 0.25)
        expect.close(found, after, rtol=1e-5, atol=1e-8, given=given)
        expect.close(found_norm, norm, rtol=1e-5, atol=1e-8, trivial="a single number", given=f"{given}: the norm")
        expect.equal(same, [True] * len(some), because="the gradients are scaled in place", given=given)
    for some in ([None, None], []):
        norm, found, *_ = submission.probes.clipped(submission.clip_grad_norm_, "list", some, 1.0)
        expect.equal(found, some, given=f"gradients {some}")
        zero = "there are no gradients before backward"
        expect.close(norm, torch.tensor(0.0), trivial=zero, given=f"gradients {some}: the norm")
    norm, found, *_ = submission.probes.clipped(submission.clip_grad_norm_, "list", [torch.zeros(3)], 1.0)
    expect.close(found, [torch.zeros(3)], trivial="zeros stay zeros", given="a gradient of zeros")


OWN_CLIPPING = Rule(of="clip_grad_norm_", names=("torch.nn.utils", "nn.utils"), instead="the norm of all gradients")


@check("clip_grad_norm_ does without torch.nn.utils", points=0.5, category="rules", gates=OWN_CLIPPING, hidden=True)
def test_clip_rule(submission):
    expect.avoids(submission.clip_grad_norm_, [], 1.0, rule=OWN_CLIPPING)
