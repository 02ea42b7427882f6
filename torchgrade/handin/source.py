"""Reading a learner's source text: encodings, look-alike characters, syntax errors, places."""

from __future__ import annotations

import io
import re
import tokenize
import unicodedata
from collections.abc import Callable

LOOK_ALIKES = {
    "\u00a0": " ", "\u3000": " ", "\u200b": "", "\ufeff": "", "（": "(", "）": ")", "：": ":", "，": ",",
    "；": ";", "【": "[", "】": "]", "“": '"', "”": '"', "‘": "'", "’": "'", "＝": "=", "－": "-", "＋": "+",
    "×": "*", "−": "-", "。": ".", "、": ",",
}  # fmt: skip

FAULT = "{place}, column {column}: {why}"
# How Python words the errors that learners make most, 3.10 to 3.14; catalogues hold them.
PYTHON = (
    "invalid syntax",
    "invalid syntax. Perhaps you forgot a comma?",
    "invalid syntax. Maybe you meant '==' or ':=' instead of '='?",
    "cannot assign to {what} here. Maybe you meant '==' instead of '='?",
    "cannot assign to {what}",
    'expression cannot contain assignment, perhaps you meant "=="?',
    "{bracket} was never closed",
    "unmatched {bracket}",
    "closing parenthesis {bracket} does not match opening parenthesis {other}",
    "closing parenthesis {bracket} does not match opening parenthesis {other} on line {line}",
    "expected '{sign}'",
    "expected an indented block after {what} on line {line}",
    "expected 'except' or 'finally' block",
    "unexpected indent",
    "unindent does not match any outer indentation level",
    "inconsistent use of tabs and spaces in indentation",
    "unterminated string literal (detected at line {line})",
    "unterminated triple-quoted string literal (detected at line {line})",
    "unterminated f-string literal (detected at line {line})",
    "unexpected character after line continuation character",
    "unexpected EOF while parsing",
    "invalid character '{char}' ({code})",
    "invalid decimal literal",
    "'return' outside function",
    "'break' outside loop",
    "'continue' not properly in loop",
    "positional argument follows keyword argument",
    "parameter without a default follows parameter with a default",
    "non-default argument follows default argument",
    "duplicate argument '{name}' in function definition",
    "duplicate parameter '{name}' in function definition",
    "keyword argument repeated: {name}",
    "Missing parentheses in call to '{name}'. Did you mean {name2}(...)?",
    "Generator expression must be parenthesized",
    "function definition", "class definition", "'if' statement", "'for' statement", "'while' statement",
    "'else' statement", "'elif' statement", "'with' statement", "'try' statement", "'except' statement",
    "function call", "expression", "literal", "attribute", "subscript",
)  # fmt: skip
_PROMPT = re.compile(r"\s*(?:>>>|\.\.\.)(?: |$)")

EXCERPT = 46  # columns of a line that is shown with its fault; with what stands before it, it fits on 60

# By shown file name: where a line of the compiled text stands for the learner (a notebook's cell and line).
PLACES: dict[str, Callable[[int], tuple[str, int]]] = {}


def shown_place(filename: str, line: int) -> tuple[str, int]:
    """File and line as the learner knows them."""
    return PLACES[filename](line) if filename in PLACES else (filename, line)


def spot(file: str, line: int) -> str:
    """A place as one text; in a notebook ``file`` ends with the number of a cell."""
    return f"{file}, line {line}" if ", code cell " in file else f"{file}:{line}"


class Unreadable(Exception):
    """The source cannot be compiled; the text says where and why."""


def decode(data: bytes) -> str:
    """The text of a source file: a BOM or a PEP 263 comment decides, then UTF-8, then GB18030."""
    for bom, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(bom):
            return _decode_as(data, name)
    if data[:200].count(0) > len(data[:200]) // 4:
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


def explain(error: SyntaxError, text: str, place: Callable[[int], str] = "line {}".format) -> str:
    """Where and why, in words; what was pasted or left by a merge is named. ``place`` names a line."""
    lines = text.splitlines()
    merged = _conflict(lines, error.lineno or 1)
    number = merged or error.lineno or 1
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    pasted = _pasted(line)
    if merged:
        column = 0
        why = "git left both sides of a merge here: keep one, and delete the lines of <<<<<<<, =======, >>>>>>>"
    elif _PROMPT.match(line):
        column = len(line) - len(line.lstrip())
        why = "this was copied from a session with Python: keep the code alone, without >>> and without the answers"
    elif pasted is not None:
        column, char = pasted
        plain = LOOK_ALIKES[char]
        name = unicodedata.name(char, "character").lower()
        advice = f"write {plain!r}" if plain else "delete it"
        why = f"{char!r} (U+{ord(char):04X}, {name}) is not Python: {advice}"
    else:
        column, why = max((error.offset or 1) - 1, 0), error.msg
    what = FAULT.format(place=place(number), column=column + 1, why=why)
    shown, before = excerpt(line.replace("\t", " ").replace("\u00a0", " "), column)
    return f"{what}\n    {shown}\n    {' ' * before}^"


def excerpt(line: str, column: int) -> tuple[str, int]:
    """What fits of a line, without its indentation, and how many columns of the screen stand before ``column``."""
    indented = min(len(line) - len(line.lstrip()), column)
    start = max(indented, column - EXCERPT * 2 // 3)
    while sum(map(_columns, line[start:column])) > EXCERPT * 2 // 3:  # Chinese takes two columns a character
        start += 1
    end = start
    while end < len(line) and sum(map(_columns, line[start : end + 1])) <= EXCERPT:
        end += 1
    cut = "…" if start > indented else ""
    return (cut + line[start:end]).rstrip(), len(cut) + sum(map(_columns, line[start:column]))


def _columns(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _conflict(lines: list[str], number: int) -> int | None:
    """Where the two sides of a merge begin that line ``number`` belongs to."""
    first = None
    for at, line in enumerate(lines, 1):
        if line.startswith("<<<<<<< ") and at <= number:
            first = at
        elif line.startswith(">>>>>>> "):
            if first is not None and at >= number:
                return first
            first = None
    return None


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
