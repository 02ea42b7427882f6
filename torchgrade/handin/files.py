"""The files of a class or of one hand-in: a folder or the instructor's one archive, read when they are asked for."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torchgrade.errors import UsageError
from torchgrade.handin.archives import members
from torchgrade.handin.inflate import megabytes
from torchgrade.handin.kinds import is_archive
from torchgrade.handin.limits import CLASS, DEPTH, FILE
from torchgrade.handin.names import Refused, clean_path, decode_name, shown
from torchgrade.handin.naming import RESULTS, is_junk, is_junk_folder


@dataclass(frozen=True)
class Entry:
    """One file: a clean relative path, its age for ordering, and how to read it."""

    path: str
    modified: float
    read: Callable[[], bytes]


@dataclass
class Files:
    """What was found, by path; what cannot be read or is none, with a sentence. Closing removes what was unpacked."""

    entries: dict[str, Entry] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    _spool: tempfile.TemporaryDirectory[str] | None = None

    def all(self) -> dict[str, Entry]:
        """The entries, and the refused ones as entries whose reading says why: they belong to somebody too."""
        refused = {path: Entry(path, 0.0, partial(_refuse, why)) for path, why in self.refused.items()}
        return {**refused, **self.entries}

    def close(self) -> None:
        if self._spool is not None:
            self._spool.cleanup()

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse(why: str) -> bytes:
    raise Refused(why)


def open_files(path: Path) -> Files:
    """Everything below a folder, or in an archive; raises UsageError when there is neither."""
    if path.is_dir():
        return _walk(path)
    if path.is_file() and is_archive(path.name):
        return _spooled(path)
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    raise UsageError(f"{path} is neither a folder nor an archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz)")


def _walk(root: Path) -> Files:
    """Every regular file below ``root``; links are not followed, for they may point at anything."""
    files = Files()
    pending = [(os.fsencode(root), 0)]
    while pending:
        folder, depth = pending.pop()
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
        if depth and any(item.name == RESULTS.encode() for item in items):
            files.ignored[_relative(root, folder)] = "it holds the results of an earlier batch"
            continue
        for item in items:
            if not item.is_dir(follow_symlinks=False):
                _add(files, root, item)
            elif is_junk_folder(os.fsdecode(item.name)):
                files.ignored[_relative(root, item.path)] = "a program left it; it is no hand-in"
            elif depth == DEPTH:
                files.refused[_relative(root, item.path)] = f"it lies more than {DEPTH} folders deep"
            else:
                pending.append((item.path, depth + 1))
        if len(files.entries) > CLASS.count:
            raise UsageError(f"{root} holds more than {CLASS.count} files; is it the right folder?")
    return files


def _relative(root: Path, place: bytes) -> str:
    return shown(decode_name(os.path.relpath(place, os.fsencode(root)).replace(os.sep.encode(), b"/")))


def _add(files: Files, root: Path, item: os.DirEntry[bytes]) -> None:
    relative = decode_name(os.path.relpath(item.path, os.fsencode(root)).replace(os.sep.encode(), b"/"))
    try:
        status = item.stat(follow_symlinks=False)
        if item.is_symlink():
            raise Refused("it is a link, which is not followed")
        if not stat.S_ISREG(status.st_mode):
            raise Refused("it is a device or a pipe")
        path = clean_path(relative, existing=True)
        if path in files.entries:
            raise Refused("another file has the same name")
    except (Refused, OSError) as error:
        files.refused[shown(relative)] = str(error)
        return
    files.entries[path] = Entry(path, status.st_mtime, partial(read_file, item.path))


def read_file(place: bytes | Path) -> bytes:
    """The content, opened so that a link or pipe that was put there since is not followed."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(place, flags | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as stream:
            data = stream.read(FILE + 1)
    except OSError as error:
        raise Refused(f"it cannot be read: {error.strerror}") from None
    if len(data) > FILE:
        raise Refused(f"it is larger than {megabytes(FILE)}")
    return data


def _spooled(path: Path) -> Files:
    """Unpack the instructor's archive into files that we name ourselves."""
    spool = tempfile.TemporaryDirectory(prefix="torchgrade-")
    files = Files(_spool=spool)
    try:
        with path.open("rb") as stream:
            for number, member in enumerate(members(stream, CLASS, is_junk)):
                if member.content is None:
                    files.refused[member.path] = member.refused
                    continue
                place = os.path.join(spool.name, str(number))
                with open(place, "wb") as target:
                    target.write(member.content)
                reader = partial(read_file, os.fsencode(place))
                files.entries[member.path] = Entry(member.path, 0.0, reader)
    except Refused as refusal:
        files.close()
        raise UsageError(f"{path}: {refusal}") from None
    except BaseException:
        files.close()
        raise
    return files
