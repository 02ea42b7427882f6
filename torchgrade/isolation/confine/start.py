"""From a fork of the zygote to a confined worker. ``trial`` tries it and names what fails."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from torchgrade.isolation.confine import rlimits, scratch
from torchgrade.isolation.confine.plan import Plan
from torchgrade.isolation.confine.supervisor import CALLS, supervise
from torchgrade.isolation.job import Limits

WORKER = "torchgrade.isolation.worker:serve"


def enter_zygote(plan: Plan) -> None:
    """What the zygote gives up before it imports anything."""


def trial(plan: Plan) -> list[str]:
    """Confine a fork for real; what failed, in words. Empty: the level holds here."""
    return [] if plan.level == 1 else [f"level {plan.level} is not there"]


def start_job(plan: Plan, request: dict[str, Any], calls: int, output: int, status: int) -> NoReturn:
    """In the zygote's fork: become the supervisor of one worker."""
    limits = Limits.from_json(request["limits"])
    folder = scratch.make(plan.uid)

    def worker(channel: socket.socket) -> NoReturn:
        os.setsid()
        scratch.enter(folder)
        serve = prepare(limits, request.get("serve", WORKER))
        rlimits.apply(limits)
        channel.sendall(b'{"confined": {}}\n')
        channel.close()
        serve(socket.socket(fileno=CALLS))
        sys.stdout.flush()
        os._exit(0)

    channel = socket.socket(fileno=status)
    supervise(channel, (calls, output), limits, worker, clean=lambda: scratch.remove(folder))


def prepare(limits: Limits, name: str) -> Callable[[socket.socket], None]:
    """Find the serving function ``module:function`` and set torch up for this worker."""
    import torch

    torch.set_num_threads(limits.threads)
    module, _, function = name.partition(":")
    serve: Callable[[socket.socket], None] = getattr(importlib.import_module(module), function)
    return serve
