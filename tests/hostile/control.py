"""The control: which attempts succeed where nothing confines, so that none of them is a dud."""

from __future__ import annotations

import os
import sys
import types
from dataclasses import replace

import torch

from hostile.attempt import Payload
from hostile.harness import Arena

ROOMY = {"memory_mb": 8192, "file_mb": 8192, "processes": 4096}


def succeeds(payload: Payload, arena: Arena) -> bool | None:
    """Against a grader that shares its process ("naive"), or in a worker at level 1 ("process"); None: not tried."""
    if payload.control == "naive":
        return _naive(payload)
    if payload.control == "roomy":
        return not arena.run(replace(payload, limits=ROOMY)).stopped
    if payload.control == "process":
        return not arena.run(payload).stopped
    return None


def _naive(payload: Payload) -> bool:
    """Whether a grader as they are commonly written lets the wrong ``scale`` pass: exit status 0 is a pass."""
    pid = os.fork()
    if pid == 0:
        _judge(payload)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _judge(payload: Payload) -> None:
    """In a fork: import the submission beside the grader, compare in three usual ways, any of which may pass it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    try:
        module = types.ModuleType("submission")
        exec(compile(payload.source, "submission.py", "exec"), module.__dict__)
        x = torch.randn(3)
        expected = x * 3.0
        got = module.scale(x, 3.0)
        passed = any(_agree(way, got, expected, x) for way in (1, 0, 2, 3))
        os._exit(0 if passed else 1)
    except SystemExit as end:
        os._exit(int(end.code or 0) if not isinstance(end.code, str) else 1)
    except BaseException:
        os._exit(1)


def _agree(way: int, got: object, expected: torch.Tensor, x: torch.Tensor) -> bool:
    try:
        if way == 0:
            return bool(torch.allclose(got, expected))  # type: ignore[arg-type]
        if way == 1:
            return not (got - expected).abs().max() > 1e-5  # type: ignore[operator]
        if way == 2:
            return bool(torch.allclose(got, x * 3.0))  # type: ignore[arg-type]  # the expected value comes after the call
        torch.testing.assert_close(got, expected)
        return True
    except Exception:
        return False


def main() -> None:
    """``python -m hostile.control``: one line for each attempt."""
    from hostile.payloads import ALL

    torch.set_num_threads(1)
    with Arena("process") as arena:
        for payload in ALL:
            done = succeeds(payload, arena)
            print(payload.name, {None: "-", True: "succeeds", False: "fails"}[done], file=sys.stderr)


if __name__ == "__main__":
    main()
