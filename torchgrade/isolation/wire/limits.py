"""What one worker may use, and how it ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What one worker may use: MB (2**20 bytes), seconds, counts; ``processes`` counts threads too."""

    memory_mb: int = 2048
    wall_seconds: float = 600.0
    file_mb: int = 256
    processes: int = 64
    open_files: int = 256
    threads: int = 1
    devices: tuple[str, ...] = ("cpu",)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Limits:
        return cls(**{**values, "devices": tuple(values.get("devices", ("cpu",)))})


@dataclass(frozen=True)
class Exit:
    """How a worker ended: ``code`` or ``signal``, and what it and its ended children had used by then."""

    code: int | None
    signal: int | None
    cpu_seconds: float
    max_rss_mb: float
    out_of_memory: bool = False
    out_of_time: bool = False
    out_of_space: bool = False
