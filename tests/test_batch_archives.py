"""Hostile archives: each kind of attack ends in a sentence, and honest files still come out."""

import bz2
import contextlib
import gzip
import importlib
import io
import lzma
import re
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchgrade.errors import UsageError
from torchgrade.handin import libarchive_reader
from torchgrade.handin.archives import members
from torchgrade.handin.files import open_files
from torchgrade.handin.kinds import is_archive
from torchgrade.handin.limits import ArchiveLimits
from torchgrade.handin.names import Refused, clean_path, decode_name
from torchgrade.isolation.launch.openers import Openers


class Unpacked(NamedTuple):
    files: dict[str, bytes]
    refused: tuple[tuple[str, str], ...]


def unpack(data, limits=None):
    """All members at once: what can be read, and why the others cannot."""
    found = list(members(io.BytesIO(data), limits or ArchiveLimits()))
    files = {member.path: member.content for member in found if member.content is not None}
    return Unpacked(files, tuple((member.path, member.refused) for member in found if member.content is None))


GOOD = {"ann/task01.py": b"x = 1\n", "notes.txt": b"hello"}


def make_zip(files, compression=zipfile.ZIP_DEFLATED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def make_tar(files, mode="w"):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def zip_with(info, content=b""):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(info, content)
        archive.writestr("good.py", b"ok")
    return target.getvalue()


def tar_with(info, content=b""):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
        good = tarfile.TarInfo("good.py")
        good.size = 2
        archive.addfile(good, io.BytesIO(b"ok"))
    return target.getvalue()


@pytest.mark.parametrize("pack", [
    make_zip, make_tar, *(lambda files, mode=mode: make_tar(files, mode) for mode in ("w:gz", "w:bz2", "w:xz")),
    lambda files: make_zip(files, zipfile.ZIP_STORED),
])  # fmt: skip
def test_honest_archives_give_their_files(pack):
    found = unpack(pack(GOOD))

    assert found.files == GOOD
    assert found.refused == ()


@pytest.mark.parametrize(("name", "sentence"), [
    ("../evil.py", "leaves the archive"), ("a/../../evil.py", "leaves the archive"),
    ("/etc/passwd", "absolute"), ("C:\\evil.py", "absolute"), ("..\\evil.py", "leaves the archive"),
    ("a\x1b[31m.py", "control characters"), ("a\u202egnp.py", "control characters"), ("con.py", "reserved"),
    ("x/" * 30 + "a.py", "too long"), ("n" * 300, "too long"),
])  # fmt: skip
def test_a_path_that_escapes_or_misleads_is_refused(name, sentence):
    """The other files of the archive are still read."""
    for packed in (make_zip({name: b"1", "good.py": b"ok"}), make_tar({name: b"1", "good.py": b"ok"})):
        found = unpack(packed)

        assert found.files == {"good.py": b"ok"}
        assert [sentence in why for _, why in found.refused] == [True]
        assert all(path.isprintable() for path, _ in found.refused)


def test_links_and_devices_are_refused():
    """Symbolic and hard links, devices and pipes, in both kinds of archive."""
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    device = zipfile.ZipInfo("device")
    device.external_attr = 0o020666 << 16
    assert unpack(zip_with(link, b"/etc/passwd")).refused == (("link", "it is a link"),)
    assert unpack(zip_with(device)).refused == (("device", "it is a device or a pipe"),)
    for kind, sentence in [
        (tarfile.SYMTYPE, "it is a link"), (tarfile.LNKTYPE, "it is a link"),
        (tarfile.CHRTYPE, "it is a device or a pipe"), (tarfile.BLKTYPE, "it is a device or a pipe"),
        (tarfile.FIFOTYPE, "it is a device or a pipe"),
    ]:  # fmt: skip
        info = tarfile.TarInfo("odd")
        info.type, info.linkname = kind, "/etc/passwd"
        found = unpack(tar_with(info))
        assert (found.files, found.refused) == ({"good.py": b"ok"}, (("odd", sentence),))


def test_bombs_end_the_reading_in_bounded_memory():
    """By ratio, total size, member size and count; at most a few MB are held."""
    zeros = b"\0" * (64 << 20)
    bombs = {
        "200 times its size": [make_zip({"a": zeros}), gzip.compress(make_tar({"a": zeros}))],
        "larger than 1 MB": [make_zip({"a": b"\0" * (2 << 20)}), make_tar({"a": b"\0" * (2 << 20)})],
    }
    del zeros
    for sentence, packed in bombs.items():
        limits = ArchiveLimits() if "200" in sentence else ArchiveLimits(member=1 << 20)
        for data in packed:
            tracemalloc.start()
            with pytest.raises(Refused, match=sentence):
                unpack(data, limits)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 48 << 20
    with pytest.raises(Refused, match="unpacks to more than 1 MB"):
        unpack(make_zip({str(i): bytes(200_000) for i in range(9)}), ArchiveLimits(total=1 << 20))
    many = {f"{i}.py": b"" for i in range(101)}
    for packed in (make_zip(many), make_tar(many), make_tar(many, "w:xz")):
        with pytest.raises(Refused, match="more than 100 members"):
            unpack(packed, ArchiveLimits(count=100))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_stream_without_end_is_no_way_round(compress):
    """The reader counts what comes out, whichever compression lies round the tar."""
    packed = compress(make_tar({"a.py": bytes(30 << 20)}))
    with pytest.raises(Refused, match="times its size"):
        unpack(packed)


def test_overlapping_members_are_refused():
    """Many directory entries for the same packed bytes: the trick of the smallest known bombs."""
    data = make_zip({"a.txt": bytes(100_000), "b.txt": bytes(100_000)})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        second = archive.getinfo("b.txt").header_offset
    twisted = data.replace(second.to_bytes(4, "little"), (0).to_bytes(4, "little"))
    with pytest.raises(Refused, match="overlap"):
        unpack(twisted)


def test_archives_inside_are_read_one_level_deep():
    inner = make_zip(GOOD)
    middle = make_zip({"inner.zip": inner, "m.py": b"m"})
    found = unpack(make_zip({"middle.zip": middle}))

    assert found.files == {"middle.zip/m.py": b"m"}
    assert [(path, "too deep" in why) for path, why in found.refused] == [("middle.zip/inner.zip", True)]
    assert unpack(make_zip({"x.tar.gz": make_tar(GOOD, "w:gz")})).files == {f"x.tar.gz/{k}": v for k, v in GOOD.items()}
    [whole] = members(io.BytesIO(make_zip({"inner.zip": inner})), ArchiveLimits(nesting=0))
    assert (whole.path, whole.content) == ("inner.zip", inner)


def test_encrypted_and_oddly_compressed_members_say_so():
    data = bytearray(make_zip({"secret.py": b"x = 1"}))
    data[6] |= 1  # the flag in the local header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert unpack(bytes(data)).refused == (("secret.py", "it is encrypted"),)
    odd = make_zip({"a.py": b"x" * 99}, zipfile.ZIP_BZIP2)
    assert unpack(odd).refused == (("a.py", "it is compressed in an unusual way"),)


def test_names_in_gbk_utf8_and_cp437_are_read():
    assert decode_name("张三_作业.py".encode("gbk")) == "张三_作业.py"
    assert decode_name("Jörg.py".encode()) == "Jörg.py"
    assert decode_name("Jörg.py".encode("cp437")) == "Jörg.py"
    raw = make_zip({"AAAA_task05.py": b"x = 1"}).replace(b"AAAA", "张三".encode("gbk"))
    assert unpack(raw).files == {"张三_task05.py": b"x = 1"}


def test_the_same_name_twice_is_refused_once():
    """A second member must not silently replace the first, whatever the letters' case."""
    found = unpack(make_zip({"a.py": b"a.py", "b.py": b"", "A.PY": b""}).replace(b"b.py", b"a.py"))
    assert found.files == {"a.py": b"a.py"}
    assert [why for _, why in found.refused] == ["another member has the same name"] * 2


@pytest.mark.parametrize("data", [
    b"", b"PK", b"PK\x03\x04" + bytes(50), b"not an archive", make_zip(GOOD)[:-30], make_tar(GOOD)[:600],
    make_tar(GOOD, "w:gz")[:-20], make_tar(GOOD, "w:xz")[:120], b"\xfd7zXZ\x00" + bytes(40),
])  # fmt: skip
def test_damage_is_a_sentence(data):
    with pytest.raises(Refused, match="damaged or of an unknown kind"):
        unpack(data)


def test_a_wrong_checksum_costs_only_its_member():
    data = make_zip({"a.py": b"first file", "b.py": b"second"}, zipfile.ZIP_STORED).replace(
        b"first file", b"FIRST file"
    )
    found = unpack(data)

    assert found.files == {"b.py": b"second"}
    assert found.refused[0][0] == "a.py"
    assert "damaged" in found.refused[0][1]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    base=st.sampled_from([make_zip(GOOD), make_tar(GOOD), make_tar(GOOD, "w:gz"), make_tar(GOOD, "w:xz")]),
    edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, 3000),
)
def test_any_bytes_end_in_files_or_a_sentence(base, edits, cut):
    """No mutation of an archive raises anything but Refused."""
    data = bytearray(base)
    for place, value in edits:
        data[place % len(data)] = value
    found = None
    with contextlib.suppress(Refused):
        found = unpack(bytes(data[: max(len(data) - cut, 0)] if cut % 3 == 0 else data))
    assert found is None or all(isinstance(content, bytes) for content in found.files.values())


