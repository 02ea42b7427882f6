"""Task 43: export a network as a program, look into it, and serve it.

A network in Python needs Python, its class and its file. An exported program needs none of them: it is a list of
operators, a *graph*, that was recorded once and runs as it was recorded. PyTorch calls this a static graph, in contrast
to the dynamic one that Python draws anew in each call. You export a network, compare the program with what it was made
from, write it to a file and read it back, list its operators, and answer requests with it.

What recording means: whatever Python decided while it was recorded, the program has decided for ever. The older
``torch.jit.trace`` took that for granted: of ``if x.sum() > 0: return 2 * x`` else ``x - 1`` it kept the branch that
its example took, and answered -6 for -3, where the module says -4 (and -2 for -1, where both branches agree by
accident). ``torch.export`` refuses to export what depends on values, and ``torch.cond`` is how to say it; what depends
on the shape of the example, such as the number of rows, has to be declared as dynamic.

Conventions
- ``torch.export`` does the work. ``torch.jit`` (TorchScript) is deprecated, and forbidden here.
- The first axis of each input of a network holds the samples, its rows. Outputs are one tensor.
- Modules come in any mode; the modes of the module and of all its parts are afterwards what they were, also after an
  error. Arguments keep their values. No module changes its inputs.
- Nothing is printed. What may follow an export, compiling it or writing it as ONNX, needs a compiler or another
  package, and is no part of this task.
"""

import contextlib

import torch
from torch import nn


class GatedModule(nn.Module):
    """Doubles x where the sum of all its elements is above 0, otherwise takes 1 off each element: any shape -> the
    same.

    There is one gate for the whole tensor. It stays open to both ways when the module is exported, as it is made with
    ``torch.cond(condition, true_function, false_function, (x,))``, which runs only one of two functions.

    Example: [1, 2] becomes [2, 4]; [-3, 1] becomes [-4, 0]; [1, -1], whose sum is 0, becomes [0, -2].
    """

    def forward(self, x):
        # TODO: a condition and two functions.
        # BEGIN SOLUTION
        return torch.cond(x.sum() > 0, lambda x: 2 * x, lambda x: x - 1, (x,))
        # END SOLUTION


def export_model(module, example, dynamic_batch=True):
    """Export a module in evaluation mode: what dropout or batch normalisation do in training is not in the program.

    example: the input of the module, a tensor, or a tuple of tensors for a module with several inputs. Returns the
    ``torch.export.ExportedProgram``; its ``module()`` is what can be called.

    With ``dynamic_batch`` the program takes any number of rows from 1 on, the same in all inputs (where it differs,
    anything may happen), whatever number the example has. ``torch.export`` takes an axis of length 1 for a constant; so
    of an example with one row either make one with two, or let the error through, but return no program that takes one
    row only. Without ``dynamic_batch`` the program takes exactly as many rows as the example. The other axes are those
    of the example.

    What cannot be exported, such as a Python ``if`` that asks for a value, raises the error of ``torch.export``.
    """
    # TODO: note the modes, switch to evaluation mode, name the dynamic axis, export, give the modes back.
    # BEGIN SOLUTION
    inputs = example if isinstance(example, tuple) else (example,)
    shapes = None
    if dynamic_batch:
        rows = torch.export.Dim("rows")
        inputs = tuple(torch.cat([x, x]) if len(x) == 1 else x for x in inputs)
        shapes = tuple({0: rows} for _ in inputs)
    with evaluated(module):
        return torch.export.export(module, inputs, dynamic_shapes=shapes)
    # END SOLUTION


