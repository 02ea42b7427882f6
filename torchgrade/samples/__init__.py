"""PyTorch's own sample inputs through the reference of a task: a process of its own, for authors."""
