"""What a suite holds in its hands: the submission, handles to its objects, and tensors that carry gradients.

``submission.max_pool2d(x, 2)`` is an ordinary call, although the code runs in another process: tensors go and
come by value, and gradients flow through it (``remote_call``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from torchgrade.errors import BadAnswer
from torchgrade.isolation.remote.client import Client, Remote
from torchgrade.isolation.remote.line import Line
from torchgrade.isolation.wire.protocol import TORCH_DTYPES, ObjectSpec

# Every module has these, and suites call them again and again.
MODULE_METHODS = frozenset(
    ("double", "eval", "float", "half", "load_state_dict", "requires_grad_", "state_dict", "to", "train", "zero_grad")
)


class Handle(Remote):
    """An object that stays in the worker: a module, an optimiser, a loader, a function, a class."""

    _client: Client
    _spec: ObjectSpec
    _made: tuple[str, int, str] | None

    def __init__(self, client: Client, spec: ObjectSpec) -> None:
        object.__setattr__(self, "_client", client)
        object.__setattr__(self, "_spec", spec)
        object.__setattr__(self, "_made", client.seen.where)  # by the call whose answer this is
        client.hold(spec.id)

    def __del__(self) -> None:
        self._client.drop(self._spec.id)

    def _reference(self) -> list[Any]:
        return [self._spec.id]

    @property
    def torchgrade_client(self) -> Client:
        return self._client

    @property
    def type_name(self) -> str:
        """The name of the object's class."""
        return self._spec.type_name

    def is_a(self, name: str) -> bool:
        """Whether the object says that its class derives from ``name``, such as ``torch.nn.modules.module.Module``."""
        return any(base == name or base.rpartition(".")[2] == name for base in self._spec.bases)

    def fetch(self) -> Any:
        """The value, where the object is data that is held in the worker."""
        return self._client.request("fetch", on=self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._client.seen.where = self._spec.where or self._client.seen.where
        self._client.seen.call = (self._spec.own or self._spec.type_name, args, kwargs)
        self._client.seen.last = self._spec.own or self._client.seen.last
        return self._client.differentiable("call", on=self, args=list(args), kwargs=kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if name in MODULE_METHODS and self.is_a("torch.nn.modules.module.Module"):
            return self._method(name)
        return self._client.request("get", on=self, name=name)

    def _method(self, name: str) -> Callable[..., Any]:
        """Asks for the method and calls it in one exchange."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._client.differentiable("call", on=self, method=name, args=list(args), kwargs=kwargs)

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        self._client.request("set", on=self, name=name, value=value)

    def __getitem__(self, key: Any) -> Any:
        return self._client.request("item", on=self, key=key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._client.request("set_item", on=self, key=key, value=value)

    def __len__(self) -> int:
        size = self._client.request("length", on=self)
        if type(size) is not int:
            raise BadAnswer("its length is not a number")
        return size

    def __iter__(self) -> Iterator[Any]:
        return iter(self._client.request("items", on=self))

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and self._client is other._client and self._spec.id == other._spec.id

    def __hash__(self) -> int:
        return hash(self._spec.id)

    def __repr__(self) -> str:
        return f"<{self._spec.type_name} in the worker>"


class RemoteTensor(Handle):
    """A parameter, or a tensor held in the worker: described here, fetched only when its values are asked for."""

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self._facts[1])

    @property
    def dtype(self) -> torch.dtype:
        return TORCH_DTYPES[self._facts[0]]

    @property
    def device(self) -> torch.device:
        return torch.device(self._facts[2])

    @property
    def requires_grad(self) -> bool:
        return self._facts[3]

    @property
    def is_leaf(self) -> bool:
        return self._facts[4]

    @property
    def ndim(self) -> int:
        return len(self._facts[1])

    @property
    def grad(self) -> torch.Tensor | None:
        value = self._client.request("gradient", on=self)
        if value is not None and not isinstance(value, torch.Tensor):
            raise BadAnswer("a gradient that is not a tensor")
        return value

    @property
    def _facts(self) -> tuple[str, tuple[int, ...], str, bool, bool]:
        """Asked anew each time, since a call may have changed them."""
        facts = self._client.request("describe", on=self)._spec.tensor
        if facts is None:
            raise BadAnswer("an object that is no tensor any more")
        return facts  # type: ignore[no-any-return]

    def numel(self) -> int:
        return self.shape.numel()

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self.ndim

    def detach(self) -> torch.Tensor:
        value = self.fetch()
        if not isinstance(value, torch.Tensor):
            raise BadAnswer("a parameter that is not a tensor")
        return value

    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.detach())

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*_fetched(args), **_fetched(kwargs or {}))


def _fetched(value: Any) -> Any:
    if isinstance(value, RemoteTensor):
        return value.detach()
    if isinstance(value, (list, tuple)):
        return type(value)(_fetched(item) for item in value)
    if isinstance(value, dict):
        return {key: _fetched(item) for key, item in value.items()}
    return value


def make_handle(client: Client, spec: ObjectSpec) -> Handle:
    return RemoteTensor(client, spec) if spec.tensor is not None else Handle(client, spec)


def connect(line: Line) -> Client:
    """The client that asks over ``line``; what stays on its other side becomes handles of this module."""
    return Client(line, make_handle)


class ProbeFunction(Remote):
    """One function of the task's ``probes.py``: call it, or pass it to a call, where it arrives as itself."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    def _reference(self) -> list[Any]:
        return [-1, self.name]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._client.probe(self.name, args, kwargs)


class Probes:
    """The functions of the task's ``probes.py``, run beside the submission."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return ProbeFunction(self._client, name)


class RemoteSubmission:
    """The learner's module. Its names are attributes; what is plain data comes by value."""

    def __init__(self, client: Client) -> None:
        self.__dict__["_client"] = client
        self.__dict__["_known"] = {}
        self.__dict__["probes"] = Probes(client)

    @property
    def torchgrade_client(self) -> Client:
        client: Client = self.__dict__["_client"]
        return client

    def hold(self, value: Any, requires_grad: bool = False) -> Any:
        """Put a tensor or an array into the worker; the handle passes it by reference."""
        return self._client.request("hold", value=value, requires_grad=requires_grad)

    def make(self, cls: Any, *args: Any, **kwargs: Any) -> Any:
        """``cls(*args, **kwargs)`` beside the submission, for a class of torch: a loss, an optimiser, a layer."""
        return self._client.differentiable("call", on=cls, args=list(args), kwargs=kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        self._client.touch(name)
        if name not in self._known:
            value = self._client.request("get", on=None, name=name)
            if not isinstance(value, Handle):
                return value
            self._known[name] = value
        return self._known[name]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a suite does not write into the submission")
