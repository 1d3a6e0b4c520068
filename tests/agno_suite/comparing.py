"""What two attempts, or two passes, have in common: everything but times and ids that are made up anew."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

TIMES = frozenset(
    {"created_at", "updated_at", "completed_at", "duration", "time_to_first_token", "timer", "start_time", "end_time"}
    | {"time", "timestamp", "started_at", "eval_duration", "checkpoint_created_at"}
)
MADE_UP = frozenset({"child_run_id", "approval_id", "run_id", "parent_run_id", "workflow_run_id", "task_id"})
OF_BRANCHES = frozenset({"runs", "member_responses", "step_executor_runs"})
"""Lists of runs that may have gone on side by side: they are compared by who made them."""
TEXTS = ("RunContent", "RunIntermediateContent", "ReasoningContentDelta")
"""How the events of a streamed text end."""
PIECES = ("content", "reasoning_content")
"""Where these events have it."""
CHANGING = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"  # a UUID
    r"|\b(?:run|task)-?\d+\.\d+\.[0-9a-f]{12}"  # our ids of runs
    r"|\b[a-z]+-[a-z]+-[0-9a-f]{8}\b|\bagent-1\b"  # an id that Agno makes up for an agent, and what it is with us
    r"|\[[0-9a-f]{8}\]"  # an item of a team's list of tasks
    r"|\bcall_[0-9a-f]{16}\b"  # our id of a call to which the provider gives none
    r"|0x[0-9a-f]{6,}"  # where an object lies
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:\+00:00|Z)?"  # a time
    r"|\b1[78]\d{8}(?:\.\d+)?\b"  # seconds since 1970
    r"|\b\d+\.\d+ ?(?:s|ms|seconds)\b|\bafter \d+ ms\b"  # a duration
    r"|/tmp/[^\s'\"]+"  # a temporary file
)


def settled(value: Any) -> Any:
    """A value as JSON has it, without what no two runs have in common."""
    if isinstance(value, dict):
        return {
            CHANGING.sub("#", str(key)): settled(_in_order(key, each))
            for key, each in value.items()
            if key not in TIMES | MADE_UP
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [settled(each) for each in value]
    if isinstance(value, str):
        return CHANGING.sub("#", value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return CHANGING.sub("#", repr(value))


def _in_order(key: Any, value: Any) -> Any:
    """A list as it can be compared: runs by who made them, text that was streamed in one piece."""
    if key in OF_BRANCHES and value:
        return sorted(value, key=_maker)
    if key == "events" and isinstance(value, list):
        return _joined(value)
    return value


def _joined(events: list[Any]) -> list[Any]:
    made: list[Any] = []
    for event in events:
        is_text = isinstance(event, dict) and str(event.get("event")).endswith(TEXTS)
        before = made[-1] if made else None
        if is_text and isinstance(before, dict) and _without_text(before) == _without_text(event):
            said = {each: f"{before.get(each) or ''}{event.get(each) or ''}" for each in PIECES if each in event}
            made[-1] = {**before, **said}
        else:
            made.append(event)
    return made


def _without_text(event: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in event.items() if key not in TIMES.union(PIECES)}


def _maker(run: Any) -> str:
    """Who made a run: whose name it bears."""
    named = run if isinstance(run, dict) else vars(run)
    names = (named.get(f"{kind}_name") for kind in ("workflow", "team", "agent"))
    return next((str(each) for each in names if each), "")


def different(one: Any, another: Any, path: str = "") -> Iterator[str]:
    """Where two settled values differ: the path, and both."""
    if isinstance(one, dict) and isinstance(another, dict):
        for key in [*one, *(each for each in another if each not in one)]:
            yield from different(one.get(key), another.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(another, list) and len(one) == len(another):
        for index, (mine, theirs) in enumerate(zip(one, another, strict=True)):
            yield from different(mine, theirs, f"{path}[{index}]")
    elif one != another:
        yield f"{path}: {_short(one)} is not {_short(another)}"


def events_of(items: Sequence[Any]) -> dict[str, list[str]]:
    """What a stream told, by the kind of event: text as a whole for each agent; branches may come in any order."""
    texts: dict[tuple[str, str], list[str]] = {}
    told: dict[str, list[str]] = {}
    for item in items:
        name = str(getattr(item, "event", None) or type(item).__name__)
        content = getattr(item, "content", None)
        if name.endswith(TEXTS):
            if not getattr(item, "parent_run_id", None):  # a member's is not given again: readers have had it
                who = str(getattr(item, "agent_name", None) or getattr(item, "team_name", None) or "")
                text = content or (getattr(item, "reasoning_content", None) if name.endswith("Delta") else None)
                texts.setdefault((name, who), []).append(str(text or ""))
            continue
        tool = getattr(item, "tool", None)
        about = [getattr(tool, each, None) for each in ("tool_name", "tool_args", "result")] if tool is not None else []
        told.setdefault(name, []).append(settled(f"{about} {content if isinstance(content, str) else ''}"))
    for (name, who), pieces in texts.items():
        told.setdefault(name, []).append(f"{who} {''.join(sorted(settled(''.join(pieces))))}")  # branches run together
    return {name: sorted(each) for name, each in told.items()}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 240 else f"{text[:240]}…"
