"""Context managers for the file and for the modes; generators as lists of numbers; a seed by sha256."""

import contextlib
import hashlib
import itertools
import pathlib
import uuid


def strip_prefix(state, prefix="module."):
    return {k.removeprefix(prefix): v for k, v in state.items()}


def load_matching(model, state):
    own = model.state_dict(keep_vars=False)
    fits = {k for k in own.keys() & state.keys() if own[k].shape == state[k].shape}
    for k in fits:
        own[k].detach().copy_(state[k].detach())
    return sorted(own.keys() - fits), sorted(state.keys() - fits)


class _Replacing:
    """A file beside the wanted one that takes its place at the end, or vanishes."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.part = self.path.parent / f"{uuid.uuid4().hex}.part"

    def __enter__(self):
        return self.part

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                os.replace(self.part, self.path)
        finally:
            self.part.unlink(missing_ok=True)
        return False


def save_checkpoint(path, model, optimizer, scheduler=None, epoch=0, rng=None):
    with _Replacing(path) as part:
        parts = [p.state_dict() if p is not None else None for p in (model, optimizer, scheduler)]
        generators = [torch.get_rng_state().tolist(), rng and rng.get_state().tolist(), random.getstate()]
        torch.save({"parts": parts, "generators": generators, "epoch": int(epoch)}, part)


def load_checkpoint(path, model, optimizer=None, scheduler=None, rng=None, map_location="cpu"):
    data = torch.load(path, weights_only=True, map_location=map_location)
    for part, state in zip((model, optimizer, scheduler), data["parts"]):
        if part is not None and state is not None:
            part.load_state_dict(state)
    everywhere, own, python = data["generators"]
    if rng is not None and own is not None:
        rng.set_state(torch.tensor(own, dtype=torch.uint8, device="cpu"))
    torch.set_rng_state(torch.tensor(everywhere, dtype=torch.uint8, device="cpu"))
    random.setstate(python)
    return data["epoch"]


def epoch_batches(n, batch_size, epoch, seed, start=0):
    key = int.from_bytes(hashlib.sha256(repr((seed, epoch)).encode()).digest()[:4], "big")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(key)).tolist()
    return [order[i * batch_size : (i + 1) * batch_size] for i in range(start, -(-n // batch_size))]


@contextlib.contextmanager
def _quiet(model):
    before = {m: m.training for m in model.modules()}
    with torch.inference_mode():
        try:
            model.eval()
            yield model
        finally:
            for m, mode in before.items():
                m.training = mode


class Predictor:
    def __init__(self, model, transform, classes):
        self.__dict__.update(model=model, transform=transform, classes=classes)

    def __call__(self, image):
        with _quiet(self.model) as net:
            x = self.transform(image.convert(mode="RGB"))[None]
            p = next(itertools.chain(net.parameters(), [x]))
            return self.classes[net(x.to(p.device)).squeeze(0).argmax().item()]


def to_uint8_hwc_bgr(tensor):
    t = tensor.detach().cpu()
    a = t.numpy() if t.dtype == torch.uint8 else np.clip(np.rint(255 * t.double().numpy()), 0, 255).astype(np.uint8)
    a = np.repeat(a, 4 - len(a) if len(a) == 1 else 1, axis=0)
    return np.array(np.moveaxis(a, 0, -1)[..., ::-1], order="C")
