"""What the processes of a grading inherit. No variable, locale or folder of the user's decides a mark.

A command starts graders, a grader starts zygotes and workers. Both are given the same few variables, and folders of
modules in which Python's own and the installed packages come first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

SYSTEM = ("SYSTEMROOT", "PATH")
GPU = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
LANGUAGE = ("LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES")  # of the sentences; encodings are the same for all
GRADER = (
    *(*SYSTEM, *GPU, *LANGUAGE, "HOME", "USER", "TMPDIR", "TMP", "TEMP", "TZ"),
    *("TERM", "COLUMNS", "LINES", "NO_COLOR", "PYTHONBREAKPOINT"),  # of a debugger, under --debug
    *("TORCHGRADE_COURSE", "TORCHGRADE_DATA", "TORCHGRADE_LOCALE_DIR", "TORCHGRADE_START", "TORCHGRADE_LANG"),
)
FIXED = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "PYTHONHASHSEED": "0",  # sets keep one order
    "PYTHONUTF8": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}
LIBRARIES = ("PYTHON", "PYTEST_", "ATEN_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "TORCH_", "PYTORCH_", "DNNL_")


def inherited(names: Iterable[str] = GRADER) -> dict[str, str]:
    """The variables of these names that this process has, and those that every process of ours is given.

    Windows needs many more, so that there only what libraries read is left out.
    """
    kept = set(names)
    if sys.platform == "win32":
        kept |= {name for name in os.environ if not name.startswith(LIBRARIES)}
    return {**{name: value for name, value in os.environ.items() if name in kept}, **FIXED}


def clean_this_process() -> None:
    """Make this process one that could have been started with ``inherited``. Before torch is imported."""
    kept = inherited()
    for name in os.environ.keys() - kept.keys():
        del os.environ[name]
    os.environ.update(kept)


def search_path() -> list[str]:
    """Where this process finds modules, for a process that it starts; what PYTHONPATH names comes last."""
    added = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    places = [p for p in sys.path if p]
    return sorted(places, key=lambda place: os.path.abspath(place) in added)
