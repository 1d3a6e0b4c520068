"""A task's settings, applied to copies so that the user's own agents stay unchanged.

A run gets shallow copies of the user's agent, its members, or a workflow's steps, which cost microseconds; tools, hooks
and databases are shared with the original. Agno writes to the objects that it runs (a member's team and model, a step's
workflow), and that must not affect the same agent in another handler.
"""

import copy
from functools import cache
from typing import TYPE_CHECKING, Any

from worker.agents.answers.results import FORMATS, Wanted
from worker.agents.answers.schemas import in_words, schema_request
from worker.agents.instrumentation.sync_code import with_async_attributes
from worker.agents.models.clients import open_client
from worker.agents.models.models import default_model, knows_effort, named_model, set_effort, shared_model, stand_in
from worker.agents.tools.file_tools import FileTools
from worker.agents.tools.tools import runs_others
from worker.words.errors import ConfigurationError
from worker.words.tasks import TaskRecord

if TYPE_CHECKING:
    from worker.agents.instrumentation.frames import Frame

HELPERS = ("memory_manager", "session_summary_manager", "compression_manager", "learning", "compaction")
"""Helpers to which Agno assigns the agent's model if they have none, and which would keep that model forever."""


OF_USERS = ("add_memories_to_context", "update_memory_on_run", "enable_agentic_memory", "search_past_sessions")
"""Settings by which an agent remembers its user. In a run without a user, Agno would use the memories of a user named
"default", shared by all such runs, and the sessions of all users."""

STEPS = ("steps", "else_steps", "choices")
"""Attributes in which a workflow and its containers hold steps."""


def kind_of(agent: Any) -> str:
    """Return ``agent``, ``team`` or ``workflow``.

    Raises:
        ConfigurationError: The object is none of Agno's three.
    """
    for kind, name in _kinds():
        if isinstance(agent, kind):
            return name
    raise ConfigurationError(f"run_agent requires an Agno Agent, Team or Workflow, not {type(agent).__name__}.")


@cache
def _kinds() -> tuple[tuple[type, str], ...]:
    from agno.agent import Agent
    from agno.team import Team
    from agno.workflow import Workflow

    return (Agent, "agent"), (Team, "team"), (Workflow, "workflow")


