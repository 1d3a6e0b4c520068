"""A run's own copy of an agent: what the task overrides is set on it, and the user's object stays as it is.

Shallow copies, which cost microseconds: tools, hooks and databases are the user's very objects. What is copied is what
Agno or we would write to: the agent, its members or steps, its models, and helpers that lack a model of their own.
"""

import copy
import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

from worker.agents.calls import Calls, wrapped
from worker.agents.models import default_model_name, named_model, set_effort, shared_model, stand_in
from worker.agents.results import FORMATS, Wanted
from worker.agents.schemas import asking, in_words
from worker.words.errors import ConfigurationError
from worker.words.tasks import TaskRecord

MODELS = ("reasoning_model", "parser_model", "output_model", "followup_model")
"""An agent's models besides its own."""

HELPERS = ("memory_manager", "session_summary_manager", "compression_manager", "learning", "compaction")
"""What Agno hands the agent's model to if it has none: it would keep this run's for ever."""

STEPS = ("steps", "else_steps", "choices")
"""Where a workflow and its containers keep steps."""


def kind_of(agent: Any) -> str:
    """``agent``, ``team`` or ``workflow``.

    Raises:
        ConfigurationError: It is none of Agno's three.
    """
    for kind, name in _kinds():
        if isinstance(agent, kind):
            return name
    raise ConfigurationError(f"run_agent takes an Agno Agent, Team or Workflow, not {type(agent).__name__}.")


@cache
def _kinds() -> tuple[tuple[type, str], ...]:
    from agno.agent import Agent
    from agno.team import Team
    from agno.workflow import Workflow

    return (Agent, "agent"), (Team, "team"), (Workflow, "workflow")


