"""The sum behind a mark: policies from course.yaml, and each step from points to the total."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import ROOT

from torchgrade.batch.run import policy_of
from torchgrade.course import Course
from torchgrade.errors import CourseError
from torchgrade.manifest import parse_manifest
from torchgrade.marks import HandPart, Override, Row, TaskInfo
from torchgrade.model import Outcome, Status
from torchgrade.policy import Homework, LateRule, Policy, Rounding, duration
from torchgrade.report.sum_text import late_words, line_words, span, sum_lines, sum_table, total_words
from torchgrade.sums import dated, total

STEMS = ("task01_one", "task02_two", "task03_three")
TASKS = tuple(TaskInfo(stem, stem, 10.0) for stem in STEMS)
DEADLINE = {stem: f"2026-03-0{place}" for place, stem in enumerate(STEMS, 1)}  # the 1st, 2nd and 3rd, whole days


def read(marks=None, homeworks=None):
    return Policy.from_mapping(marks, STEMS, homeworks)


def row(stem, points, **more):
    return Row("ann", stem, "passed", points, 10.0, **more)


def mark(policy, *rows):
    rows = [*rows, *(row(stem, 10.0) for stem in STEMS if stem not in {one.task for one in rows})]
    return total(dated(rows, policy), TASKS, policy)


# --- being late


@pytest.mark.parametrize(("rule", "submitted", "cost"), [
    ({"cost": 0.1}, "2026-03-01T23:59:59", 0), ({"cost": 0.1}, "2026-03-01T23:59:59.731", 0),
    ({"cost": 0.1}, "2026-03-02T00:00:00", 1), ({"cost": 0.1}, "2026-03-02T23:59:59", 1),
    ({"cost": 0.1}, "2026-03-03T00:00:00", 2), ({"cost": 0.1, "cap": 0.15}, "2026-03-09", 1.5),
    ({"cost": 0.1}, "2026-04-09", 8), ({"cost": 0.1, "grace": "30 minutes"}, "2026-03-02T00:29:59", 0),
    ({"cost": 0.1, "grace": "30 minutes"}, "2026-03-02T00:30:00", 1), ({"cost": 0.01, "per": "hour"}, "2026-03-02T02:00:00", 0.3),
    ({"cost": 0.1, "of": "earned"}, "2026-03-02T12:00:00", 0.8), ({"cost": 1}, "2026-03-02T12:00:00", 8),
])  # fmt: skip
def test_being_late_costs_by_started_unit_and_never_more_than_there_is(rule, submitted, cost):
    """8 of 10 points were earned: a mark is never negative."""
    policy = read({"late": rule, "deadlines": {"task01": "2026-03-01"}})
    line = mark(policy, row(STEMS[0], 8.0, submitted=submitted)).line(STEMS[0])

    assert (line.late.cost if line.late else 0) == pytest.approx(cost)
    assert line.points == pytest.approx(8 - cost)


def test_what_a_platform_says_without_a_time_costs_nothing_and_is_told():
    policy = read({"late": {"cost": 0.5}, "deadlines": {"task01": "2026-03-01"}})
    line = mark(policy, row(STEMS[0], 8.0, late=True)).line(STEMS[0])
    assert line.points == 8
    assert "by how much is not known" in late_words(line.late)
    in_time = mark(policy, row(STEMS[0], 8.0, late=False, submitted="2026-05-01")).line(STEMS[0])
    assert in_time.late is None


def test_an_extension_moves_the_deadline_and_the_longer_one_holds():
    policy = read({"late": {"cost": 0.1}}, {"hw1": (STEMS[:2], {"deadline": "2026-03-01"})})
    rows = [row(stem, 10.0, submitted="2026-03-03T12:00:00") for stem in STEMS[:2]]

    def cost(extensions):
        found = dated(rows, policy, extensions)
        return [line.late.cost if line.late else 0 for line in total([*found, row(STEMS[2], 1.0)], TASKS, policy).lines]

    assert cost({}) == [2, 2, 0]
    assert cost({("ann", "hw1"): "1 day"}) == [1, 1, 0]
    assert cost({("ann", "hw1"): "1 day", ("ann", STEMS[1]): "2026-03-03"}) == [1, 0, 0]
    assert cost({("bob", "hw1"): "9 days"}) == [2, 2, 0]


def test_points_set_by_hand_are_final():
    """Nothing is taken off, and no grace day is spent on them."""
    policy = read({"late": {"cost": 0.1}, "grace_days": 2, "deadlines": {"task01": "2026-03-01"}})
    decision = Override("ann", STEMS[0], 4.0, "", "", "")
    found = mark(policy, row(STEMS[0], 8.0, submitted="2026-03-03", override=decision))
    assert (found.line(STEMS[0]).points, found.line(STEMS[0]).late, found.days_left) == (4.0, None, 2)


def test_grace_days_go_in_order_of_deadlines_and_only_where_they_help():
    policy = read({"late": {"cost": 0.1, "cap": 0.5}, "grace_days": 3, "deadlines": DEADLINE})

    def spent(*days_late, points=10.0):
        rows = [
            row(stem, points, submitted=f"2026-03-{place + late:02d}T12:00:00")
            for place, (stem, late) in enumerate(zip(STEMS, days_late, strict=True), 1)
        ]
        found = mark(policy, *rows)
        return [line.late.days if line.late else 0 for line in found.lines], [line.points for line in found.lines]

    assert spent(2, 0, 2) == ([2, 0, 1], [10, 10, 9])
    assert spent(9, 1, 0) == ([0, 1, 0], [5, 10, 10])  # three days of nine leave the cap
    assert spent(7, 0, 0) == ([3, 0, 0], [6, 10, 10])
    assert spent(2, 1, 1, points=0.0) == ([0, 0, 0], [0, 0, 0])  # nothing to save


def test_a_grace_day_covers_the_whole_homework():
    policy = read(
        {"late": {"cost": 0.1}, "grace_days": 1},
        {"hw1": (STEMS[:2], {"deadline": "2026-03-01"}), "hw2": (STEMS[2:], {"deadline": "2026-03-08"})},
    )
    rows = [row(STEMS[0], 10.0, submitted="2026-03-02"), row(STEMS[1], 10.0, submitted="2026-03-02T12:00:00"),
            row(STEMS[2], 10.0, submitted="2026-03-09T01:00:00")]  # fmt: skip
    found = mark(policy, *rows)
    assert [line.points for line in found.lines] == [10, 10, 9]
    assert found.days_left == 0


# --- weights, drops, bonus


def test_a_homework_has_rules_of_its_own():
    """Its weight is shared out among what counts of it, so that the total stays one flat sum."""
    policy = read({"weights": {"task02": 30}}, {
        "hw1": (STEMS[:2], {"weight": 60, "late": {"cost": 0.2}, "deadline": "2026-03-01"}), "hw2": (STEMS[2:], {"weight": 40}),
    })  # fmt: skip
    found = mark(policy, row(STEMS[0], 10.0, submitted="2026-03-02"), row(STEMS[1], 5.0), row(STEMS[2], 0.0))
    assert [line.weight for line in found.lines] == [15, 45, 40]
    assert [line.share for line in found.lines] == [0.8, 0.5, 0]
    assert found.percent == pytest.approx(12 + 22.5)


def test_drops_at_every_level():
    homeworks = {"hw1": (STEMS[:2], {"drop_lowest": 1}), "hw2": (STEMS[2:], {})}
    rows = [row(STEMS[0], 4.0), row(STEMS[1], 6.0), row(STEMS[2], 1.0)]
    assert mark(read({}, homeworks), *rows).dropped == (STEMS[0],)
    assert mark(read({"drop_homeworks": 1}, homeworks), *rows).counted == (STEMS[1],)
    assert mark(read({"drop_lowest": 1}, homeworks), *rows).counted == (STEMS[1],)
    assert mark(read({"drop_homeworks": 9}, homeworks), *rows).percent == 60  # one is always kept
    best = mark(read({}, {"hw1": (STEMS, {"best_of": 2})}), *rows)
    assert (best.dropped, best.percent) == ((STEMS[2],), 50)


def check(name, points, most=5.0):
    return Outcome(name, name, "values", "cpu", Status.PASSED if points else Status.FAILED, points, most)


def test_bonus_comes_on_top():
    """Of a task: it adds, and leaving it out costs nothing. Of a check and of a question, too."""
    policy = read({"bonus": ["task03"]})
    assert mark(policy, row(STEMS[0], 5.0), row(STEMS[1], 5.0), row(STEMS[2], 0.0)).percent == 50
    assert mark(policy, row(STEMS[0], 5.0), row(STEMS[1], 5.0), row(STEMS[2], 10.0)).percent == 100
    policy = read({"bonus": ["task01/fast"]})
    checks = (check("test_right", 5.0), check("test_fast", 5.0))
    line = mark(policy, row(STEMS[0], 10.0, checks=checks)).line(STEMS[0])
    assert (line.checks, line.bonus, line.points, line.max_points, line.share) == (5, 5, 10, 5, 2)
    policy = read({"bonus": ["task01/essay"]})
    asked = (HandPart("essay", "Essay", 5.0, 2.0),)
    more = {"checks": (check("test_right", 5.0), check("test_other", 5.0)), "by_hand": asked}
    found = Row("ann", STEMS[0], "passed", 10.0, 15.0, **more)
    assert mark(policy, found).line(STEMS[0]).share == pytest.approx(1.2)


def test_a_question_that_nobody_has_marked_leaves_the_total_open():
    asked = HandPart("essay", "Essay", 5.0)
    found = mark(Policy(), Row("ann", STEMS[0], "unmarked", 10.0, 15.0, by_hand=(asked,)))
    assert (found.percent, found.open_tasks, found.line(STEMS[0]).points) == (None, (STEMS[0],), None)
    found = mark(Policy(), Row("ann", STEMS[0], "passed", 10.0, 15.0, by_hand=(replace(asked, points=2.0),)))
    assert (found.line(STEMS[0]).by_hand, found.line(STEMS[0]).points) == (2.0, 12.0)


@pytest.mark.parametrize(("places", "mode", "value", "rounded"), [
    (0, "half up", 49.5, 50), (0, "half even", 49.5, 50), (0, "half even", 50.5, 50), (0, "down", 49.99, 49),
    (0, "up", 49.01, 50), (1, "half up", 0.25, 0.3), (1, "half even", 0.25, 0.2), (1, "half up", 2.675, 2.7),
    (2, "half up", 2.675, 2.68), (0, "up", 100 * 0.07, 7),  # 7.000000000000001 is 7
])  # fmt: skip
def test_rounding(places, mode, value, rounded):
    assert Rounding(places, mode)(value) == rounded


def test_what_is_printed_decides_who_passes():
    policy = Policy(passing=0.5, rounding=Rounding(0, "half up"))
    tasks = [TaskInfo(STEMS[0], "", 200.0)]
    found = total([Row("ann", STEMS[0], "failed", 99.0, 200.0)], tasks, policy)
    assert (found.percent, found.passed) == (50, True)


RULES = st.builds(
    LateRule,
    cost=st.floats(0, 1), per=st.sampled_from(["day", "hour"]), cap=st.floats(0, 1),
    grace=st.timedeltas(timedelta(), timedelta(days=2)), of=st.sampled_from(["possible", "earned"]),
)  # fmt: skip
POLICIES = st.builds(
    Policy,
    weights=st.dictionaries(st.sampled_from(STEMS), st.integers(0, 100)), best_of=st.none() | st.integers(1, 3),
    drop_lowest=st.integers(0, 4), late=st.none() | RULES, grace_days=st.integers(0, 9),
    bonus=st.frozensets(st.sampled_from(STEMS)),
    deadlines=st.just(read({"deadlines": DEADLINE}).deadlines),
    homeworks=st.just(()) | st.builds(
        lambda weight, drop: (Homework("hw1", STEMS[:2], weight=weight, drop_lowest=drop),),
        st.none() | st.integers(1, 100), st.integers(0, 2),
    ),
)  # fmt: skip
HANDINS = st.lists(st.tuples(st.floats(0, 10), st.integers(1, 31), st.integers(0, 23)), min_size=3, max_size=3)


@given(policy=POLICIES, handins=HANDINS)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_mark_is_the_sum_of_what_it_shows(policy, handins):
    """Whatever the rules: nothing is negative, the lines add up to the total, and only what counts is in it."""
    rows = [
        row(stem, round(points, 3), submitted=f"2026-03-{day:02d}T{hour:02d}:00:00")
        for stem, (points, day, hour) in zip(STEMS, handins, strict=True)
    ]
    found = total(dated(rows, policy), TASKS, policy)
    for line in found.lines:
        cost = line.late.cost if line.late else 0
        assert line.points == pytest.approx(line.checks + line.bonus - cost, abs=1e-5)
        assert 0 <= line.points <= line.max_points
    counted = [line for line in found.lines if line.counts == "counted"]
    added = [*counted, *(line for line in found.lines if line.counts == "bonus")]
    mass = sum(line.weight for line in counted)
    wanted = 100 * sum(line.weight * line.share for line in added) / mass if mass else 0
    assert found.percent == pytest.approx(wanted, abs=0.01)
    spent = sum({line.task: line.late.days for line in found.lines if line.late}.values())
    if not policy.homeworks:
        assert spent <= policy.grace_days
    assert found.days_left is None or 0 <= found.days_left <= policy.grace_days


@given(rule=RULES, hours=st.lists(st.integers(0, 400), min_size=2, max_size=2, unique=True))
def test_later_is_never_cheaper(rule, hours):
    sooner, later = sorted(timedelta(hours=h) for h in hours)
    assert 0 <= rule.share(sooner) <= rule.share(later) <= rule.cap


# --- how it reads


def test_the_sum_in_words():
    policy = read({"late": {"cost": 0.1, "cap": 0.5}, "grace_days": 1, "deadlines": {"task01": "2026-03-01"},
                   "weights": {"task02": 20}, "drop_lowest": 1})  # fmt: skip
    first = Row("ann", STEMS[0], "passed", 8.0, 10.0, submitted="2026-03-03T02:00:00", by_hand=())
    found = mark(policy, first, row(STEMS[1], 5.0), row(STEMS[2], 1.0))
    line = found.line(STEMS[0])
    assert line_words(line) == "8 checks − 1 late = 7 of 10 points (70 %)"
    assert late_words(line.late) == (
        "Handed in 1 day 2 h late, 1 grace day used: 1 started day × 10 %, 10 % of the possible points."
    )
    capped = read({"late": {"cost": 0.2, "cap": 0.5, "grace": "2 hours"}, "deadlines": {"task01": "2026-03-01"}})
    soon = replace(first, submitted="2026-03-02T03:30:00")
    assert late_words(mark(capped, soon).line(STEMS[0]).late) == (
        "Handed in 3 h 30 min late: 1 started day × 20 %, 20 % of the possible points."  # the grace is part of it
    )
    much = replace(first, submitted="2026-03-09T00:00:00")
    assert late_words(mark(capped, much).line(STEMS[0]).late) == (
        "Handed in 7 days late: 7 started days × 20 %, at most 50 % of the possible points."
    )
    assert total_words(found) == "total: 17 of 30 = 56.67 %"
    assert sum_lines(sum_table(found)) == [
        "task    checks  late  points  of  share  weight  share × weight",
        "task01       8    −1       7  10   70 %      10               7",
        "task02       5             5  10   50 %      20              10",
        "task03       1             1  10   10 %                          not counted",
        "total: 17 of 30 = 56.67 %",
    ]
    assert sum_table(mark(Policy(), row(STEMS[0], 8.0))).head == ("task", "points", "of", "share")


@pytest.mark.parametrize(("time", "words"), [
    (timedelta(seconds=1), "1 min"), (timedelta(minutes=59, seconds=59), "1 h"), (timedelta(hours=12, seconds=1), "12 h"), (timedelta(hours=25), "1 day 1 h"),
    (timedelta(days=2, minutes=5), "2 days"),
])  # fmt: skip
def test_spans(time, words):
    assert span(time) == words


# --- course.yaml


@pytest.mark.parametrize(("marks", "homeworks", "sentence"), [
    ({"late": 0.1}, None, "marks.late must map"), ({"late": {}}, None, "marks.late needs cost"),
    ({"late": {"cost": 10}}, None, "marks.late.cost must be a number from 0 to 1; got 10"),
    ({"late": {"cost": 0.1, "each": "day"}}, None, "marks.late has no entry `each`; there are cost, per, cap, grace, of"),
    ({"late": {"cost": 0.1, "per": "week"}}, None, "marks.late.per is one of hour, day, not 'week'"),
    ({"late": {"cost": 0.1, "grace": 30}}, None, "marks.late.grace is a time such as 30 minutes or 2 hours, not 30"),
    ({"grace_days": 3}, None, "grace_days does nothing while late work costs nothing"),
    ({"drop_homeworks": 1}, None, "drop_homeworks needs homeworks"), ({"attempt": "first"}, None, "marks.attempt is one of last, best, not 'first'"),
    ({"bonus": "task01"}, None, "bonus is a list of tasks"), ({"bonus": ["task09/x"]}, None, "names `task09`, which is no task"),
    ({"rounding": {"places": 9}}, None, "marks.rounding.places must be a whole number from 0 to 4; got 9"),
    ({"rounding": {"mode": "odd"}}, None, "is one of half up, half even, up, down, not 'odd'"),
    ({"homeworks": []}, None, "marks has no entry `homeworks`"),
    (None, {"hw1": (STEMS, {"due": "2026-03-01"})}, "homeworks.hw1 has no entry `due`; there are weight, deadline"),
    (None, {"hw1": (STEMS, {"deadline": "soon"})}, "homeworks.hw1.deadline: it needs a date or a time, not 'soon'"),
    (None, {"hw1": (STEMS, {}), "hw2": (STEMS[:1], {})}, "task01_one stands in the homeworks hw1 and hw2"),
])  # fmt: skip
def test_a_wrong_entry_is_one_sentence(marks, homeworks, sentence):
    with pytest.raises(CourseError) as caught:
        read(marks, homeworks)
    assert str(caught.value).startswith("course.yaml: ")
    assert sentence in str(caught.value)


def test_durations():
    assert duration("36 hours") == timedelta(hours=36)
    assert duration("1 day") == timedelta(days=1)
    assert [duration(text) for text in ("tomorrow", "-1 day", "1 week", "")] == [None] * 4


@pytest.mark.parametrize("page", ["docs/grading-a-class.md", "docs/zh-CN/grading-a-class.md"])
def test_what_the_page_shows_of_course_yaml_is_right(page):
    """Every entry of the examples is one, for the course as it is."""
    course = Course.load(ROOT)
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)
    shown = [block for block in blocks if block.startswith(("marks:", "homeworks:"))]
    assert len(shown) == 3
    settings = dict(course.settings)
    for block in shown:
        settings |= yaml.safe_load(block)
        if "homeworks" in settings:
            assert policy_of(replace(course, settings=settings)).homeworks
    assert policy_of(replace(course, settings=settings)).late == LateRule(0.1, "day", 0.5, timedelta(minutes=30))
    [manual] = [block for block in blocks if block.startswith("manual:")]
    facts = parse_manifest(f"title: T\nsummary: S\nhints: [h]\n{manual}", "task.yaml")
    assert facts.manual[0].points == 3
