"""Agno's events, told in ours."""

from collections.abc import Sequence
from typing import Any

from worker.agents.calls import Calls
from worker.agents.tool_events import DELEGATIONS, is_told, request_event, result_event
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType

_NOTHING: tuple[NewEvent, ...] = ()


class Translation:
    """Turns one run's events, its members' included, into events of the task.

    Args:
        run_id: Of the run itself; other runs are its members' or its steps'.
        calls: What the model wrapper saw: the tools' results before Agno made text of them.
    """

    def __init__(self, run_id: str, calls: Calls) -> None:
        self.used_tools: dict[str, None] = {}
        self._run_id = run_id
        self._calls = calls
        self._teams: set[str] = set()
        self._delegated: dict[str, list[dict[str, Any]]] = {}  # by the team's run: delegating calls not yet taken up
        self._handlers = {
            "RunStarted": self._run_started,
            "TeamRunStarted": self._team_started,
            "ToolCallStarted": self._tool_started,
            "TeamToolCallStarted": self._team_tool_started,
            "ToolCallCompleted": self._tool_completed,
            "TeamToolCallCompleted": self._tool_completed,
            "ReasoningStep": self._reasoning_step,
            "TeamReasoningStep": self._reasoning_step,
        }

    def events(self, event: Any) -> Sequence[NewEvent]:
        """What an event of Agno's means for the task's log; mostly nothing."""
        handler = self._handlers.get(event.event)
        return _NOTHING if handler is None else handler(event)

    def text(self, event: Any) -> str | None:
        """The text that an event adds to the answer; a member's text is not the answer."""
        if event.event not in ("RunContent", "TeamRunContent") or not isinstance(event.content, str):
            return None
        return None if getattr(event, "parent_run_id", None) in self._teams else event.content

    def _team_started(self, event: Any) -> Sequence[NewEvent]:
        self._teams.add(event.run_id)
        return self._run_started(event)

    def _run_started(self, event: Any) -> Sequence[NewEvent]:
        if event.run_id == self._run_id or event.parent_run_id not in self._teams:
            return _NOTHING
        member = getattr(event, "agent_id", None) or getattr(event, "team_id", None) or ""
        name = getattr(event, "agent_name", None) or getattr(event, "team_name", None) or ""
        query = self._query(event.parent_run_id, {member, name})
        return [NewEvent(type=TaskUpdateEventType.SubAgentTrigger, data={"agent_id": member or name, "query": query})]

    def _query(self, team_run_id: str, names: set[str]) -> str | None:
        waiting = self._delegated.get(team_run_id, [])
        for arguments in waiting:
            if "member_id" not in arguments:  # to all members at once
                return arguments.get("task")
            if arguments["member_id"] in names:
                waiting.remove(arguments)
                return arguments.get("task")
        return None

    def _team_tool_started(self, event: Any) -> Sequence[NewEvent]:
        if event.tool.tool_name not in DELEGATIONS:
            return self._tool_started(event)
        self._delegated.setdefault(event.run_id, []).append(event.tool.tool_args or {})
        return _NOTHING

    def _tool_started(self, event: Any) -> Sequence[NewEvent]:
        tool, replay = event.tool, self._calls.replay
        if not is_told(tool.tool_name, tool.tool_args):
            return _NOTHING
        self.used_tools[tool.tool_name] = None
        if replay is not None and not replay.is_due(tool.tool_call_id, by_event=True):
            return _NOTHING
        return [request_event(tool.tool_call_id, tool.tool_name, tool.tool_args, self._member(event))]

    def _tool_completed(self, event: Any) -> Sequence[NewEvent]:
        tool, replay = event.tool, self._calls.replay
        value = self._calls.results.pop(tool.tool_call_id, None)
        if replay is not None and replay.is_answered(tool.tool_call_id):
            return _NOTHING
        if not is_told(tool.tool_name, tool.tool_args):
            return _NOTHING
        failed = bool(tool.tool_call_error)
        result = tool.result if failed or value is None else value
        member = self._member(event)
        return [result_event(tool.tool_call_id, tool.tool_name, tool.tool_args, result, is_error=failed, member=member)]

    def _member(self, event: Any) -> str | None:
        """Whose event it is, where it is a team member's."""
        if getattr(event, "parent_run_id", None) not in self._teams:
            return None
        return getattr(event, "agent_id", None) or getattr(event, "team_id", None) or None

    def _reasoning_step(self, event: Any) -> Sequence[NewEvent]:
        step = event.content
        if step is None or isinstance(step, str):
            return _NOTHING
        analysis = bool(step.result) and step.action is None  # the form that Agno gives the tool `analyze`
        data = {
            "type": "analyze" if analysis else "think",
            "title": step.title or "",
            "confidence": step.confidence,
            "action": step.action or None,
            "result": step.result or None,
            "analysis" if analysis else "thought": step.reasoning,
        }
        return [NewEvent(type=TaskUpdateEventType.Analyze if analysis else TaskUpdateEventType.Think, data=data)]
