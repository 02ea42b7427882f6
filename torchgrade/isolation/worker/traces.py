"""A learner's exception as plain data: class names, text, and the frames of the learner's own files."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable, Collection
from typing import Any

from torchgrade.handin.source import shown_place

MAX_TEXT = 2000
MAX_FRAMES = 20


def describe_exception(error: BaseException, files: Collection[str], more: str = "") -> list[Any]:
    """``[class names, text, [[file, line, function, source line], …]]``; never raises. ``more`` ends the text."""
    names = _safely(lambda: [base.__name__ for base in type(error).__mro__ if base is not object][:12], ["Exception"])
    text = _safely(lambda: str(error)[:MAX_TEXT] + more, "?")
    return [names, _clean(text), _safely(lambda: _frames(error, files), [])]


def _frames(error: BaseException, files: Collection[str]) -> list[list[Any]]:
    found = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if code.co_filename in files:
            text = linecache.getline(code.co_filename, line).strip()[:200]
            found.append([*shown_place(code.co_filename, line), code.co_name[:120], _clean(text)])
    return found[-MAX_FRAMES:]


def _safely(function: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return function()
    except BaseException:
        return otherwise


def _clean(text: Any) -> str:
    return str(text).encode("utf-8", "replace").decode("utf-8")
