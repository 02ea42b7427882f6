"""Cohorts side by side: intervals as the books have them, what is further apart than chance, and wrong calls."""

import csv
import io
import random

import pytest
from class_support import EVIL, TASKS, graded
from support import grade_py

from torchgrade.report.cohorts_page import Rate, check_rates, cohorts_csv, cohorts_html, task_shares

pytestmark = pytest.mark.bare


def cohort(name, skill, size=40):
    """``size`` students of whom each check of middle difficulty is passed with the probability ``skill``."""
    rng = random.Random(name)
    return [graded(f"{name}{i}", task, skill, rng) for i in range(size) for task in TASKS]


@pytest.mark.parametrize(
    ("passes", "verdicts", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (0, 0, 0.0, 1.0)],
)
def test_intervals_are_wilsons(passes, verdicts, low, high):
    """Against the values of published tables."""
    rate = Rate(passes, verdicts)
    assert (rate.low, rate.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_what_one_year_learnt_better_stands_first_and_apart():
    cohorts = {"2025": cohort("a", 0.3), "2026": cohort("b", 0.9)}
    rates = check_rates(cohorts)
    assert [rate.gap for rate in rates] == sorted((rate.gap for rate in rates), reverse=True)
    assert rates[0].apart
    assert "middle" in rates[0].title or "secret" in rates[0].title
    easy = [rate for rate in rates if "easy" in rate.title]
    assert not any(rate.apart for rate in easy)
    same = {"A": cohort("a", 0.5), "B": cohort("a", 0.5)}
    assert not any(rate.apart for rate in check_rates(same))
    shares = task_shares(cohorts, TASKS)
    assert all(task.people == (40, 40) and task.means[0] < task.means[1] for task in shares)


def test_a_check_that_one_cohort_was_not_asked_is_left_blank():
    rows = cohort("a", 0.5)
    cohorts = {"2025": [row for row in rows if row.task != TASKS[0].task], "2026 " + EVIL: rows}
    [first, *_] = [rate for rate in check_rates(cohorts) if rate.task == TASKS[0].task]
    assert first.rates[0] is None
    assert not first.apart
    page = cohorts_html("c", list(cohorts), task_shares(cohorts, TASKS), check_rates(cohorts))
    assert "<script" not in page
    lines = list(csv.DictReader(io.StringIO(cohorts_csv(list(cohorts), check_rates(cohorts)).lstrip("\ufeff"))))
    assert sum(line["task"] == TASKS[0].task for line in lines) == 3
    assert sum(line["task"] == TASKS[1].task for line in lines) == 6


def test_a_folder_without_a_gradebook_is_a_sentence(mini):
    done = grade_py("cohorts", "nowhere", cwd=mini)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no gradebook in nowhere" in done.stderr
