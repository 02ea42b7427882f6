"""Every probe of the engine; importing this package registers them."""

from torchgrade.isolation.probes.modules import (
    buffers,
    feature_maps,
    modes_seen,
    parameter_count,
    registered_parameters,
)

__all__ = ["buffers", "feature_maps", "modes_seen", "parameter_count", "registered_parameters"]