class Overrides:
    """One task's settings for the agents that run for it.

    Args:
        record: The task.
        wanted: The form that the task wants for its result.
        file_tools: Tools that let the agents read more of the task's files.
    """

    def __init__(self, record: TaskRecord, wanted: Wanted, file_tools: FileTools | None = None) -> None:
        self._record = record
        self._wanted = wanted
        self._file_tools = file_tools
        self.ignored: str | None = None  # an option of the task that the model does not support
        self.last: Any = None  # the agent or team whose answer is the result
        self._replaced: tuple[Any, Any] | None = None  # the leader's own model, and the model it runs on

    def applied(self, agent: Any, kind: str) -> Any:
        """Return a copy of an agent, team or workflow with all settings of the task applied."""
        own = _copied(agent)
        if kind == "workflow":
            return with_async_attributes(own, "steps")
        if own.id is None and not own.name:
            own.id = self._record.agent_id
        self._set_model(own)
        self._set_words(own)
        self._ask(own)
        self._give_tools(own)
        return own

    def of_step(self, agent: Any) -> Any:
        """Return a copy of an agent or team that a workflow runs; the original if the task changes nothing about it."""
        record = self._record
        if not self._names_model(agent) and record.tool_call_limit is None and self._file_tools is None:
            self.last = agent
            return agent
        own = _copied(agent)
        self._set_model(own)
        self._give_tools(own)
        return own

    def of_member(self, agent: Any) -> Any:
        """Return a copy with the stand-in model for a nested agent that has no model; otherwise the original."""
        if agent.model is not None or stand_in.get() is None:
            return agent
        own = copy.copy(agent)
        own.model = stand_in.get()
        return own

    def members_of(self, team: Any, members: list[Any]) -> list[Any]:
        """Return copies of members that a user's function returned for a team: it may return the same objects again."""
        copies = [_copied(each) for each in members]
        if self._replaced is not None and team.model is self._replaced[1]:
            for each in copies:
                self._hand_to(each, team.model, self._replaced[0])
        return copies

    def repairer(self) -> Any:
        """Return an agent that only reformats the last answer, with the model that gave it; None if no agent ran."""
        from agno.agent import Agent

        last = self.last
        if last is None:
            return None
        parser = last.parser_model if self._wanted.schema or self._wanted.model else None
        model = parser or last.output_model or last.model
        own = Agent(id="repair", telemetry=False)  # a fixed id, which later attempts recognize
        own.model = model  # given to the constructor, Agno would mark the user's parser as a main model from now on
        self._ask(own)
        return own

    def _names_model(self, agent: Any) -> bool:
        """Return whether the task, the settings or a test determine the agent's model."""
        if stand_in.get() is not None:
            return agent.model is None
        effort = self._record.reasoning_effort
        return named_model(self._record) is not None or agent.model is None or effort is not None

    def _set_model(self, own: Any) -> None:
        if self._record.tool_call_limit is not None:
            own.tool_call_limit = self._record.tool_call_limit
        replacement = stand_in.get()
        if replacement is not None:
            own.model = own.model or replacement
        else:
            self._choose_model(own)
        self.last = own

    def _choose_model(self, own: Any) -> None:
        given, effort = own.model, self._record.reasoning_effort
        name = named_model(self._record) or (given if isinstance(given, str) else None)
        if name is not None:
            own.model = shared_model(name, effort)
        elif given is None:
            own.model = default_model(effort=effort)
        elif effort is not None:
            open_client(given)
            own.model = copy.copy(given)
            set_effort(own.model, effort)
        if effort is not None and not knows_effort(own.model):
            self.ignored = "llm_reasoning_effort" if self._record.own_setting("llm_reasoning_effort") else "think_mode"
        if own.model is not given:
            self._replaced = given, own.model
            self._hand_on(own, given)

    def _hand_on(self, own: Any, given: Any) -> None:
        """Give the task's model to members that have none, or that use their leader's own."""
        members = own.members if hasattr(own, "members") else None
        for each in members if isinstance(members, list) else ():
            self._hand_to(each, own.model, given)

    def _hand_to(self, member: Any, model: Any, given: Any) -> None:
        if member.model is None or member.model is given:
            member.model = model
            self._hand_on(member, given)

    def _give_tools(self, own: Any) -> None:
        if self._file_tools is not None:
            self._file_tools.give(own)

    def _set_words(self, own: Any) -> None:
        record = self._record
        if record.instructions_override:
            own.instructions = record.instructions_override
            if isinstance(own.system_message, str):  # Agno then ignores the instructions
                own.system_message = record.instructions_override
        if record.expected_output:
            own.expected_output = record.expected_output
        if record.output_format is not None:
            own.markdown = False  # the task's format instruction replaces Agno's
        form = FORMATS[record.output_format] if record.output_format else None
        self._add_context(own, [record.additional_context, form])

    def _add_context(self, own: Any, lines: list[str | None]) -> None:
        said = [line for line in lines if line]
        if not said:
            return
        own.additional_context = "\n\n".join([own.additional_context, *said] if own.additional_context else said)
        if isinstance(own.system_message, str):  # Agno then ignores the additional context
            own.system_message = "\n\n".join([own.system_message, *said])

    def _ask(self, own: Any) -> None:
        """Ask the model for the wanted schema in its provider's format."""
        wanted = self._wanted
        if wanted.schema is not None:
            ask = schema_request(own.parser_model or own.model, wanted.schema)
            own.output_schema = ask.setting
            own.use_json_mode = ask.json_mode or own.use_json_mode
            self._add_context(own, [ask.instruction])
        elif wanted.model is not None:
            own.output_schema = wanted.model


def for_run_within(owner: Any, frame: "Frame") -> Any:
    """Return the agent to run in a nested run: a copy if the task changes anything about it, else the original.

    Args:
        owner: The agent, team or workflow.
        frame: The frame in which it is run.
    """
    if hasattr(owner, "steps"):
        return owner
    overrides = frame.run.overrides
    return overrides.of_step(owner) if is_of_workflow(frame) else overrides.of_member(owner)


