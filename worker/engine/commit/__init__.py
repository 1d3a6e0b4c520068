"""How changes of tasks are committed: many in one transaction, each exactly once.

What a change does to its row belongs in ``state``.
"""
