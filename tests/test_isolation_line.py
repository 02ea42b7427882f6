"""Across the trust line: values, handles, gradients, shared memory, and what the decoder refuses."""

from __future__ import annotations

import struct
import time
import weakref
from collections.abc import Iterator

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchgrade.errors import AuthoringError, BadAnswer, LoadFailed, MissingName, SubmissionRaised, TimedOut, WorkerDied
from torchgrade.isolation.launch.launcher import Launcher, Limits, open_launcher
from torchgrade.isolation.remote.client import Client
from torchgrade.isolation.remote.line import LONGEST, WorkerLine
from torchgrade.isolation.remote.local_line import LocalLine
from torchgrade.isolation.remote.proxy import Handle, RemoteSubmission, RemoteTensor, connect
from torchgrade.isolation.wire.decoding import Decoder
from torchgrade.isolation.wire.encoding import Encoder
from torchgrade.isolation.wire.protocol import Caps, Frame, Unsendable, Violation, unpack_header
from torchgrade.submission import Source

TEXT = """
import numpy as np
import torch
from torch import nn

TABLE = {"a": [1, 2.5, None], 3: (True, "x")}

def echo(value):
    return value

def twice(x):
    return 2 * x

def square(x):
    return x * x

def cut(x):
    return (x * x).detach()

def add_one(x):
    x += 1
    return x

def facts(a):
    return a.strides, a.flags.writeable, a.dtype.str

def stride(x):
    return x.stride()

def fail():
    raise ValueError("no")

def leave():
    import os
    os._exit(3)

def huge():
    return torch.ones(1).expand(10**10)

def pretend(x):
    from torchgrade.errors import Mismatch
    raise Mismatch("the answer of the hidden check", str(x), message=str(x))

class Chain(list):
    def __call__(self, x):
        for step in self:
            x = step(x)
        return x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, x):
        return self.linear(x)
"""


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with open_launcher() as launcher:
        yield launcher


@pytest.fixture
def client(launcher: Launcher) -> Iterator[Client]:
    client = connect(WorkerLine(launcher.start(Limits()), Limits()))
    client.load("task", Source("task.py", {"task.py": TEXT.encode()}), None)
    client.begin(1, 60.0)
    yield client
    client.line.close()


@pytest.fixture
def submission(client: Client) -> RemoteSubmission:
    return RemoteSubmission(client)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 2**80, -1.5, float("inf"), "é", b"\0x", [1, (2, "a")], {"k": {3: 4.0}}, 1 + 2j, slice(1, None, 2), ...,
        torch.float16, np.dtype(">i4"), {1, 2}, np.float64(2.5), np.int8(-3),
    ],
    ids=repr,
)  # fmt: skip
def test_plain_values_come_back_as_they_went(submission: RemoteSubmission, value: object) -> None:
    back = submission.echo(value)
    assert back == value
    assert type(back) is type(value)


def test_a_list_that_can_be_called_stays_there_as_an_object(submission: RemoteSubmission) -> None:
    chain = submission.Chain([submission.twice, submission.square])
    assert isinstance(chain, Handle)
    assert torch.equal(chain(torch.tensor([3.0])), torch.tensor([36.0]))


def test_an_error_of_the_engine_raised_by_a_submission_is_an_exception_like_any(submission: RemoteSubmission) -> None:
    with pytest.raises(SubmissionRaised, match="Mismatch"):
        submission.pretend(3)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.bfloat16, torch.int16, torch.bool, torch.complex64, torch.uint8]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 5)])
def test_tensors_of_every_dtype(submission: RemoteSubmission, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = (torch.rand(shape) * 2).to(dtype)
    back = submission.echo(tensor)
    assert back.dtype == dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)


def test_arrays_keep_strides_order_and_flags(submission: RemoteSubmission) -> None:
    base = np.arange(24, dtype=">f4").reshape(4, 6)
    readonly = base.copy()
    readonly.flags.writeable = False
    for array in (base[::-1], base.T, base[1:, ::2], np.asfortranarray(base), readonly, base[:0]):
        strides, writeable, dtype = submission.facts(array)
        assert strides == array.strides or array.size == 0
        assert (writeable, dtype) == (array.flags.writeable, array.dtype.str)
        assert np.array_equal(submission.echo(array), array)


def test_tensors_keep_their_strides(submission: RemoteSubmission) -> None:
    image = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    for tensor in (image, image.transpose(1, 2), image[..., ::2], torch.ones(3).expand(2, 3)):
        assert submission.stride(tensor) == tensor.stride()
        assert torch.equal(submission.echo(tensor), tensor)


def test_large_tensors_travel_by_shared_memory(submission: RemoteSubmission) -> None:
    sent = torch.randn(3_000_001)
    back = submission.twice(sent)
    assert torch.equal(back, 2 * sent)
    back += 1  # the answer is ours to change
    assert torch.equal(submission.twice(sent), 2 * sent)
    mixed = submission.echo([sent, torch.ones(3), sent[:400_000]])
    assert all(torch.equal(a, b) for a, b in zip(mixed, [sent, torch.ones(3), sent[:400_000]], strict=True))


