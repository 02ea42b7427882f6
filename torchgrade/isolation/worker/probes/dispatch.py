"""The base of our dispatch modes."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class QuietDispatchMode(TorchDispatchMode):
    """Keeps torch from wrapping the mode for its compiler: that imports 800 modules in every fresh worker."""

    @staticmethod
    def go_on(func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """The operator itself. What a class of tensors makes of it is met, too: in here the mode would be off."""
        if any(kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__ for kind in types):
            return NotImplemented
        return func(*args, **(kwargs or {}))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
