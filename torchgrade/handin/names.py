"""Names of files from strangers: what they say in which encoding, and whether they may be used."""

from __future__ import annotations

import re
import unicodedata

from torchgrade.errors import SubmissionError

_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
_NAME_LIMIT = 240


class Refused(SubmissionError):
    """A file, or a whole archive, is not read; the text is the reason."""


def decode_name(raw: bytes) -> str:
    """UTF-8 where it is valid, else GBK where that reads as common Chinese, else cp437 (what zip says)."""
    for encoding in ("utf-8", "gb18030"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or _reads_as_chinese(text):
            return text
    return raw.decode("cp437")


def _reads_as_chinese(text: str) -> bool:
    """Whether at least half of the foreign characters are among the common ones (GB 2312).

    An umlaut in cp437 and the letter behind it are valid GBK too, but never a common character.
    """
    foreign = [character for character in text if ord(character) > 127]
    common = [character for character in foreign if character.encode("gb2312", "ignore")]
    return 2 * len(common) >= len(foreign)


def clean_path(name: str, *, existing: bool = False) -> str:
    """A relative path with forward slashes; raises Refused when it leaves the folder or misleads a reader.

    ``existing``: the file lies on this machine already, so its name is possible here.
    """
    path = unicodedata.normalize("NFC", name.replace("\\", "/"))
    if any(unicodedata.category(character) in ("Cc", "Cs", "Cf") for character in path):
        raise Refused("its name has control characters")
    if path.startswith("/") or re.match(r"^[A-Za-z]:", path):
        raise Refused("its path is absolute")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused("its path leaves the archive")
    if not parts or len(path) > _NAME_LIMIT or len(parts) > 20:
        raise Refused("its name is empty or too long")
    if not existing and any(_RESERVED.match(part) or ":" in part for part in parts):
        raise Refused("its name is reserved on some systems")
    return "/".join(parts)


def shown(name: str) -> str:
    """A name for a report: one line, printable, at most 80 characters."""
    text = "".join(c if c.isprintable() and unicodedata.category(c) != "Cs" else "\ufffd" for c in name)
    return text if len(text) <= 80 else text[:77] + "..."


def reason(error: BaseException) -> str:
    """An exception's text in one printable line; its class name where it has none."""
    return shown(" ".join(str(error).split())) or type(error).__name__
