"""A batch on a Ray cluster of two nodes on this machine: the same verdicts, also when a node is killed."""

import os
import threading
import time
from dataclasses import replace

import pytest
from handin_support import Direct
from support import MINI, copy_of_mini

from torchgrade.batch.gradebook import ledger
from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.run import Submissions, grade_class, take_in
from torchgrade.course import Course
from torchgrade.errors import UsageError
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool

os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # a busy machine starts nodes slowly
ray = pytest.importorskip("ray", reason="the extra torchgrade[ray] is not installed")
cluster_utils = pytest.importorskip("ray.cluster_utils")

from torchgrade.batch.ray_executor import RayExecutor  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()


class Watcher:
    def __init__(self):
        self.done = 0

    def started(self, work):
        pass

    def finished(self, work, grade):
        self.done += 1

    def retried(self, work, reason):
        pass


def write_class(folder, size):
    for number in range(size):
        place = folder / f"s{number:02d}" / "task01_scale.py"
        place.parent.mkdir(parents=True)
        place.write_text((SOLUTION if number % 2 else SOLUTION.replace("x * factor", "x + factor")) + f"# {number}\n")


def grade(place, course, folder, pool, watcher):
    with Gradebook(place, writer=True) as book:
        tasks = course.tasks[:1]
        take_in(book, Submissions(folder, course, tasks, Direct))
        options = Options(isolation="standard")
        graded = grade_class(book, tasks, pool, options, lambda total: watcher, seed=5)
        assert graded.complete
        return {row.student: strip(row) for row in ledger.rows(book)}


def strip(row):
    checks = tuple(replace(check, seconds=0.0) for check in row.checks)
    return replace(row, seconds=0.0, peak_mb=None, isolation="", memory_bound="", checks=checks)


@pytest.fixture
def cluster():
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=1)
    doomed = made.add_node(num_cpus=1)
    yield made, doomed
    ray.shutdown()
    made.shutdown()


def test_a_killed_node_costs_time_and_nothing_else(tmp_path, cluster):
    """The verdicts equal those of the local executor, row for row; the loss is on record and nobody's fault."""
    made, doomed = cluster
    course = Course.load(copy_of_mini(tmp_path))
    write_class(tmp_path / "class", 16)
    watcher = Watcher()

    def kill():
        deadline = time.monotonic() + 400
        while watcher.done < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        made.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    place = tmp_path / "ray.sqlite"
    found = grade(
        place, course, tmp_path / "class", lambda works: Pool(RayExecutor(course.root, made.address)), watcher
    )
    killer.join()
    local = grade(
        tmp_path / "local.sqlite", course, tmp_path / "class", lambda works: Pool.local(course.root, 2), Watcher()
    )

    assert [(found[name], local[name]) for name in found if found[name] != local[name]] == []
    assert found.keys() == local.keys()
    assert {row.status for row in found.values()} == {"passed", "failed"}
    with Gradebook(place) as book:
        assert any("lost" in reason for _, _, _, reason in book.faults())


def test_without_a_cluster_it_says_so(tmp_path):
    with pytest.raises(UsageError, match="no Ray cluster"):
        RayExecutor(tmp_path, "auto")
