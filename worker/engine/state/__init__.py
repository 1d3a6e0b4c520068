"""The state of a task and its possible changes, as pure functions on rows and records. No I/O.

How changes are stored belongs in ``commit``.
"""
