"""A beginner's way: named branches, lists, branches for each kind of input, loops with counters."""

import json
import math


def double(x):
    return x + x


def take_one(x):
    return x - torch.ones_like(x)


class GatedModule(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        total = torch.sum(x)
        return torch.cond(total > 0, double, take_one, [x])


def export_model(module, example, dynamic_batch=True):
    old_modes = []
    for m in module.modules():
        old_modes.append(m.training)
    if isinstance(example, torch.Tensor):
        example = (example,)
    module.eval()
    try:
        if dynamic_batch:
            batch = torch.export.Dim("batch", min=1)
            shapes = []
            for _ in example:
                shapes.append({0: batch})
            program = torch.export.export(module, example, dynamic_shapes=tuple(shapes))
        else:
            program = torch.export.export(module, example)
    finally:
        i = 0
        for m in module.modules():
            m.training = old_modes[i]
            i = i + 1
    return program


def largest_difference(module, program, batches):
    old_modes = {m: m.training for m in module.modules()}
    module.eval()
    run = program.module()
    largest = 0.0
    try:
        for batch in batches:
            with torch.no_grad():
                if type(batch) is tuple:
                    a, b = module(*batch), run(*batch)
                else:
                    a, b = module(batch), run(batch)
            d = float(torch.max(torch.abs(a - b)))
            if math.isnan(d):
                return d
            if d > largest:
                largest = d
    finally:
        for m, mode in old_modes.items():
            m.training = mode
    return largest


def save_exported(program, path):
    with open(path, "wb") as file:
        torch.export.save(program, file)


def load_exported(path):
    with open(path, "rb") as file:
        return torch.export.load(file)


def graph_to_dict(program):
    result = {"inputs": [], "parameters": [], "nodes": [], "outputs": []}

    def collect(thing, names):
        if isinstance(thing, torch.fx.Node):
            names.append(thing.name)
        elif isinstance(thing, (list, tuple)):
            for part in thing:
                collect(part, names)
        elif isinstance(thing, dict):
            for key in thing:
                collect(thing[key], names)

    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name in program.graph_signature.user_inputs:
                result["inputs"].append(node.name)
            else:
                result["parameters"].append(node.name)
        elif node.op == "output":
            collect(node.args, result["outputs"])
        else:
            names = []
            collect(node.args, names)
            collect(node.kwargs, names)
            if node.op == "get_attr":
                op = "get_attr"
            elif "aten." in str(node.target):
                op = str(node.target)
            else:
                op = node.target.__name__
            result["nodes"].append({"op": op, "inputs": names, "outputs": [node.name]})
    return json.loads(json.dumps(result))


class Handler:
    def __init__(self):
        self.initialized = False

    def initialize(self, model, shape, labels=None, dtype=torch.float32, device="cpu"):
        self.model = model
        self.shape = shape
        self.labels = labels
        self.dtype = dtype
        self.device = torch.device(device)
        self.initialized = True

    def check(self, data, shape):
        if len(shape) == 0:
            if isinstance(data, bool) or not isinstance(data, (int, float)):
                raise ValueError("this is no number: " + repr(data))
            try:
                value = float(data)
            except OverflowError:
                raise ValueError("this number is too large") from None
            if math.isnan(value) or math.isinf(value):
                raise ValueError("this number is not finite")
        else:
            if not isinstance(data, (list, tuple)):
                raise ValueError("a list is missing")
            if len(data) != shape[0]:
                raise ValueError("a list has " + str(len(data)) + " entries, not " + str(shape[0]))
            for part in data:
                self.check(part, shape[1:])

    def preprocess(self, request):
        if not isinstance(request, dict):
            raise ValueError("the request is no dict")
        if "data" not in request:
            raise ValueError("the request has no data")
        self.check(request["data"], self.shape)
        tensor = torch.tensor(request["data"], dtype=torch.float64).to(self.dtype)
        if torch.any(torch.isinf(tensor)):
            raise ValueError("a number is too large")
        return tensor.to(self.device)

    def inference(self, batch):
        with torch.inference_mode():
            logits = self.model(batch)
        return logits

    def postprocess(self, logits):
        answers = []
        for row in logits:
            p = torch.softmax(row.double(), dim=0)
            k = int(torch.argmax(p))
            label = k
            if self.labels is not None:
                label = self.labels[k]
            answers.append({"label": label, "probability": float(p[k])})
        return answers

    def handle(self, requests):
        answers = []
        good = []
        where = []
        for i in range(len(requests)):
            answers.append(None)
            try:
                good.append(self.preprocess(requests[i]))
                where.append(i)
            except ValueError as e:
                answers[i] = {"error": str(e)}
        if len(good) > 0:
            results = self.postprocess(self.inference(torch.stack(good)))
            for j in range(len(where)):
                answers[where[j]] = results[j]
        return answers
