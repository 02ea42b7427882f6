"""Which files a worker sees: Python, its libraries, the engine, the data sets of the task, a few devices.

At level 3 bubblewrap builds a file system of just these for the zygote; at levels 2 and 3 Landlock says the same
again. Hidden suites, solutions and the submissions of others must not lie under any of them: that is checked first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from torchgrade.errors import IsolationError
from torchgrade.isolation.confine import libc, namespaces
from torchgrade.isolation.confine.plan import ENGINE, interpreter, search_path, standard_library

# torch's compiler makes this folder when it is imported, which the zygote does while its /tmp is read-only.
COMPILER_CACHE = "/tmp/torchinductor_box"
SYSTEM_LIBRARIES = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64")
STORES = ("/nix/store", "/gnu/store")  # where everything, the C library too, lies on such systems
DEVICES = {"/dev/null": "dev", "/dev/zero": "dev", "/dev/random": "r", "/dev/urandom": "r"}
DRIVER_READS = ("/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/sys/bus/pci/devices", "/sys/devices/system")
OF_COURSE = ("graders", "solutions", "exercises")  # beside the engine in a checkout


def visible(device: str, readable: Sequence[Path]) -> dict[str, str]:
    """Path to Landlock mode, for everything that exists here."""
    folders = [ENGINE, *(Path(p) for p in (*SYSTEM_LIBRARIES, *search_path()))]
    folders += [p for p in standard_library() if p.exists()]
    base = Path(sys.base_prefix)
    if base != Path("/usr"):
        folders += [base / "lib", base / "lib64"]
    python = interpreter()
    folders += [Path(store) for store in STORES if python.startswith(store)]
    rules = {str(p): "rx" for p in (*folders, Path(python)) if p.exists()}
    rules.update({p: "r" for p in ("/etc/ld.so.cache",) if Path(p).exists()})
    rules.update({str(p): "r" for p in readable})
    if device != "cpu":
        rules.update(gpu_files(device))
    rules.update(DEVICES)
    return rules


def gpu_files(device: str) -> dict[str, str]:
    """The nodes of the one GPU that is assigned, and the folders its driver may lie in."""
    index = device.partition(":")[2] or os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    nodes = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", f"/dev/nvidia{index}"]
    folders = [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p] + ["/usr/local/nvidia"]
    found = {p: "gpu" for p in nodes if Path(p).exists()} | {p: "rx" for p in folders if Path(p).exists()}
    return found | {p: "r" for p in DRIVER_READS if Path(p).exists()}


def refuse_hidden(rules: Iterable[str], hidden: Iterable[Path]) -> None:
    """IsolationError when a hidden path would be readable, or what is readable lies in a hidden one."""
    own = [ENGINE.parent / name for name in OF_COURSE]
    for secret in (p.resolve() for p in (*own, *hidden) if p.exists()):
        for path in (Path(rule).resolve() for rule in rules):
            if secret.is_relative_to(path) or path.is_relative_to(secret):
                raise IsolationError(f"{secret} must stay hidden, but {path} would be readable for a submission.")


def bubblewrap(rules: dict[str, str], as_root: bool) -> list[str]:
    """The bubblewrap command that shows ``rules`` read-only and nothing else. As root the zygote drops it later."""
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--cap-drop", "ALL"]
    command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if as_root else ["--unshare-user"]
    command += ["--new-session", "--proc", "/proc", "--tmpfs", "/dev"]
    for folder in (namespaces.HOME, *namespaces.SHARED, COMPILER_CACHE):
        command += ["--dir", folder]
    made: set[Path] = {Path("/dev")}
    for path in sorted(rules):
        if any(path != other and Path(path).is_relative_to(other) for other in rules):
            continue  # shown with the folder above it
        for above in reversed(Path(path).parents[:-1]):
            if above not in made:  # bubblewrap would close them as they are closed outside
                command += ["--dir", str(above)]
                made.add(above)
        if path in SYSTEM_LIBRARIES and Path(path).is_symlink():
            command += ["--symlink", os.readlink(path), path]
        else:
            command += ["--dev-bind" if path.startswith("/dev/") else "--ro-bind", path, path]
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


def reveal(paths: Iterable[str], user: int) -> None:
    """As root: let ``user`` reach ``paths`` although a folder above them (say /root) is closed to others.

    In a mount namespace of its own, each such folder is replaced by an empty one that shows only ``paths``.
    OSError where mounting is not allowed.
    """
    closed: dict[Path, list[str]] = {}
    for path in paths:
        for above in reversed(Path(path).resolve().parents):
            if not above.stat().st_mode & 0o001 and above.stat().st_uid != user:
                closed.setdefault(above, []).append(path)
                break
    if not closed:
        return
    libc.call("unshare", namespaces.NEWNS)
    libc.mount(None, "/", None, namespaces.PRIVATE)
    for folder, below in closed.items():
        targets = sorted({str(Path(path).resolve()) for path in below})
        ends = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in targets}
        libc.mount("tmpfs", str(folder), "tmpfs", namespaces.NOSUID | namespaces.NODEV, "mode=0755")
        for path, end in ends.items():
            _mount_point(Path(path), folder=Path(f"/proc/self/fd/{end}").is_dir())
            libc.mount(f"/proc/self/fd/{end}", path, None, namespaces.BIND)
            os.close(end)


def _mount_point(path: Path, folder: bool) -> None:
    if path.exists():
        return  # below one that is shown already
    path.parent.mkdir(parents=True, exist_ok=True)
    if folder:
        path.mkdir()
    else:
        path.touch()