def test_a_dictionary_of_gigabytes_is_refused_before_it_is_made():
    """An xz header may ask for 1.5 GB; the reader does not allocate it."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 64 << 20, "preset": 0}]
    honest = lzma.compress(make_tar(GOOD), filters=filters)
    assert unpack(honest).files == GOOD
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (700 << 20,) * 2)\n"
        "import io\n"
        "from torchgrade.handin.archives import members\n"
        "from torchgrade.handin.limits import ArchiveLimits\n"
        "from torchgrade.handin.names import Refused\n"
        "try: list(members(io.BytesIO(sys.stdin.buffer.read()), ArchiveLimits()))\n"
        "except Refused as refusal: print(refusal)\n"
    )
    greedy = bytearray(honest)
    place = greedy.index(b"\x21\x01")  # LZMA2, one property byte: the dictionary's size
    greedy[place + 2] = 40
    header = bytes(greedy[12 : 12 + (greedy[12] + 1) * 4 - 4])
    greedy[12 + len(header) : 16 + len(header)] = zlib.crc32(header).to_bytes(4, "little")
    told = subprocess.run([sys.executable, "-c", script], input=bytes(greedy), capture_output=True, timeout=60)
    assert b"damaged" in told.stdout, told.stderr  # an allocation that fails has another sentence


def test_what_counts_as_an_archive():
    assert all(is_archive(name) for name in ("a.zip", "A.ZIP", "b.tar.gz", "c.tgz", "d.tar.xz", "e.tar"))
    assert not any(is_archive(name) for name in ("a.py", "a.ipynb", "zip", "a.gz"))
    with pytest.raises(Refused, match="empty"):
        clean_path("./.")


# --- 7z and RAR, where libarchive is


def the_library():
    """libarchive, or the test is skipped: the package may be here without its C library."""
    libarchive_reader.preload()
    try:
        return importlib.import_module("libarchive")
    except Exception:
        pytest.skip("libarchive is not here: pip install 'torchgrade[archives]' (Debian: libarchive13)")


def seven_zip(files, place):
    libarchive = the_library()
    with libarchive.file_writer(str(place), "7zip") as archive:
        for name, content in files.items():
            archive.add_file_from_memory(name, len(content), content)
    return place.read_bytes()


def rar(files):
    """A RAR 5 archive of stored files, by its published layout."""

    def number(value):
        parts = []
        while value > 127:
            parts.append(value & 127 | 128)
            value >>= 7
        return bytes([*parts, value])

    def block(kind, flags, body, data=b""):
        inner = number(kind) + number(flags | (2 if data else 0)) + (number(len(data)) if data else b"") + body
        head = number(len(inner)) + inner
        return zlib.crc32(head).to_bytes(4, "little") + head + data

    made = b"Rar!\x1a\x07\x01\x00" + block(1, 0, number(0))
    for name, content in files.items():
        body = number(4) + number(len(content)) + number(0o100644) + zlib.crc32(content).to_bytes(4, "little")
        made += block(2, 0, body + number(0) + number(1) + number(len(name.encode())) + name.encode(), content)
    return made + block(5, 0, number(0))


CONFINED = ArchiveLimits(confined=True)


@pytest.mark.parametrize("start", [b"Rar!\x1a\x07\x00", b"7z\xbc\xaf\x27\x1c"])
@pytest.mark.parametrize("rest", [b"", b"homework"])
def test_a_damaged_7z_or_rar_is_told_in_words(start, rest):
    """The same for the same file, and without the library's places in memory."""
    the_library()
    with pytest.raises(Refused) as caught:
        list(members(io.BytesIO(start + rest), ArchiveLimits(confined=True)))
    assert not re.search(r"errno|\d{6}", str(caught.value)), caught.value


