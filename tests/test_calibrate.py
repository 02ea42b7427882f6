"""Floors from statistics: the estimates, the proposal, and the file they are kept in."""

import json
import math

import numpy as np
import pytest
from support import checks_of, copy_of_mini, grade_py, result_of

from torchgrade.course import Course
from torchgrade.course_tools.calibrate import belongs, entry_of, made_of, stale, write_entries
from torchgrade.course_tools.thresholds import Distributions, propose, rate_beyond, rates, spread_of, t_tail
from torchgrade.errors import CourseError, Mismatch
from torchgrade.grading.calibration import Calibration

GOOD = [0.95, 0.96, 0.94, 0.97, 0.95, 0.93, 0.96, 0.95]
BAD = [0.30, 0.35, 0.28, 0.33]


@pytest.mark.parametrize(
    ("x", "freedom", "tail"),
    [
        (1.0, math.inf, 0.158655),
        (3.0, math.inf, 0.00134990),
        (1.0, 1, 0.25),
        (12.7062, 1, 0.025),
        (2.364624, 7, 0.025),
        (4.785290, 7, 0.001),
        (-2.364624, 7, 0.975),
        (0.0, 5, 0.5),
    ],
)
def test_t_tail_agrees_with_tables(x, freedom, tail):
    """Values of the usual tables."""
    assert t_tail(x, freedom) == pytest.approx(tail, rel=1e-4)


def test_rate_beyond_looks_at_the_right_side():
    """Far below a good distribution nothing is rejected; far above everything."""
    assert rate_beyond(GOOD, 0.5, above=False) < 1e-6
    assert rate_beyond(GOOD, 1.5, above=False) > 0.999
    assert rate_beyond(GOOD, 0.5, above=True) > 0.999
    assert rate_beyond(GOOD, sum(GOOD) / 8, above=True) == pytest.approx(0.5)


def test_few_runs_cost_certainty():
    """The same mean and spread from fewer runs gives a larger rate."""
    assert rate_beyond(GOOD[:3], 0.90, above=False) > rate_beyond([0.94, 0.95, 0.96] * 5, 0.90, above=False)


def test_equal_values_are_no_certainty():
    """A spread of zero is not believed, and one run is no distribution."""
    assert spread_of([0.5, 0.5, 0.5]) > 0
    with pytest.raises(CourseError, match="1 run is no distribution"):
        spread_of([0.5])
    with pytest.raises(CourseError, match="a run of 3 recorded nan"):
        spread_of([0.5, math.nan, 0.4])


def test_propose_a_floor_between_right_and_wrong():
    """Above the sabotaged runs, below the right ones, with both rates small."""
    proposal = propose(Distributions(reference=GOOD, sabotaged={"no_zero_grad": BAD}))
    assert proposal.is_floor
    assert max(BAD) < proposal.threshold < min(GOOD)
    assert proposal.false_reject < 1e-3
    assert proposal.false_accept < 1e-2
    assert proposal.unseen == ()


def test_propose_a_ceiling_for_an_error():
    """An error is better when it is small: the threshold becomes a ceiling."""
    error = [2.0, 2.1, 1.9, 2.05, 1.95]
    proposal = propose(Distributions(reference=error, sabotaged={"eyes_swapped": [7.0, 7.2, 6.8]}))
    assert not proposal.is_floor
    assert max(error) < proposal.threshold < 6.8
    assert "ceiling" in entry_of(proposal, Distributions(reference=error), "generated", {"torch": "2"}, 1)


def test_sabotage_that_cannot_be_told_has_no_say():
    """A sabotage as good as the solution is listed as unseen, and moves the floor nowhere."""
    with_twin = propose(Distributions(reference=GOOD, sabotaged={"no_zero_grad": BAD, "softmax": GOOD[::-1]}))
    without = propose(Distributions(reference=GOOD, sabotaged={"no_zero_grad": BAD}))
    assert with_twin.unseen == ("softmax",)
    assert with_twin.threshold == without.threshold


def test_alternatives_lower_the_floor():
    """A weaker right way must pass too."""
    weaker = {"no_batch_norm": [0.80, 0.84, 0.82]}
    helped, alone = Distributions(reference=GOOD, alternatives=weaker), Distributions(reference=GOOD)
    assert propose(helped).threshold < propose(alone).threshold - 0.05


