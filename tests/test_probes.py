"""Probes on real objects: what modules hold, what ran, what it cost, what shares memory."""

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    buffers,
    feature_maps,
    fill_by_shape,
    flops,
    lean,
    on_meta,
    operator_growth,
    operators,
    parameter_count,
    parameter_gradients,
    peak_memory,
    registered_parameters,
    shares_memory,
)
from torchgrade.errors import Mismatch
from torchgrade.isolation.worker import probes
from torchgrade.isolation.worker.registry import PROBES

X = torch.randn(2, 3, 8, 8)


def small_net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


def test_importing_the_package_registers_every_probe():
    assert set(probes.__all__) == {name for name in PROBES if PROBES[name].__module__.startswith(probes.__name__)}


def test_parameters_and_buffers():
    net = small_net()
    net[0].bias.requires_grad_(False)
    assert parameter_count(net) == 4 * 28 + 8
    assert parameter_count(net, trainable=True) == 4 * 27 + 8
    assert parameter_count(net, trainable=False) == 4
    assert registered_parameters(net)[1] == {
        "name": "0.bias",
        "shape": [4],
        "dtype": "float32",
        "requires_grad": False,
    }
    assert [row["name"] for row in buffers(net)] == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


def test_shared_parameters_count_once_and_overrides_are_not_believed():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = self.b = nn.Linear(2, 2)

        def parameters(self, recurse=True):
            return iter([torch.zeros(1000)])

        def named_parameters(self, *args, **kwargs):
            return iter([("w", torch.zeros(1000))])

    assert parameter_count(Net()) == 6
    assert len(registered_parameters(Net())) == 2


@pytest.mark.parametrize("junk", [None, torch.ones(3), "net", nn.Linear])
def test_what_is_no_module_is_a_mismatch(junk):
    for probe in (parameter_count, registered_parameters, buffers, feature_maps, fill_by_shape, parameter_gradients):
        with pytest.raises(Mismatch) as caught:
            probe(junk)
        assert caught.value.expected == "a torch.nn.Module"


def test_feature_maps_follow_the_calls_and_leave_the_buffers():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.late, self.unused, self.early = nn.ReLU(), nn.ReLU(), small_net()

        def forward(self, x):
            return self.late(self.late(self.early(x)))

    net = Twice()
    rows = feature_maps(net, X)

    assert [(row["name"], row["calls"]) for row in rows] == [
        ("", 1),
        ("early", 1),
        ("early.0", 1),
        ("early.1", 1),
        ("early.2", 1),
        ("late", 2),
    ]
    assert rows[2] == {"name": "early.0", "type": "Conv2d", "shape": [2, 4, 6, 6], "calls": 1}
    assert torch.equal(net.early[1].running_mean, torch.zeros(4))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_a_network_on_meta_is_traced_without_memory():
    net = on_meta(nn.Linear, 100_000, 100_000)
    assert parameter_count(net) == 100_000 * 100_001
    assert feature_maps(net, torch.zeros(2, 100_000))[0]["shape"] == [2, 100_000]


def test_operators():
    seen = operators(lambda x, w: torch.conv2d(x, w).data.relu_(), X, torch.randn(4, 3, 3, 3))
    assert seen["functions"] == {"conv2d": 1, "data": 1, "relu_": 1}
    assert seen["operators"]["convolution"] == 1
    assert seen["operators"]["relu_"] == 1


def test_operator_growth_tells_loops_from_vectorised_code():
    small, big = torch.ones(10, 4), torch.ones(40, 4)
    assert operator_growth(lambda x: (x * 2).sum(1), small, big) == 1.0
    assert operator_growth(lambda x: torch.stack([row.sum() for row in x]), (small,), (big,)) > 3


def test_line_growth_tells_loops_over_numbers_and_leaves_a_tracer_in_place():
    small, big = torch.ones(10, 4), torch.ones(40, 4)
    assert probes.line_growth(lambda x: (x * 2).sum(1), small, big) == 1.0
    assert probes.line_growth(lambda x: [number + 1 for row in x.tolist() for number in row], (small,), (big,)) > 3
    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError):
        probes.line_growth(lambda x: 1 / 0, small, big)
    assert sys.gettrace() is before


