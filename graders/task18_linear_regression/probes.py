"""Helpers of task 18 that run beside the submission."""

import torch


def drawn_with(make_line, seeds):
    """Points for each seed, and whether PyTorch's global generator is as it was."""
    before = torch.get_rng_state()
    found = [make_line(2.0, 5.0, 10, seed) for seed in seeds]
    return found, torch.equal(before, torch.get_rng_state())


def gathered(function, tensors):
    """The result of function(*tensors), and the places of the tensors whose .grad it has filled."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    return function(*leaves), [number for number, leaf in enumerate(leaves) if leaf.grad is not None]
