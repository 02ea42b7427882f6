"""Helpers that run beside the submission."""

import torch


def buffers_with_a_graph(layer):
    """The names of the buffers that require gradients."""
    return sorted(name for name, buffer in layer.named_buffers() if buffer.requires_grad)


def fill_affine(layer, weight, bias):
    """Every weight and every bias of the layer becomes this number."""
    with torch.no_grad():
        layer.weight.fill_(weight)
        layer.bias.fill_(bias)
