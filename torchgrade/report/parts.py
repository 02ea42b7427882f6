"""The definitions of a module, found by plain search, and what can be told of each without running it."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass

_BEGINS = re.compile(r"(?:async def|def|class) (\w+)")
_GOES_ON = re.compile(r"\s|[)\]}#]|$")  # a line that begins so belongs to the definition above it
_DOCSTRING = re.compile(r"^[ \t]+[rRuU]?(\"\"\"|''')[\s\S]*?\1[ \t]*\n?", re.MULTILINE)
_MARKER = re.compile(r"^[ \t]*# (?:BEGIN SOLUTION|END SOLUTION|STUB: .*|TODO\b.*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Facts:
    """Lines of code, without blank ones and comments, and loops, those of comprehensions included."""

    lines: int
    loops: int


def parts_of(text: str) -> dict[str, str]:
    """The text of each definition at the top of a module, without docstrings and a solution's markers."""
    found: dict[str, list[str]] = {}
    decorators: list[str] = []
    name = ""
    for line in text.splitlines(keepends=True):
        begins = _BEGINS.match(line)
        if begins:
            name = begins[1]
            found[name] = [*decorators, line]
            decorators = []
        elif line.startswith("@"):
            decorators.append(line)
            name = ""
        elif name and _GOES_ON.match(line):
            found[name].append(line)
        else:
            name, decorators = "", []
    return {name: _bare("".join(lines)) for name, lines in found.items()}


def _bare(text: str) -> str:
    lines = _MARKER.sub("", _DOCSTRING.sub("", text)).rstrip().split("\n")
    while lines and lines[-1].startswith("#"):  # a heading of what follows
        lines.pop()
    return "\n".join(lines).rstrip() + "\n"


def facts_of(text: str) -> Facts:
    """Of one definition."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        tokens = []
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = {row for token in tokens if token.type not in blank for row in range(token.start[0], token.end[0] + 1)}
    loops = sum(token.type == tokenize.NAME and token.string in ("for", "while") for token in tokens)
    return Facts(len(lines), loops)
