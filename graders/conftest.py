"""``pytest graders/`` in an editor: the suites, run against the solutions in this very process."""

from torchgrade.grading.editor import calibration, dataset, device, pictures, submission

__all__ = ["calibration", "dataset", "device", "pictures", "submission"]
