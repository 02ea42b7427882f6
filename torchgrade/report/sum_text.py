"""How the sum behind a mark reads: one table for every output, a line of arithmetic, and the rules in sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from torchgrade.i18n import noop, plural
from torchgrade.i18n import translate as _
from torchgrade.marks import HandPart
from torchgrade.model import short_name
from torchgrade.policy import LateRule, Policy
from torchgrade.sums import Late, TaskSum, Total

COUNTS = {
    "counted": "", "dropped": noop("not counted"), "bonus": noop("bonus, on top"), "no": noop("does not count"),
}  # fmt: skip
_MINUS = "\N{MINUS SIGN}"


def number(value: float | None) -> str:
    """As every output prints it; nothing where there is none."""
    return "" if value is None else f"{value:.6g}"


def points_of(part: HandPart) -> str:
    return f"{_('open') if part.points is None else number(part.points)}/{number(part.max_points)}"


@dataclass(frozen=True)
class SumTable:
    """The sum as texts: a heading, a row for each task, and the line that makes the total of them."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: str


def sum_table(mark: Total) -> SumTable:
    """Of columns that say nothing for this student there are none."""
    terms: dict[str, Callable[[TaskSum], str]] = {
        _("by people"): lambda line: number(line.by_hand),
        _("bonus"): lambda line: number(line.bonus or None),
        _("set by hand"): lambda line: number(line.override),
        _("late"): lambda line: f"{_MINUS}{number(line.late.cost)}" if line.late and line.late.cost else "",
    }
    terms = {name: cell for name, cell in terms.items() if any(map(cell, mark.lines))}
    checks = {_("checks"): lambda line: number(line.checks)} if terms else {}
    weights: dict[str, Callable[[TaskSum], str]] = {
        _("weight"): lambda line: number(line.weight) if line.counts in ("counted", "bonus") else "",
        _("share × weight"): _part,
    }
    weighed = any(line.weight != line.max_points for line in mark.lines if line.counts in ("counted", "bonus"))
    notes = {"": lambda line: _(COUNTS[line.counts])} if any(COUNTS[line.counts] for line in mark.lines) else {}
    shown: dict[str, Callable[[TaskSum], str]] = {
        _("task"): lambda line: short_name(line.task),
        **checks,
        **terms,
        _("points"): lambda line: _("open") if line.points is None else number(line.points),
        _("of"): lambda line: number(line.max_points),
        _("share"): lambda line: "" if line.points is None else percent(line.share),
        **(weights if weighed else {}),
        **notes,
    }
    rows = tuple(tuple(cell(line) for cell in shown.values()) for line in mark.lines)
    return SumTable(tuple(shown), rows, total_words(mark))


def _part(line: TaskSum) -> str:
    worth = line.counts in ("counted", "bonus") and line.points is not None
    return number(line.weight * line.share) if worth else ""


def total_words(mark: Total) -> str:
    """``18.2 of 24 = 75.83 %``: what the parts of the total add up to, by their weights."""
    if mark.percent is None:
        return _("not complete yet; open: {tasks}").format(tasks=", ".join(mark.open_tasks))
    parts = sum(line.weight * line.share for line in mark.lines if line.counts in ("counted", "bonus"))
    words = _("total: {parts} of {weight} = {percent}")
    return words.format(parts=number(parts), weight=number(mark.weight), percent=percent_words(number(mark.percent)))


def percent(share: float) -> str:
    return percent_words(f"{round(100 * share, 2):.6g}")


def percent_words(value: str) -> str:
    """The number with its sign, which some languages set apart from it."""
    return _("{value} %").format(value=value)


def line_words(line: TaskSum) -> str:
    """``20 checks + 3 by people − 2.3 late = 20.7 of 28 points (73.93 %)``: the arithmetic of one task."""
    if line.override is not None:
        return _("{points} of {most} points, set by hand").format(
            points=number(line.points), most=number(line.max_points))  # fmt: skip
    if line.points is None:
        return _("open")
    terms = [(line.checks, _("checks")), (line.by_hand, _("by people")), (line.bonus or None, _("bonus"))]
    told = [_term(points, word) for points, word in terms if points is not None]
    late = f" {_MINUS} {_term(line.late.cost, _('late'))}" if line.late and line.late.cost else ""
    last = _("{points} of {most} points ({share})").format(
        points=number(line.points), most=number(line.max_points), share=percent(line.share))  # fmt: skip
    return f"{' + '.join(told)}{late} = {last}" if len(told) > 1 or late else last


def _term(points: float, what: str) -> str:
    return _("{points} {what}").format(points=number(points), what=what)


