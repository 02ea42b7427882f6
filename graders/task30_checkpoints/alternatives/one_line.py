"""As short as it gets; the file is one list."""

import contextlib
import os
import random

import numpy as np
import torch


def strip_prefix(state, prefix="module."):
    return dict(zip([k[len(prefix) * k.startswith(prefix) :] for k in state], state.values(), strict=True))


def load_matching(model, state):
    own = model.state_dict(keep_vars=True)
    good = {k: v for k, v in state.items() if k in own and own[k].size() == v.size()}
    model.load_state_dict(good, strict=False)
    return sorted(own.keys() - good.keys()), sorted(state.keys() - good.keys())


def state_of(part):
    return part and (part.get_state() if isinstance(part, torch.Generator) else part.state_dict())


def save_checkpoint(path, model, optimizer, scheduler=None, epoch=0, rng=None):
    parts = [state_of(part) for part in (model, optimizer, scheduler, rng)]
    draft = f"{path}.draft"
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: os.path.exists(draft) and os.remove(draft))
        with open(draft, "wb") as file:
            torch.save([*parts, epoch, torch.get_rng_state(), random.getstate()], file)
        os.replace(draft, path)


def load_checkpoint(path, model, optimizer=None, scheduler=None, rng=None, map_location="cpu"):
    with open(path, "rb") as file:
        *states, generator, epoch, torch_state, random_state = torch.load(file, map_location, weights_only=True)
    for part, state in zip((model, optimizer, scheduler), states, strict=True):
        part is None or part.load_state_dict(state)
    rng is None or rng.set_state(generator.cpu())
    torch.set_rng_state(torch_state.cpu())
    random.setstate(random_state)
    return epoch


def epoch_batches(n, batch_size, epoch, seed, start=0):
    order = np.random.default_rng([seed, epoch]).permutation(n).tolist()
    return [order[k * batch_size : (k + 1) * batch_size] for k in range(start, -(-n // batch_size))]


class Predictor:
    def __init__(self, model, transform, classes):
        self.__dict__.update(model=model, transform=transform, classes=classes)

    @torch.inference_mode()
    def __call__(self, image):
        device = next(self.model.parameters(), torch.zeros(())).device
        modes = [m.training for m in self.model.modules()]
        try:
            answer = self.model.eval()(self.transform(image.convert("RGB"))[None].to(device)).softmax(-1)
        finally:
            for m, mode in zip(self.model.modules(), modes, strict=True):
                m.training = mode
        return self.classes[int(answer.argmax())]


def to_uint8_hwc_bgr(tensor):
    x = tensor if tensor.dtype == torch.uint8 else tensor.mul(255).clamp(0, 255).add(0.5).floor().byte()
    return x.detach().flip(0).expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy().copy()
