"""One submission on one device: starts its worker, loads the file, replaces a worker that died."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torchgrade.errors import LoadFailed
from torchgrade.grading.outcomes import MAX_PRINTED_IN_ALL, printed
from torchgrade.isolation.launch.launcher import Launcher, Limits
from torchgrade.isolation.remote.client import Client
from torchgrade.isolation.remote.line import Line, WorkerLine
from torchgrade.isolation.remote.local_line import LocalLine
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect
from torchgrade.submission import Source


class Sandbox:
    """Gives out a loaded submission; a fresh worker after a death, the same complaint after a failed load."""

    def __init__(
        self,
        launcher: Launcher | None,
        limits: Limits,
        preload: Sequence[str],
        source: Source,
        name: str,
        probes: str | None,
        load_seconds: float,
        on_steps: Callable[[int], None],
    ) -> None:
        self.launcher = launcher
        self.limits = limits
        self.preload = preload
        self.source = source
        self.name = name
        self.probes = probes
        self.load_seconds = load_seconds
        self.on_steps = on_steps
        self.client: Client | None = None
        self.loaded: RemoteSubmission | None = None  # as one object for all checks: it asks for a name once
        self.failed: LoadFailed | None = None
        self.peak_mb = 0.0  # of the workers that have ended
        self.notes: tuple[str, ...] = ()  # what was left out of the file
        self._room = MAX_PRINTED_IN_ALL  # for what the code prints from now on

    def submission(self) -> RemoteSubmission:
        """The loaded submission; raises LoadFailed, the same each time."""
        if self.failed is not None:
            raise self.failed
        if self.loaded is None or self.client is None or self.client.line.dead is not None:
            self.close()
            self.client = self._start()
            self.loaded = RemoteSubmission(self.client)
        return self.loaded

    def _start(self) -> Client:
        client = connect(self._line())
        client.line.begin(self.load_seconds)
        try:
            self.notes = client.load(self.name, self.source, self.probes, self.load_seconds)
        except LoadFailed as error:
            self.failed = error
            self.client = client
            raise
        return client

    def _line(self) -> Line:
        if self.launcher is None:
            return LocalLine()
        process = self.launcher.start(self.limits, self.preload)
        return WorkerLine(process, self.limits, self.on_steps)

    def start_ahead(self) -> None:
        """Have a worker ready for the next submission that is graded like this one."""
        if self.launcher is not None:
            self.launcher.start_ahead(self.limits, self.preload)

    def output(self) -> str:
        """What was printed since the check began, as far as there is room for it."""
        text = printed(self.client.line.output() if self.client is not None else "", self._room)
        self._room -= len(text)
        return text

    def restart(self) -> None:
        """Forget the worker and what it complained of."""
        self.close()
        self.failed = None

    def close(self) -> None:
        if self.client is not None:
            self.client.line.close()
            self.peak_mb = max(self.peak_mb, self.client.line.peak_mb)
            self.client = self.loaded = None
