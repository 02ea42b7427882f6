"""``verify --samples``: run a reference on the inputs with which PyTorch tests itself; JSON lines, one for a function.

    python -m torchgrade.samples ROOT STEM ...

The lists are private to PyTorch (``torch.testing._internal``) and need the package expecttest, so this is a tool for
authors. The reference is the author's own, and runs unconfined.
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_optimizers import optim_db
from torch.utils._pytree import tree_leaves, tree_map

from torchgrade.samples.like import Arguments, Like

DTYPES = (torch.float64, torch.float32, torch.int64)
STEPS = 4  # of an optimiser
Told = dict[str, Any]


def loaded(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


def outside(like: Like, function: Any, args: Any, options: dict[str, Any], inputs: Any = ()) -> str | None:
    """Why the docstring does not speak of this sample: a reason of the author's, or an option that nobody takes."""
    given = (*inputs, *args)
    reason = next((reason for reason, applies in like.outside.items() if applies(*given, **options)), None)
    if reason is not None or like.arguments is not None:
        return reason
    names = inspect.signature(function).parameters
    if missing := sorted(options.keys() - names.keys()):
        return f"it has no option {missing[0]}"
    return f"it takes {len(names)} arguments" if len(args) > len(names) else None


def shown(args: Any, options: Any = None) -> str:
    """A sample in words: shapes and dtypes of tensors, everything else as it is."""

    def one(value: Any) -> Any:
        return f"{str(value.dtype)[6:]}{list(value.shape)}" if isinstance(value, torch.Tensor) else value

    parts = [str(tree_map(one, value)) for value in args]
    parts += [f"{name}={tree_map(one, value)}" for name, value in (options or {}).items()]
    return ", ".join(parts)


def answer(function: Any, args: Any, options: Any, parameters: Iterable[torch.Tensor] = ()) -> Any:
    """The value, and the vector-Jacobian products with all inputs and ``parameters`` that want gradients."""
    args, options = tree_map(fresh, (args, options))
    value = function(*args, **options)
    found = wanting(tree_leaves(value))
    leaves = wanting([*tree_leaves((args, options)), *parameters])
    if not found or not leaves:
        return value, []
    generator = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf) for leaf in found]
    return value, torch.autograd.grad(found, leaves, cotangents, materialize_grads=True)


def wanting(leaves: Iterable[Any]) -> list[torch.Tensor]:
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.requires_grad]


def fresh(value: Any) -> Any:
    return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, torch.Tensor) else value


def compared(found: Any, truth: Any) -> str:
    """What differs, in a line; empty where nothing does."""
    single = any(isinstance(leaf, torch.Tensor) and leaf.dtype is torch.float32 for leaf in tree_leaves(truth))
    near = 1e-4 if single else None  # another order of a sum of thousands in float32
    try:
        torch.testing.assert_close(found, truth, equal_nan=True, rtol=near, atol=near)
    except AssertionError as error:
        return " ".join(str(error).split())[:200]
    return ""


def of_operator(like: Like, function: Any) -> Iterator[tuple[str, str | None, str]]:
    """By sample: how it reads, why it lies outside, what differs."""
    operators = [operator for operator in op_db if operator.name == like.name]
    if not operators:
        raise LookupError(f"PyTorch has no samples for {like.name}")
    for operator in operators:
        for dtype in DTYPES:
            if dtype not in operator.supported_dtypes("cpu"):
                continue
            grads = dtype.is_floating_point and operator.supports_autograd
            for sample in operator.sample_inputs("cpu", dtype, requires_grad=grads):
                args, options = (sample.input, *sample.args), dict(sample.kwargs)
                try:
                    truth = answer(like.oracle or operator.op, args, options)
                except (RuntimeError, ValueError, IndexError, TypeError):
                    continue  # the oracle does not take it either
                yield shown(args, options), *tried(like, function, args, options, truth)


def tried(like: Like, function: Any, args: Any, options: Any, truth: Any) -> tuple[str | None, str]:
    reason = outside(like, function, args, options)
    if reason is not None:
        return reason, ""
    try:
        args, options = translated(like, args, options)
        return None, compared(answer(function, args, options), truth)
    except Exception as error:  # whatever the reference raises where PyTorch answers
        return None, f"{type(error).__name__}: {error}"[:200]