# BEGIN SOLUTION
@contextlib.contextmanager
def evaluated(module):
    """Evaluation mode for the time being."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


# END SOLUTION


def largest_difference(module, program, batches):
    """How far an exported program is from the module that it was made from: the largest absolute difference of their
    outputs over all elements of all batches, a float.

    batches: a list of inputs, each a tensor, or a tuple of tensors for a module with several inputs. Choose them so
    that every way through the module is taken. The module runs in evaluation mode; no gradients are recorded. Without a
    batch the result is 0.0. Where an output holds NaN the result is NaN or infinite, for then nothing has been shown.

    Example: a module that doubles, and a program that adds 1, on [[1]] and [[5], [-2]]: the differences are 0, 4 and 3,
    so the result is 4.0.
    """
    # TODO: run both on each batch, and keep the largest difference.
    # BEGIN SOLUTION
    exported, found = program.module(), [0.0]
    with evaluated(module), torch.no_grad():
        for batch in batches:
            inputs = batch if isinstance(batch, tuple) else (batch,)
            found.append((module(*inputs) - exported(*inputs)).abs().max().item())
    return torch.tensor(found, dtype=torch.float64).max().item()
    # END SOLUTION


def save_exported(program, path):
    """Write an exported program to a file that ``torch.export.load`` can read. ``path`` ends in .pt2; a file that is
    there already is replaced.
    """
    # TODO: one call.
    # BEGIN SOLUTION
    torch.export.save(program, path)
    # END SOLUTION


def load_exported(path):
    """Read the file of an exported program: returns a ``torch.export.ExportedProgram``.

    Reading unpickles what is in the file, and that can run any code: load only what comes from somebody you trust.
    """
    # TODO: one call.
    # BEGIN SOLUTION
    return torch.export.load(path)
    # END SOLUTION


def graph_to_dict(program):
    """The graph of an exported program as a dict that ``json.dumps`` can write.

    - "inputs": the names of the placeholders that a caller fills, in order.
    - "parameters": those of all other placeholders: parameters, buffers, constants.
    - "nodes": a dict for each other node of ``program.graph`` but the last, which only returns, in order, with the keys
      "op", "inputs" and "outputs".
    - "outputs": the names of the nodes that are returned, a list.

    "op" of a call is the text of its target for an operator of PyTorch, such as "aten.linear.default", and the
    function's ``__name__`` for any other function, such as "getitem"; for torch.cond both are "cond". "op" of a node
    that gets an attribute is "get_attr"; the branches of torch.cond are such nodes. "inputs" are the names of the nodes
    among the arguments of a call, in order, those inside of lists and tuples and those of keyword arguments, too; a
    node that is used twice is listed twice, and constants are left out. "outputs" is a list with the name of the node
    itself.

    Example: of a Sequential with one nn.Linear, exported with an input,
        {"inputs": ["input"], "parameters": ["p_0_weight", "p_0_bias"],
         "nodes": [{"op": "aten.linear.default", "inputs": ["input", "p_0_weight", "p_0_bias"], "outputs": ["linear"]}],
         "outputs": ["linear"]}
    (The names are torch's; they may differ from version to version.)
    """
    # TODO: go through program.graph.nodes; program.graph_signature knows what the caller fills.
    # BEGIN SOLUTION
    nodes = list(program.graph.nodes)
    placeholders = [node.name for node in nodes if node.op == "placeholder"]
    given = set(program.graph_signature.user_inputs)
    calls = [node for node in nodes if node.op not in ("placeholder", "output")]
    return {
        "inputs": [name for name in placeholders if name in given],
        "parameters": [name for name in placeholders if name not in given],
        "nodes": [
            {"op": operator_name(node), "inputs": names_in((node.args, node.kwargs)), "outputs": [node.name]}
            for node in calls
        ],
        "outputs": names_in(nodes[-1].args),
    }
    # END SOLUTION


# BEGIN SOLUTION
def operator_name(node):
    """What a node does, as text."""
    if node.op == "get_attr":
        return "get_attr"
    return str(node.target) if isinstance(node.target, torch._ops.OpOverload) else node.target.__name__


def names_in(value):
    """The names of the nodes in nested arguments, in order."""
    if isinstance(value, torch.fx.Node):
        return [value.name]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [name for part in inner for name in names_in(part)]


# END SOLUTION


class Handler:
    """Answers requests with a classifier, as a server does: what arrives are dicts made of JSON, and so is what leaves.

    ``Handler()`` has no arguments. ``initialize`` is called once before all else, as servers do.
    """

    def initialize(self, model, shape, labels=None, dtype=torch.float32, device="cpu"):
        """Keep what the other methods need.

        model: a module that makes logits (N, classes) of a batch (N, *shape), such as ``program.module()``. It is on
        ``device`` and in the right mode already. It is called as it is: ``eval()`` raises an error for an exported one.
        shape: the shape of one sample, a tuple. labels: the name of each class, a list; None: the classes are numbers.
        dtype: what the samples become.
        """
        # TODO: keep them.
        # BEGIN SOLUTION
        self.model, self.shape, self.labels = model, tuple(shape), labels
        self.dtype, self.device = dtype, device
        # END SOLUTION

    def preprocess(self, request):
        """The sample of one request: a tensor of ``shape`` with the dtype and on the device of ``initialize``.

        request: {"data": nested lists of numbers}; further keys are ignored. Raises ValueError, with a text that says
        why, for anything else: no dict, no "data", another shape or ragged lists, something that is no number (None, a
        word), a NaN, an infinity, or a number that becomes infinite in ``dtype``.
        """
        # TODO: look at everything that can be wrong; make a tensor.
        # BEGIN SOLUTION
        if not isinstance(request, dict) or "data" not in request:
            raise ValueError('a request is a dict with the key "data"')
        try:
            sample = torch.tensor(request["data"], dtype=self.dtype, device=self.device)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ValueError(f"data is no array of numbers: {error}") from error
        if sample.shape != self.shape:
            raise ValueError(f"data has shape {tuple(sample.shape)}, not {self.shape}")
        if not sample.isfinite().all():
            raise ValueError("data holds a number that is not finite")
        return sample
        # END SOLUTION

    def inference(self, batch):
        """The logits (N, classes) that the model makes of a batch (N, *shape).

        No gradients are recorded meanwhile, so there is no graph, neither of the logits nor inside of the model.
        """
        # TODO: call the model, record nothing.
        # BEGIN SOLUTION
        with torch.no_grad():
            return self.model(batch)
        # END SOLUTION

    def postprocess(self, logits):
        """An answer for each row of logits (N, classes): a list of N dicts {"label": ..., "probability": ...}.

        "label" is the name of the class with the largest logit, or its number, an int, where there are no names;
        "probability" is its softmax probability, a float. ``json.dumps`` can write the answers.

        Example: logits [[0, ln 3]] and the labels ["cat", "dog"] give [{"label": "dog", "probability": 0.75}].
        """
        # TODO: softmax, the largest of each row, Python's own types.
        # BEGIN SOLUTION
        classes, values = logits.argmax(1).tolist(), logits.float().softmax(1).amax(1).tolist()
        names = classes if self.labels is None else [self.labels[k] for k in classes]
        return [{"label": name, "probability": p} for name, p in zip(names, values, strict=True)]
        # END SOLUTION

    def handle(self, requests):
        """Answer a list of requests: a list of as many answers, in their order.

        A bad request, one for which ``preprocess`` raises ValueError, gets {"error": the text of the error}, and harms
        no other. All good ones go through the model together, in one call of ``inference``; where there is none, it is
        not called. An error of the model itself is no bad request: it is raised.
        """
        # TODO: sort the good from the bad, run the good ones in one batch, put the answers back into their places.
        # BEGIN SOLUTION
        answers, samples = [None] * len(requests), {}
        for place, request in enumerate(requests):
            try:
                samples[place] = self.preprocess(request)
            except ValueError as error:
                answers[place] = {"error": str(error)}
        if samples:
            found = self.postprocess(self.inference(torch.stack(list(samples.values()))))
            for place, answer in zip(samples, found, strict=True):
                answers[place] = answer
        return answers
        # END SOLUTION
