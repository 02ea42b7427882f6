"""The data sets a suite asks for: modules of ``datasets/``, loaded by path."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

from torchgrade.errors import CourseError

_loaded: dict[Path, types.ModuleType] = {}


class Datasets:
    """``dataset("wardrobe")`` is the module ``datasets/wardrobe.py``; ``choice`` is generated, real or auto."""

    def __init__(self, folder: Path, choice: str) -> None:
        self.folder = folder
        self.choice = choice

    def __call__(self, name: str) -> types.ModuleType:
        return load_dataset(self.folder / f"{name}.py")


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
