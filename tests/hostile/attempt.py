"""One attempt: the text of a hostile submission, and what would show that it succeeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PRELUDE = '''
import ctypes, errno, gc, json, mmap, os, resource, signal, socket, struct, sys, threading, time
import torch

libc = ctypes.CDLL(None, use_errno=True)
SPACE = ctypes.create_string_buffer(4096)

def call(number, *arguments):
    """A system call by number; OSError when it is refused."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result

def managed(*attempts):
    """Which of the attempts went through."""
    done = []
    for number, attempt in enumerate(attempts):
        try:
            if attempt() is not False:
                done.append(number)
        except Exception:
            pass
    return done

def scale(x, factor=2.0):
    return x

'''


@dataclass(frozen=True)
class Payload:
    """``level``: the lowest at which it must be stopped.

    ``proof`` says what shows success: "claim" (``attack(t)`` returns something true), "exam" (the wrong ``scale`` passes
    a check), "fault" (the grader does *not* refuse with a message that matches ``says``), "survive" (only the harm
    done: to the sibling, the files, the zygote, the grader's clock and memory).
    ``control``: whether it is tried without confinement, to show that it is no dud. "naive": against a grader that
    shares its process with the submission; "roomy": at level 1 with limits that are no limits; "none": it would harm the machine, or needs none (``says`` is the proof).
    """

    name: str
    attempt: str
    text: str = ""
    level: int = 2
    proof: str = "claim"
    says: str = ""
    control: str = "process"
    seconds: float = 10.0
    limits: dict[str, float] | None = None
    archive: Callable[[], bytes] | None = None
    x86: bool = False  # uses numbers of system calls

    @property
    def source(self) -> bytes:
        return (PRELUDE + self.text).encode("utf-8", "surrogatepass")


def claim(name: str, attempt: str, expression: str, level: int = 2, **more: object) -> Payload:
    """A payload whose ``attack`` is one expression over the targets ``t``."""
    return Payload(name, attempt, f"def attack(t):\n    return {expression}\n", level, **more)  # type: ignore[arg-type]
