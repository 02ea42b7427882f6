"""TorchGrade: an auto-graded PyTorch course and the harness that grades it."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``from torchgrade import Grader``, imported when it is asked for."""
    if name != "Grader":
        raise AttributeError(f"module 'torchgrade' has no attribute {name!r}")
    import importlib

    return importlib.import_module("torchgrade.api").Grader


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext torchgrade`` in a notebook: ``%grade`` and ``%hint``."""
    import importlib

    importlib.import_module("torchgrade.commands.notebook").load(shell)
