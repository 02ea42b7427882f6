"""Reading an archive that is hostile until proved otherwise: a stream goes in, files or sentences come out.

Nothing is ever written to a disk, so a path can escape nowhere; names are checked all the same, because a
reader sees them. Sizes are counted while unpacking: what a header claims is not believed. A bad member costs
itself a sentence; what would exhaust the machine (a bomb) ends the reading.
"""

from __future__ import annotations

import io
import lzma
import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import IO, BinaryIO, NamedTuple, cast

from torchgrade.handin import libarchive_reader
from torchgrade.handin.inflate import Bomb, Metered, Plain, megabytes
from torchgrade.handin.kinds import is_archive
from torchgrade.handin.limits import ArchiveLimits
from torchgrade.handin.names import Refused, clean_path, decode_name, reason, shown

_CHUNK = 1 << 16
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError,
    ValueError, RuntimeError, OverflowError, IndexError, KeyError, UnicodeError,
)  # fmt: skip
_Opener = Callable[[], AbstractContextManager[IO[bytes]]]
_Found = tuple[str, str, _Opener, int]  # name, reason to refuse it, what opens it, its packed bytes or the archive's


class Member(NamedTuple):
    """One file of an archive; ``content`` is None where ``refused`` says why it is not read."""

    path: str
    content: bytes | None
    refused: str = ""


def members(
    stream: BinaryIO, limits: ArchiveLimits, skip: Callable[[str], bool] = lambda path: False
) -> Iterator[Member]:
    """The regular files of a zip or tar archive (plain, gzip, bzip2 or xz), one by one: one is in memory at a time.

    Archives inside are read ``limits.nesting`` deep, under the path of the inner archive; with 0 they are
    members like any other. What ``skip`` says is passed over without being unpacked. ``stream`` must be seekable.
    Raises Refused with a sentence when the archive cannot be read at all or would exhaust the machine.
    """
    return _Reader(limits, skip).read(stream, "", 0)


class _Reader:
    """The state of one reading: names seen, and what is used of the limits."""

    def __init__(self, limits: ArchiveLimits, skip: Callable[[str], bool]) -> None:
        self.limits = limits
        self.skip = skip
        self._seen: set[str] = set()
        self._count = 0
        self._total = 0

    def read(self, stream: BinaryIO, prefix: str, depth: int) -> Iterator[Member]:
        packed = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        try:
            for name, refusal, opener, own in _open(stream, packed, self.limits):
                yield from self._take(prefix, name, refusal, opener, own if self.limits.each else packed, depth)
        except Refused:
            raise
        except _DAMAGE as error:
            raise Refused(f"the archive is damaged or of an unknown kind: {reason(error)}") from None
        except MemoryError:
            raise Refused("the archive needs more memory than there is") from None

    def _take(self, prefix: str, name: str, refusal: str, opener: _Opener, packed: int, depth: int) -> Iterator[Member]:
        self._count += 1
        if self._count > self.limits.count:
            raise Bomb(f"the archive has more than {self.limits.count} members")
        path = posixpath.join(prefix, shown(name))
        try:
            if refusal:
                raise Refused(refusal)
            path = posixpath.join(prefix, clean_path(name))
            if self.skip(path):
                return
            if path.casefold() in self._seen:
                raise Refused("another member has the same name")
            content = self._content(opener, packed)
            self._seen.add(path.casefold())
            if is_archive(path) and self.limits.nesting:
                yield from self._nested(content, path, depth)
            else:
                yield Member(path, content)
        except Bomb:
            raise
        except Refused as error:
            yield Member(path, None, str(error))
        except _DAMAGE as error:
            yield Member(path, None, f"it is damaged: {reason(error)}")

    def _nested(self, content: bytes, path: str, depth: int) -> Iterator[Member]:
        if depth >= self.limits.nesting:
            raise Refused("it lies too deep: archives inside archives inside archives are not read")
        yield from self.read(io.BytesIO(content), path, depth + 1)

    def _content(self, opener: _Opener, packed: int) -> bytes:
        """Read one member, counting; what was announced plays no part.

        ``packed``: the bytes of the archive, or where each member answers for itself, of the member.
        """
        parts: list[bytes] = []
        size, wrong = 0, Refused if self.limits.each else Bomb
        with opener() as opened:
            while chunk := opened.read(_CHUNK):
                size += len(chunk)
                self._total += len(chunk)
                if size > self.limits.member:
                    raise wrong(f"a file in the archive is larger than {megabytes(self.limits.member)}")
                if self._total > self.limits.total:
                    raise Bomb(f"the archive unpacks to more than {megabytes(self.limits.total)}")
                unpacked = size if self.limits.each else self._total
                if unpacked > self.limits.small and unpacked > self.limits.ratio * packed:
                    raise wrong(f"the archive unpacks to more than {self.limits.ratio} times its size")
                parts.append(chunk)
        return b"".join(parts)


