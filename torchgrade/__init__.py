"""TorchGrade: an auto-graded PyTorch course and the harness that grades it."""

__version__ = "0.1.0"
