"""Ctrl-C while a class is graded."""

from __future__ import annotations

import signal
from collections.abc import Callable

from rich.console import Console

from torchgrade.i18n import translate as _


class Stop:
    """Ctrl-C: the first lets what is running finish, the second stops at once."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._asked = False
        self._before: Callable[..., object] | int | None = None

    def asked(self) -> bool:
        return self._asked

    def __enter__(self) -> Stop:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_unused: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, *_unused: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self.console.print(_("finishing what is running; once more Ctrl-C stops at once"))
