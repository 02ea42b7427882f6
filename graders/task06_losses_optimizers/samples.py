"""PyTorch's own sample inputs for task 06, within its docstrings."""

from torchgrade.samples.like import Like

ONE = {"a single sample without a batch axis": lambda x, *_, **__: x.ndim == 1}
SHARES = {"shares of the classes as targets": lambda x, target, **_: target.is_floating_point()}


def divergence(log_input, target, log_target=False, reduction="mean"):
    return (log_input, target), {"reduction": reduction}


def without_weight(logits, target, weight=None, **options):
    return (logits, target), options


SAMPLES = {
    **{name: Like(f"nn.functional.{name}") for name in ("l1_loss", "mse_loss", "huber_loss")},
    "smooth_l1_loss": Like("nn.functional.smooth_l1_loss", {"a beta of 0": lambda *_, beta=1.0, **__: beta == 0}),
    "nll_loss": Like("nn.functional.nll_loss", ONE),
    "cross_entropy": Like("nn.functional.cross_entropy", SHARES),
    "binary_cross_entropy_with_logits": Like(
        "nn.functional.binary_cross_entropy_with_logits",
        {"a weight for each element": lambda *_, weight=None, **__: weight is not None},
        without_weight,
    ),
    "kl_div": Like(
        "nn.functional.kl_div", {"logarithms as targets": lambda *_, log_target=False, **__: log_target}, divergence
    ),
    **{name: Like(f"optim.{name}") for name in ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW")},
}
