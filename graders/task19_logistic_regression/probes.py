"""Helpers of task 19 that run beside the submission."""

import inspect

import torch
from torch.func import functional_call


def parts(model):
    """The names of the parameter of two numbers and of the first one of one number; ValueError where one is missing."""
    named = {parameter.numel(): name for name, parameter in reversed(list(model.named_parameters()))}
    if not {1, 2} <= set(named):
        raise ValueError(f"a parameter of two numbers and one of one number are asked for, not {named}")
    return [named[2], named[1]]


def trainable(build):
    """How many numbers of a new model are trainable."""
    return sum(parameter.numel() for parameter in build().parameters() if parameter.requires_grad)


def outputs(build, x, w, b):
    """What a new model returns with these weights: as it is, or (N,) where the shape is one of the two allowed."""
    model = build().to(x.device, x.dtype)
    given = dict(zip(parts(model), (w, b), strict=True))
    values = {name: value.reshape(model.get_parameter(name).shape) for name, value in given.items()}
    found = functional_call(model, values, (x,))
    fits = isinstance(found, torch.Tensor) and found.shape in ((len(x),), (len(x), 1))
    return found.reshape(-1) if fits else found


def returns_logits(build):
    """Whether a new model answers far from its line with numbers beyond 0 and 1."""
    far = torch.tensor([[9.0, 9.0], [-9.0, -9.0]])
    found = outputs(build, far, torch.ones(2), torch.zeros(()))
    return bool(((found < 0) | (found > 1)).any())


def probabilities(build, x, w, b):
    """What a new model says with these weights, as probabilities (N,)."""
    found = outputs(build, x, w, b)
    return torch.sigmoid(found) if returns_logits(build) else found


def with_weights(build, w, b):
    """A new model with these weights."""
    model = build()
    for name, value in zip(parts(model), (w, b), strict=True):
        parameter = model.get_parameter(name)
        with torch.no_grad():
            parameter.copy_(value.reshape(parameter.shape))
    return model


def weights(model):
    """(w1, w2, b), float64."""
    return torch.cat([model.get_parameter(name).detach().reshape(-1).double() for name in parts(model)])


def asked(function, build, x, w, b):
    """What a function of a model and points says of a new model with these weights."""
    found = function(with_weights(build, w, b), x)
    return found.double() if isinstance(found, torch.Tensor) else found


def measured(function, build, x, y, w, b):
    return function(with_weights(build, w, b), x, y)


def line(function, build, w, b):
    return function(with_weights(build, w, b))


def trained(train, model, x, y, options):
    """The report of a run, the weights that it leaves, and whether the parameters are still the same objects."""
    before = [id(parameter) for parameter in model.parameters()]
    report = train(model, x, y, **options)
    same = before == [id(parameter) for parameter in model.parameters()]
    return report, weights(model), same


def scripted(experiment, script, mean_values, biases, seeds):
    """The table of an experiment whose runs go as the script says, and what each run was made of.

    ``script`` holds a line for each run: mean value, bias, seed and the report of train. Meanwhile make_blobs and train
    of the submission stand aside: the points tell which line is meant, and a model that was trained is another one.
    """
    reports = {(mean_value, bias, seed): report for mean_value, bias, seed, report in script}
    made, runs = [], []

    def make_blobs(mean_value, bias, n, seed):
        made.append({"mean_value": float(mean_value), "bias": float(bias), "n": int(n), "seed": int(seed)})
        return torch.full((2 * n, 2), float(len(made) - 1)), torch.arange(2.0).repeat_interleave(n)

    def train(model, x, y, lr=0.01, momentum=0.9, max_iter=1000, target_accuracy=0.99):
        points = made[int(x[0, 0])]
        start = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()]).tolist()
        options = [float(option) for option in (lr, momentum, max_iter, target_accuracy)]
        runs.append({**points, "start": start, "options": options})
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        return dict(reports.get((points["mean_value"], points["bias"], points["seed"]), script[0][3]))

    world = inspect.unwrap(experiment).__globals__
    own = {name: world[name] for name in ("make_blobs", "train")}
    world.update(make_blobs=make_blobs, train=train)
    try:
        return experiment(mean_values, biases, seeds), runs
    finally:
        world.update(own)
