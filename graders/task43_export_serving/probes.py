"""Helpers for task 43 that run beside the submission: modules to export, programs, files, and a model that notes how it
is called."""

import contextlib
import copy
import io
import itertools
import json
import logging
import os
import tempfile

import torch
from torch import nn


class Small(nn.Module):
    """Linear, batch normalisation, dropout, sigmoid: (N, 4) -> (N, 3), the modes of whose parts show."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Sigmoid()).to(dtype)
        with torch.no_grad():
            for tensor in (*self.parameters(), *self.buffers()):
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 1.5)

    def forward(self, x):
        return self.layers(x)


class Two(nn.Module):
    """Two inputs, one of which is used twice, in a list: (N, 4) and (N, 2) -> (N, 8)."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.weight = nn.Parameter(torch.rand(4, 4) + 0.5)
        self.register_buffer("shift", torch.rand(2))

    def forward(self, x, y):
        y = torch.sub(y, other=self.shift, alpha=2)
        return torch.cat([y, self.dropout(x) @ self.weight, y], dim=1)


class Flat(nn.Module):
    """(N, 2, 3) -> (N, 6), with the number of rows as Python sees it."""

    def forward(self, x):
        return x.reshape(x.shape[0], 6) * 2


class Fork(nn.Module):
    """Asks a tensor for a value."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return 2 * x if x.sum() > 0 else x - 1


class Scaled(nn.Module):
    """factor * x + shift, plus NaN where x is 7."""

    def __init__(self, factor, shift):
        super().__init__()
        self.factor, self.shift = factor, shift

    def forward(self, x):
        return self.factor * x + self.shift + torch.where(x == 7.0, float("nan"), 0.0)


class Gate(nn.Module):
    """Doubles where the sum is above 0, and otherwise takes 1 off."""

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: 2 * x, lambda x: x - 1, (x,))


class Sorted(nn.Module):
    """The places of numbers in a row that is sorted by a keyword: (N, 4) -> (N, 4)."""

    def __init__(self):
        super().__init__()
        self.edges = nn.Parameter(torch.randn(5))

    def forward(self, x):
        return torch.searchsorted(self.edges, x, sorter=torch.argsort(self.edges)) * 1.0


class Kept(nn.Module):
    """A number and a tensor that belong to no parameter; a result that is used by nothing else."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    def forward(self, unused, x):
        first, _second = torch.split(self.layers(x), 2, dim=1)
        return torch.add(first, first)


class Sums(nn.Module):
    """x + y, or x - y where all of it is in evaluation mode: (N, 2) and (N, 2) -> (N, 2)."""

    def __init__(self):
        super().__init__()
        self.part = nn.Identity()

    def forward(self, x, y):
        return x + y if self.training or self.part.training else x - y


class Named(nn.Module):
    """Inputs with names like those of parameters; constants and a buffer that is not kept: three (N, 2) -> (N, 2)."""

    def __init__(self):
        super().__init__()
        self.scale = torch.rand(2)
        self.weight, self.unused = nn.Parameter(torch.rand(2)), nn.Parameter(torch.rand(2))
        self.register_buffer("shift", torch.rand(2), persistent=False)

    def forward(self, p_weight, b_shift, c_scale):
        return p_weight * self.weight + (b_shift - self.shift) * torch.tensor([2.0, 5.0]) + c_scale * self.scale


class First(nn.Module):
    """Two inputs, of which it returns the first: no node computes anything."""

    def forward(self, x, y):
        return x


class Sizes(nn.Module):
    """(N, 4) -> (2 N, 2), where Python multiplies the number of rows."""

    def forward(self, x):
        return x.reshape(x.shape[0] * 2, 2)


KINDS = {
    kind.__name__: kind for kind in (Small, Two, Flat, Fork, Scaled, Gate, Sorted, Kept, Sums, Named, First, Sizes)
}


def module(kind, *args):
    if kind == "Fork":  # what cannot be exported is told in a log, with the time
        logging.getLogger("torch.fx.experimental.symbolic_shapes").disabled = True
    return KINDS[kind](*args)


