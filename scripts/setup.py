"""Creates .venv with everything the course needs. Usage: python scripts/setup.py [extra,extra]

On every system; ``scripts/setup`` calls this one.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", "constraints.txt"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    extras = f"[{sys.argv[1]}]" if len(sys.argv) > 1 else ""
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True, symlinks=os.name != "nt")
    # torch first: with it in place, no range of another package can ask for a larger build.
    install("torch", "setuptools>=77.0.3", "pyyaml", "babel")
    install("--no-build-isolation", "-e", f".{extras}")


if __name__ == "__main__":
    main()
