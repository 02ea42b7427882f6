"""Frames of every kind of nonsense over a real socket, and valid ones that cost as much as a valid one can: each is
read or refused, in time, and nothing grows.

The same million frames run behind the marker ``slow``; docs/measured.md has what was seen.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time
import tracemalloc

import msgpack
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchgrade.isolation.confine.watch import own_anonymous_mb
from torchgrade.isolation.wire.channel import PLAIN, PREFIX, SHARED, WANT, Channel
from torchgrade.isolation.wire.decoding import Decoder
from torchgrade.isolation.wire.encoding import Encoder
from torchgrade.isolation.wire.protocol import CAPS, Violation, unpack_header

MEMORY_PER_BYTE = 150.0  # a list of nothing is one byte there and some hundred here with its place in a list
SECONDS = 10.0  # for one frame, on a machine that is busy with something else
GROWTH_MB = 20.0


def refuse(value: object) -> list[object]:
    raise TypeError(value)


RIGHT = bytes(
    PREFIX.pack(PLAIN, len(Encoder(refuse).encode(["l", 7, "ok", [torch.ones(3), {"a": (1, 2.5)}]]).header()) - 4)
    + Encoder(refuse).encode(["l", 7, "ok", [torch.ones(3), {"a": (1, 2.5)}]]).header()[4:]
    + torch.ones(3).numpy().tobytes()
)
ODD = [None, True, -1, 0, 1, 2**40, -(2**63), 1.5, float("nan"), "", "float32", "<f4", "cpu", b"x", "\0", [], [0]]


def junk(draw: random.Random, depth: int = 0) -> object:
    """A value that a hostile worker might send: tags in the wrong places, numbers out of range."""
    if depth > 4 or draw.random() < 0.4:
        return draw.choice(ODD)
    items = [junk(draw, depth + 1) for _ in range(draw.randrange(8))]
    return [draw.choice("ltdTASxoz"), *items] if draw.random() < 0.8 else {"k": items}


def tensor(draw: random.Random) -> list[object]:
    """A tensor whose description almost fits."""
    shape = [draw.choice((0, 1, 2, 3, -1, 2**33)) for _ in range(draw.randrange(4))]
    strides = draw.choice((None, [draw.choice((0, 1, 2, -1, 2**33)) for _ in shape]))
    kind = draw.choice(("float32", "float64", "int64", "bool", "complex64", "quint8", "nothing"))
    if draw.random() < 0.5:
        return ["T", draw.choice((-1, 0, 1)), kind, shape, strides, draw.choice(("cpu", "meta", "cuda:9", "x")), True]
    return [
        draw.choice("AS"),
        0,
        draw.choice(("<f4", "|O", "<U9", "|b1", ">i8")),
        shape,
        strides,
        draw.choice((0, 8, -8)),
        True,
    ]


def frame(draw: random.Random) -> bytes:
    """Random bytes, a right frame with some bytes changed, or a well-formed frame of nonsense."""
    way = draw.randrange(4)
    if way == 0:
        return draw.randbytes(draw.randrange(64))
    if way == 1:
        data = bytearray(RIGHT)
        for _ in range(draw.randrange(4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        return bytes(data[: draw.randrange(1, 2 * len(data))])
    body = ["l", draw.choice((7, 8, True, 2**63)), draw.choice(("ok", "note", "raised", "x")), junk(draw)]
    if way == 3:
        body[3] = ["l", tensor(draw)]
    raw = draw.randbytes(draw.choice((0, 4, 12, 24)))
    specs = (
        [["float32", draw.choice((len(raw), len(raw), 1 << 20, -1, 1 << 40))]] if draw.random() < 0.8 else junk(draw)
    )
    header = msgpack.packb([body, specs])
    kind = draw.choice((PLAIN, PLAIN, PLAIN, SHARED, WANT, 9))
    length = draw.choice((len(header), len(header), len(header), 0, 2**32 - 1))
    return struct.pack(">BI", kind, length) + header + raw


def receive(data: bytes) -> bool:
    """Whether the grader's end reads the frame; a refusal is a Violation or the end of the stream."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        if data:
            theirs.send(data)
        theirs.shutdown(socket.SHUT_WR)

        def wait(*, write: bool) -> None:
            if write:  # what there is to read is there, and then the end
                raise Violation("silence")

        try:
            body, buffers = Channel(ours, wait, makes_files=True).receive()
            Decoder(buffers, lambda rest: None).decode(body)
        except (Violation, EOFError, BrokenPipeError):
            return False
        return True


def many(draw: random.Random, most: int) -> int:
    """A count up to ``most``, small ones as likely as large ones."""
    return int(most ** draw.random())


def nest(item: object, depth: int) -> object:
    for _ in range(depth):
        item = ["l", item]
    return item


