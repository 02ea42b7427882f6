"""Every part of the checkpoint has a class of its own; a file is written in memory first."""

import io
import os
import random
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch


def strip_prefix(state, prefix="module."):
    found = OrderedDict()
    for name, value in state.items():
        head, separator, tail = name.partition(prefix)
        found[tail if separator and not head else name] = value
    return found


def load_matching(model, state):
    own = model.state_dict()
    alike = own.keys() & state.keys()
    alike = {name for name in alike if list(own[name].shape) == list(state[name].shape)}
    mixed = {name: state[name].clone().to(own[name].dtype) if name in alike else own[name] for name in own}
    model.load_state_dict(mixed)
    return [*own.keys() - alike], [*state.keys() - alike]


class Torch:
    def state_dict(self):
        return {"bytes": torch.get_rng_state().tolist()}

    def load_state_dict(self, state):
        torch.set_rng_state(torch.tensor(state["bytes"], dtype=torch.uint8))


class Python:
    def state_dict(self):
        version, numbers, gauss = random.getstate()
        return {"version": version, "numbers": torch.tensor(numbers), "gauss": gauss}

    def load_state_dict(self, state):
        random.setstate((state["version"], tuple(state["numbers"].tolist()), state["gauss"]))


class Loader:
    def __init__(self, rng):
        self.rng = rng

    def state_dict(self):
        return {"bytes": self.rng.get_state().tolist()}

    def load_state_dict(self, state):
        self.rng.set_state(torch.tensor(state["bytes"], dtype=torch.uint8))


def parts(model, optimizer, scheduler, rng):
    found = {"a": model, "b": optimizer, "c": scheduler, "d": rng and Loader(rng), "e": Torch(), "f": Python()}
    return {name: part for name, part in found.items() if part is not None}


def save_checkpoint(path, model, optimizer, scheduler=None, epoch=0, rng=None):
    states = {name: part.state_dict() for name, part in parts(model, optimizer, scheduler, rng).items()}
    content = io.BytesIO()
    torch.save({"epoch": epoch, **states}, content)
    draft = Path(path).with_suffix(f".{os.urandom(4).hex()}")
    draft.write_bytes(content.getbuffer())
    draft.replace(path)


def load_checkpoint(path, model, optimizer=None, scheduler=None, rng=None, map_location="cpu"):
    content = torch.load(io.BytesIO(Path(path).read_bytes()), map_location=map_location, weights_only=True)
    for name, part in parts(model, optimizer, scheduler, rng).items():
        part.load_state_dict(content[name])
    return content["epoch"]


def epoch_batches(n, batch_size, epoch, seed, start=0):
    keys = {index: random.Random(f"{seed}|{epoch}|{index}").random() for index in range(n)}
    left = sorted(range(n), key=keys.get)[start * batch_size :]
    batches = []
    while left:
        batches.append(left[:batch_size])
        left = left[batch_size:]
    return batches


class Modes:
    """Evaluation mode within the block, the modes from before behind it."""

    def __init__(self, model):
        self.model = model

    def __enter__(self):
        self.learning = [module for module in self.model.modules() if module.training]
        self.model.train(False)

    def __exit__(self, *_):
        for module in self.learning:
            module.training = True


class Predictor:
    def __init__(self, model, transform, classes):
        self.model, self.transform, self.names = model, transform, dict(enumerate(classes))

    def __call__(self, image):
        x = self.transform(image.convert("RGB"))
        for tensor in self.model.state_dict().values():
            x = x.to(tensor.device)
        with Modes(self.model), torch.no_grad():
            logits = self.model(x.reshape(1, *x.shape)).squeeze(0)
        return self.names[logits.tolist().index(logits.max().item())]


def to_uint8_hwc_bgr(tensor):
    array = np.array(tensor.detach().cpu())
    if array.dtype != np.uint8:
        array = np.clip(np.round(array.astype(np.float64) * 255), 0, 255).astype(np.uint8)
    red, green, blue = array if len(array) == 3 else (array[0],) * 3
    return np.dstack([blue, green, red]).copy(order="C")