def test_flops():
    assert flops(torch.conv2d, X, torch.randn(4, 3, 3, 3)) == 2 * 2 * 4 * 6 * 6 * 27
    assert flops(nn.Linear(5, 7), torch.randn(3, 5)) == 2 * 3 * 5 * 7


def test_peak_memory_counts_what_lives_at_one_time():
    x = torch.randn(1000)  # 4000 bytes
    assert peak_memory(lambda x: x + 1, x) == 4000
    assert peak_memory(lambda x: ((x + 1) * 2) - 3, x) == 8000
    assert peak_memory(lambda x: [x + i for i in range(5)], x) == 20_000
    assert peak_memory(lambda x: [float((x + i).sum()) for i in range(5)], x) < 5000
    assert peak_memory(lambda x: x.view(10, 100).T, x) == 0
    assert peak_memory(lambda x: x.add_(1), x) == 0
    net = nn.Linear(1000, 10)
    assert peak_memory(net, x) == 40


def test_fill_by_shape_is_blind_to_names_and_order():
    class Renamed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.first = nn.BatchNorm2d(4), nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return torch.relu(self.norm(self.first(x)))

    one, other = small_net().eval(), Renamed().eval()
    assert not torch.allclose(one(X), other(X))
    fill_by_shape(one)
    fill_by_shape(other)
    assert torch.equal(one(X), other(X))
    assert (one[1].running_var > 0).all()
    assert one[1].num_batches_tracked == 0
    double = small_net().double()
    fill_by_shape(double)
    assert torch.equal(double[0].weight.float(), one[0].weight)
    bare = on_meta(small_net)
    fill_by_shape(bare)
    assert torch.equal(bare.eval()(X), one(X))


def test_a_block_makes_a_wide_network_compute_what_a_narrow_one_does():
    wide = on_meta(nn.Sequential, nn.Conv2d(3, 40, 3), nn.ReLU(), nn.Conv2d(40, 50, 3, bias=False))
    used = nn.Sequential(nn.Conv2d(3, 40, 3), nn.ReLU(), nn.Conv2d(40, 50, 3, bias=False))
    for net in (wide, used):
        fill_by_shape(net, 5)
        assert int((net[2].weight != 0).sum()) == 5 * 5 * 9
        assert net[0].bias.count_nonzero() == 40
    assert torch.equal(wide(X), used(X))
    narrow = torch.relu(F.conv2d(X, used[0].weight[:5], used[0].bias[:5]))
    assert torch.allclose(wide(X)[:, :5], F.conv2d(narrow, used[2].weight[:5, :5]), atol=1e-5)


def test_a_lean_network_is_built_without_memory_where_that_is_possible():
    assert lean(nn.Linear, 2, 3).weight.is_meta

    def stubborn(width):
        return nn.Linear(int(torch.tensor(float(width)).item()), 3)

    assert not lean(stubborn, 2).weight.is_meta


@pytest.mark.parametrize("norm", [True, False])
def test_a_deep_network_stays_finite_when_filled(norm):
    layers = [
        [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.ReLU()] for _ in range(40)
    ]
    net = nn.Sequential(nn.Conv2d(3, 8, 1), *(layer for block in layers for layer in block)).eval()
    fill_by_shape(net)
    scale = net(X).std().item()
    assert 1e-3 < scale < 1e4


def test_shares_memory():
    x, a = torch.arange(10.0), np.arange(10.0)
    assert shares_memory(x, x[3:])
    assert shares_memory(x, x.numpy())
    assert shares_memory(x.view(2, 5).T, x[:1])
    assert shares_memory(a[::-1], a[:1])
    assert shares_memory(torch.from_numpy(a), a)
    assert not shares_memory(x, x.clone())
    assert not shares_memory(x[:5], x[5:])
    assert not shares_memory(a, a.copy())
    assert not shares_memory(x[:0], x)
    with pytest.raises(TypeError, match="tensors and arrays"):
        shares_memory(x, [1.0])


def test_probes_import_nothing_above_the_trust_line():
    """The worker holds the engine's probes and what they read sources with, and neither suites nor expectations."""
    import subprocess

    code = (
        "import sys; import torchgrade.isolation.worker.probes;"
        "print(sorted(m for m in sys.modules if m.startswith('torchgrade.') and 'isolation' not in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['torchgrade.errors', 'torchgrade.handin', 'torchgrade.handin.source']"
