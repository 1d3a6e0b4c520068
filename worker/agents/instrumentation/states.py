"""Session state as a tool call found it and left it.

Agno gives a member a copy of its leader's state, whose lists and dictionaries are the same objects: what a tool appends
to a list is seen by all who share it, what it puts in the place of a list is not. So a call that is answered from the
journal changes what the call had changed in place, and replaces what it had replaced.
"""

from typing import Any

from worker.agents.translation.values import packed, unpacked


def found(state: Any) -> dict[str, Any]:
    """What a call finds: the values themselves."""
    return dict(state) if isinstance(state, dict) else {}


def copied(state: Any) -> Any:
    """A session state as JSON can say it; None if there is none, or none that JSON can say."""
    try:
        return packed(state) if state else None
    except RecursionError:
        return None


def kept(state: Any, before: dict[str, Any]) -> list[str]:
    """Where a call left the list or dictionary that it had found, whatever is in it now."""
    if not isinstance(state, dict):
        return []
    return [name for name, each in state.items() if isinstance(each, list | dict) and before.get(name) is each]


def restore(state: dict[str, Any], left: Any, same: list[str]) -> None:
    """Set a session state as a call left it.

    Args:
        state: The state; changed in place.
        left: What ``copied`` made of it after the call.
        same: What ``kept`` said then.
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
