"""What a right answer is worth when another check says otherwise: pure functions over what all checks of a job met.

Two things hold points back. A rule that is broken holds what the functions that break it earned, and what calls them.
And what a function does beside its values (rules kept, arguments unchanged, few calls, any device) is worth nothing
while the values are wrong: else ``return None`` would earn it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torchgrade.checks import CheckSpec, Rule
from torchgrade.i18n import translate as _
from torchgrade.isolation.remote.client import Ran
from torchgrade.model import Outcome, Status

VALUES = ("values", "gradients", "convergence", "accuracy")
SIZES = ("shapes", "parameters")
Breaks = Callable[[Rule, Ran, str], list[str]]


@dataclass(frozen=True)
class Record:
    """One check on one device: its outcome, the names it took of the submission, and what ran below them."""

    spec: CheckSpec
    outcome: Outcome
    touched: frozenset[str] = frozenset()
    ran: Ran = field(default_factory=Ran)
    blamed: frozenset[str] = frozenset()  # the names that a failure is about
    substituted: Mapping[str, str] = field(default_factory=dict)  # names that it passed without, and what they wait for
    led: str | None = None  # the definition that a learner is led to by the check's own finding

    @property
    def passed(self) -> bool:
        return self.outcome.status is Status.PASSED

    def is_about(self, names: Iterable[str]) -> bool:
        return not self.touched.union(self.ran.called, self.ran.of).isdisjoint(names)


def held(records: Sequence[Record], breaks: Breaks) -> list[Outcome]:
    """The outcomes, with what other checks hold back. ``breaks`` says what of a rule's a name's calls became."""
    outcomes = [record.outcome for record in records]
    for index, record in enumerate(records):
        if not record.spec.gates:
            continue
        broken = _broken(record, records, breaks)
        if record.passed and broken:
            outcomes[index] = _failed(record.outcome, record.spec.gates, broken)
        sentence = _('right, but held back by a rule that is broken: "{title}"').format(title=record.outcome.title)
        for other, found in enumerate(records):
            if other != index and found.passed and found.is_about(broken):
                outcomes[other] = replace(outcomes[other], status=Status.HELD, message=sentence)
    for index, record in enumerate(records):
        if outcomes[index].status is Status.PASSED and record.spec.category not in (*VALUES, *SIZES):
            wrong = sorted(name for name in record.touched if not _is_proven(name, records))
            if wrong:
                sentence = _("right, but it counts once the values of {name} are right").format(name=wrong[0])
                outcomes[index] = replace(outcomes[index], status=Status.HELD, message=sentence)
    return outcomes


def _broken(rule_check: Record, records: Sequence[Record], breaks: Breaks) -> dict[str, tuple[str, ...]]:
    """The names that break one of the check's rules, and by what; a check that failed says itself of which."""
    found: dict[str, tuple[str, ...]] = {}
    for rule in rule_check.spec.gates:
        for name in rule.of:
            ran = dict.fromkeys(what for record in records for what in breaks(rule, record.ran, name))
            if ran:
                found[name] = tuple(ran)
    if rule_check.outcome.status is Status.FAILED:
        found = {**dict.fromkeys(rule_check.blamed, ()), **found}
    return found


def _failed(outcome: Outcome, rules: Sequence[Rule], broken: Mapping[str, Sequence[str]]) -> Outcome:
    """A rule that was kept where the check looked, and broken in a call of another check."""
    name, what = next(iter(broken.items()))
    rule = next(rule for rule in rules if name in rule.of)
    return replace(
        outcome,
        status=Status.FAILED,
        message=_("a rule of the task is broken"),
        given=name,
        expected=rule.wanted(what),
        got=_("{names} ran").format(names=", ".join(what)),
    )


def _is_proven(name: str, records: Sequence[Record]) -> bool:
    """Whether a check of what ``name`` computes passed: of its values, or of its sizes where no value is asked."""
    for categories in (VALUES, SIZES):
        about = [record for record in records if record.spec.category in categories and name in record.touched]
        if about:
            return any(record.passed for record in about)
    return True
