"""Loops and ifs, one thing after the other; the file is a dict of dicts with other names."""

import os
import random
import tempfile

import numpy as np
import torch


def strip_prefix(state, prefix="module."):
    new_state = {}
    for key in state.keys():
        if key.startswith(prefix):
            new_key = key[len(prefix) :]
        else:
            new_key = key
        new_state[new_key] = state[key]
    return new_state


def load_matching(model, state):
    missing = []
    unexpected = []
    tensors = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        tensors[name] = parameter
    saved = model.state_dict()
    for name, buffer in model.named_buffers(remove_duplicate=False):
        if name in saved:
            tensors[name] = buffer
    for name, tensor in tensors.items():
        if name not in state:
            missing.append(name)
        elif tuple(state[name].shape) != tuple(tensor.shape):
            missing.append(name)
            unexpected.append(name)
        else:
            tensor.data.copy_(state[name])
    for name in state:
        if name not in tensors:
            unexpected.append(name)
    return missing, unexpected


def save_checkpoint(path, model, optimizer, scheduler=None, epoch=0, rng=None):
    content = {}
    content["net"] = model.state_dict()
    content["opt"] = optimizer.state_dict()
    if scheduler is not None:
        content["sched"] = scheduler.state_dict()
    if rng is not None:
        content["generator"] = rng.get_state()
    content["finished"] = epoch
    content["states"] = {"torch": torch.random.get_rng_state(), "python": list(random.getstate())}
    folder, name = os.path.split(os.path.abspath(str(path)))
    handle, temporary = tempfile.mkstemp(suffix=".tmp", dir=folder)
    os.close(handle)
    try:
        torch.save(content, temporary)
    except BaseException:
        os.remove(temporary)
        raise
    os.replace(temporary, os.path.join(folder, name))


def load_checkpoint(path, model, optimizer=None, scheduler=None, rng=None, map_location="cpu"):
    content = torch.load(str(path), map_location=map_location, weights_only=True)
    model.load_state_dict(content["net"], strict=True)
    if optimizer:
        optimizer.load_state_dict(content["opt"])
    if scheduler and "sched" in content:
        scheduler.load_state_dict(content["sched"])
    if rng and "generator" in content:
        rng.set_state(content["generator"].to("cpu"))
    torch.random.set_rng_state(content["states"]["torch"].to("cpu"))
    version, numbers, gauss = content["states"]["python"]
    random.setstate((version, tuple(numbers), gauss))
    return int(content["finished"])


def epoch_batches(n, batch_size, epoch, seed, start=0):
    generator = torch.Generator()
    generator.manual_seed(seed * 1000003 + epoch)
    order = torch.randperm(n, generator=generator).tolist()
    batches = []
    batch = []
    for index in order:
        batch.append(index)
        if len(batch) == batch_size:
            batches.append(batch)
            batch = []
    if len(batch) > 0:
        batches.append(batch)
    return batches[start:]


class Predictor:
    def __init__(self, model, transform, classes):
        self.model = model
        self.transform = transform
        self.classes = classes

    def __call__(self, image):
        if image.mode != "RGB":
            image = image.convert("RGB")
        tensor = self.transform(image)
        batch = torch.stack([tensor])
        for parameter in self.model.parameters():
            batch = batch.to(parameter.device)
            break
        modes = {}
        for name, module in self.model.named_modules():
            modes[name] = module.training
        self.model.eval()
        try:
            with torch.no_grad():
                output = self.model(batch)[0]
        finally:
            for name, module in self.model.named_modules():
                module.training = modes[name]
        best = 0
        for k in range(len(output)):
            if output[k] > output[best]:
                best = k
        return self.classes[best]


def to_uint8_hwc_bgr(tensor):
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.uint8:
        values = tensor.numpy()
    else:
        values = tensor.double().numpy() * 255
        values = np.rint(values)
        values[values < 0] = 0
        values[values > 255] = 255
        values = values.astype(np.uint8)
    channels, height, width = values.shape
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    for place in range(3):
        channel = 2 - place
        if channels == 1:
            channel = 0
        picture[:, :, place] = values[channel]
    return picture