def test_a_second_try_is_counted():
    """Rejected only if both fail, accepted if either passes."""
    seen = Distributions(reference=GOOD, sabotaged={"slow": [0.80, 0.84, 0.82, 0.83]})
    once, twice = rates(0.91, True, seen, 1), rates(0.91, True, seen, 2)
    assert 5 * once.false_reject**2 < twice.false_reject < once.false_reject  # the tries share what is not known
    assert twice.false_accept > once.false_accept


@pytest.mark.parametrize("tries", [1, 2])
def test_the_predicted_rate_is_that_of_drawn_submissions(tries):
    """Means and deviations drawn from what eight runs leave open, and the rate of each."""
    generator, mean, spread = np.random.default_rng(3), np.mean(GOOD), np.std(GOOD, ddof=1)
    deviations = spread * np.sqrt(7 / generator.chisquare(7, 200_000))
    distances = (generator.normal(mean, deviations / np.sqrt(8)) - 0.91) / deviations
    drawn = np.mean([t_tail(distance, math.inf) ** tries for distance in distances])
    assert rate_beyond(GOOD, 0.91, above=False, tries=tries) == pytest.approx(drawn, rel=0.05)


def test_what_was_seen_to_fail_counts_where_it_is_more():
    """Two clusters are no normal distribution: a fifth of the runs failed."""
    values = [0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.5, 0.51]
    assert rate_beyond(values, 0.6, above=False) >= 0.2
    assert rate_beyond(values, 0.6, above=False, tries=2) >= 1 / 45


@pytest.mark.parametrize(("name", "data", "stored"), [
    ("accuracy@real", "real", True), ("loss", "real", False), ("loss", "generated", True),
])  # fmt: skip
def test_with_real_data_only_what_comes_from_it_is_stored(name, data, stored):
    assert belongs(name, data) is stored


def test_entries_are_read_by_the_suite(tmp_path):
    """What is written is what the fixture reads; the other entries stay."""
    path = tmp_path / "calibration.json"
    seen = Distributions(reference=GOOD, sabotaged={"no_zero_grad": BAD})
    entry = entry_of(propose(seen), seen, "generated", {"torch": "2.13.0", "numpy": "2.0"}, 2)
    write_entries(path, {"test_accuracy": entry})
    write_entries(path, {"other": {**entry, "floor": 0.1}})
    calibration = Calibration.load(path)
    assert calibration["test_accuracy"].floor == entry["floor"]
    assert calibration["other"].floor == 0.1
    assert json.loads(path.read_text())["test_accuracy"]["runs"] == GOOD


def test_a_threshold_holds_on_the_side_that_the_record_has_it():
    """The suite asks in the same way for a floor and a ceiling; the statistic is recorded either way."""
    recorded = []
    floors = {"a": {"floor": 0.5, "false_reject": 0, "false_accept": 0}}
    floors["b"] = {"ceiling": 2.0, "false_reject": 0, "false_accept": 0}
    calibration = Calibration(floors, on_record=lambda name, value: recorded.append((name, value)))
    calibration.holds("a", 0.6)
    calibration.holds("b", 1.5)
    with pytest.raises(Mismatch, match="expected at least 50 %, got 40 %"):
        calibration.holds("a", 0.4, scale=100, unit="%")
    with pytest.raises(Mismatch, match="expected at most 2 pixels, got nan pixels"):
        calibration.holds("b", math.nan, unit="pixels")
    assert [name for name, _ in recorded] == ["a", "b", "a", "b"]


