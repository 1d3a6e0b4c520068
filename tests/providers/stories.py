"""A task whose agent's provider gets into trouble, told attempt by attempt."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agno.agent import Agent
from agno.team import Team
from agno.workflow.types import StepInput, StepOutput

from tests.agents.attempts import Task
from tests.agents.runs import flow
from tests.providers.answers import Reply, Says
from tests.providers.standin import Request, StandIn
from tests.providers.wires import Wire
from tests.support import is_retryable
from worker.agents.errors import AgentFailed
from worker.testing import Call, ScriptedModel

WHOLE = "The answer is 42."
PIECES = ("The answer ", "is ", "42.")

Shape = Callable[[Agent], Any]


def alone(agent: Agent) -> Any:
    """The agent itself."""
    return agent


def in_a_team(agent: Agent) -> Any:
    """A team whose leader hands the work to the agent, and says what it said."""
    model = ScriptedModel([Call("delegate_task_to_member", {"member_id": "a", "task": "t"}), WHOLE])
    return Team(id="t", model=model, members=[agent], telemetry=False)


def in_a_workflow(agent: Agent) -> Any:
    """A workflow of one step, whose answers stream."""
    return flow(agent)


def in_one_piece(agent: Agent) -> Any:
    """A workflow whose function asks the agent for its answer in one piece."""

    async def ask(given: StepInput) -> StepOutput:
        output = await agent.arun(given.get_input_as_string() or "")
        return StepOutput(content=output.content, success=str(output.status.value) == "COMPLETED", error=None)

    return flow(ask)


def in_plain_code(agent: Agent) -> Any:
    """A workflow whose plain function asks the agent for its answer in one piece."""

    def ask(given: StepInput) -> StepOutput:
        output = agent.run(given.get_input_as_string() or "")
        return StepOutput(content=output.content, success=str(output.status.value) == "COMPLETED", error=None)

    return flow(ask)


def streamed_by_plain_code(agent: Agent) -> Any:
    """A workflow whose plain generator passes on the agent's answer as it comes."""

    def ask(given: StepInput) -> Iterator[Any]:
        yield from agent.run(given.get_input_as_string() or "", stream=True)

    return flow(ask)


SHAPES: dict[str, Shape] = {each.__name__: each for each in (alone, in_a_team, in_a_workflow, in_one_piece)}


@dataclass
class Story:
    """What happens to a task whose agent calls a tool, and whose next request to the model gets a first answer.

    Args:
        wire: The provider's.
        shape: What the agent is part of.
        trouble: The first answer to what is asked after the tool; all others are whole.
        streams: Whether whoever follows the task sees the text as it comes.
    """

    wire: Wire
    shape: Shape
    trouble: Reply
    streams: bool = True
    effects: list[str] = field(default_factory=list[str])
    errors: list[Exception] = field(default_factory=list[Exception])
    result: Any = None

    async def told(self, attempts: int = 3) -> "Story":
        """Have the task tried as a worker would, until it has a result or an error that is final."""
        with StandIn(self.wire, self._script) as server:
            self.server = server
            self.task = Task(events_streaming=self.streams)
            agent = Agent(id="a", name="a", model=server.model(), tools=[self.look], telemetry=False)
            whole = self.shape(agent)
            try:
                for _ in range(attempts):
                    if await self._attempted(whole):
                        break
            finally:
                await server.close_clients()
        return self

    async def _attempted(self, whole: Any) -> bool:
        try:
            self.result = (await self.task.attempted(lambda run_agent: run_agent(whole))).content
        except AgentFailed as error:
            self.errors.append(error)
            return not is_retryable(error)
        return True

    def look(self) -> str:
        """Look at it."""
        self.effects.append("looked")
        return "seen"

    def _script(self, _: int, request: Request) -> Reply:
        if not request.results:
            return Says(calls=[Call("look", {}, "c1")])
        asked = sum(bool(each.results) for each in self.server.requests)
        return self.trouble if asked == 1 else Says(PIECES)

    @property
    def asked_after_the_tool(self) -> int:
        """How often the model was asked what it was first asked after the tool."""
        return sum(bool(each.results) for each in self.server.requests)
