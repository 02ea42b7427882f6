"""``pytest graders/`` in an editor: the suites, run against the solutions in this very process."""

from torchgrade.grading.editor import calibration, dataset, device, submission

__all__ = ["calibration", "dataset", "device", "submission"]
