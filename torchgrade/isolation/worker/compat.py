"""Makes ``import torchvision`` work beside a torch without CUDA.

torchvision's compiled operators are linked with the CUDA build of torch. Beside a CPU wheel they cannot be
loaded, and ``torchvision._meta_registrations`` then fails because the schemas of ``nms`` and ``qnms`` are
missing. Defining the two schemas first is enough for everything that is written in Python (models,
transforms, data sets). Where torchvision imports by itself, nothing is done.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept: list[Any] = []  # a Library undefines its operators when it is collected


class _BeforeTorchvision(MetaPathFinder):
    """Defines the schemas at the moment torchvision is first imported, and then steps aside."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name == "torchvision":
            uninstall()
            if _operators_are_missing():
                define_schemas()
        return None


_finder = _BeforeTorchvision()


def install() -> None:
    """Watch for the first ``import torchvision``."""
    if "torchvision" not in sys.modules and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def import_torchvision() -> Any:
    """The module, or ImportError where it is not installed."""
    install()
    return importlib.import_module("torchvision")


def define_schemas() -> None:
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            library.define(schema)
        _kept.append(library)


def _operators_are_missing() -> bool:
    """Whether torchvision's binary cannot be loaded by this torch."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.submodule_search_locations is None:
        return False
    for folder in spec.submodule_search_locations:
        binary = importlib.machinery.PathFinder.find_spec("torchvision._C", [folder])
        if binary is not None and binary.origin is not None:
            try:
                torch.ops.load_library(binary.origin)
                return False
            except OSError:
                return True
    return True
