"""torch.fx's own map over arguments, Dim.DYNAMIC, a copy in place of modes, NumPy for what arrives."""

import copy

import numpy as np
from torch.export import Dim
from torch.fx.node import map_arg


class GatedModule(nn.Module):
    def forward(self, x):
        return torch.cond(pred=x.sum() > 0, true_fn=lambda t: t * 2, false_fn=lambda t: t - 1, operands=(x,))


def export_model(module, example, dynamic_batch=True):
    args = example if isinstance(example, tuple) else (example,)
    if dynamic_batch and args[0].shape[0] == 1:
        raise ValueError("an example with one row says nothing about others")
    twin = copy.deepcopy(module).eval()
    if not dynamic_batch:
        return torch.export.export(twin, args)
    return torch.export.export(twin, args, dynamic_shapes=tuple({0: Dim.DYNAMIC} for _ in args))


@torch.no_grad()
def largest_difference(module, program, batches):
    twin, other = copy.deepcopy(module).eval(), program.module()
    found = np.zeros(1)
    for batch in batches:
        args = batch if isinstance(batch, tuple) else (batch,)
        apart = np.abs(np.asarray(twin(*args)) - np.asarray(other(*args)))
        found = np.append(found, apart.ravel())
    return float(np.max(found))


def graph_to_dict(program):
    signature, graph = program.graph_signature, program.graph
    nodes = [node for node in graph.nodes if node.op in {"call_function", "get_attr"}]
    holders = [node.name for node in graph.nodes if node.op == "placeholder"]

    def arguments(node):
        seen = []
        map_arg((node.args, dict(node.kwargs)), lambda one: seen.append(one.name))
        return seen

    def operator(node):
        if node.op == "get_attr":
            return "get_attr"
        return str(node.target) if hasattr(node.target, "overloadpacket") else node.target.__name__

    (last,) = (node for node in graph.nodes if node.op == "output")
    return {
        "inputs": list(signature.user_inputs),
        "parameters": [name for name in holders if name not in signature.user_inputs],
        "nodes": [dict(op=operator(n), inputs=arguments(n), outputs=[n.name]) for n in nodes],
        "outputs": list(signature.user_outputs) if last else [],
        "version": torch.__version__.split("+")[0],
    }


class Handler:
    def initialize(self, model, shape, labels=None, dtype=torch.float32, device="cpu"):
        self.__dict__.update(model=model, shape=tuple(shape), labels=labels, dtype=dtype, device=device)

    def preprocess(self, request):
        try:
            array = np.array(request["data"])
            if array.dtype.kind in "SU":
                raise TypeError("words")
            array = array.astype(np.float64)
        except Exception as error:
            raise ValueError(f"not a request: {type(error).__name__}") from error
        if array.shape != self.shape:
            raise ValueError(f"{array.shape} is not {self.shape}")
        sample = torch.from_numpy(array).to(dtype=self.dtype, device=self.device)
        if not np.isfinite(array).all() or not torch.isfinite(sample).all():
            raise ValueError("not finite")
        return sample

    @torch.no_grad()
    def inference(self, batch):
        return self.model(batch)

    def postprocess(self, logits):
        scores = logits.detach().cpu().double().numpy()
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares = shifted / shifted.sum(axis=1, keepdims=True)
        best = scores.argmax(axis=1)
        return [
            {"label": int(k) if self.labels is None else self.labels[k], "probability": row[k].item()}
            for k, row in zip(best, shares)
        ]

    def handle(self, requests):
        results = {}
        good = {}
        for number, request in enumerate(requests):
            try:
                good[number] = self.preprocess(request)
            except ValueError as error:
                results[number] = {"error": f"{error}"}
        if good:
            batch = torch.stack([*good.values()])
            results.update(zip(good, self.postprocess(self.inference(batch))))
        return [results[number] for number in sorted(results)]
