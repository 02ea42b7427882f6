"""The data sets a suite asks for: modules of ``datasets/``, loaded by path."""

from __future__ import annotations

import importlib.util
import sys
import types
from dataclasses import dataclass
from pathlib import Path

from torchgrade.errors import CourseError

_loaded: dict[Path, types.ModuleType] = {}


@dataclass(frozen=True)
class Choice:
    """The data set that a run uses: its module, and whether it is the real one."""

    module: types.ModuleType
    real: bool

    def named(self, statistic: str) -> str:
        """The name under which a statistic on this set is calibrated: with ``@real`` behind it for the real one."""
        return f"{statistic}@real" if self.real else statistic


class Datasets:
    """``dataset("wardrobe")`` is the module ``datasets/wardrobe.py``; ``choice`` is generated, real or auto."""

    def __init__(self, folder: Path, choice: str) -> None:
        self.folder = folder
        self.choice = choice

    def __call__(self, name: str) -> types.ModuleType:
        return load_dataset(self.folder / f"{name}.py")

    def choose(self, generated: str, real: str) -> Choice:
        """The real set where it is asked for, or where it is free to choose and the files are here and intact."""
        wanted = self.choice == "real" or (self.choice == "auto" and self(real).verified())
        return Choice(self(real if wanted else generated), wanted)


def load_dataset(path: Path) -> types.ModuleType:
    """The module at ``path``, never a library of the same name."""
    if path not in _loaded:
        spec = importlib.util.spec_from_file_location(f"torchgrade_datasets_{path.stem}", path)
        if spec is None or spec.loader is None or not path.is_file():
            raise CourseError(f"there is no data set module datasets/{path.name}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        _loaded[path] = module
    return _loaded[path]