def translated(like: Like, args: Any, options: Any) -> Arguments:
    return (args, options) if like.arguments is None else like.arguments(*args, **options)


def of_module(like: Like, build: Any) -> Iterator[tuple[str, str | None, str]]:
    name = like.name.removeprefix("nn.")
    infos = [info for info in module_db if info.module_cls.__name__ == name]
    if not infos:
        raise LookupError(f"PyTorch has no samples for {like.name}")
    for info in infos:
        for dtype in DTYPES[:2]:
            for training in (True, False):
                samples = info.module_inputs_func(info, "cpu", dtype, True, training)
                for sample in samples:
                    made, call = sample.constructor_input, sample.forward_input
                    if call is None:
                        continue
                    inputs = (*call.args, *call.kwargs.values())
                    reason = outside(like, build, made.args, made.kwargs, inputs)
                    text = f"({shown(made.args, made.kwargs)})({shown(call.args, call.kwargs)})"
                    if reason is not None:
                        yield text, reason, ""
                        continue
                    theirs = info.module_cls(*made.args, **made.kwargs).to(dtype).train(training)
                    names = [name for name, _ in theirs.named_parameters()]  # in one order for both
                    try:
                        settings, more = translated(like, made.args, made.kwargs)
                        ours = build(*settings, **more).to(dtype).train(training)
                        ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
                        truth, found = (
                            (
                                *answer(net, inputs, {}, (dict(net.named_parameters())[n] for n in names)),
                                net.state_dict(),
                            )
                            for net in (theirs, ours)
                        )
                        yield text, None, compared(found, truth)
                    except Exception as error:
                        yield text, None, f"{type(error).__name__}: {error}"[:200]


def of_optimizer(like: Like, build: Any) -> Iterator[tuple[str, str | None, str]]:
    name = like.name.removeprefix("optim.")
    infos: list[Any] = [info for info in optim_db if getattr(torch.optim, name) is info.optim_cls]
    if not infos:
        raise LookupError(f"PyTorch has no samples for {like.name}")
    for sample in infos[0].optim_inputs_func(device="cpu"):
        options = {name: value for name, value in sample.kwargs.items() if name not in ("foreach", "fused")}
        text, reason = f"({shown((), options)})", outside(like, build, (), options)
        if reason is not None:
            yield text, reason, ""
            continue
        try:
            truth, found = (after(make, options) for make in (infos[0].optim_cls, build))
            yield text, None, compared(found, truth)
        except Exception as error:
            yield text, None, f"{type(error).__name__}: {error}"[:200]


def after(build: Any, options: dict[str, Any]) -> list[torch.Tensor]:
    """Two parameters after some steps on a curved loss."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((4, 3), (3,))
    parameters = [nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64)) for s in shapes]
    optimizer = build(parameters, **options)
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses = [(one**2 * torch.arange(1.0, 4.0)).sum() + one.sin().sum() for one in parameters]
        torch.stack(losses).sum().backward()
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def told(name: str, like: Like, function: Any) -> Told:
    kind = of_module if like.name.startswith("nn.") and like.name[3].isupper() else of_operator
    kind = of_optimizer if like.name.startswith("optim.") else kind
    equal, left, differs = 0, dict[str, int](), list[str]()
    for text, reason, difference in kind(like, function):
        if reason is not None:
            left[reason] = left.get(reason, 0) + 1
        elif difference:
            differs.append(f"{text}: {difference}")
        else:
            equal += 1
    return {"function": name, "like": like.name, "equal": equal, "outside": left, "differs": differs}


def main(root: str, *stems: str) -> None:
    for stem in stems:
        solution = loaded(Path(root, "solutions", f"{stem}.py"), stem)
        for name, like in loaded(Path(root, "graders", stem, "samples.py"), f"{stem}_samples").SAMPLES.items():
            torch.manual_seed(0)
            print(json.dumps({"task": stem, **told(name, like, getattr(solution, name))}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
