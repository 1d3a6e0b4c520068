"""Session state before and after a tool call.

Agno gives a member a copy of its leader's state that shares the lists and dictionaries: an item that a tool appends to
a list is visible to all who share the list, while a replaced list is not. A call that is answered from the journal
therefore changes in place what the original call changed in place, and replaces what it replaced.
"""

from typing import Any

from worker.agents.translation.values import packed, unpacked


def found(state: Any) -> dict[str, Any]:
    """Return the state's values before a call, as the original objects."""
    return dict(state) if isinstance(state, dict) else {}


def copied(state: Any) -> Any:
    """Return a session state as JSON; None if there is none, or if JSON cannot express it."""
    try:
        return packed(state) if state else None
    except RecursionError:
        return None


def same_objects(state: Any, before: dict[str, Any]) -> list[str]:
    """Return the keys whose list or dictionary is still the same object as before the call, whatever its content."""
    if not isinstance(state, dict):
        return []
    return [name for name, each in state.items() if isinstance(each, list | dict) and before.get(name) is each]


def restore(state: dict[str, Any], left: Any, same: list[str]) -> None:
    """Set a session state to how a call left it.

    Args:
        state: The state; changed in place.
        left: The result of ``copied`` after the call.
        same: The result of ``kept`` after the call.
    """
    wanted: dict[str, Any] = unpacked(left) or {}
    for name in [each for each in state if each not in wanted]:
        del state[name]
    for name, value in wanted.items():
        _set(state, name, value, in_place=name in same)


def _set(holder: dict[str, Any], name: str, value: Any, *, in_place: bool) -> None:
    now = holder.get(name)
    if in_place and isinstance(now, list) and isinstance(value, list):
        now[:] = value
    elif in_place and isinstance(now, dict) and isinstance(value, dict):
        for each in [each for each in now if each not in value]:
            del now[each]
        for inner, each in value.items():
            _set(now, inner, each, in_place=True)
    else:
        holder[name] = value