def _open(stream: BinaryIO, packed: int, limits: ArchiveLimits) -> Iterator[_Found]:
    """What stands in the archive."""
    magic = stream.read(6)
    stream.seek(0)
    for mark, kind in libarchive_reader.MARKS:
        if magic.startswith(mark[: len(magic)]) and magic:
            if not (libarchive_reader.HERE and limits.confined):
                raise Refused(f"it is a {kind} archive, whatever its name says; hand in a .zip")
            return _packed_members(stream, kind, packed)
    if magic.startswith(b"PK"):
        return _zip_members(stream, packed, limits)
    # Headers and padding come on top of the files.
    most = limits.total + 2048 * limits.count
    plain = Plain.of(stream, magic)
    return _tar_members(Metered(plain, most, limits.small, limits.ratio * packed, limits.ratio), packed)


def _packed_members(stream: BinaryIO, kind: str, packed: int) -> Iterator[_Found]:
    try:
        for name, refusal, content in libarchive_reader.entries(stream):
            yield decode_name(name), refusal, partial(_same, content), packed
    except libarchive_reader.Unopened as error:
        raise Refused(f"it is a {kind} archive that cannot be read ({reason(error)}); hand in a .zip") from None


def _same(content: libarchive_reader.Blocks) -> AbstractContextManager[IO[bytes]]:
    return cast("AbstractContextManager[IO[bytes]]", content)  # it only ever reads


def _zip_members(stream: BinaryIO, packed: int, limits: ArchiveLimits) -> Iterator[_Found]:
    if _entries(stream) > limits.count:  # before zipfile builds an object for each
        raise Bomb(f"the archive has more than {limits.count} members")
    with zipfile.ZipFile(stream) as archive:
        infos = archive.infolist()
        _check_overlap(infos, packed)
        for info in infos:
            if not info.is_dir():
                yield _zip_name(info), _zip_reason(info), partial(archive.open, info), info.compress_size


def _entries(stream: BinaryIO) -> int:
    """How often the mark of a directory entry occurs: at least the number of entries."""
    count, tail = 0, b""
    while chunk := stream.read(1 << 20):
        count += (tail + chunk).count(b"PK\x01\x02")
        tail = chunk[-3:]
    stream.seek(0)
    return count


def _check_overlap(infos: list[zipfile.ZipInfo], packed: int) -> None:
    """Members that share packed bytes are how the smallest bombs work."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end or info.header_offset + info.compress_size > packed:
            raise Refused("the archive is damaged: its members overlap")
        end = info.header_offset + info.compress_size


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name as meant. Without the UTF-8 flag zipfile reads cp437; Chinese Windows wrote GBK."""
    if info.flag_bits & 0x800:
        return info.filename
    return decode_name(info.orig_filename.encode("cp437", "replace"))


def _zip_reason(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.flag_bits & 0x1:
        return "it is encrypted"
    if stat.S_ISLNK(mode):
        return "it is a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "it is a device or a pipe"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is compressed in an unusual way"  # zipfile inflates those without a bound
    return ""


def _tar_members(stream: Metered, packed: int) -> Iterator[_Found]:
    # ``r|``: strictly forward, nothing guessed, nothing extracted.
    source = cast(BinaryIO, stream)  # it only ever reads
    with tarfile.open(mode="r|", fileobj=source, errors="surrogateescape") as archive:
        for member in archive:
            if not member.isdir():
                name = decode_name(member.name.encode("utf-8", "surrogateescape"))
                yield name, _tar_reason(member), partial(_open_member, archive, member), packed


def _open_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    if stream is None:
        raise Refused("it is no file")
    return stream


def _tar_reason(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "it is a link"
    if member.issparse():
        return "it is a sparse file"
    return "" if member.isreg() else "it is a device or a pipe"
