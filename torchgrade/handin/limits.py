"""What may be handed in: one set of limits for a learner's own run and for a class. Sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass

FILE = 32 << 20  # one file as it came: a module, a notebook with its outputs, an archive
MODULE = 1 << 20  # the code of one module or notebook
HANDIN = 128 << 20  # all files of one hand-in together
HELPERS = 40  # modules that go along with a task's file, the nearest first
DEPTH = 20  # folders inside each other
SECONDS = 60.0  # to open one hand-in, waiting included


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may contain. ``ratio`` is unpacked size to packed size.

    ``confined``: it is read where a fault of a library harms nobody. ``each``: a file that is too large costs itself
    alone, for it is one person's, and the archive is not.
    """

    total: int = 256 << 20
    member: int = FILE
    count: int = 20_000
    ratio: int = 200
    nesting: int = 1
    small: int = 4 << 20  # below this total any ratio is harmless
    confined: bool = False
    each: bool = False


# The instructor's one archive of a whole class; the archives in it stay closed.
CLASS = ArchiveLimits(total=16 << 30, count=500_000, nesting=0, each=True)
