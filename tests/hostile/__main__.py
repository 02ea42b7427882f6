"""The red team's table: `python tests/hostile` runs everything and writes it into docs/security.md.

As root all levels are tried twice, as root and as an ordinary user; the control without confinement always runs as
an ordinary user. Each run is a process of its own: `python tests/hostile run LEVEL FILE` is one of them.
`python tests/hostile FOLDER NAME...` keeps the results in FOLDER and tries only the named attempts again.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

PAGE = TESTS.parent / "docs" / "security.md"
BEGIN, END = "<!-- begin: table of the red team -->", "<!-- end: table of the red team -->"


def run(isolation: str, target: Path, only: list[str]) -> None:
    """All payloads at one level; {name: [stopped, how]} as JSON. "control": {name: succeeds}."""
    import torch

    from hostile import control
    from hostile.harness import Arena
    from hostile.payloads import ALL

    torch.set_num_threads(1)
    found: dict[str, Any] = json.loads(target.read_text() or "{}")
    with Arena("process" if isolation == "control" else isolation) as arena:
        for payload in ALL:
            if payload.x86 and platform.machine() != "x86_64":
                continue
            if only and payload.name not in only:
                continue
            if isolation == "control":
                found[payload.name] = control.succeeds(payload, arena)
            else:
                verdict = arena.run(payload)
                found[payload.name] = [verdict.stopped, verdict.how]
            target.write_text(json.dumps(found))
    os._exit(0)


def everything(folder: Path, only: list[str]) -> dict[str, dict[str, Any]]:
    """The results of each run by its name, such as "strict, root"."""
    root = os.getuid() == 0
    wanted = [(level, who) for level in ("strict", "standard") for who in (("root", "user") if root else ("user",))]
    results = {}
    for level, who in [*wanted, ("control", "user")]:
        target = folder / f"{level}-{who}.json"
        target.touch()
        target.chmod(0o666)
        command = [sys.executable, str(TESTS / "hostile"), "run", level, str(target), *only]
        if root and who == "user":
            command = [sys.executable, str(TESTS / "ordinary.py"), *command]
        started = time.monotonic()
        subprocess.run(command, check=True)
        print(f"{level} as {who}: {time.monotonic() - started:.0f} s", file=sys.stderr)
        results[f"{level}, {who}"] = json.loads(target.read_text())
    return results


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: one part for each family, one row for each payload."""
    from hostile.payloads import ALL, FAMILIES

    levels = [name for name in results if not name.startswith("control")]
    control = results.get("control, user", {})
    lines = [f"{len(ALL)} attempts on {platform.system()} {platform.release()} ({platform.machine()}), "
             f"Python {platform.python_version()}.", ""]  # fmt: skip
    for family, payloads in FAMILIES.items():
        lines += [f"### {family[0].upper()}{family[1:]}", ""]
        lines += ["| attempt | from level | " + " | ".join(levels) + " | without confinement |"]
        lines += ["|---|---|" + "---|" * len(levels) + "---|"]
        for payload in payloads:
            cells = [_cell(payload, level, results[level].get(payload.name)) for level in levels]
            open_to = {True: "succeeds", False: "fails", None: ""}[control.get(payload.name)]
            lines.append(f"| {payload.attempt} | {payload.level} | {' | '.join(cells)} | {open_to} |")
        lines.append("")
    return "\n".join(lines)


def _cell(payload: Any, level: str, verdict: list[Any] | None) -> str:
    if verdict is None:
        return "not tried"
    if verdict[0]:
        return "stopped"
    return "**succeeds**" if payload.level <= {"strict": 3, "standard": 2}[level.split(",")[0]] else "succeeds"


def write(text: str) -> None:
    """Put the table between its marks in the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["run"]:
        run(arguments[1], Path(arguments[2]), arguments[3:])
    folder = Path(arguments[0]) if arguments else Path(tempfile.mkdtemp(prefix="red-team-"))
    folder.chmod(0o777)
    results = everything(folder, arguments[1:])
    write(table(results))
    failed = [(level, name) for level, found in results.items() if not level.startswith("control")
              for name, (stopped, _) in found.items() if not stopped and _must(name, level)]  # fmt: skip
    for level, name in failed:
        print(f"not stopped ({level}): {name}: {results[level][name][1]}", file=sys.stderr)
    return 1 if failed else 0


def _must(name: str, level: str) -> bool:
    from hostile.payloads import ALL

    payload = next(p for p in ALL if p.name == name)
    return payload.level <= {"strict": 3, "standard": 2}[level.split(",")[0]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
