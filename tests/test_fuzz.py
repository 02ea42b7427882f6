"""Frames of every kind of nonsense over a real socket: each is read or refused, in time, and nothing grows.

The same million frames run behind the marker ``slow``; docs/measured.md has what was seen.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time

import msgpack
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchgrade.isolation.confine.watch import own_anonymous_mb
from torchgrade.isolation.wire.channel import PLAIN, PREFIX, SHARED, WANT, Channel
from torchgrade.isolation.wire.decoding import Decoder
from torchgrade.isolation.wire.encoding import Encoder
from torchgrade.isolation.wire.protocol import Violation

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
