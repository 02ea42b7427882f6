"""References in a learner's edition, encrypted under a key that a passing result of their task yields.

Whoever reads this file can make the key without the work: it keeps honest people honest, and no more.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from torchgrade.course import Task
from torchgrade.errors import UsageError
from torchgrade.i18n import translate as _
from torchgrade.model import Status, TaskGrade

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SCHEMA = "torchgrade.sealed/1"
NAME = "reference.sealed"  # beside the task's suite
WORK = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}  # of scrypt: a twentieth of a second


def seal(task: Task, checks: Iterable[str], target: Path) -> None:
    """Write the task's solution and alternatives, for who has passed ``checks``, the ids of the edition's suite."""
    alternatives = {path.name: path.read_text(encoding="utf-8") for path in task.folder.glob("alternatives/*.py")}
    texts = {"solution": task.solution.read_text(encoding="utf-8"), "alternatives": alternatives}
    plain = json.dumps(texts, sort_keys=True).encode()
    salt = hashlib.sha256(plain).hexdigest()
    token = _cipher(task.stem, checks, salt).encrypt(plain).decode()
    target.write_text(json.dumps({"schema": SCHEMA, "salt": salt, "token": token}) + "\n", encoding="utf-8")


def is_sealed(task: Task) -> bool:
    return (task.folder / NAME).is_file()


def unseal(task: Task, grade: TaskGrade | None) -> int | None:
    """Put the solution and the alternatives where they lie in an instructor's course; returns the number of files.

    None where nothing is sealed; UsageError where ``grade``, the last one, does not hold the key.
    """
    sealed = task.folder / NAME
    if not sealed.is_file():
        return None
    found = json.loads(sealed.read_text(encoding="utf-8"))
    passed = [check.id for check in grade.checks if check.status is Status.PASSED] if grade is not None else []
    cipher = _cipher(task.stem, passed, found["salt"])
    from cryptography.fernet import InvalidToken

    try:
        plain = cipher.decrypt(found["token"])
    except InvalidToken:
        sentence = _("the reference of {task} is sealed; it opens after python grade.py {task} has passed")
        raise UsageError(sentence.format(task=task.short)) from None
    texts = json.loads(plain)
    files = {task.solution: texts["solution"]}
    files |= {task.folder / "alternatives" / Path(name).name: text for name, text in texts["alternatives"].items()}
    for place, text in files.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return len(files)


def _cipher(task: str, passed: Iterable[str], salt: str) -> Fernet:
    try:
        from cryptography.fernet import Fernet
    except ImportError:
        raise UsageError(_("sealed references need one more package: pip install 'torchgrade[sealed]'")) from None
    secret = json.dumps([task, sorted(set(passed))]).encode()
    return Fernet(base64.urlsafe_b64encode(hashlib.scrypt(secret, salt=salt.encode(), **WORK)))
