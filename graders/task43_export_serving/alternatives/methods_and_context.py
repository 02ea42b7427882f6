"""Methods as the two ways of the gate, a context manager for the mode, NumPy for the differences."""

import itertools
import operator

import numpy as np
from torch.export import Dim, export


class GatedModule(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum().gt(0), self.up, self.down, (x,))

    def up(self, x):
        return x.mul(2)

    def down(self, x):
        return x.sub(1)


@contextlib.contextmanager
def evaluating(module):
    parts = list(module.modules())
    flags = [p.training for p in parts]
    module.eval()
    try:
        yield module
    finally:
        for p, f in zip(parts, flags):
            p.training = f


def pack(x):
    return (x,) if torch.is_tensor(x) else tuple(x)


def export_model(module, example, dynamic_batch=True):
    with evaluating(module):
        if not dynamic_batch:
            return export(module, pack(example))
        args = tuple(a.repeat_interleave(2, 0) if len(a) == 1 else a for a in pack(example))
        rows = Dim("n", min=1)
        return export(module, args, dynamic_shapes=[{0: rows}] * len(args))


def largest_difference(module, program, batches):
    with evaluating(module), torch.no_grad():
        other = program.module()
        gaps = [np.zeros(1)]
        for b in batches:
            x, y = (f(*(t.clone() for t in pack(b))).to(torch.float64).cpu().numpy() for f in (module, other))
            with np.errstate(invalid="ignore"):
                gaps.append(np.abs(x - y).ravel())
        return float(np.concatenate(gaps).max())


def nodes_in(*things):
    found = []
    torch.fx.node.map_arg(things, lambda n: found.append(n.name))
    return found


def text_of(node):
    if node.op != "call_function":
        return node.op
    t = node.target
    return str(t) if isinstance(t, torch._ops.OperatorBase) else t.__name__


def graph_to_dict(program):
    *body, last = program.graph.nodes
    filled = set(program.graph_signature.user_inputs)
    places = [n.name for n in body if n.op == "placeholder"]
    return {
        "inputs": [n for n in places if n in filled],
        "parameters": [n for n in places if n not in filled],
        "nodes": [
            {"op": text_of(n), "inputs": nodes_in(n.args, n.kwargs), "outputs": [n.name]}
            for n in body
            if n.op != "placeholder"
        ],
        "outputs": nodes_in(last.args),
    }


class Handler:
    def initialize(self, model, shape, labels=None, dtype=torch.float32, device="cpu"):
        vars(self).update(model=model, shape=tuple(shape), labels=labels, dtype=dtype, device=device)

    def _leaves(self, data, depth=0):
        if depth < len(self.shape):
            if not isinstance(data, list) or len(data) != self.shape[depth]:
                raise ValueError(f"data is not of the shape {self.shape}")
            return itertools.chain.from_iterable([list(self._leaves(d, depth + 1)) for d in data])
        if type(data) not in (int, float):
            raise ValueError(f"{data!r} is no number")
        return [data]

    def preprocess(self, request):
        try:
            data = request["data"] if isinstance(request, dict) else None
        except KeyError:
            raise ValueError("no data in the request") from None
        if not isinstance(request, dict):
            raise ValueError("no dict")
        leaves = list(self._leaves(data))
        try:
            wide = np.array([float(v) for v in leaves], dtype=np.float64)
            if not np.isfinite(wide).all():
                raise ValueError("NaN or infinity in the data")
            source = torch.from_numpy(wide) if self.dtype.is_floating_point else torch.tensor(leaves)
            x = source.to(self.dtype) if leaves else torch.empty(0, dtype=self.dtype)
        except (OverflowError, RuntimeError) as e:
            raise ValueError(f"too large: {e}") from e
        if not x.isfinite().all():
            raise ValueError(f"too large a number for {self.dtype}")
        return x.reshape(self.shape).to(self.device)

    def inference(self, batch):
        with torch.inference_mode():
            return self.model(batch)

    def postprocess(self, logits):
        z = logits.detach().cpu().double().numpy()
        if len(z) == 0:
            return []
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = (e / e.sum(axis=1, keepdims=True)).max(axis=1).tolist()
        names = range(z.shape[1]) if self.labels is None else self.labels
        return [{"label": names[k], "probability": q} for k, q in zip(z.argmax(axis=1).tolist(), p)]

    def _try(self, request):
        try:
            return self.preprocess(request)
        except ValueError as e:
            return {"error": str(e)}

    def handle(self, requests):
        out = [self._try(r) for r in requests]
        good = [k for k, o in enumerate(out) if torch.is_tensor(o)]
        if good:
            answers = self.postprocess(self.inference(torch.stack(operator.itemgetter(*good, good[0])(out)[:-1])))
            for k, a in zip(good, answers):
                out[k] = a
        return out
