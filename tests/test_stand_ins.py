"""Stand-ins: an operator on ``meta`` has the outputs that torch's own meta kernel gives it, only sooner."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.isolation.worker.probes.recorders import tensors_in
from torchgrade.isolation.worker.probes.stand_ins import LARGEST, StandIns


def on_meta(*shape, **options):
    return torch.empty(*shape, device="meta", **options)


def write_slice(x):
    y = torch.empty_like(x)
    y[:, 1:] = x[:, :-1]
    return y


# Each gets x (2, 3, 4, 6), not contiguous, in float32.
RUNS = {
    "promotion": lambda x: x + on_meta(6, dtype=torch.float64),
    "number": lambda x: x > 2,
    "integers": lambda x: on_meta(3, dtype=torch.int64) // 2,
    "integers by zero": lambda x: on_meta(3, dtype=torch.int64) // on_meta(3, dtype=torch.int64),
    "complex": lambda x: x * 1j,
    "half": lambda x: x.half() @ x.half().mT,
    "expanded": lambda x: on_meta(1, 3, 1, 1).expand(2, 3, 4, 6) * x,
    "empty": lambda x: torch.cat([x[:0], x[:0]]) + 1,
    "statistics": lambda x: torch.var_mean(x, dim=(0, 2), keepdim=True),
    "extremes": lambda x: x.max(dim=1),
    "sorted": lambda x: x.sort(dim=-1, descending=True),
    "best": lambda x: x.topk(2, dim=2),
    "sums": lambda x: x.cumsum(1).sum((1, 3)),
    "like": lambda x: [torch.zeros_like(x), x.new_ones(3, 2)],
    "made": lambda x: [torch.arange(7, device="meta"), torch.full((2,), 3.0, device=x.device)],
    "views": lambda x: [x.flatten(1), x.mT, x[..., ::2], x.unfold(2, 2, 2), *x.chunk(2, 3)],
    "write into a slice": write_slice,
    "in place": lambda x: x.mul_(2).add_(on_meta(6)).clamp_(min=0),
    "choice": lambda x: torch.where(x > 0, x, 0.0).masked_fill(x < 0, 1.0),
    "index": lambda x: x[:, torch.tensor([2, 0])],
    "rows and columns": lambda x: x[on_meta(5, 1, dtype=torch.int64), on_meta(2, dtype=torch.int64)],
    "rows beside": lambda x: x[on_meta(4, dtype=torch.int64), :, on_meta(4, dtype=torch.int64)],
    "gathered": lambda x: x.gather(1, on_meta(2, 1, 4, 6, dtype=torch.int64)),
    "random": lambda x: [torch.rand_like(x), F.dropout(x), x.bernoulli()],
    "padded": lambda x: F.pad(x, (1, 2), value=-torch.inf),
    "convolution": lambda x: F.conv2d(x.contiguous(), on_meta(5, 3, 2, 2), stride=2),
    "pooling": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "batch norm": lambda x: F.batch_norm(x, on_meta(3), on_meta(3), training=True),
    "layers": lambda x: nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(16, 3)).to("meta")(x),
    "entropy": lambda x: F.cross_entropy(x[:, :, 0, 0], on_meta(2, dtype=torch.int64)),
    "einsum": lambda x: torch.einsum("nchw,ndhw->cd", x, x),
    "recurrent": lambda x: nn.GRU(6, 5, batch_first=True).to("meta")(x[:, 0])[0],
    "big": lambda x: on_meta(LARGEST, 2) + 1,
}  # fmt: skip


def described(value):
    return [(t.dtype, tuple(t.shape), t.stride(), t.device.type, t.requires_grad) for t in tensors_in(value)]


def given():
    return on_meta(2, 4, 6, 3).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", RUNS)
def test_outputs_are_those_of_torch_itself(name):
    by_torch = described(RUNS[name](given()))

    with StandIns():
        by_stand_ins = described(RUNS[name](given()))

    assert by_torch, "a run without tensors shows nothing"
    assert by_stand_ins == by_torch


@pytest.mark.parametrize(
    "run",
    [
        lambda x: x + on_meta(5),
        lambda x: x @ on_meta(5, 5),
        lambda x: F.conv2d(x, on_meta(5, 2, 2, 2)),
        lambda x: x + torch.ones(6),
        lambda x: x.nonzero(),
        lambda x: x.sum().item(),
    ],
)
def test_what_torch_refuses_is_refused_in_its_words(run):
    with pytest.raises(Exception) as by_torch:
        run(given())
    with pytest.raises(type(by_torch.value)) as by_stand_ins, StandIns():
        run(given())
    assert str(by_stand_ins.value) == str(by_torch.value)


def test_gradients_arrive():
    x = given().requires_grad_()
    with StandIns():
        loss = F.gelu(x).square().mean()
        loss.backward()
    assert (x.grad.shape, x.grad.device.type) == (x.shape, "meta")


def test_no_random_number_is_drawn():
    torch.manual_seed(0)
    with StandIns():
        RUNS["random"](given())
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(3))


def test_neither_the_compiler_nor_sympy_is_imported():
    code = (
        "import sys, torch\n"
        "from torchgrade.isolation.worker.probes import portable\n"
        "def pick(x, t):\n"
        "    return torch.nn.functional.linear(x, x)[torch.arange(4, device=x.device), t]\n"
        "report = portable(pick, torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))\n"
        "print(report['verdict'], 'torch._dynamo' in sys.modules, 'sympy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["portable", "False", "False"], done.stderr
