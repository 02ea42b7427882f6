"""``pytest graders/`` in an editor: the suites, run against exercises/ (or ``--solutions``) in this very process."""

from torchgrade.grading.editor import (
    calibration,
    dataset,
    device,
    pictures,
    pytest_addoption,
    pytest_runtest_call,
    submission,
)

__all__ = ["calibration", "dataset", "device", "pictures", "pytest_addoption", "pytest_runtest_call", "submission"]
