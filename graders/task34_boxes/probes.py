"""Helpers of task 34 that run beside the submission."""

import sys


def lines(function, *args):
    """The number of lines of Python that run in a call, of loops in one line as many as rounds."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event in ("call", "line")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return count


def suppressed(function, boxes, scores, *rest):
    """The scores of the boxes that stay, which tell more than their indices where boxes or scores are equal."""
    return scores[function(boxes, scores, *rest)]


def on_map(function, anchors, h, w, stride):
    """grid_anchors with its first argument last."""
    return function(h, w, stride, anchors)