def costly(draw: random.Random) -> tuple[object, list[list[object]], bytes]:
    """Body, specs and buffers of a frame by the grammar of the protocol, of one kind of part and as many as fit."""
    way = draw.randrange(9)
    depth = draw.randrange(CAPS.depth - 2)
    if way == 0:  # one byte there, a list here
        return nest(["l", *[["l"]] * many(draw, 190_000)], depth), [], b""
    if way == 1:
        keys = [k * (2**61 - 1) + step for step in range(many(draw, 11_000)) for k in (-4, -3, -2, -1, 0, 1, 2, 3)]
        return ["d", *[part for key in dict.fromkeys(keys) for part in (key, None)]], [], b""
    if way == 2:
        return ["d", *[part for n in range(many(draw, 95_000)) for part in (f"k{n}", 0.5)]], [], b""
    if way == 3:
        return ["x", "set", [n * 0.5 for n in range(many(draw, 190_000))]], [], b""
    if way == 4:
        return ["l", *[["x", "int", "f" * many(draw, 900)] for _ in range(many(draw, 3000))]], [], b""
    if way == 5:  # no bytes at all behind a shape
        shape: list[object] = [draw.choice((1, 2**30, 2**39)), 0, *[1] * draw.randrange(14)]
        count = many(draw, 8000)
        return ["l", *[["T", n, "int8", shape, None, "cpu", True] for n in range(count)]], [["int8", 0]] * count, b""
    if way == 6:
        meta = ["T", -1, "float64", [2**20, 2**20], None, "meta", False]
        return ["l", *[meta] * many(draw, 20_000)], [], b""
    if way == 7:
        count = many(draw, 8000)
        scalars = [["S", n, "<c16", [], None, 0, True] for n in range(count)]
        return ["l", *scalars], [["bytes", 16]] * count, bytes(16 * count)
    count = many(draw, 8000)  # a byte each, which has to be looked through
    return (
        ["l", *[["T", n, "bool", [1], None, "cpu", False] for n in range(count)]],
        [["bool", 1]] * count,
        bytes(count),
    )


def weigh(draw: random.Random) -> tuple[int, float, int]:
    """Bytes of a costly frame, and what it takes to read it: processor seconds, and bytes of memory at the most.

    Sockets hold less than such a frame: its bytes are decoded as they are.
    """
    body, specs, raw = costly(draw)
    packed = msgpack.packb([["l", 7, "ok", body], specs])
    tracemalloc.start()
    started = time.process_time()
    found, sizes = unpack_header(packed)
    each = sizes[0] if sizes else 0  # all buffers of a costly frame are of one size
    buffers = [bytearray(raw[n * each : (n + 1) * each]) for n in range(len(sizes))]
    Decoder(buffers, lambda rest: None).decode(found)
    spent, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return len(packed) + len(raw), spent, peak


def test_a_valid_frame_costs_no_more_than_its_bytes_allow() -> None:
    """By the grammar of the protocol, of every kind of part: all are read, and memory stays within a factor."""
    draw = random.Random(5)
    worst = 0.0
    for _ in range(120):
        size, spent, peak = weigh(draw)
        assert spent < SECONDS
        worst = max(worst, (peak - 200_000) / size)
    print(f"{worst:.0f} bytes of memory for a byte of a frame")
    assert worst < MEMORY_PER_BYTE


def bombard(seed: int, frames: int) -> int:
    draw, read = random.Random(seed), 0
    for _ in range(frames):
        started = time.monotonic()
        read += receive(frame(draw))
        assert time.monotonic() - started < SECONDS
    return read


def fuzz(examples: int, frames: int) -> None:
    """``frames`` of them in each example: hypothesis remembers examples, some KB each, and the growth is to be ours."""
    read = []

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**64 - 1))
    def example(seed: int) -> None:
        read.append(bombard(seed, frames))

    for seed in range(20):
        bombard(seed, 100)  # what grows once is not a leak
    before, descriptors = own_anonymous_mb(), len(os.listdir("/proc/self/fd"))
    example()
    grown = own_anonymous_mb() - before
    print(f"{frames * len(read):,} frames, {sum(read):,} read, {grown:.1f} MB grown")
    assert len(read) >= 0.9 * examples
    assert 0 < sum(read) < frames * len(read)
    assert grown < GROWTH_MB
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_the_right_frame_is_read() -> None:
    assert receive(RIGHT)
    assert not receive(RIGHT[:-1])


def test_a_file_that_was_asked_for_and_never_used_is_closed() -> None:
    before = os.listdir("/proc/self/fd")
    assert not receive(PREFIX.pack(WANT, 1 << 20))
    assert os.listdir("/proc/self/fd") == before


def test_ten_thousand_frames() -> None:
    fuzz(100, 100)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_million_frames() -> None:
    fuzz(500, 2000)