@pytest.mark.parametrize("kind", ["7z", "rar"])
def test_7z_and_rar_are_read_within_the_same_limits(tmp_path, kind):
    """Names, contents and Chinese as they are; links and climbing paths are refused, bombs end the reading."""
    the_library()
    make = rar if kind == "rar" else lambda files: seven_zip(files, tmp_path / "a.7z")
    files = {"hw/task01.py": b"x = 1\n" * 5000, "作业/笔记.py": b"y = 2\n"}
    assert {m.path: m.content for m in members(io.BytesIO(make(files)), CONFINED)} == files
    [refused] = list(members(io.BytesIO(make({"../evil.py": b"x"})), CONFINED))
    assert refused.content is None
    small = replace(CONFINED, member=1000, total=5000)
    with pytest.raises(Refused, match="a file in the archive is larger than"):
        list(members(io.BytesIO(make({"big.py": bytes(2000)})), small))
    with pytest.raises(Refused, match=r"it is a .* archive that cannot be read .*; hand in a \.zip"):
        list(members(io.BytesIO(make(files)[:-100]), CONFINED))


def test_outside_of_a_confined_process_they_stay_closed(tmp_path):
    """A class's own archive is read by the command: no C library sees it there."""
    with pytest.raises(Refused, match=r"it is a RAR archive, whatever its name says; hand in a \.zip"):
        list(members(io.BytesIO(rar({"task01.py": b"x"})), ArchiveLimits()))
    (tmp_path / "class.rar").write_bytes(rar({"ann/task01.py": b"x"}))
    with pytest.raises(UsageError, match=r"hand in a .zip|neither a folder nor an archive"):
        open_files(tmp_path / "class.rar")


def test_a_confined_worker_opens_them(tmp_path):
    """With all that confinement takes away: the library is loaded before."""
    the_library()
    with Openers("auto") as openers, openers() as opener:
        opened = opener.open("homework.rar", rar({"task01.py": b"x = 1\n", "笔记.txt": b"n"}))
        assert (opened.files, opened.others, opened.error) == ({"task01.py": b"x = 1\n"}, ("笔记.txt",), "")
        opened = opener.open("homework.7z", seven_zip({"task01.py": b"x = 2\n"}, tmp_path / "a.7z"))
        assert opened.files == {"task01.py": b"x = 2\n"}
