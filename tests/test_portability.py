"""portable: every illegal mix of devices is found without a GPU, legal code passes, the rest is inconclusive."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.isolation.worker.probes import moves_to_device, portable

X = torch.randn(2, 3, 4, 4)
CPU_INDEX = torch.tensor([0, 1])


def swallow(x):
    try:
        return x @ torch.ones(4, 4)
    except RuntimeError:
        return x


def write_slice(x):
    y = torch.empty_like(x)
    y[:, 0] = torch.ones(2, 4, 4)
    return y


def fill_and_mix(x):
    y = torch.zeros(2, 3, 6, 6)
    y[:, :, 1:-1, 1:-1] = x
    return F.conv2d(y, x[:, :, :3, :3])


def collect(x):
    y = torch.zeros(2)
    for number, image in enumerate(x):
        y[number] = image.detach().sum()
    return y


def write_index(x):
    y = x.clone()
    y[torch.tensor([0])] = 1.0
    return y


def running_total(x):
    total = torch.tensor(0.0)
    total += x.detach().sum()
    return x * 2


def home_and_back(x):
    return torch.from_numpy(x.detach().cpu().numpy() + 1).to(x.device)


# Illegal on CUDA. The second half is what plain `meta` lets pass.
MIXED = {
    "add": lambda x: x + torch.ones(2, 3, 4, 4),
    "explicit device": lambda x: x + torch.ones(4, device="cpu"),
    "mask": lambda x: x * torch.ones(4),
    "numpy": lambda x: torch.from_numpy(x.detach().numpy()) + 1,
    "asarray": lambda x: torch.from_numpy(np.asarray(x.detach())),
    "cat": lambda x: torch.cat([x, torch.ones(1, 3, 4, 4)]),
    "stack": lambda x: torch.stack([x, torch.ones(2, 3, 4, 4)]),
    "where": lambda x: torch.where(torch.ones(4, dtype=torch.bool), x, x * 2),
    "masked_fill": lambda x: x.masked_fill(torch.ones(4, dtype=torch.bool), 0.0),
    "cross_entropy": lambda x: F.cross_entropy(x.flatten(1), torch.tensor([1, 2])),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.ones(4, 4).bool()),
    "put": lambda x: x.clone().index_put((CPU_INDEX,), torch.ones(2, 3, 4, 4)),
    "result": lambda x: torch.zeros(3),
    "matmul": lambda x: x @ torch.ones(4, 4),
    "linear": lambda x: F.linear(x, torch.ones(2, 4)),
    "conv": lambda x: F.conv2d(x, torch.ones(2, 3, 3, 3)),
    "embedding": lambda x: F.embedding(CPU_INDEX, x.reshape(-1, 4)),
    "gather": lambda x: x.gather(3, torch.zeros(2, 3, 4, 1, dtype=torch.long)),
    "swallowed": swallow,
    "running total": running_total,
    "filled on the CPU": fill_and_mix,
}

PORTABLE = {
    "scalar": lambda x: x + torch.tensor(2.0),
    "index": lambda x: x[CPU_INDEX],
    "range": lambda x: x[:, torch.arange(2)],
    "boolean index on the CPU": lambda x: x[torch.tensor([True, False])],
    "like": lambda x: x + torch.zeros_like(x),
    "device of the input": lambda x: x + torch.ones(4, device=x.device),
    "moved": lambda x: x + torch.ones(4).to(x.device),
    "slice": write_slice,
    "write by index": write_index,
    "statistics": lambda x: (x - x.mean()) / x.std(),
    "pooling": lambda x: F.max_pool2d(x, 2),
    "sizes": lambda x: x.view(x.size(0), -1) / len(x),
    "there and back": home_and_back,
    "collected on the CPU": collect,
}

INCONCLUSIVE = {
    "item": lambda x: x * x.sum().item(),
    "branch": lambda x: x if x.any() else -x,
    "boolean index": lambda x: x[x > 0],
    "nonzero": lambda x: x.nonzero(),
    "tolist": lambda x: torch.tensor(x.tolist()),
    "unique": lambda x: x.unique(),
    "mix after a copy to the CPU": lambda x: x.cpu() + x,
    "result on the CPU": lambda x: torch.from_numpy(x.detach().cpu().numpy()),
}

CASES = {"mixed": MIXED, "portable": PORTABLE, "inconclusive": INCONCLUSIVE}
NAMED = [(verdict, name) for verdict, cases in CASES.items() for name in cases]


@pytest.mark.parametrize(("verdict", "name"), NAMED)
def test_verdicts(verdict, name):
    result = portable(CASES[verdict][name], X.clone().requires_grad_())

    assert result["verdict"] == verdict, result
    assert bool(result["detail"]) == (verdict != "portable")


@pytest.mark.cuda
@pytest.mark.parametrize(("verdict", "name"), [pair for pair in NAMED if pair[0] != "inconclusive"])
def test_verdicts_agree_with_cuda(verdict, name):
    x = X.cuda().requires_grad_()
    try:
        result = CASES[verdict][name](x)
        result.sum().backward() if result.requires_grad else None
        ran = result.device.type == "cuda"
    except (RuntimeError, TypeError):
        ran = name == "swallowed"
    assert ran == (verdict == "portable" or name == "swallowed")


class Attribute(nn.Module):
    def __init__(self, size=4):
        super().__init__()
        self.scale = torch.ones(size)
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x) * self.scale


class Buffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(4))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(x) * self.scale


def test_modules_and_classes():
    assert portable(Buffer, X)["verdict"] == "portable"
    assert portable(Buffer().eval(), X)["verdict"] == "portable"
    assert portable(nn.LSTM(4, 3), X[0])["verdict"] == "portable"
    assert portable(Attribute, X)["verdict"] == "mixed"
    assert portable(Attribute(), X)["verdict"] == "mixed"
    assert portable(Attribute, X, build=[4])["detail"] == "mul meets a CPU tensor of shape [4] and one on the device"
    loss = nn.CrossEntropyLoss()
    assert portable(lambda net, x, y: loss(net(x).flatten(1), y), Buffer(), X, CPU_INDEX)["verdict"] == "portable"


def test_the_module_itself_stays_where_it_was():
    net = Buffer()
    portable(net, X)
    assert net.scale.device.type == "cpu"


def test_what_the_code_raises_by_itself_passes_on():
    def gap(x):
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        portable(gap, X)


def test_code_that_asks_which_devices_there_are_is_inconclusive(tmp_path, monkeypatch):
    (tmp_path / "asks.py").write_text(
        "import torch\n"
        'DEVICE = "cuda" if torch.cuda.is_available() else "cpu"\n'
        "def f(x):\n    return x + torch.ones(4, device=DEVICE)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import asks

    assert portable(asks.f, X)["verdict"] == "inconclusive"


def epoch(net, batches, optimizer, device, moved=("x", "y")):
    for x, y in batches:
        x = x.to(device) if "x" in moved else x
        y = y.to(device) if "y" in moved else y
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        loss.item()


@pytest.mark.parametrize(
    ("moved", "verdict", "detail"),
    [
        (("x", "y"), "inconclusive", "item"),
        (("y",), "mixed", "addmm meets a CPU tensor of shape [2, 4] and one on the device"),
        (("x",), "mixed", "nll_loss_forward meets a CPU tensor of shape [2] and one on the device"),
    ],
)
def test_loops_have_to_move_their_batches(moved, verdict, detail):
    net = nn.Linear(4, 3).to("meta")
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    batches = [(torch.randn(2, 4), CPU_INDEX)]

    result = moves_to_device(epoch, net, batches, optimizer, "meta", moved)

    assert result["verdict"] == verdict, result
    assert detail in result["detail"]


def test_loops_have_to_move_their_model():
    def fit(net, batches, device):
        epoch(net, batches, torch.optim.SGD(net.parameters(), 0.1), device)

    result = moves_to_device(fit, nn.Linear(4, 3), [(torch.randn(2, 4), CPU_INDEX)], "meta")

    assert result["verdict"] == "mixed"
