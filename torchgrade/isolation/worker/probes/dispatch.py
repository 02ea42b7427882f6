"""The base of our dispatch modes."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class QuietDispatchMode(TorchDispatchMode):
    """Keeps torch from wrapping the mode for its compiler: that imports 800 modules in every fresh worker."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
