"""``agrees``: a function or a class of the submission does what an oracle does, on every case of a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from torchgrade.errors import AuthoringError, SubmissionFault
from torchgrade.expect.behaviour import errors_text
from torchgrade.expect.contract import Asked, Contract, Near, builds_modules, contract
from torchgrade.expect.describe import describe
from torchgrade.expect.differences import difference
from torchgrade.expect.explain import call_text, free_mistakes, pattern
from torchgrade.expect.grid import Grid
from torchgrade.expect.likely import fail, is_proving, prove
from torchgrade.expect.tensors import Difference, Tolerance
from torchgrade.i18n import translate as _
from torchgrade.isolation.remote.client import Answer
from torchgrade.isolation.worker.cases import CaseResult

AS_IT_WAS = Tolerance(0.0, 0.0, equal_nan=True)
Mistakes = Mapping[str, Callable[..., Any]]


def agrees(
    function: Any,
    oracle: Callable[..., Any],
    grid: Grid,
    *,
    likely: Mistakes | None = None,
    gradients: bool = False,
    second_order: bool = False,
    unchanged: bool = False,
    refuses: Sequence[str] = (),
    of: str = "output",
    builds: bool | None = None,
    bound: Sequence[Any] = (),
    slack: float = 1.0,
    trivial: str | None = None,
    name: str | None = None,
    device: str = "cpu",
) -> None:
    """``function``, of the submission, does what ``oracle`` does on every case of ``grid``.

    All cases travel in one exchange, and each has its own outcome. Compared are kind, shape, dtype, device and values,
    as near as the dtype of the case allows (``slack`` times that); with ``gradients`` also the vector-Jacobian products
    with a random cotangent, for every operand and parameter (``second_order``: and their own); with ``unchanged``, that
    no argument is another after the call. Where the oracle raises an error that ``refuses`` names, the submission has
    to raise one of these; any other error of the oracle is the author's.

    Where ``oracle`` is a class of modules (or ``builds``), each case builds a module of its own, which ``training``,
    ``state``, ``steps`` and ``objects`` of the grid speak of; ``of="state"`` compares its state_dict after the last
    call in place of the output. ``bound`` is passed to the submission's function before the operands of each case; so
    ``function`` may also be one of the task's probes that calls the submission's function, which is ``bound`` then.

    ``likely`` maps a sentence to a function, called like the oracle, that makes this mistake; in place of a class of
    modules also a function whose first parameter is the first operand, and which takes the settings besides. The
    sentence is told when the mistake explains every case, those that hold, too. ``trivial`` is a reason as in
    ``expect.close``; ``name`` is what the report calls the function.

    Raises Mismatch or the submission's own fault, of the simplest case that fails; AuthoringError when the oracle
    cannot answer, and while a suite is being proven, for a contract without teeth.
    """
    clients = (getattr(one, "torchgrade_client", None) for one in (function, *bound))
    client = next((one for one in clients if one is not None), None)
    if client is None:
        raise AuthoringError("expect.agrees needs the submission's own function, such as submission.f.")
    builds = builds_modules(oracle) if builds is None else builds
    asked = Asked(builds, of, gradients or second_order, second_order, unchanged, tuple(refuses), str(device))
    known = contract(oracle, grid, asked)
    trial = _Trial(known, name or _name_of(function, oracle), slack)
    trial.ask(client, function, bound)
    if is_proving() and (likely or not trial.failing):
        trial.prove(likely or {}, trivial)
    if trial.failing:
        if of == "output" and getattr(function, "_spec", None) is not None:
            client.look_at_call(function)
        trial.fail(likely or {})


def _name_of(function: Any, oracle: Any) -> str:
    spec = getattr(function, "_spec", None)
    where = spec.where if spec is not None else None
    if spec is not None and spec.own and spec.type_name == "type":
        return str(spec.own)  # a class that inherits what is called stands elsewhere
    if where is not None:
        return str(where[2]).removesuffix("()").partition(".")[0]
    return str(vars(function).get("name") or getattr(oracle, "__name__", "f"))


@dataclass
class _Trial:
    """A contract, what a submission answered to it, and which cases fail."""

    known: Contract
    name: str
    slack: float

    def ask(self, client: Any, function: Any, bound: Sequence[Any]) -> None:
        known = self.known
        sent = [t for call in known.calls for t in call.tensors()] if is_proving() else []
        common = known.asked.common(known.cotangent)
        try:
            self.answers: list[Answer] = client.cases(
                function, known.question, len(known.calls), common, most=known.most, bound=bound, sent=sent
            )
        except SubmissionFault as fault:
            last = client.line.last_case()
            if last is not None and 0 <= last < len(known.calls) and not fault.given:
                fault.given = call_text(known, self.name, last)
            raise
        self.failing = [n for n in range(len(known.calls)) if not self._holds(n)]

    def _holds(self, n: int) -> bool:
        answer, truth = self.answers[n], self.known.truths[n]
        if truth.outcome is None:
            return self._refuses(answer)
        return answer.fault is None and self._difference(n) is None

    def _refuses(self, answer: Answer) -> bool:
        names = getattr(answer.fault, "type_names", ())
        return bool(set(names) & set(self.known.asked.refuses))

    def _difference(self, n: int) -> Difference | None:
        got, expected = self._outcome(n), self.known.truths[n].outcome
        assert expected is not None
        return self.known.difference(n, got, expected, self.slack) or self._changed(n)

    def _outcome(self, n: int) -> CaseResult:
        return CaseResult(self.answers[n].value, self.answers[n].gradients)

    def _changed(self, n: int) -> Difference | None:
        """The first argument that the call left in another state."""
        if not self.known.asked.unchanged:
            return None
        call, after = self.known.calls[n], self.answers[n].arguments
        before = [call.args, call.kwargs]
        found = difference(_values(after), _values(before), AS_IT_WAS)
        if found is None:
            return None
        for name, (one, other) in self._paired(call, after):
            change = difference(_values(other), _values(one), AS_IT_WAS)
            if change is not None:
                wanted = _("{name} as it was: {value}").format(name=name, value=change.expected)
                got = _("{value} after the call").format(value=change.got)
                return replace(change, expected=wanted, got=got, size=_("an argument is changed in place"))
        return found

    def _paired(self, call: Any, after: Any) -> list[tuple[str, tuple[Any, Any]]]:
        args, kwargs = after if isinstance(after, list) and len(after) == 2 else ([], {})
        names = list(call.operands) if call.args else []
        pairs = list(zip(names, zip(call.args, args, strict=False), strict=False)) if isinstance(args, list) else []
        if isinstance(kwargs, dict):
            pairs += [(name, (value, kwargs.get(name))) for name, value in call.kwargs.items()]
        return pairs

    # --- proving -----------------------------------------------------------------------------------------

    def prove(self, likely: Mistakes, trivial: str | None) -> None:
        """The truths are not trivial, no case meets a kink where gradients are compared, mistakes can be told apart."""
        known = self.known
        held = [n for n, truth in enumerate(known.truths) if truth.outcome is not None]
        jumping = next((n for n in held if known.truths[n].jumps), None)
        if jumping is not None:
            raise AuthoringError(
                f"The truth jumps where the inputs move a little, as at a kink or a tie, so that right code may differ:"
                f" {call_text(known, self.name, jumping)}. Choose other values, or leave such cases out with where=."
            )
        truths = [_plain(known.truths[n].outcome) for n in held]

        def same(one: Any, other: Any) -> bool:
            if isinstance(one, list) and len(one) == len(held) and isinstance(other, list) and len(other) == len(held):
                return all(self._same(n, a, b) for n, a, b in zip(held, one, other, strict=True))
            return difference(one, other, Near(slack=self.slack)) is None

        wrong = {}
        for text, mistake in likely.items():
            wrong[text] = [_plain(self.mistaken(mistake, n)) for n in held]
            if same(wrong[text], truths):  # a mistake of rounding, or of the dtype
                wrong[text] = [_plain(self.mistaken(mistake, n, exact=False)) for n in held]
        prove(truths, wrong, same, trivial=trivial, checks_values=True)

    def _same(self, n: int, one: Any, other: Any) -> bool:
        if isinstance(one, str) or isinstance(other, str):  # the name of an error
            return bool(type(one) is type(other) and one == other)
        return self.known.difference(n, CaseResult(*one), CaseResult(*other), self.slack) is None

    def mistaken(self, mistake: Callable[..., Any], n: int, exact: bool = True) -> CaseResult | str:
        """What a function with a known mistake answers to a case, or the name of the error that it raises.

        ``exact``: it computes in float64 and is rounded, as the oracle is; else as a submission would.
        """
        try:
            return self.known.answered(n, mistake, exact)
        except Exception as error:
            return type(error).__name__

    # --- failing -----------------------------------------------------------------------------------------

    def fail(self, likely: Mistakes) -> None:
        known, first = self.known, self.failing[0]
        given = call_text(known, self.name, first)
        if len(known.cases) > 1:
            given += "\n" + pattern(known, self.failing)
        answer = self.answers[first]
        if answer.fault is not None:
            if known.truths[first].outcome is not None or getattr(answer.fault, "is_todo", False):
                answer.fault.given = given
                raise answer.fault
            got = str(answer.fault)
            found = Difference(errors_text(known.asked.refuses), got, _("another error is raised"))
        elif known.truths[first].outcome is None:
            got = _("no error; the call returned {value}").format(value=describe(answer.value))
            found = Difference(errors_text(known.asked.refuses), got, _("no error is raised"))
        else:
            difference = self._difference(first)
            assert difference is not None
            found = difference
        tried = [*likely.items(), *free_mistakes(known)]
        sentence = next((text for text, mistake in tried if self.explains(mistake)), None)
        fail(found, likely={sentence: True} if sentence else None, matches=bool, given=given)

    def explains(self, mistake: Callable[..., Any]) -> bool:
        """Whether a function with this mistake gives what the submission gave, on every case; failing ones first.

        Where a mistake explains the failing cases alone, the submission makes another one, which looks like it there.
        """
        failing = set(self.failing)
        held = [n for n in range(len(self.known.cases)) if n not in failing]
        cases = [*self.failing, *held]
        return any(all(self._explained(mistake, n, exact) for n in cases) for exact in (True, False))

    def _explained(self, mistake: Callable[..., Any], n: int, exact: bool) -> bool:
        answer, wrong = self.answers[n], self.mistaken(mistake, n, exact)
        if answer.fault is None and self._changed(n):  # what happens to arguments is no question of values
            return False
        if isinstance(wrong, str) or answer.fault is not None:
            return isinstance(wrong, str) and wrong in getattr(answer.fault, "type_names", ())
        return self.known.difference(n, _like(self._outcome(n), wrong), wrong, self.slack) is None


def _like(got: CaseResult, wrong: CaseResult) -> CaseResult:
    """Of the gradients that came, those of which the mistaken function speaks."""
    if not isinstance(got.gradients, Mapping) or not isinstance(wrong.gradients, Mapping):
        return got
    return CaseResult(got.value, {name: got.gradients.get(name) for name in wrong.gradients})


def _plain(outcome: CaseResult | str | None) -> Any:
    return [outcome.value, outcome.gradients] if isinstance(outcome, CaseResult) else outcome


def _values(value: Any) -> Any:
    """Tensors without their graph, also inside of lists and dicts."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, (list, tuple)):
        return [_values(item) for item in value]
    if isinstance(value, dict):
        return {key: _values(item) for key, item in value.items()}
    return value
