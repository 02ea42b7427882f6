"""The command line and environment of a zygote."""

from __future__ import annotations

import json
from typing import Any

from torchgrade.environment import GPU, SYSTEM, inherited
from torchgrade.isolation.confine import mounts, namespaces
from torchgrade.isolation.confine.plan import Plan, interpreter

# -S: no .pth file runs and no folder of the user is added; the search path is passed instead.
BOOT = """
import sys
sys.path[:] = [p for p in sys.path if p]
import json
settings = json.loads(sys.argv[2])
import os
sys.path[:] = [os.path.dirname(settings["engine"])] + settings["search"]
import torchgrade
if sys.path[0] not in settings["search"]:
    del sys.path[0]
from torchgrade.isolation.{module} import main
main(int(sys.argv[1]), json.loads(sys.argv[3]) or settings)
"""


def zygote(plan: Plan, descriptor: int) -> list[str]:
    """The command that starts the zygote of ``plan``."""
    command = python(plan, descriptor)
    return mounts.bubblewrap(plan.rules, plan.user is not None) + command if plan.level == 3 else command


def python(
    plan: Plan, descriptor: int, module: str = "confine.zygote", settings: dict[str, Any] | None = None
) -> list[str]:
    """Run ``torchgrade.isolation.<module>.main(descriptor, settings or plan)`` in a fresh interpreter."""
    boot = BOOT.replace("{module}", module)
    values = [json.dumps(plan.to_json()), json.dumps(settings)]
    return [interpreter(), "-S", "-s", "-B", "-c", boot, str(descriptor), *values]


def environment(plan: Plan) -> dict[str, str]:
    """Little, and nothing of the grader's own at levels 2 and 3 but what CUDA needs to find its driver."""
    kept = (*SYSTEM, *GPU) if plan.level == 1 else GPU if plan.device != "cpu" else ()
    values = inherited(kept)
    values.setdefault("PATH", "/usr/bin:/bin")
    values.update(
        HOME=namespaces.HOME,
        USER="box",
        LANG="C.UTF-8",
        PYTHONDONTWRITEBYTECODE="1",
        PYTORCH_NVML_BASED_CUDA_CHECK="1",  # asking for a GPU must not initialise CUDA
    )
    return values