def mixed(net, parts="not the norm"):
    """Training mode of "all" parts of a Small, of all but the batch normalisation, or of the "dropout" alone."""
    net.train(parts != "dropout")
    if parts != "all":
        net.layers[1].eval()
        net.layers[2].train()
    return net


def forked(all_parts):
    """A Fork in training mode, all of it or all but one part."""
    net = module("Fork").train()
    net.dropout.train(all_parts)
    return net


def part_of(net):
    return net.part


def recording_after(function, *args):
    """Whether gradients are recorded after a call, where they were before and where not; the call may raise."""
    found = []
    for before in (True, False):
        with torch.set_grad_enabled(before):
            try:
                function(*args)
            except NotImplementedError:
                raise
            except Exception:
                pass
            found.append(torch.is_grad_enabled())
    return found


def recordings(function, *args):
    """[whether gradients are recorded in the calls of modules that a function makes, each answer once]."""
    noted = set()
    hook = torch.nn.modules.module.register_module_forward_pre_hook(lambda *_: noted.add(torch.is_grad_enabled()))
    try:
        with torch.enable_grad():
            function(*args)
    finally:
        hook.remove()
    return sorted(noted)


def refusal(export, net, x, dynamic):
    """What is raised for a module that cannot be exported: "an error of torch", the name of another one, "nothing"."""
    try:
        export(net, x, dynamic)
    except NotImplementedError:
        raise
    except Exception as error:
        ours = type(error).__module__.split(".")[0] == "torch" or isinstance(error, _own_refusal(net, x))
        return "an error of torch" if ours else type(error).__name__
    return "nothing"


def _own_refusal(net, x):
    try:
        torch.export.export(net, (x,))
    except Exception as error:
        return type(error)
    return ()


def noting(handler, requests):
    """[the number of rows of each batch that the handler's own ``inference`` gets, the number of its answers]."""
    inference, sizes = handler.inference, []

    def noted(batch):
        sizes.append(len(batch))
        return inference(batch)

    handler.inference = noted
    try:
        return [sizes, len(handler.handle(requests))]
    finally:
        del handler.inference


def printed(function, *args):
    """What a call prints."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        function(*args)
    return text.getvalue()


def kept(function, value):
    """[what the function makes of a value, whether the value is then what it was]."""
    before = copy.deepcopy(value)
    return [function(value), value == before]


def texts(preprocess, requests):
    """The texts of the errors that ``preprocess`` raises."""
    found = []
    for request in requests:
        try:
            preprocess(request)
        except ValueError as error:
            found.append(str(error))
    return found


def modes(net):
    return [part.training for part in net.modules()]


def plain(net, *inputs):
    """What a copy of the module computes in evaluation mode."""
    with torch.no_grad():
        return copy.deepcopy(net).eval()(*inputs)


def weights(net):
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def needs(net):
    return [parameter.requires_grad for parameter in net.parameters()]


def kind_of(value):
    return type(value).__name__


def run(program, *inputs):
    """What an exported program makes of the inputs."""
    with torch.no_grad():
        return program.module()(*inputs)


def exported(net, *inputs):
    """The program of a module in evaluation mode, with any number of rows."""
    rows = torch.export.Dim("rows")
    return torch.export.export(net.eval(), inputs, dynamic_shapes=tuple({0: rows} for _ in inputs))


def fixed(net, *inputs):
    """The program of a module in evaluation mode, with as many rows as the inputs have."""
    return torch.export.export(net.eval(), inputs)


def one_row(export, net, *inputs):
    """The program of an example with one row, or None where that raises an error."""
    try:
        return export(net, inputs if len(inputs) > 1 else inputs[0])
    except NotImplementedError:
        raise
    except Exception:
        return None


def absent(value):
    return value is None


def operators_of(program):
    """The words of everything that a program calls, those of its branches too."""
    return [str(node.target) for part in program.graph_module.modules() if hasattr(part, "graph")
            for node in part.graph.nodes if node.op == "call_function"]  # fmt: skip


# Graphs


def dump(program):
    """The nodes of a graph: [kind, name, target as text, its __name__, arguments], and the inputs of the user."""
    nodes = [
        [node.op, node.name, str(node.target), getattr(node.target, "__name__", ""), _plain((node.args, node.kwargs))]
        for node in program.graph.nodes
    ]
    return {"nodes": nodes, "inputs": [str(name) for name in program.graph_signature.user_inputs]}


def _plain(value):
    if isinstance(value, torch.fx.Node):
        return {"node": value.name}
    if isinstance(value, dict):
        return [_plain(part) for part in value.values()]
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else "a constant"


def as_json(value):
    """The value after it was written and read as JSON, or the error."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


