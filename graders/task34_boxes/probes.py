"""Helpers of task 34 that run beside the submission."""


def suppressed(function, boxes, scores, *rest):
    """The scores of the boxes that stay, which tell more than their indices where boxes or scores are equal."""
    return scores[function(boxes, scores, *rest)]


def on_map(function, anchors, h, w, stride):
    """grid_anchors with its first argument last."""
    return function(h, w, stride, anchors)
