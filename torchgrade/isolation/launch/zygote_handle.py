"""The trusted end of the zygote: starts it, asks it for forks."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import tempfile
import time
from typing import Any

from torchgrade.errors import IsolationError
from torchgrade.isolation.confine.plan import Plan
from torchgrade.isolation.launch import command
from torchgrade.isolation.launch.supervisor_handle import Supervisor
from torchgrade.isolation.wire.status_socket import StatusSocket

START_SECONDS = 180.0  # import torch from a cold disk, on a very busy machine


class Zygote:
    """The running zygote. ``missing``: what its trial confinement lacked, None when the level holds."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.missing: str | None = None
        self.baseline_mb = 0.0
        self._ready = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        (self._control, theirs), (self._life, their_life) = socket.socketpair(), socket.socketpair()
        self._process = subprocess.Popen(
            command.zygote(plan, theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            env=command.environment(plan),
            cwd="/",
        )
        theirs.close()
        socket.send_fds(self._control, [b"life"], [their_life.fileno()])
        their_life.close()
        message = self._next(START_SECONDS)
        if message is None or "error" in message:
            self.missing = (message or {}).get("error") or self._last_words()
        else:
            self.missing = message["missing"]

    def alive(self) -> bool:
        """For the process that started it."""
        return self._process.poll() is None

    def fork(self, modules: frozenset[str], user: int | None, many: bool) -> Supervisor:
        """Ask for a supervisor whose workers find ``modules`` imported.

        ``user``: what they become. ``many``: there will be so many that making forks cheap pays.
        """
        if not self._ready:
            self.baseline_mb = self._expect_ready()
            self._ready = True
        end, theirs = socket.socketpair()
        request = {"preload": sorted(modules), "user": user, "many": many}
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], [theirs.fileno()])
        except OSError as error:
            end.close()
            raise IsolationError(f"The zygote has ended: {self._reason() or error}\n{self._last_words()}") from None
        finally:
            theirs.close()
        return Supervisor(StatusSocket(end), modules, many)

    def _expect_ready(self) -> float:
        """Its memory in MB once it can fork. The message stays, for every fork of this process."""
        message = self._next(START_SECONDS, keep=True)
        if message is None or "ready" not in message:
            reason = (message or {}).get("error") or self._last_words()
            raise IsolationError(f"The zygote could not be started: {reason}")
        return float(message["baseline"])

    def _next(self, seconds: float, keep: bool = False) -> dict[str, Any] | None:
        """The next message, or None when there is none in time or the zygote has ended."""
        deadline = time.monotonic() + seconds
        while select.select([self._control], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                data = self._control.recv(1 << 16, socket.MSG_PEEK)
            except OSError:
                return None
            line, newline, _ = data.partition(b"\n")
            if not data:
                return None
            if newline:
                if not keep:
                    self._control.recv(len(line) + 1)
                message: dict[str, Any] = json.loads(line)
                return message
        return None

    def _reason(self) -> str:
        """What it told behind that it is ready: perhaps a module could not be imported."""
        for _ in range(2):  # the first word after its end may be that our request was not read
            with contextlib.suppress(OSError):
                lines = self._control.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT).splitlines()
                return next((str(told["error"]) for told in map(json.loads, lines) if "error" in told), "")
        return ""

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read(4000).decode(errors="replace").strip() or "it ended without a word"

    def close(self) -> None:
        self._life.close()
        self._control.close()
        try:
            self._process.wait(0.2)  # it may be importing; it holds nothing that must be saved
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