def test_an_answer_may_be_larger_than_a_file(launcher: Launcher) -> None:
    client = connect(WorkerLine(launcher.start(Limits(file_mb=2)), Limits()))
    client.load("task", Source("task.py", {"task.py": TEXT.encode()}), None)
    client.begin(1, 60.0)
    sent = torch.randn(3_000_001)  # 12 MB
    assert torch.equal(RemoteSubmission(client).twice(sent), 2 * sent)
    client.line.close()


def test_a_call_never_changes_what_was_sent(submission: RemoteSubmission) -> None:
    for size in (5, 2_000_000):
        sent = torch.zeros(size)
        assert float(submission.add_one(sent).sum()) == size
        assert float(sent.sum()) == 0.0


def test_module_data_comes_by_value(submission: RemoteSubmission) -> None:
    assert submission.TABLE == {"a": [1, 2.5, None], 3: (True, "x")}


def test_gradients_cross_the_line(submission: RemoteSubmission) -> None:
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(submission.square, (x,))
    submission.square(submission.twice(x)).sum().backward()
    assert torch.allclose(x.grad, 8 * x)


def test_a_cut_graph_shows(submission: RemoteSubmission) -> None:
    assert submission.cut(torch.ones(2, requires_grad=True)).grad_fn is None


def test_backward_fills_the_parameters_there_and_grad_does_not(submission: RemoteSubmission) -> None:
    net = submission.Net()
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    assert torch.equal(gradient, net.linear.weight.fetch())
    assert net.linear.weight.grad is None
    net(x).sum().backward()
    net(x).sum().backward()
    assert torch.equal(net.linear.weight.grad, torch.tensor([[2.0, 4.0]]))


def test_handles_keep_identity_and_describe_themselves(submission: RemoteSubmission) -> None:
    net = submission.Net()
    assert isinstance(net, Handle)
    assert net.type_name == "Net"
    assert net.is_a("Module")
    assert net.linear == net.linear
    weight = net.linear.weight
    assert isinstance(weight, RemoteTensor)
    assert (weight.shape, weight.dtype, weight.requires_grad, weight.is_leaf) == ((1, 2), torch.float32, True, True)
    assert [name for name, _ in net.named_parameters()] == ["linear.weight", "linear.bias"]
    net.eval()
    assert net.training is False
    assert set(net.state_dict()) == {"linear.weight", "linear.bias"}
    net.load_state_dict({"linear.weight": torch.ones(1, 2), "linear.bias": torch.zeros(1)})
    assert torch.equal(net(torch.tensor([1.0, 2.0])), torch.tensor([3.0]))
    assert torch.allclose(net.linear.weight, torch.ones(1, 2))


def test_held_values_are_passed_by_reference(submission: RemoteSubmission) -> None:
    held = submission.hold(torch.zeros(3))
    submission.add_one(held)
    submission.add_one(held)
    assert torch.equal(held.fetch(), torch.full((3,), 2.0))


def test_objects_are_released() -> None:
    """What no handle speaks of any more is forgotten with the next request, and what one still speaks of is not."""
    client = connect(LocalLine())
    client.load("task", Source("task.py", {"task.py": TEXT.encode()}), None)
    submission, held = RemoteSubmission(client), client.line.server.objects._by_id
    kept = submission.Net()
    for _ in range(50):
        submission.Net()
    assert len(held) <= 3  # the class, the one that is kept, the last one
    assert kept.type_name == "Net"
    assert kept._spec.id in held
    del kept
    submission.Net()
    submission.Net()
    assert len(held) <= 3


def test_an_inherited_class_method_is_placed_in_its_class() -> None:
    text = """
import torch

class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x
"""
    client = connect(LocalLine())
    client.load("task", Source("task.py", {"task.py": text.encode()}), None)
    assert RemoteSubmission(client).Twice.apply._spec.where == ("task.py", 5, "Twice.forward()")


def test_faults_have_names(client: Client, submission: RemoteSubmission) -> None:
    with pytest.raises(SubmissionRaised) as raised:
        submission.fail()
    assert raised.value.type_names[0] == "ValueError"
    assert raised.value.frames[-1].function == "fail"
    with pytest.raises(MissingName) as missing:
        submission.sqare  # noqa: B018
    assert missing.value.near[0] == "square"
    with pytest.raises(BadAnswer, match=r"40\.0 GB"):
        submission.huge()
    with pytest.raises(WorkerDied, match="exit status 3"):
        submission.leave()
    with pytest.raises(WorkerDied):
        submission.twice(torch.ones(1))


BUSY = """
import os

def compute():
    for _ in range(12):
        if os.fork() == 0:
            while True:
                pass
    while True:
        pass
"""


