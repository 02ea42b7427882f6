"""The one module that a suite imports: the check decorator, the expectations and the probes.

A probe takes handles and real objects, and functions and classes of the submission as they are. A lambda of the
suite stays in the grader, where a probe sees nothing of the submission's work: pass ``submission.f`` itself.
"""

from torchgrade import expect
from torchgrade.checks import CheckSpec, Rule, check
from torchgrade.expect import axes as kit
from torchgrade.expect.axes import ARRAY_LAYOUTS, FAR, FLOATS, INTEGERS, LAYOUTS, RECORDING
from torchgrade.expect.grid import LEFT_OUT, grid
from torchgrade.isolation.worker.probes import (
    buffers,
    clear_gradients,
    feature_maps,
    fill_by_shape,
    flops,
    lean,
    moved,
    on_meta,
    operator_growth,
    operator_trace,
    operators,
    parameter_count,
    parameter_gradients,
    parameter_values,
    passes_seen,
    peak_memory,
    registered_parameters,
    set_parameters,
    shares_memory,
    source_names,
    torch_modes_left,
    traces_left,
)
from torchgrade.materials import any_seed, filled, normal

__all__ = [
    "ARRAY_LAYOUTS",
    "FAR",
    "FLOATS",
    "INTEGERS",
    "LAYOUTS",
    "LEFT_OUT",
    "RECORDING",
    "CheckSpec",
    "Rule",
    "any_seed",
    "buffers",
    "check",
    "clear_gradients",
    "expect",
    "feature_maps",
    "fill_by_shape",
    "filled",
    "flops",
    "grid",
    "kit",
    "lean",
    "moved",
    "normal",
    "on_meta",
    "operator_growth",
    "operator_trace",
    "operators",
    "parameter_count",
    "parameter_gradients",
    "parameter_values",
    "passes_seen",
    "peak_memory",
    "registered_parameters",
    "set_parameters",
    "shares_memory",
    "source_names",
    "torch_modes_left",
    "traces_left",
]