def test_stored_runs_are_stale_when_what_they_depend_on_changes(tmp_path):
    """What submissions and the recording check do, the versions and the processor; words and other checks are not."""
    task = Course.load(copy_of_mini(tmp_path)).find("task02")
    suite = task.suite.read_text()
    suite = suite.replace("(submission):", "(submission, calibration):")
    task.suite.write_text(suite.replace("0.0, 1e-3", "0.0, LIMIT") + "\n\nLIMIT = 1e-3\n")
    here = {"torch": "2.6", "cpu": "AVX2"}
    write_entries(task.folder / "calibration.json", {"loss": {"made": made_of(task, here)}})
    assert list(stale(task, here)) == []
    assert ["cpu was AVX2, is AVX512" in line for line in stale(task, {**here, "cpu": "AVX512"})] == [True]

    task.suite.write_text(task.suite.read_text() + "\n# more\n\n\ndef helper_of_nobody():\n    return 1\n")
    solution = task.solution.read_text()
    task.solution.write_text(solution.replace('"""', '"""Other words. ', 1) + "\n# other\n")
    assert list(stale(task, here)) == []

    task.solution.write_text(f"{solution}\nMORE = 1\n")
    assert ["(solution was changed or added)" in line for line in stale(task, here)] == [True]
    task.solution.write_text(solution)
    (task.folder / "alternatives").mkdir(exist_ok=True)
    (task.folder / "alternatives" / "newest.py").write_text("MORE = 1\n")
    assert ["(alternatives/newest was changed or added)" in line for line in stale(task, here)] == [True]
    (task.folder / "alternatives" / "newest.py").unlink()
    task.suite.write_text(task.suite.read_text().replace("LIMIT = 1e-3", "LIMIT = 1e-2"))
    assert ["(check was " in line for line in stale(task, here)] == [True]


def test_a_new_statistic_is_measured_once_a_run_and_then_held_to(tmp_path):
    """The command on a suite whose threshold nobody knows yet, though its check has a second try."""
    course = copy_of_mini(tmp_path)
    task = course / "graders" / "task02_train"
    suite = task / "checks.py"
    text = suite.read_text().replace('category="convergence")', 'category="convergence", tries=2)')
    text = text.replace("(submission):", "(submission, calibration):")
    text = text.replace("    expect.between(history[-1], 0.0, 1e-3)", '    calibration.holds("loss", history[-1])')
    suite.write_text(text)
    with (task / "mutants.yaml").open("a") as file:
        file.write("  sabotage: true\n")
    unknown = checks_of(result_of("task02", "--solutions", cwd=course, code=3))["test_converges"]
    assert unknown["status"] == "broken"
    assert "run: python grade.py calibrate" in unknown["message"]
    done = grade_py("calibrate", "task02", "--runs", "3", cwd=course)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("task02_train loss") == 6
    entry = json.loads((task / "calibration.json").read_text())["loss"]
    assert [len(entry["runs"]), len(entry["sabotaged"]["no_step"])] == [3, 3]
    assert max(entry["runs"]) < entry["ceiling"] < min(entry["sabotaged"]["no_step"])
    assert checks_of(result_of("task02", "--solutions", cwd=course, code=0))["test_converges"]["status"] == "passed"
    assert "| task02 | loss | ≤ " in grade_py("calibrate", "task02", "--table", cwd=course).stdout

    (task / "alternatives").mkdir()
    (task / "alternatives" / "twin.py").write_text("TWIN = True\n")
    again = grade_py("calibrate", "task02", "--runs", "3", cwd=course)
    assert [line.split()[-1] for line in again.stderr.splitlines()] == ["alternatives/twin"] * 3, again.stderr
    kept = json.loads((task / "calibration.json").read_text())["loss"]
    assert [kept["runs"], kept["sabotaged"]] == [entry["runs"], entry["sabotaged"]]
    assert sorted(kept["alternatives"]["twin"]) == sorted(entry["runs"])

    # One that was interrupted goes on: what was run is known, but for the line that was being written.
    (runs,) = (course / ".torchgrade" / "runs").iterdir()
    first, *more = [json.loads(line) for line in runs.read_text().splitlines()]
    others = sorted(entry["runs"])
    others.remove(float(f"{first[1]['recorded'][0][1]:.4g}"))
    first[1]["recorded"][0][1] = 2.5
    runs.write_text("\n".join([json.dumps(first), *map(json.dumps, more[:-1])]) + "\n" + json.dumps(more[-1])[:40])
    (task / "calibration.json").unlink()
    assert grade_py("calibrate", "task02", "--runs", "3", cwd=course).returncode == 0
    known = json.loads((task / "calibration.json").read_text())["loss"]
    assert sorted(known["runs"]) == [*others, 2.5]
    assert sorted(known["alternatives"]["twin"]) == sorted(kept["alternatives"]["twin"])