def without_users(agent: Any, user_id: str | None) -> Any:
    """Return an agent to run without a user: a copy that remembers no users if the agent otherwise would.

    Args:
        agent: The agent, team or workflow.
        user_id: The user of the run; None for a run without a user.
    """
    if user_id or getattr(agent, "user_id", None) or not _remembers_users(agent):
        return agent
    own = copy.copy(agent)
    for name in OF_USERS:
        setattr(own, name, False)
    return own


def _remembers_users(agent: Any) -> bool:
    given = [getattr(agent, name, False) for name in OF_USERS]
    return any(given) or (given[0] is None and getattr(agent, "memory_manager", None) is not None)


def workflow_input(given: Any, record: TaskRecord, wanted: Wanted) -> Any:
    """Return a workflow's input with the task's settings appended, since a workflow has no instructions of its own.

    A structured input is returned unchanged: text cannot be appended to it.
    """
    if not isinstance(given, str):
        return given
    asked = [
        record.instructions_override,
        record.additional_context,
        f"Expected output: {record.expected_output}" if record.expected_output else None,
        FORMATS[record.output_format] if record.output_format else None,
        in_words(wanted.schema) if wanted.schema is not None else None,
    ]
    return "\n\n".join([given, *(line for line in asked if line)])


def _copied(agent: Any) -> Any:
    """Copy an agent, team or workflow, together with its parts."""
    own = copy.copy(agent)
    own.telemetry = False
    for attribute in HELPERS:
        helper = getattr(own, attribute, None)
        if helper is not None and getattr(helper, "model", helper) is None:
            setattr(own, attribute, _copied_helper(helper))
    if isinstance(getattr(own, "members", None), list):  # members from a function are copied when it returns them
        own.stream_member_events = True
        own.members = [_copied(each) for each in own.members]
    if getattr(own, "agent", None) is not None:  # a workflow's agent, which decides when the workflow runs
        own.agent = _copied(own.agent)
    _copy_steps(own)
    return own


def _copy_steps(container: Any) -> None:
    for attribute in STEPS:
        steps = getattr(container, attribute, None)
        if isinstance(steps, list | tuple):
            setattr(container, attribute, [_copied_step(each) for each in steps])
        elif steps is not None and not callable(steps):
            setattr(container, attribute, _copied_step(steps))


def _copied_step(step: Any) -> Any:
    if any(isinstance(step, kind) for kind, _ in _kinds()):
        return _copied(step)
    if hasattr(step, "active_executor"):
        return _copied_single_step(step)
    if not any(hasattr(step, attribute) for attribute in STEPS):
        return step  # a function, or a remote agent
    own = copy.copy(step)
    _copy_steps(own)
    return own


def _copied_single_step(step: Any) -> Any:
    own = copy.copy(step)
    for attribute in ("agent", "team", "workflow"):
        inside = getattr(step, attribute)
        if inside is not None:
            setattr(own, attribute, _copied_step(inside))
            own.active_executor = getattr(own, attribute)
    return own


def is_of_workflow(frame: "Frame") -> bool:
    """Return whether a run belongs to a workflow, its steps, or the agent that decides when the workflow runs."""
    return all(_is_part_of_workflow(each.owner) for each in frame.path())


def _is_part_of_workflow(owner: Any) -> bool:
    if hasattr(owner, "steps") or hasattr(owner, "active_executor") or type(owner).__name__ == "WorkflowAgent":
        return True
    function = getattr(owner, "function", None)
    return function is not None and function.name == "run_workflow" and runs_others(function)


def _copied_helper(helper: Any) -> Any:
    """Copy a helper, and those of its settings that would be assigned a model."""
    own = copy.copy(helper)
    for name, value in list(vars(own).items()):
        if name == "_stores":
            setattr(own, name, None)
        elif type(value).__module__.startswith("agno.") and getattr(value, "model", value) is None:
            setattr(own, name, copy.copy(value))
    return own
