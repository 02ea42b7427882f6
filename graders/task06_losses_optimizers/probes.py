"""Helpers of task 06 that run beside the submission."""

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from torchgrade.isolation.worker.probes.stand_ins import StandIns


def replay(optimizer_class, starts, gradients, options):
    """Give an optimiser fresh leaves, from a generator, and one set of gradients after the other.

    starts: tensors. gradients: a list of steps, each a list of tensors. Returns (steps, elements): all parameters,
    flattened, after each step.
    """
    params = [start.clone().requires_grad_() for start in starts]
    optimizer = optimizer_class((param for param in params), **options)
    return torch.stack([advance(optimizer, params, step) for step in gradients])


def replay_all(optimizer_class, starts, gradients, cases):
    """``replay`` for each set of options: (cases, steps, elements)."""
    return torch.stack([replay(optimizer_class, starts, gradients, options) for options in cases])


def replay_beside(optimizer_class, first, second, gradients, options):
    """As replay, for two optimisers of the same class that take their steps in turn; both paths."""
    both = [[start.clone().requires_grad_() for start in starts] for starts in (first, second)]
    optimizers = [optimizer_class(params, **options) for params in both]
    paths = [[], []]
    for step in gradients:
        for path, optimizer, params in zip(paths, optimizers, both, strict=True):
            path.append(advance(optimizer, params, step))
    return [torch.stack(path) for path in paths]


def replay_anew(optimizer_class, starts, gradients, options):
    """As replay, where after half of the steps another optimiser of the same class takes the same parameters over."""
    params, half, path = [start.clone().requires_grad_() for start in starts], len(gradients) // 2, []
    for part in (gradients[:half], gradients[half:]):
        optimizer = optimizer_class(params, **options)
        path += [advance(optimizer, params, step) for step in part]
    return torch.stack(path)


def in_groups(optimizer_class, params, **options):
    """An optimiser with a group for each parameter, which comes from a generator."""
    return optimizer_class([{"params": (each for each in [param])} for param in params], **options)


def replay_groups(optimizer_class, starts, gradients, groups, options, late_lr):
    """As replay, with a group for each parameter, from a generator; from the middle on the first has another rate."""
    params = [start.clone().requires_grad_() for start in starts]
    parts = ({"params": [param], **own} for param, own in zip(params, groups, strict=True))
    optimizer = optimizer_class(parts, **options)
    path = []
    for number, step in enumerate(gradients):
        if number == len(gradients) // 2:
            optimizer.param_groups[0]["lr"] = late_lr
        path.append(advance(optimizer, params, step))
    return torch.stack(path)


def groups_of(optimizer_class):
    """The keys of each of two parameter groups."""
    parts = [{"params": [torch.zeros(2, requires_grad=True)]} for _ in range(2)]
    return [[str(key) for key in group] for group in optimizer_class(parts, lr=0.1).param_groups]


def from_generator(compare, x, y, rates, *more):
    """Compare the rates, which come from a generator."""
    return compare(x, y, (rate for rate in rates), *more)


def advance(optimizer, params, gradients):
    """Set the gradients (None for none), make one step, and return the parameters, flattened."""
    for param, gradient in zip(params, gradients, strict=True):
        if gradient is not None and param.grad is not None:
            param.grad.copy_(gradient)  # in place, as backward() does: what is remembered may not be this tensor
        else:
            param.grad = None if gradient is None else gradient.clone()
    optimizer.step()
    return torch.cat([param.detach().reshape(-1) for param in params])


def give_gradients(params, gradients):
    for param, gradient in zip(params, gradients, strict=True):
        param.grad = None if gradient is None else gradient.clone()


def library_steps(optimizer_class):
    """How many steps of the library's optimisers run while an optimiser makes one of its own."""
    steps, param = [], torch.zeros(3, requires_grad=True)
    optimizer = optimizer_class([param], lr=0.1)
    give_gradients([param], [torch.ones(3)])
    hook = register_optimizer_step_pre_hook(lambda *_: steps.append(1))
    try:
        optimizer.step()
    finally:
        hook.remove()
    return len(steps)


def strangers(optimizer_class, device, options):
    """Make two steps with parameters on the device; return the devices and dtypes of everything remembered."""
    params = [torch.zeros(3, dtype=torch.float64, device=device, requires_grad=True) for _ in range(2)]
    optimizer = optimizer_class(params, **options)
    with StandIns():
        for _ in range(2):
            give_gradients(params, [torch.ones_like(param) for param in params])
            optimizer.step()
    return sorted({f"{tensor.dtype} on {tensor.device.type}" for tensor in kept(vars(optimizer)) if tensor.ndim})


def kept(value, depth=6):
    """Every tensor in nested containers, the keys of dicts left out."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple)) or depth == 0:
        return []
    return [tensor for item in value for tensor in kept(item, depth - 1)]
