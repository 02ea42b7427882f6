"""From what a check raised to an outcome that a tired learner understands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torchgrade.errors import (
    BadAnswer,
    LoadFailed,
    Mismatch,
    MissingName,
    OutOfMemory,
    SubmissionFault,
    SubmissionRaised,
    TimedOut,
    TraceFrame,
    Unavailable,
    Waits,
    WorkerDied,
)
from torchgrade.handin.source import spot
from torchgrade.i18n import translate as _
from torchgrade.model import Status

MAX_TEXT = 1500
MAX_PRINTED = 16_000  # characters of what the code printed in one check
MAX_PRINTED_IN_ALL = 128_000  # and in all checks of a submission on a device


@dataclass(frozen=True)
class Verdict:
    """The part of an outcome that depends on what happened."""

    status: Status
    message: str = ""
    given: str | None = None
    expected: str | None = None
    got: str | None = None
    table: str = ""
    likely: str | None = None
    where: str | None = None


PASSED = Verdict(Status.PASSED)


def verdict_of(error: BaseException, where: str | None) -> Verdict | None:
    """What ``error`` means for the learner; None when it is not about the submission but our own fault."""
    verdict = _verdict_of(error, where)
    if verdict is None or verdict.status is Status.TODO or not isinstance(error, SubmissionFault):
        return verdict
    return replace(verdict, given=error.given, where=verdict.where or where)


def _verdict_of(error: BaseException, where: str | None) -> Verdict | None:
    if isinstance(error, Mismatch):
        return Verdict(
            status=Status.FAILED,
            message=error.message,
            given=error.given,
            expected=error.expected,
            got=error.got,
            table=error.table,
            likely=error.likely,
            where=where,
        )
    if isinstance(error, LoadFailed):
        return _load_failed(error)
    if isinstance(error, SubmissionRaised):
        return _raised(error)
    if isinstance(error, MissingName):
        return _missing(error)
    if isinstance(error, TimedOut):
        message = _("needed more than {limit:g} s; is there an endless loop, or a loop over pixels or samples?")
        return Verdict(Status.TIMED_OUT, message.format(limit=error.limit), where=where)
    if isinstance(error, OutOfMemory):
        message = _("asked for more memory than the {limit} MB that this task allows")
        return Verdict(Status.OUT_OF_MEMORY, message.format(limit=error.limit_mb), where=where)
    if isinstance(error, WorkerDied):
        return Verdict(Status.CRASHED, str(error), where=where)
    if isinstance(error, BadAnswer):
        return Verdict(Status.FAILED, got=str(error), where=where)
    if isinstance(error, Unavailable):
        return Verdict(Status.UNAVAILABLE, str(error))
    if isinstance(error, Waits):
        return Verdict(Status.SKIPPED, str(error))
    return None


def _missing(error: MissingName) -> Verdict:
    expected = _("a definition of {name}").format(name=error.name)
    if not error.near:
        return Verdict(Status.FAILED, expected=expected, got=_("no such name"))
    near = _(" or ").join(error.near)
    return Verdict(Status.FAILED, expected=expected, got=_("only {near}; is it a slip of the pen?").format(near=near))


def _load_failed(error: LoadFailed) -> Verdict:
    fault = error.fault
    if isinstance(fault, SubmissionRaised):
        verdict = _raised(fault)
        status = Status.CRASHED if verdict.status is Status.TODO else verdict.status
        message = _("the file cannot be executed: {reason}").format(reason=verdict.message)
        return Verdict(status, message, where=verdict.where)
    if fault is not None:
        verdict = verdict_of(fault, None) or Verdict(Status.CRASHED, str(error))
        message = _("while the file was executed: {reason}").format(reason=verdict.message or verdict.got or "")
        return Verdict(verdict.status, message)
    return Verdict(Status.CRASHED, _("the file cannot be read: {reason}").format(reason=str(error)))


def _raised(error: SubmissionRaised) -> Verdict:
    where = place(error.frames)
    if error.is_todo:
        return Verdict(Status.TODO, where=where)
    text = f"{error.type_names[0]}: {error.text}" if error.text else error.type_names[0]
    if error.type_names[0] == "BdbQuit":
        text = _("breakpoint() waits for somebody to type, and nobody can here: add --debug to the command")
    advice = _advice(error)
    return Verdict(
        Status.CRASHED, shorten(f"{text}\n{advice}" if advice else text), got=_trace(error.frames), where=where
    )


def _advice(error: SubmissionRaised) -> str:
    name, text = error.type_names[0], error.text
    absent = re.search(r"No module named '([\w.]+)'", text)
    if absent and re.match(r"exercises\.|task\d\d", absent[1]):
        module = absent[1].removeprefix("exercises.")
        return _("{file} is not here; hand it in beside the file that imports it").format(file=f"{module}.py")
    if name in ("ModuleNotFoundError", "ImportError") or absent:
        return _("the course needs torch and numpy only; is the package installed here?")
    if name == "SystemExit":
        return _("the code calls sys.exit(); a graded file should only define things")
    if name == "EOFError":
        return _("the code waits for input(); nobody types while it is graded")
    if name == "RecursionError":
        return _("a function calls itself without an end")
    if "NVIDIA" in text or ("cuda" in text.lower() and ("Torch" in text or name == "AssertionError")):
        return _("this machine has no CUDA device; use the device of the input instead of a fixed one")
    if name == "RuntimeError" and "PyTorch is not linked with support for mps" in text:
        return _("this machine has no MPS device; use the device of the input instead of a fixed one")
    return ""


def _trace(frames: Sequence[TraceFrame]) -> str | None:
    """The learner's own frames, the last ones first in importance: at most three."""
    lines = [f"{spot(frame.file, frame.line)} {frame.function}: {frame.text}" for frame in frames[-3:]]
    return "\n".join(lines) if lines else None


def place(frames: Sequence[TraceFrame]) -> str | None:
    if not frames:
        return None
    last = frames[-1]
    name = "" if last.function == "<module>" else f"  {last.function}()"
    return f"{spot(last.file, last.line)}{name}"


def shorten(text: str, limit: int = MAX_TEXT) -> str:
    """Printable and short: all text from a submission is hostile."""
    clean = text
    if not text.isprintable():
        clean = "".join(char if char.isprintable() or char == "\n" else " " if char == "\t" else "?" for char in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def printed(text: str, room: int = MAX_PRINTED) -> str:
    """What the code printed, ``room`` characters at most: whole lines, and a sentence where not all of it is kept."""
    clean = shorten(text, len(text))
    if not clean or len(clean) <= min(room, MAX_PRINTED):
        return clean
    if room < MAX_PRINTED:
        words = _("… not kept: all checks together printed more than {count} characters")
        return clean[: clean.rfind("\n", 0, max(room, 0)) + 1] + words.format(count=MAX_PRINTED_IN_ALL)
    kept = clean[: clean.rfind("\n", 0, MAX_PRINTED) + 1] or clean[:MAX_PRINTED] + "\n"
    return kept + _("… the rest is not kept: it printed more than {count} characters").format(count=MAX_PRINTED)
