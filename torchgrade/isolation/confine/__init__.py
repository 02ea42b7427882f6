"""Confinement: what a worker may reach, at three levels.

    3  strict     namespaces (bubblewrap and one set per job), Landlock, seccomp, limits, no capabilities
    2  standard   Landlock, seccomp, limits, no capabilities
    1  process    a process of its own, with limits where the system has them

Nothing is inferred from versions: a level holds where a trial in a real process reached it.
"""
