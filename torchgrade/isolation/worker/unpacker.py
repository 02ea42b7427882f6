"""A small process that opens archives and notebooks of strangers: ``python -m
torchgrade.isolation.worker.unpacker``.

Each request is served by a fork with limits on memory, time and files, so that an opener that is led astray
ends alone. Frames on standard input and output: a JSON line, then the raw bytes that it announces.

    {"kind": "archive"|"notebook", "size": n} + n bytes
    {"files": [[name, size], …], "refused": [[name, sentence], …]} + the files' bytes    or {"error":
    sentence}
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from typing import Any, BinaryIO

from torchgrade.handin.archives import unpack
from torchgrade.handin.names import Refused, shown
from torchgrade.handin.notebooks import convert

MEMORY = 1 << 30  # bytes of address space
SECONDS = 30  # of processor time


def serve(end: socket.socket) -> None:
    """In a confined worker: answer one request."""
    with end.makefile("rwb") as stream:
        request = json.loads(stream.readline(1 << 12))
        stream.write(_frame(*answer(request["kind"], stream.read(request["size"]))))


def main() -> None:
    """Serve until standard input ends."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # nothing but frames reaches the caller
    while line := source.readline(1 << 12):
        request = json.loads(line)
        data = source.read(request["size"])
        if not hasattr(os, "fork"):  # pragma: no cover
            _write(target, *answer(request["kind"], data))
            continue
        child = os.fork()
        if child == 0:
            _child(target, request["kind"], data)
        del data
        _, status = os.waitpid(child, 0)
        if status != 0:
            _write(target, {"error": "opening it takes too much memory or time"}, [])


def _child(target: BinaryIO, kind: str, data: bytes) -> None:
    """Answer in a confined fork. Only a complete answer is written, in one go."""
    code = 1
    with contextlib.suppress(BaseException):
        _confine()
        frame = _frame(*answer(kind, data))
        _all(target, frame)
        code = 0
    os._exit(code)


def _confine() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def answer(kind: str, data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header of the answer, and the contents that follow it."""
    try:
        if kind == "archive":
            found = unpack(data)
            names = [[name, len(content)] for name, content in found.files.items()]
            refused = [[shown(name), why] for name, why in found.refused]
            return {"files": names, "refused": refused}, list(found.files.values())
        module = convert(data)
        text = module.source.encode("utf-8", "surrogatepass")
        places = {"starts": module.starts, "cells": module.cells}
        left_out = [[f"code cell {cell}, line {line}", why] for cell, line, why in module.left_out[:1000]]
        return {"files": [["module", len(text)]], "refused": left_out, **places}, [text]
    except Refused as refusal:
        return {"error": str(refusal)}, []
    except (RecursionError, MemoryError):
        return {"error": "it is nested too deeply or needs too much memory"}, []


def _frame(header: dict[str, Any], contents: list[bytes]) -> bytes:
    return json.dumps(header).encode() + b"\n" + b"".join(contents)


def _write(target: BinaryIO, header: dict[str, Any], contents: list[bytes]) -> None:
    _all(target, _frame(header, contents))


def _all(target: BinaryIO, frame: bytes) -> None:
    view = memoryview(frame)
    while view:
        view = view[target.write(view) :]


if __name__ == "__main__":
    main()
