"""A confined process that opens archives and notebooks of strangers, one request after another.

    {"name": file name, "size": n} + n bytes
    {"files": [[name, size], …], "refused": [[name, sentence], …], "others": [name, …]} + the files' bytes
    or {"error": sentence}

What comes back are the Python files and the notebooks, these as the text of their code cells.
"""

from __future__ import annotations

import io
import json
import socket
from typing import Any

from torchgrade.handin import libarchive_reader, notebooks
from torchgrade.handin.archives import members
from torchgrade.handin.inflate import megabytes
from torchgrade.handin.kinds import is_archive, is_code
from torchgrade.handin.limits import HANDIN, MODULE, ArchiveLimits
from torchgrade.handin.names import Refused, shown
from torchgrade.handin.naming import is_junk

libarchive_reader.preload()  # once, before the process that imports this is forked and confined
MOST = 5000  # names that are told of what was not taken


def serve(end: socket.socket) -> None:
    """In a confined worker: until the other end closes."""
    with end.makefile("rwb") as stream:
        while line := stream.readline(1 << 16):
            request = json.loads(line)
            header, contents = answer(request["name"], stream.read(request["size"]))
            stream.write(json.dumps(header).encode() + b"\n" + b"".join(contents))
            stream.flush()


def answer(name: str, data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header of the answer, and the contents that follow it."""
    try:
        files, refused, others = _archive(data) if is_archive(name) else ({"": code(name, data)}, [], [])
    except Refused as refusal:
        return {"error": str(refusal)}, []
    except (RecursionError, MemoryError):
        return {"error": "it is nested too deeply or needs too much memory"}, []
    sizes = [[path, len(content)] for path, content in files.items()]
    return {"files": sizes, "refused": refused[:MOST], "others": others[:MOST]}, list(files.values())


def _archive(data: bytes) -> tuple[dict[str, bytes], list[list[str]], list[str]]:
    files: dict[str, bytes] = {}
    refused: list[list[str]] = []
    others: list[str] = []
    total = 0
    for member in members(io.BytesIO(data), ArchiveLimits(confined=True), is_junk):
        if member.content is None:
            refused.append([shown(member.path), member.refused])
        elif not is_code(member.path):
            others.append(member.path)
        else:
            try:
                files[member.path] = code(member.path, member.content)
            except Refused as refusal:
                refused.append([member.path, str(refusal)])
                continue
            total += len(files[member.path])
            if total > HANDIN:
                raise Refused(f"the archive holds more than {megabytes(HANDIN)} of code")
    return files, refused, others


def code(name: str, data: bytes) -> bytes:
    """The module's bytes, or the text of a notebook's code cells; raises Refused when it is too large or none."""
    if notebooks.is_document(data):
        data = notebooks.slim(data)
    elif name.lower().endswith(".ipynb"):
        raise Refused("the notebook is damaged: it is no JSON document")
    if len(data) > MODULE:
        raise Refused(f"its code is larger than {megabytes(MODULE)}")
    return data
