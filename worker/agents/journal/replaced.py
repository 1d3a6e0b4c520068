"""Runs and steps of earlier attempts that no longer exist: whether others were made in their place."""

from worker.agents.journal.scopes import Scope

RUNS = frozenset({"agent", "team", "workflow", "step"})


def is_replaced(earlier: Scope) -> bool:
    """Return whether an attempt has not opened an earlier run or step, but another one that seems to replace it."""
    parent = earlier.parent
    if parent is None or earlier.identity is not None or not earlier.is_known or not _is_run(earlier):
        return False
    if parent.parent is not None and parent.identity is None:
        return False  # it is the parent that is replaced
    if not any(entry.is_unused_answer for scope in earlier.below() for entry in scope.all_entries()):
        return False
    return any(_replaces(each, earlier) for each in parent.children if each.began[0] > earlier.began[0])


def was_skipped(earlier: Scope, new: Scope) -> bool:
    """Return whether the handler probably skipped an earlier run: it had finished, and the task was saved since."""
    if not _has_ended(earlier) or earlier.record is None or earlier.record.site is None or new.identity is None:
        return False
    site = new.identity.site
    return site is not None and site().state != earlier.record.site.state


def _replaces(new: Scope, earlier: Scope) -> bool:
    identity, record = new.identity, earlier.record
    if identity is None or record is None or not _is_run(new) or (identity.site is None) != (record.site is None):
        return False
    if identity.site is None or record.site is None:
        return True  # Agno itself made both, at a place that the earlier one no longer has
    if was_skipped(earlier, new):
        return False
    if new.parent is not None and new.parent.parent is None and not _has_ended(earlier):
        return True  # nobody skips a run that has not ended
    is_alike = (record.kind, record.name) == (identity.kind, identity.name)
    return is_alike or identity.site().is_same_place(record.site) or identity.is_equal(record)


def _is_run(scope: Scope) -> bool:
    known = scope.record or scope.identity
    return known is not None and known.kind in RUNS


def _has_ended(earlier: Scope) -> bool:
    return any(each.kind == "run" for each in earlier.all_entries())
