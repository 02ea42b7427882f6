"""What one zygote and its jobs may reach: made by the grader, read by the zygote."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ENGINE = Path(__file__).resolve().parents[2]  # the folder torchgrade/
NEEDED = ("torch", "numpy", "msgpack")


@dataclass(frozen=True)
class Plan:
    """``user``: what a job becomes where the grader is root. ``search``: sys.path without the engine.

    ``torch``: whether the zygote imports it before it forks. ``engine``: the folder torchgrade/. ``rules``: path to
    Landlock mode (landlock.py), without the scratch folder.
    """

    level: int = 1
    user: int | None = None
    device: str = "cpu"
    torch: bool = True
    engine: str = str(ENGINE)
    search: tuple[str, ...] = ()
    rules: dict[str, str] = field(default_factory=dict)

    @property
    def gpu(self) -> bool:
        """Whether a GPU was asked for and its nodes are here."""
        return "gpu" in self.rules.values()

    def private(self, folders: Iterable[str]) -> list[str]:
        """Those of ``folders`` that can be the job's own: nothing that it must see lies below (a Python in /tmp)."""
        return [f for f in folders if not any(p != f and Path(p).is_relative_to(f) for p in self.rules)]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        return cls(**{**values, "search": tuple(values["search"])})


def interpreter() -> str:
    """The real interpreter, not the link of a virtual environment: what it needs is passed to it."""
    return str(Path(getattr(sys, "_base_executable", None) or sys.executable).resolve())


def search_path() -> tuple[str, ...]:
    """Where a worker finds modules: the standard library and the folders of installed packages."""
    standard = [p for p in sys.path if p and _inside(p, standard_library())]
    packages = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    for name in NEEDED:
        spec = find_spec(name)
        if spec is not None and spec.origin:
            packages.append(str(Path(spec.origin).parent.parent))
    places = (Path(place).resolve() for place in (*standard, *packages))  # a link to an environment is not shown
    return tuple(dict.fromkeys(str(place) for place in places if place.exists()))


def standard_library() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib")
    return tuple(dict.fromkeys(Path(sysconfig.get_path(name)) for name in names))


def _inside(path: str, folders: tuple[Path, ...]) -> bool:
    own = ("site-packages", "dist-packages")
    return Path(path).name not in own and any(Path(path).is_relative_to(folder) for folder in folders)
