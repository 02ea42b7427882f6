"""Reading a learner's source text: encodings, look-alike characters, syntax errors, execution.

The text is always read and compiled here, never taken from a bytecode cache: two saves of the same size in the
same second would otherwise grade the old version.
"""

from __future__ import annotations

import io
import linecache
import sys
import tokenize
import types
import unicodedata
from collections.abc import Callable, Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

LOOK_ALIKES = {
    "\u00a0": " ", "\u3000": " ", "\u200b": "", "\ufeff": "", "（": "(", "）": ")", "：": ":", "，": ",",
    "；": ";", "【": "[", "】": "]", "“": '"', "”": '"', "‘": "'", "’": "'", "＝": "=", "－": "-", "＋": "+",
    "×": "*", "−": "-", "。": ".", "、": ",",
}  # fmt: skip


# By shown file name: where a line of the compiled text stands for the learner (a notebook's cell and line).
PLACES: dict[str, Callable[[int], tuple[str, int]]] = {}


def shown_place(filename: str, line: int) -> tuple[str, int]:
    """File and line as the learner knows them."""
    return PLACES[filename](line) if filename in PLACES else (filename, line)


class Unreadable(Exception):
    """The source cannot be compiled; the text says where and why."""


def decode(data: bytes) -> str:
    """The text of a source file: a BOM or a PEP 263 comment decides, then UTF-8, then GB18030."""
    for bom, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(bom):
            return _decode_as(data, name)
    if b"\x00" in data[:200]:
        return _decode_as(data, "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be")
    try:
        declared = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError:
        declared = "utf-8"
    for name in dict.fromkeys((declared, "utf-8", "gb18030")):
        try:
            return io.TextIOWrapper(io.BytesIO(data), encoding=name, newline=None).read()
        except (UnicodeDecodeError, LookupError):
            continue
    raise Unreadable("the file is not text in UTF-8, UTF-16 or GBK; save it as UTF-8")


def _decode_as(data: bytes, name: str) -> str:
    try:
        return data.decode(name).lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise Unreadable(f"the file says that it is {name.upper()}, but it is not; save it as UTF-8") from None


def compile_text(text: str, filename: str) -> types.CodeType:
    """Compile; the syntax error of a pasted character names the character, its line and its column."""
    if not text.strip():
        raise Unreadable("the file is empty")
    try:
        return compile(text, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise Unreadable(_explain(error, text)) from None
    except (RecursionError, MemoryError):
        raise Unreadable("the file is nested too deeply to be compiled") from None
    except ValueError as error:
        raise Unreadable(f"the file cannot be compiled: {error}") from None


def _explain(error: SyntaxError, text: str) -> str:
    number = error.lineno or 1
    lines = text.splitlines()
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    pasted = _pasted(line)
    if pasted is not None:
        column, char = pasted
        plain = LOOK_ALIKES[char]
        name = unicodedata.name(char, "character").lower()
        advice = f"write {plain!r}" if plain else "delete it"
        what = f"line {number}, column {column + 1}: {char!r} (U+{ord(char):04X}, {name}) is not Python; {advice}"
    else:
        column = max((error.offset or 1) - 1, 0)
        what = f"line {number}, column {column + 1}: {error.msg}"
    shown = line.replace("\t", " ")[:100].replace("\u00a0", " ")
    return f"{what}\n    {shown}\n    {' ' * min(column, 100)}^"


def _pasted(line: str) -> tuple[int, str] | None:
    """The first look-alike outside of quotes and comments."""
    quote = ""
    for column, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#":
            return None
        elif char in LOOK_ALIKES:
            return column, char
    return None


class Siblings(MetaPathFinder, Loader):
    """Imports the other files of a submission from memory."""

    def __init__(self, texts: Mapping[str, tuple[str, str]]) -> None:
        self.texts = dict(texts)  # module name -> (file name, text)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, origin=self.texts[name][0]) if name in self.texts else None

    def exec_module(self, module: types.ModuleType) -> None:
        filename, text = self.texts[module.__name__]
        module.__file__ = filename
        execute(module, compile_text(text, filename), text)


def execute(module: types.ModuleType, code: types.CodeType, text: str) -> None:
    """Run compiled ``text`` as the module; tracebacks will show its lines."""
    filename = code.co_filename
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(code, module.__dict__)


def load(name: str, code: types.CodeType, text: str) -> types.ModuleType:
    """Execute ``text`` as module ``name``; it stands in ``sys.modules`` before it runs, as dataclasses need."""
    module = types.ModuleType(name)
    module.__file__ = code.co_filename
    sys.modules[name] = module
    execute(module, code, text)
    return module
