"""What a call does to a network: the mode that it leaves, and the parameters that it moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import eq
from typing import Any

from torchgrade.errors import AuthoringError
from torchgrade.expect.likely import Likely, fail, meet
from torchgrade.expect.tensors import Difference
from torchgrade.i18n import also
from torchgrade.i18n import translate as _
from torchgrade.isolation.worker.probes import moved, passes_seen


def restores_mode(
    net: Any,
    fn: Any,
    *args: Any,
    ran: bool | None = None,
    likely: Likely | None = None,
    given: str | None = None,
) -> None:
    """``fn(*args)`` leaves ``net`` in the mode in which it came, training or evaluation; both are tried.

    ``ran`` is the mode that every pass of ``net`` has meanwhile, None where any will do. ``fn`` is the submission's,
    ``args`` hold ``net``. ``likely`` maps a sentence to the modes (True: training) of the passes.
    Raises Mismatch, also when ``net`` ran no pass at all.
    """
    meet(likely)
    for came in (True, False):
        net.train(came)
        passes = [row["training"] for row in passes_seen(net, fn, *args)]
        left = net.training
        says = [text for text in (given, _("a network that came in {mode} mode").format(mode=_mode(came))) if text]
        if not passes:
            fail(Difference(_("a pass of the network"), _("none"), _("it does not run")), given=also(*says))
        if ran is not None and set(passes) != {ran}:
            count = sum(mode is not ran for mode in passes)
            wanted = _("every pass in {mode} mode").format(mode=_mode(ran))
            got = _("{count} of {total} passes in {mode} mode")
            got = got.format(count=count, total=len(passes), mode=_mode(not ran))
            found = Difference(wanted, got, _("the mode is another"))
            fail(found, likely=likely, matches=partial(eq, passes), given=also(*says))
        if left is not came:
            wanted, got = (_("a network in {mode} mode afterwards").format(mode=_mode(mode)) for mode in (came, left))
            fail(Difference(wanted, got, _("the mode is not given back")), given=also(*says))


def _mode(training: bool) -> str:
    return _("training") if training else _("evaluation")


def moves_only(
    net: Any, fn: Callable[..., Any], *args: Any, names: Iterable[str] = (), given: str | None = None
) -> None:
    """``fn(*args)`` changes exactly those entries of ``net.state_dict()`` whose name starts with one of ``names``.

    Without names it changes nothing. ``fn`` is the submission's, ``args`` hold ``net``. Raises Mismatch, naming the
    entries; AuthoringError when the network has no entry of such a name.
    """
    starts = tuple(names)
    changed, kept = moved(net, fn, *args)
    if starts and not any(name.startswith(starts) for name in [*changed, *kept]):
        raise AuthoringError(f"expect.moves_only: the network has no entry whose name starts with {starts}.")
    besides = [name for name in changed if not (starts and name.startswith(starts))]
    if besides:
        wanted = _("{names} as before").format(names=_listed(besides))
        fail(Difference(wanted, _("other values after the call"), _("what should stay has moved")), given=given)
    still = [name for name in kept if starts and name.startswith(starts)]
    if still:
        wanted = _("{names} moved").format(names=_listed(still))
        fail(Difference(wanted, _("the values that it had before"), _("what should move has stayed")), given=given)


def _listed(names: list[str], most: int = 3) -> str:
    more = len(names) - most
    text = ", ".join(names[:most])
    return text if more <= 0 else _("{text} and {more} more").format(text=text, more=more)
