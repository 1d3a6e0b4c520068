"""How changes of tasks are committed: many in one transaction, each exactly once.

The effect of a change on its row belongs in ``state``.
"""
