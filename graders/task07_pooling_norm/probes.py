"""Helpers that run beside the submission."""


def buffers_with_a_graph(layer):
    """The names of the buffers that require gradients."""
    return sorted(name for name, buffer in layer.named_buffers() if buffer.requires_grad)
