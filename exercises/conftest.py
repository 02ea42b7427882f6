"""``pytest exercises/``, also in an editor: your files, one test for each check. Nothing to change here."""

from torchgrade.commands.panel import (
    pytest_collect_file,
    pytest_pycollect_makemodule,
    pytest_sessionfinish,
    pytest_sessionstart,
    pytest_terminal_summary,
)

__all__ = [
    "pytest_collect_file",
    "pytest_pycollect_makemodule",
    "pytest_sessionfinish",
    "pytest_sessionstart",
    "pytest_terminal_summary",
]
