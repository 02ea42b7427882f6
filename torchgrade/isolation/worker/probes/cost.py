"""What a call costs, apart from the clock: floating-point operations and memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch

from torchgrade.isolation.worker.probes.dispatch import QuietDispatchMode
from torchgrade.isolation.worker.probes.recorders import tensors_in
from torchgrade.isolation.worker.registry import probe


@probe
def flops(fn: Callable[..., Any], *args: Any) -> int:
    """Floating-point operations of the products and convolutions in ``fn(*args)``: 2 for a multiply-add."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        fn(*args)
    return int(counter.get_total_flops())


@probe
def peak_memory(fn: Callable[..., Any], *args: Any) -> int:
    """Bytes of tensors that ``fn(*args)`` held at most at one time, besides its arguments.

    Counts what operators return, so scratch space inside of a kernel and numpy arrays are not seen; the same
    on every machine and device.
    """
    meter = _Meter(args)
    with meter:
        result = fn(*args)
    del result
    return meter.peak


class _Meter(QuietDispatchMode):
    """Follows the storages that operators return from their birth to their death."""

    def __init__(self, known: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._seen: dict[int, Any] = {}
        for tensor in tensors_in(known):
            self._follow(tensor.untyped_storage(), 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        known = [tensor.untyped_storage() for tensor in tensors_in(args)]  # a parameter is not new
        for storage in known:
            self._follow(storage, 0)
        for tensor in tensors_in(result):
            storage = tensor.untyped_storage()
            self._follow(storage, storage.nbytes())
        self.peak = max(self.peak, self.live)
        return result

    def _follow(self, storage: torch.UntypedStorage, size: int) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        self.live += size

        def gone(_: Any) -> None:
            self._seen.pop(key, None)
            self.live -= size

        self._seen[key] = weakref.ref(storage, gone)
