"""``--pdb``: the debugger where a learner's code raised. In the command's own process only."""

from __future__ import annotations

import pdb

from torchgrade.errors import LoadFailed, SubmissionRaised


def stop_where_it_raised(error: BaseException | None) -> None:
    """Open pdb in the learner's frames; KeyboardInterrupt when it is left by ``q``. A gap is no place to stop."""
    raised = error.fault if isinstance(error, LoadFailed) else error
    if not isinstance(raised, SubmissionRaised) or raised.is_todo:
        return
    own = {frame.file for frame in raised.frames}
    trace = first = raised.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename not in own:
        trace = trace.tb_next
    print(f"\n{raised}")
    debugger = pdb.Pdb()
    debugger.reset()
    debugger.interaction(None, trace or first)
    if debugger.quitting:
        raise KeyboardInterrupt
