"""Grade the course from a bare checkout: ``python grade.py --help``."""

import os
import sys

ROOT = os.path.dirname(os.path.realpath(__file__))
NEEDED = ("torch", "torchvision", "numpy", "PIL", "pytest", "rich", "yaml", "msgpack", "jinja2", "watchfiles")
OLDEST = (3, 10)


def order_modules() -> None:
    """The engine from this folder, all else from Python and its packages: a scratch file ``random.py`` hides nothing.

    What PYTHONPATH names comes last. Until this is done only modules that every Python has loaded may be imported.
    """
    try:
        os.getcwd()
    except OSError:  # a folder that was removed meanwhile
        os.chdir(ROOT)
    sys.path.insert(0, ROOT)
    import torchgrade  # noqa: F401  (found here from now on)

    added = [os.path.realpath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    places = [place for place in sys.path if os.path.realpath(place) != ROOT]
    sys.path[:] = sorted(places, key=lambda place: os.path.realpath(place) in added)


def use_own_python() -> None:
    """With a Python that is too old or lacks packages: go on with the one that scripts/setup made, or name it."""
    from importlib.util import find_spec

    lacking = [name for name in NEEDED if find_spec(name) is None]
    if not lacking and sys.version_info >= OLDEST:
        return
    place = os.path.join(ROOT, ".venv")
    own = os.path.join(place, "Scripts", "python.exe") if os.name == "nt" else os.path.join(place, "bin", "python")
    if os.path.exists(own) and os.path.realpath(sys.prefix) != os.path.realpath(place):
        command = [own, *sys.argv]
        if os.name != "nt":
            os.execv(own, command)
        import subprocess

        sys.exit(subprocess.call(command))
    why = "has no " + ", ".join(lacking) if lacking else "is older than 3.10"
    advice = "run scripts/setup once, then .venv/bin/python grade.py"
    sys.stderr.write(f"grade.py: this Python ({sys.executable}) {why}; {advice}\n")
    sys.exit(2)


if __name__ == "__main__":
    order_modules()
    use_own_python()
    from torchgrade.cli import main

    sys.exit(main(home=ROOT))