def late_words(late: Late) -> str:
    """Why being late cost what it cost."""
    if late.over is None:
        return _("Handed in late; by how much is not known, and nothing is taken off.")
    came = _("Handed in {time} late").format(time=span(late.over + (late.rule.grace if late.rule else timedelta())))
    if late.days:
        came += plural(", {count} grace day used", ", {count} grace days used", late.days)
    if late.rule is None or not late.cost:
        return _("{came}: costs nothing.").format(came=came)
    capped = late.share < late.units * late.rule.cost - 1e-9
    words = {
        ("possible", False): noop("{came}: {units} × {each}, {share} of the possible points."),
        ("earned", False): noop("{came}: {units} × {each}, {share} of the points earned."),
        ("possible", True): noop("{came}: {units} × {each}, at most {share} of the possible points."),
        ("earned", True): noop("{came}: {units} × {each}, at most {share} of the points earned."),
    }[late.rule.of, capped]
    return _(words).format(came=came, units=_units(late), each=percent(late.rule.cost), share=percent(late.share))


def _units(late: Late) -> str:
    if late.rule is not None and late.rule.per == "hour":
        return plural("{count} started hour", "{count} started hours", late.units)
    return plural("{count} started day", "{count} started days", late.units)


def span(time: timedelta) -> str:
    """``1 day 3 h``, ``25 min``: the two largest parts, to the nearest minute, of which there is one at least."""
    minutes = max(round(time.total_seconds() / 60), 1)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [
        plural("{count} day", "{count} days", days) if days else "",
        _("{count} h").format(count=hours) if hours else "",
        _("{count} min").format(count=minutes) if minutes and not days else "",
    ]
    return " ".join(part for part in parts if part) or _("{count} min").format(count=1)


def policy_words(policy: Policy, mark: Total) -> list[str]:
    """The rules that made this mark, in sentences; none where the points are the mark."""
    words = []
    rules = {"": policy.late, **{homework.name: homework.late for homework in policy.homeworks}}
    for name, rule in rules.items():
        if rule is not None:
            words.append((f"{name}: " if name else "") + _rule_words(rule))
    if mark.days_left is not None:
        told = _("Of {days} grace days {left} are left; they are used in order of the deadlines, where they help.")
        words.append(told.format(days=policy.grace_days, left=mark.days_left))
    for name, best_of, drop in [("", policy.best_of, policy.drop_lowest),
                                *((one.name, one.best_of, one.drop_lowest) for one in policy.homeworks)]:  # fmt: skip
        place = f"{name}: " if name else ""
        if best_of is not None:
            words.append(place + _("The best {count} tasks count.").format(count=best_of))
        if drop:
            words.append(place + _("The worst tasks are left out: {count}.").format(count=drop))
    if policy.drop_homeworks:
        words.append(_("The worst homeworks are left out: {count}.").format(count=policy.drop_homeworks))
    return words


def _rule_words(rule: LateRule) -> str:
    each = {
        ("day", "possible"): noop("Late work costs {cost} of the possible points for each started day"),
        ("hour", "possible"): noop("Late work costs {cost} of the possible points for each started hour"),
        ("day", "earned"): noop("Late work costs {cost} of the points earned for each started day"),
        ("hour", "earned"): noop("Late work costs {cost} of the points earned for each started hour"),
    }[rule.per, rule.of]
    words = _(each).format(cost=percent(rule.cost))
    if rule.cap < 1:
        words += _(", {cap} at most").format(cap=percent(rule.cap))
    if rule.grace:
        words += _("; the first {grace} are free").format(grace=span(rule.grace))
    return words + _(".")


def mark_json(mark: Total) -> dict[str, Any]:
    """The whole sum for other programs; durations in seconds."""

    def plain(value: object) -> object:
        return value.total_seconds() if isinstance(value, timedelta) else value

    return asdict(mark, dict_factory=lambda items: {name: plain(value) for name, value in items})


def sum_lines(table: SumTable, widths: Callable[[str], int] = len) -> list[str]:
    """The table as lines of text, numbers to the right."""
    rows: Sequence[tuple[str, ...]] = (table.head, *table.rows)
    wide = [max(widths(row[place]) for row in rows) for place in range(len(table.head))]
    lines = []
    for row in rows:
        cells = [" " * (width - widths(text)) + text for text, width in zip(row, wide, strict=True)]
        cells[0] = row[0] + " " * (wide[0] - widths(row[0]))
        lines.append("  ".join(cells).rstrip())
    return [*lines, table.foot]
