"""What ``doctor`` finds, and that it names what is missing."""

from __future__ import annotations

import os

import pytest
from support import MINI

from torchgrade.commands.machine import doctor_lines
from torchgrade.course import Course
from torchgrade.course_tools import doctor
from torchgrade.isolation.launch import levels


def test_doctor_reports_the_machine_and_the_isolation():
    rows = {row.name: row for row in doctor.doctor("task01", course=Course.load(MINI))}
    assert {"Python", "torch", "numpy", "CUDA", "cores", "isolation", "self-test"} <= rows.keys()
    assert rows["Python"].well
    assert rows["isolation"].found.startswith("level ")
    assert "attempts stopped" in rows["self-test"].found
    assert rows["self-test"].well
    assert rows["task01_scale"].well, rows["task01_scale"]
    assert "the reference solution earns" in rows["task01_scale"].found


@pytest.mark.bare
def test_doctor_says_how_to_get_what_is_missing(monkeypatch):
    monkeypatch.setattr(levels.shutil, "which", lambda name: None)
    rows = list(doctor.isolation_rows("auto", "cpu", Course.load(MINI)))
    assert any("apt install bubblewrap" in row.found for row in rows)
    rows = list(doctor.isolation_rows("strict", "cpu", Course.load(MINI)))
    assert [row.well for row in rows] == [False]
    assert "apt install bubblewrap" in rows[0].advice
    assert doctor.exit_code(rows) == 3


def test_lines_put_the_advice_below_its_finding():
    rows = [doctor.Diagnosis("Python", "2.7", False, "3.10 or newer is needed"), doctor.Diagnosis("cores", "4")]
    assert doctor_lines(rows) == ["! Python  2.7", "          3.10 or newer is needed", "  cores   4"]


def test_cuda_is_judged_only_when_it_is_asked_for(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert next(doctor.device_rows("cpu")).well is None
    assert next(doctor.device_rows("cuda")).well is False


def test_memory_is_read_where_the_system_tells_it():
    free = doctor._memory_gb()
    assert free is None if not os.path.exists("/proc/meminfo") else 0 < free < 10_000
