"""Hostile archives and notebooks: they are opened in the worker, so what they reach is the worker's folder at most."""

import io
import json
import stat
import tarfile
import zipfile

from hostile.attempt import PRELUDE, Payload

SOURCE = PRELUDE + "def attack(t):\n    return None\n"


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], source: str = SOURCE) -> bytes:
    """A zip of the task's file and ``members``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("task.py", source)
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


def tarred() -> bytes:
    """A tar with a link out of the archive, a file behind the link, and a device."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, kind, target in (("out", tarfile.SYMTYPE, "/tmp"), ("node", tarfile.CHRTYPE, "")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        for name, data in (("out/escaped.py", b"x = 1"), ("task.py", SOURCE.encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def lying_sizes() -> bytes:
    """A zip whose directory says that the task's file is small."""
    data = bytearray(zipped(("big.py", bytes(8 << 20))))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(data)


def notebook() -> bytes:
    """A notebook with shell escapes, magics and a forged output."""
    cells = [
        {"cell_type": "code", "source": text, "metadata": {}, "outputs": [{"output_type": "stream", "text": "10/10"}],
         "execution_count": 1}
        for text in ("!touch escaped", "%%bash\ntouch escaped", "%run /etc/passwd", "get_ipython().system('id')", SOURCE)
    ]  # fmt: skip
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    return zipped(("task.ipynb", json.dumps(document).encode()), source="x = 1\n")


def packed(name: str, attempt: str, make: object, **more: object) -> Payload:
    return Payload(name, attempt, "", 1, proof="survive", control="none", archive=make, **more)  # type: ignore[arg-type]


PAYLOADS = [
    packed(
        "zip_slip",
        "names with .., absolute names and drive letters",
        lambda: zipped(
            ("../escaped.py", b"x"),
            ("/tmp/torchgrade-escaped.py", b"x"),
            ("C:\\escaped.py", b"x"),
            ("..\\escaped.py", b"x"),
            ("a/../../escaped.py", b"x"),
        ),
    ),
    packed(
        "zip_link",
        "a link to a secret, and a file behind a link to a folder",
        lambda: zipped(link("secret.py", "/etc/passwd"), link("out", "/tmp"), ("out/torchgrade-escaped.py", b"x")),
    ),
    packed("zip_bomb", "200 MB of zeros in 200 KB", lambda: zipped(*[(f"{n}.py", bytes(64 << 20)) for n in range(3)])),
    packed("zip_many", "20,000 empty files", lambda: zipped(*[(f"d{n}/f.py", b"") for n in range(20000)])),
    packed(
        "zip_attempts",
        "4,000 attempts at a task, each of which names a module that is there 4,000 times",
        lambda: zipped(
            *((f"a{n}/task.py", b"import other\n" + SOURCE.encode()) for n in range(4000)),
            *((f"m{n}/other.py", b"") for n in range(4000)),
        ),
    ),
    packed("zip_nested", "a zip in a zip in a zip", lambda: zipped(("a.zip", zipped(("b.zip", zipped()))))),
    packed("zip_sizes", "sizes in the directory that are not those of the files", lying_sizes),
    packed("zip_garbage", "a file that is no archive", lambda: b"PK\x03\x04" + bytes(range(256)) * 40),
    packed(
        "zip_names",
        "names that are terminal escapes, 4,000 characters, or the same twice",
        lambda: zipped(
            ("\x1b[2J\u202e.py", b"x"), ("n" * 4000 + ".py", b"x"), ("TASK.py", b"x = 2"), ("task.py/x", b"")
        ),
    ),
    packed("tar", "a tar with links and devices", tarred),
    packed("notebook", "a notebook with shell escapes and forged outputs", notebook),
    packed(
        "sibling_modules",
        "files that replace torch and the engine",
        lambda: zipped(
            ("torch.py", b"allclose = lambda *a: True"),
            ("torchgrade/__init__.py", b"raise SystemExit(0)"),
            ("msgpack.py", b"raise SystemExit(0)"),
            ("numpy/__init__.py", b"raise SystemExit(0)"),
        ),
    ),
    packed(
        "huge_source", "a source of a million brackets", lambda: zipped(source="x = " + "(" * 500000 + ")" * 500000)
    ),
    packed(
        "null_source",
        "a source with null bytes and a lying encoding",
        lambda: zipped(source="# -*- coding: utf-7 -*-\n+AHA-rint('x')\n\0"),
    ),
]
