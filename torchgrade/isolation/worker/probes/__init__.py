"""Every probe of the engine; importing this package registers them."""

from torchgrade.isolation.worker.probes.cost import flops, peak_memory
from torchgrade.isolation.worker.probes.filling import fill_by_shape
from torchgrade.isolation.worker.probes.gradients import (
    calls,
    clear_gradients,
    gradient_flow_problems,
    parameter_gradients,
    parameter_values,
    set_parameters,
)
from torchgrade.isolation.worker.probes.modules import (
    buffers,
    feature_maps,
    parameter_count,
    registered_parameters,
)
from torchgrade.isolation.worker.probes.portability import lean, moves_to_device, on_meta, portable
from torchgrade.isolation.worker.probes.recorders import line_growth, operator_growth, operator_trace, operators
from torchgrade.isolation.worker.probes.references import call_by_reference
from torchgrade.isolation.worker.probes.sharing import shares_memory
from torchgrade.isolation.worker.probes.sources import source_names
from torchgrade.isolation.worker.probes.states import moved, passes_seen, torch_modes_left, traces_left
from torchgrade.isolation.worker.probes.toys import batches, loader, toy

__all__ = [
    "batches",
    "buffers",
    "call_by_reference",
    "calls",
    "clear_gradients",
    "feature_maps",
    "fill_by_shape",
    "flops",
    "gradient_flow_problems",
    "lean",
    "line_growth",
    "loader",
    "moved",
    "moves_to_device",
    "on_meta",
    "operator_growth",
    "operator_trace",
    "operators",
    "parameter_count",
    "parameter_gradients",
    "parameter_values",
    "passes_seen",
    "peak_memory",
    "portable",
    "registered_parameters",
    "set_parameters",
    "shares_memory",
    "source_names",
    "torch_modes_left",
    "toy",
    "traces_left",
]