class Copies:
    """Makes the copies for one run.

    Args:
        record: The task, whose overrides count.
        wanted: What it wants of the result.
        calls: What the copies' models leave their traces in.
    """

    def __init__(self, record: TaskRecord, wanted: Wanted, calls: Calls) -> None:
        self._record = record
        self._wanted = wanted
        self._calls = calls
        self._models: dict[int, Any] = {}  # wrapped, by the model: a leader and its members may share one
        self._originals: list[Any] = []  # keeps those ids taken
        self.effort_ignored = False
        self.last_model: Any = None
        self.skippable_steps: set[str] = set()

    def of(self, agent: Any, kind: str) -> Any:
        """A copy of an agent, team or workflow that carries all that the task asks for."""
        if kind == "workflow":
            return self._workflow(agent)
        own = self._team(agent) if kind == "team" else self._agent(agent)
        self._override(own, agent)
        self._ask(own)
        return own

    def repairer(self) -> Any:
        """An agent that only gives the last model's answer another form; none if no model was seen."""
        from agno.agent import Agent

        if self.last_model is None:
            return None
        own = Agent(id="repair", model=self.last_model, telemetry=False)  # a name that another attempt knows again
        self._ask(own)
        return own

    def _agent(self, agent: Any) -> Any:
        own = copy.copy(agent)
        own.telemetry = False
        if own.id is None and own.name is None:
            own.id = self._record.agent_id
        if own.model is not None:
            own.model = self._wrapped(own.model)
        for attribute in MODELS:
            model = getattr(own, attribute, None)
            if model is not None:
                setattr(own, attribute, self._wrapped(model))
        if own.fallback_config is not None:
            own.fallback_config = self._fallbacks(own.fallback_config)
        for attribute in HELPERS:
            helper = getattr(own, attribute, None)
            if helper is not None and getattr(helper, "model", helper) is None:
                setattr(own, attribute, copy.copy(helper))
        return own

    def _team(self, team: Any) -> Any:
        from agno.team import Team

        own = self._agent(team)
        own.stream_member_events = True
        if isinstance(team.members, list):  # a factory's members are the user's own affair: Agno keeps them
            own.members = [self._team(each) if isinstance(each, Team) else self._agent(each) for each in team.members]
        return own

    def _workflow(self, workflow: Any) -> Any:
        own = copy.copy(workflow)
        own.telemetry = False
        if getattr(own, "agent", None) is not None:
            own.agent = self._step_agent(own.agent)
        self._copy_steps(own)
        return own

    def _copy_steps(self, container: Any) -> None:
        for attribute in STEPS:
            steps = getattr(container, attribute, None)
            if isinstance(steps, list | tuple):
                setattr(container, attribute, [self._step(each) for each in steps])
            elif steps is not None and not callable(steps):
                setattr(container, attribute, self._step(steps))

    def _step(self, step: Any) -> Any:
        from agno.workflow import Step, Workflow

        if isinstance(step, Workflow):
            return self._workflow(step)
        if hasattr(step, "arun"):
            return self._step_agent(step)
        if any(hasattr(step, attribute) for attribute in STEPS):
            own = copy.copy(step)
            self._copy_steps(own)
            return own
        return self._single_step(step) if isinstance(step, Step) else step

    def _single_step(self, step: Any) -> Any:
        own = copy.copy(step)
        for attribute in ("agent", "team", "workflow"):
            inside = getattr(step, attribute)
            if inside is not None:
                setattr(own, attribute, self._step(inside))
                own.active_executor = getattr(own, attribute)
        if step.skip_on_failure:
            # Agno's words; its result has neither the step's name nor its id
            self.skippable_steps.add(f"Step {step.name} failed but skipped")
        return own

    def _step_agent(self, agent: Any) -> Any:
        from agno.agent import Agent
        from agno.team import Team

        if not isinstance(agent, Agent | Team):
            return agent  # one that runs elsewhere
        own = self._team(agent) if isinstance(agent, Team) else self._agent(agent)
        self._override_model(own, agent)
        if self._record.tool_call_limit is not None:
            own.tool_call_limit = self._record.tool_call_limit
        self.last_model = own.model
        return own

    def _wrapped(self, model: Any) -> Any:
        replacement = stand_in.get()
        model = model if replacement is None else replacement
        known = self._models.get(id(model))
        if known is None:
            known = self._models[id(model)] = wrapped(model, self._calls)
            self._originals.append(model)
        return known

    def _fallbacks(self, config: Any) -> Any:
        def each(models: list[Any]) -> list[Any]:
            return [model if isinstance(model, str) else self._wrapped(model) for model in models]

        return dataclasses.replace(
            config,
            on_error=each(config.on_error),
            on_rate_limit=each(config.on_rate_limit),
            on_context_overflow=each(config.on_context_overflow),
        )

    def _override(self, own: Any, agent: Any) -> None:
        record = self._record
        self._override_model(own, agent)
        if record.tool_call_limit is not None:
            own.tool_call_limit = record.tool_call_limit
        if record.instructions_override:
            own.instructions = record.instructions_override
            if isinstance(own.system_message, str):  # Agno then reads no instructions at all
                own.system_message = record.instructions_override
        if record.expected_output:
            own.expected_output = record.expected_output
        if record.output_format is not None:
            own.markdown = False  # ours says it instead
        form = FORMATS[record.output_format] if record.output_format else None
        self._add_context(own, [record.additional_context, form])

    def _override_model(self, own: Any, agent: Any) -> None:
        replacement = stand_in.get()
        if replacement is not None:
            own.model = own.model or self._wrapped(replacement)
            self.last_model = own.model
            return
        name = named_model(self._record)
        if name is None and own.model is None:
            name = default_model_name()
        if name is not None:
            own.model = self._wrapped(shared_model(name))
            for member, given in _members(own, agent):
                if given.model is None or given.model is agent.model:
                    member.model = own.model
        effort = self._record.llm_reasoning_effort
        if effort is not None and not set_effort(own.model, effort):
            self.effort_ignored = True
        self.last_model = own.model

    def _add_context(self, own: Any, lines: list[str | None]) -> None:
        said = [line for line in lines if line]
        if not said:
            return
        own.additional_context = "\n\n".join([own.additional_context, *said] if own.additional_context else said)
        if isinstance(own.system_message, str):  # Agno then adds no context at all
            own.system_message = "\n\n".join([own.system_message, *said])

    def _ask(self, own: Any) -> None:
        """Ask the model for the schema that is wanted, in its provider's way."""
        wanted = self._wanted
        if wanted.schema is not None:
            ask = asking(own.parser_model or own.model, wanted.schema)
            own.output_schema = ask.setting
            own.use_json_mode = ask.json_mode or own.use_json_mode
            self._add_context(own, [ask.instruction])
        elif wanted.model is not None:
            own.output_schema = wanted.model


def workflow_input(message: str, record: TaskRecord, wanted: Wanted) -> str:
    """A workflow's input: it has no instructions of its own, so what the task asks for stands below the message."""
    asked = [
        record.instructions_override,
        record.additional_context,
        f"Expected output: {record.expected_output}" if record.expected_output else None,
        FORMATS[record.output_format] if record.output_format else None,
        in_words(wanted.schema) if wanted.schema is not None else None,
    ]
    return "\n\n".join([message, *(line for line in asked if line)])


def _members(own: Any, agent: Any) -> list[tuple[Any, Any]]:
    """A team's members that were copied, each with what it is a copy of."""
    members: Callable[..., Any] | list[Any] = getattr(agent, "members", None) or []
    return list(zip(own.members, members, strict=True)) if isinstance(members, list) and members else []
