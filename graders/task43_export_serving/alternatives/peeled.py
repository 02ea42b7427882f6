"""A class for the modes; ones in place of an example with one row; requests peeled axis by axis."""

import torch.export as te
from torch.export.graph_signature import InputKind


class GatedModule(nn.Module):
    @staticmethod
    def open_gate(t):
        return t + t

    @staticmethod
    def closed_gate(t):
        return t.sub(1)

    def forward(self, x):
        is_open = torch.gt(torch.sum(x), 0)
        return torch.cond(is_open, self.open_gate, self.closed_gate, (x,))


class Evaluating(contextlib.ContextDecorator):
    """Every part in evaluation mode inside of the with block, and as before after it."""

    def __init__(self, module):
        self.module = module

    def __enter__(self):
        self.before = {name: part.training for name, part in self.module.named_modules()}
        self.module.eval()
        return self.module

    def __exit__(self, *error):
        for name, part in self.module.named_modules():
            part.training = self.before[name]
        return False


def listed(inputs):
    return [inputs] if torch.is_tensor(inputs) else list(inputs)


def export_model(module, example, dynamic_batch=True):
    example = listed(example)
    if not dynamic_batch:
        with Evaluating(module):
            return te.export(module, tuple(example))
    rows = te.Dim("rows")
    example = [
        torch.ones((2,) + tuple(t.shape[1:]), dtype=t.dtype, device=t.device) if len(t) < 2 else t for t in example
    ]
    with Evaluating(module) as ready:
        return te.export(ready, tuple(example), dynamic_shapes=[{0: rows} for _ in example])


def largest_difference(module, program, batches):
    worst = torch.zeros((), dtype=torch.float64)
    call = program.module()
    for batch in batches:
        batch = listed(batch)
        with Evaluating(module), torch.no_grad():
            a = module(*(t.detach().clone() for t in batch)).to(torch.float64)
            b = call(*(t.detach().clone() for t in batch)).to(torch.float64)
        difference = torch.cat([worst.reshape(1), torch.abs(a - b).reshape(-1)])
        worst = difference.max()
    return worst.item()


def save_exported(program, path):
    te.save(program, path)


def load_exported(path):
    return te.load(path)


def op_of(node):
    if node.op == "get_attr":
        return "get_attr"
    if isinstance(node.target, (torch._ops.OpOverload, torch._ops.HigherOrderOperator)):
        return str(node.target)
    return node.target.__name__


def names(tree):
    found = []
    torch.fx.node.map_arg(tree, lambda node: found.append(node.name))
    return found


def graph_to_dict(program):
    callers = {spec.arg.name for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT}
    nodes = list(program.graph.nodes)
    holders = [n.name for n in nodes if n.op == "placeholder"]
    calls = [n for n in nodes[:-1] if n.op != "placeholder"]
    return dict(
        inputs=[h for h in holders if h in callers],
        parameters=[h for h in holders if h not in callers],
        nodes=[dict(op=op_of(n), inputs=names(n.args) + names(n.kwargs), outputs=[n.name]) for n in calls],
        outputs=names(nodes[-1].args),
    )


class Handler:
    def initialize(self, model, shape, labels=None, dtype=torch.float32, device="cpu"):
        self.settings = {"model": model, "shape": list(shape), "labels": labels, "dtype": dtype, "device": device}

    def preprocess(self, request):
        if type(request) is not dict and not isinstance(request, dict):
            raise ValueError(f"expected a dict, not {type(request).__name__}")
        try:
            data = request["data"]
        except KeyError:
            raise ValueError('there is no "data"') from None
        # peel off one axis after the other
        level = [data]
        for length in self.settings["shape"]:
            below = []
            for piece in level:
                if not isinstance(piece, list) or len(piece) != length:
                    raise ValueError(f"expected the shape {self.settings['shape']}")
                below.extend(piece)
            level = below
        for number in level:
            if type(number) not in (int, float):
                raise ValueError(f"no number: {number!r}")
        try:
            flat = torch.tensor(level, dtype=self.settings["dtype"], device=self.settings["device"])
        except (OverflowError, RuntimeError) as error:
            raise ValueError("too large: " + str(error))
        except ValueError as error:
            raise ValueError("not finite: " + str(error))
        if bool((~torch.isfinite(flat)).any()):
            raise ValueError("a NaN or an infinity")
        return flat.view(self.settings["shape"])

    @torch.no_grad()
    def inference(self, batch):
        return self.settings["model"](batch)

    def postprocess(self, logits):
        labels = self.settings["labels"]
        probability, number = logits.detach().double().softmax(-1).max(-1)
        pairs = zip(number.tolist(), probability.tolist())
        return [{"label": n if labels is None else labels[n], "probability": p} for n, p in pairs]

    def handle(self, requests):
        answers = {}
        samples = {}
        for i, request in enumerate(requests):
            try:
                samples[i] = self.preprocess(request)
            except ValueError as error:
                answers[i] = {"error": str(error)}
        if samples:
            logits = self.inference(torch.stack(list(samples.values())))
            answers.update(zip(samples, self.postprocess(logits)))
        return [answers[i] for i in range(len(requests))]
