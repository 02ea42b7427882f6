"""PyTorch's own sample inputs for task 03, within its docstrings."""

from torchgrade.samples.like import Like

SAMPLES = {
    "linear_forward": Like("nn.functional.linear"),
    "ManualLinear": Like("nn.Linear"),
}
