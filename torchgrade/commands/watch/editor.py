"""Opens the learner's editor at a line."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from torchgrade.errors import UsageError
from torchgrade.i18n import translate as _

IN_TERMINAL = ("vi", "vim", "nvim", "nano", "pico", "micro", "hx", "helix", "kak", "joe", "ne", "mcedit", "ed", "emacs")
WITH_GOTO = ("code", "codium", "code-insiders", "cursor", "windsurf")
WITH_COLON = ("subl", "zed", "hx", "helix", "micro")


def editor_command(file: Path, line: int) -> list[str]:
    """``$VISUAL``, ``$EDITOR`` or an installed VS Code, at the line where it can; UsageError where there is none."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    installed = next((name for name in WITH_GOTO if shutil.which(name)), None)
    words = shlex.split(named, posix=sys.platform != "win32") if named else [installed] if installed else []
    if not words:
        raise UsageError(_("no editor is known: set VISUAL, for example to `code` or `nano`"))
    name = program(words)
    if name in WITH_GOTO:
        return [*words, "-g", f"{file}:{line}"]
    if name in WITH_COLON:
        return [*words, f"{file}:{line}"]
    return [*words, f"+{line}", str(file)] if name in IN_TERMINAL else [*words, str(file)]


def program(command: list[str]) -> str:
    return Path(command[0]).name.removesuffix(".exe").lower()


def takes_the_terminal(command: list[str]) -> bool:
    return program(command) in IN_TERMINAL


def run(command: list[str]) -> None:
    """One that takes the terminal is waited for; another runs beside. UsageError where it cannot be started."""
    try:
        if takes_the_terminal(command):
            subprocess.run(command, check=False)
        else:
            null = subprocess.DEVNULL
            subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)
    except OSError as error:
        raise UsageError(_("{editor} cannot be started: {why}").format(editor=command[0], why=error.strerror)) from None


def place(where: str | None, file: Path) -> tuple[Path, int]:
    """File and line of a ``look at``, which is told from where we are; the first line of ``file`` where it has none."""
    found = re.match(r"(.+?):(\d+)\b", where or "")
    return (Path(found[1]), int(found[2])) if found and Path(found[1]).is_file() else (file, 1)
