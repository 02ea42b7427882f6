"""As short as it gets, with recursion, comprehension and ExitStack."""

from contextlib import ExitStack


class GatedModule(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum().gt(0), lambda x: x.mul(2), lambda x: x.sub(1), (x,))


def _evaluate(module, stack):
    for part in module.modules():
        stack.callback(setattr, part, "training", part.training)
    module.train(False)


def _tuple(value):
    return value if isinstance(value, tuple) else (value,)


def export_model(module, example, dynamic_batch=True):
    with ExitStack() as stack:
        _evaluate(module, stack)
        rows = torch.export.Dim("n")
        inputs = tuple(
            x.repeat(2, *[1] * (x.dim() - 1)) if dynamic_batch and len(x) < 2 else x for x in _tuple(example)
        )
        axes = [{0: rows} if dynamic_batch else None for _ in inputs]
        return torch.export.export(module, inputs, dynamic_shapes=tuple(axes))


def largest_difference(module, program, batches):
    with ExitStack() as stack, torch.inference_mode():
        _evaluate(module, stack)
        apart = [(module(*_tuple(b)) - program.module()(*_tuple(b))).abs().flatten() for b in batches]
        return torch.cat([torch.zeros(1), *apart]).max().item()


save_exported, load_exported = torch.export.save, torch.export.load


def _names(value):
    if isinstance(value, torch.fx.Node):
        return [value.name]
    parts = value.values() if hasattr(value, "values") else value if isinstance(value, (list, tuple)) else []
    return sum(map(_names, parts), [])


def graph_to_dict(program):
    *nodes, last = program.graph.nodes
    calls = [n for n in nodes if n.op != "placeholder"]
    held = [n.name for n in nodes if n.op == "placeholder"]
    mine = program.graph_signature.user_inputs
    words = [
        n.op if n.op == "get_attr" else str(n.target) if "aten" in str(n.target) else n.target.__name__ for n in calls
    ]
    return {
        "inputs": [n for n in held if n in mine],
        "parameters": [n for n in held if n not in mine],
        "nodes": [
            {"op": word, "inputs": _names(n.args) + _names(n.kwargs), "outputs": [n.name]}
            for word, n in zip(words, calls)
        ],
        "outputs": _names(last.args),
    }


class Handler:
    def initialize(self, *args, **kwargs):
        self.settings = self._settings(*args, **kwargs)

    @staticmethod
    def _settings(model, shape, labels=None, dtype=torch.float32, device="cpu"):
        return {"model": model, "shape": torch.Size(shape), "labels": labels, "to": dict(dtype=dtype, device=device)}

    def preprocess(self, request):
        try:
            sample = torch.as_tensor(request["data"], **self.settings["to"])
            {True: None}[sample.shape == self.settings["shape"] and bool(sample.isfinite().all())]
        except Exception as error:
            raise ValueError(repr(error)) from None
        return sample

    def inference(self, batch):
        return torch.no_grad()(self.settings["model"])(batch)

    def postprocess(self, logits):
        names = self.settings["labels"] or range(logits.shape[1])
        return [dict(label=names[p.argmax().item()], probability=p.max().item()) for p in logits.double().softmax(-1)]

    def handle(self, requests):
        def tried(request):
            try:
                return self.preprocess(request)
            except ValueError as error:
                return {"error": str(error) or "bad"}

        first = [tried(request) for request in requests]
        good = [sample for sample in first if isinstance(sample, torch.Tensor)]
        answers = iter(self.postprocess(self.inference(torch.stack(good))) if good else [])
        return [next(answers) if isinstance(one, torch.Tensor) else one for one in first]
