"""The red team: hostile submissions, and the harness that runs each beside an honest one."""
