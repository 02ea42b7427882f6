"""Where a session is seen: a whole screen on a terminal, plain lines anywhere else."""

from __future__ import annotations

import contextlib
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from torchgrade.commands.watch.view import View, plain_rows, rows


class Display(Protocol):
    console: Console

    def resume(self) -> None:
        """Take the place that is drawn on."""

    def pause(self) -> None:
        """Give it back as it was."""

    def show(self, view: View) -> None:
        """Show the session as it is now; called whenever it may have changed."""

    def resized(self) -> bool:
        """Whether the place has another size than when it was last drawn on."""


class Screen:
    """The alternate screen of a terminal: it never scrolls, and what was there before comes back."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._rows: list[Text] = []
        self._size = console.size

    def resume(self) -> None:
        self._live = Live(
            get_renderable=lambda: Group(*self._rows), console=self.console, screen=True, auto_refresh=False
        )
        self._live.start()

    def pause(self) -> None:
        if self._live is not None:
            with contextlib.suppress(OSError):  # the terminal is closed
                self._live.stop()
            self._live = None

    def show(self, view: View) -> None:
        self._size = self.console.size
        self._rows = rows(view, self.console, self._size.height)
        if self._live is not None:
            self._live.refresh()

    def resized(self) -> bool:
        return self.console.size != self._size


class PlainLines:
    """A pipe, a file, a terminal that cannot move its cursor: what is new is printed, once."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._told: tuple[object, ...] = ()
        self._hints: list[str] = []
        self._message = ""

    def resume(self) -> None:
        """Nothing to take."""

    def pause(self) -> None:
        """Nothing to give back."""

    def show(self, view: View) -> None:
        if view.page is not None:
            self._print(view.page)
            view.page = None
        state = (view.task.stem, view.grade, view.clock)
        if not view.running and state != self._told:
            self._told = state
            self._print([Text(), *plain_rows(view, self.console)])
        elif view.hints != self._hints:
            self._print([Text(hint) for hint in view.hints])
        elif view.message not in ("", self._message):
            self._print([Text(view.message)])
        self._hints, self._message = list(view.hints), view.message

    def _print(self, lines: list[Text]) -> None:
        for line in lines:
            self.console.print(line, soft_wrap=True)
        self.console.file.flush()

    def resized(self) -> bool:
        return False
