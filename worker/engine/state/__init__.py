"""What a task is and what may become of it, as pure functions on rows and records. No I/O.

When a change is stored belongs in ``commit``.
"""