def test_what_its_children_compute_counts_for_a_check(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """They cannot make it longer by keeping the processors from the worker."""
    line = WorkerLine(launcher.start(Limits()), Limits())
    client = connect(line)
    client.load("task", Source("task.py", {"task.py": BUSY.encode()}), None, 60.0)
    # As on a machine that is so busy that the worker only ever waits.
    monkeypatch.setattr("torchgrade.isolation.remote.line._run_delay", lambda pid: time.monotonic())
    client.begin(1, 1.5)
    used, started = line.process.cpu_seconds(), time.monotonic()
    with pytest.raises(TimedOut) as caught:
        RemoteSubmission(client).compute()
    took, used = time.monotonic() - started, line.process.cpu_seconds() - used
    line.process.close()
    assert used < 1.5 + 2.0
    assert not caught.value.starved or took > 1.5 * LONGEST


def test_a_suite_cannot_send_objects(submission: RemoteSubmission) -> None:
    with pytest.raises(AuthoringError, match="probes"):
        submission.echo(torch.nn.Linear(1, 1))


def test_a_file_that_does_not_load(launcher: Launcher) -> None:
    client = connect(WorkerLine(launcher.start(Limits()), Limits()))
    with pytest.raises(LoadFailed, match=":2, column"):
        client.load("task", Source("task.py", {"task.py": b"x = 1\ny = = 2\n"}), None)
    client.line.close()


# --- what the decoder refuses --------------------------------------------------------------------------------


def refuse(value: object) -> list[object]:
    raise Unsendable("an object")


BODIES = [
    msgpack.Timestamp(1),
    ["T", 0, "float32", [-1], None, "cpu", False],
    ["T", 0, "float32", [2.0], None, "cpu", False],
    ["T", 0, "float32", [True], None, "cpu", False],
    ["T", 0, "object", [1], None, "cpu", False],
    ["T", 9, "float32", [1], None, "cpu", False],
    ["T", 0, "float32", [1 << 50], None, "cpu", False],
    ["T", 0, "float32", [2], [10**9], "cpu", False],
    ["T", 0, "float32", [10**8], [0], "cpu", False],
    ["A", 0, "<f4", [10**8], [0], 0, True],
    ["l", ["T", 0, "float32", [1], None, "cpu", False], ["T", 0, "float32", [1], None, "cpu", False]],
    ["d", ["t", 1, 2], 1],
    ["d", ["x", "int", hex(1 << 63)], 1],
    ["d", ["x", "complex", [1.0, 2.0]], 1],
    ["x", "set", [[1]]],
    ["T", -1, "float32", [0, 1 << 39, 1 << 39], None, "meta", False],
    ["T", 0, "float32", [1], None, "cuda:77", False],
    ["T", 0, "bool", [4], None, "cpu", False],
    ["A", 0, "|O8", [1], None, 0, True],
    ["A", 0, "<f4", [9], None, 0, True],
    ["A", 0, "|b1", [4], None, 0, True],
    ["d", "k"],
    ["d", ["l"], 1],
    ["z"],
    [],
    [3],
    {"k": 1},
    ["x", "pickle", b"..."],
    ["x", "dtype", "object"],
    ["x", "int", "zz"],
]


@pytest.mark.parametrize("body", BODIES, ids=repr)
def test_the_decoder_refuses(body: object) -> None:
    with pytest.raises(Violation):
        Decoder([bytearray(b"\xff" * 4)], lambda rest: None).decode(body)


def test_a_fault_does_not_keep_the_reply_alive() -> None:
    """A grader serves many: what one worker sent is gone with its check, though the fault is still told."""

    class Part(list):  # type: ignore[type-arg]
        """A list that can be referred to weakly."""

    class Silent(LocalLine):
        def exchange(self, frame: Frame, sequence: int, caps: Caps) -> tuple[object, list[object]]:
            part = Part(["pickle", b"x"])
            sent.append(weakref.ref(part))
            return ["l", sequence, "ok", part], []

    sent: list[weakref.ref[Part]] = []
    with pytest.raises(BadAnswer, match="protocol") as caught:
        connect(Silent()).request("get", on=None, name="f")
    assert sent[0]() is None
    assert caught.value.__context__ is None


def test_depth_and_count_are_limited() -> None:
    deep: list[object] = ["l"]
    for _ in range(100):
        deep = ["l", deep]
    for body in (deep, ["l", *([None] * 300_000)]):
        with pytest.raises(Violation, match="too deep or too many"):
            Decoder([], lambda rest: None).decode(body)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xc1", b"\x91" * 600, struct.pack(">BI", 0xDD, 0xFFFFFFFF), msgpack.packb([1]), msgpack.packb([None, [["f", -1]]]),
        msgpack.packb([None, [["f", 1 << 40]]]), msgpack.packb([None, [["f", 1 << 29]] * 9]), msgpack.packb([msgpack.ExtType(5, b"x"), []]),
        b"\x92\xa2\xff\xfe\x90",
    ],
    ids=repr,
)  # fmt: skip
def test_a_bad_header_is_refused(raw: bytes) -> None:
    with pytest.raises(Violation):
        unpack_header(raw)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(plain)
def test_plain_data_makes_the_round_trip(value: object) -> None:
    frame = Encoder(refuse).encode(value)
    body, _ = unpack_header(frame.header()[4:])
    assert repr(Decoder(frame.raw, lambda rest: None).decode(body)) == repr(value)