# Files

NUMBERS = itertools.count(1)


def new_path():
    """The path of a file that does not exist yet, in a folder that does."""
    own = os.path.realpath(os.getcwd()) == os.path.realpath(tempfile.gettempdir())
    place = "" if own else tempfile.mkdtemp()
    names = (os.path.join(place, f"program-{number}.pt2") for number in NUMBERS)
    return next(name for name in names if not os.path.exists(name))


def written(program):
    """The path of a file that torch.export.save wrote."""
    path = new_path()
    torch.export.save(program, path)
    return path


def read(path):
    """What torch.export.load reads."""
    return torch.export.load(path)


def exists(path):
    return os.path.isfile(path)


def spoil(net):
    """Change every parameter of a module."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(-3)


# Serving


class Scores:
    """A model: logits that are the first numbers of each sample, times 2. It notes what it gets."""

    def __init__(self, classes, error=""):
        self.classes, self.error = classes, error
        self.weight = torch.tensor(2.0, requires_grad=True)
        self.calls = []

    def __call__(self, batch):
        self.calls.append([list(batch.shape), str(batch.dtype).removeprefix("torch."), torch.is_grad_enabled()])
        if self.error:
            raise {"ValueError": ValueError, "RuntimeError": RuntimeError}[self.error]("the model is out of order")
        return batch.flatten(1)[:, : self.classes] * self.weight

    def eval(self):
        self.calls.append("eval()")
        return self

    def train(self, mode=True):
        self.calls.append(f"train({mode})")
        return self


def scores(classes, error=""):
    return Scores(classes, error)


def calls_of(model):
    return list(model.calls)


def handler(make, model, shape, **settings):
    """A handler of the submission, initialised."""
    one = make()
    one.initialize(model, tuple(shape), **settings)
    return one


def refusals(preprocess, requests):
    """What ``preprocess`` does with each request: "ValueError" with or without a text, another error, or a shape."""
    found = []
    for request in requests:
        try:
            found.append(f"returns {list(preprocess(request).shape)}")
        except ValueError as error:
            found.append("ValueError" if str(error) else "ValueError without a text")
        except NotImplementedError:
            raise
        except Exception as error:
            found.append(type(error).__name__)
    return found


def placed(preprocess, request):
    """[dtype, kind of device] of a sample, or nothing where a number is asked for of a sample that holds none."""
    try:
        sample = preprocess(request)
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:
            raise  # nothing is written yet
        return []
    return [str(sample.dtype).removeprefix("torch."), sample.device.type]


ODD = {
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "NaN": float("nan"),
    "1e39": 1e39,
    "-1e39": -1e39,
    "10 ** 400": 10**400,
    "None": None,
    "a word": "cat",
    "a number as a word": "3",
    "a dict": {},
}


def odd_requests(names):
    """Requests for samples of shape (3,) whose second number is something else."""
    return [{"data": [1.0, ODD[name], 2.0]} for name in names]


def shown(answers):
    """Answers with the types that they hold: ["label", value, its type, probability, its type], or ["error", the text
    or what is no text, the keys]; what is no dict is ["nothing", its type, ...]."""
    found = []
    for answer in answers:
        if not isinstance(answer, dict):
            found.append(["nothing", type(answer).__name__, "", 0.0, ""])
        elif "error" in answer:
            text = answer["error"]
            found.append(["error", text if type(text) is str and text else type(text).__name__, sorted(answer)])
        else:
            label, share = answer["label"], answer["probability"]
            found.append(["label", str(label), type(label).__name__, float(share), type(share).__name__])
    return found


def graph_of(value):
    """Whether a tensor belongs to a graph."""
    return bool(value.requires_grad)
