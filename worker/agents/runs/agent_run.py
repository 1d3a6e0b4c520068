"""One run of an agent for a task: the state that its calls share, at any level and in any thread."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from worker.agents.event_buffer import Written
from worker.agents.runs.failures import RunFailures
from worker.current import REASON_PAUSE, Run
from worker.words.finish import FinishReason, is_whole
from worker.words.requests import InputRequest

if TYPE_CHECKING:
    from worker.agents.instrumentation.frames import Frame

TURNS = 5  # of the event loop, until steps that Agno starts concurrently have all begun


@dataclass(slots=True, eq=False)
class AgentRun(RunFailures):
    """A run of an agent, team or workflow, and of all nested runs."""

    def record_answer(self, frame: "Frame", answer: Sequence[dict[str, Any]]) -> None:
        """Record the text of an answer of the run's own agent, or of a workflow's step."""
        text = "".join(said for each in answer if isinstance(said := each.get("content"), str))
        if text and frame.member is None:
            self.said.append(text)

    def answered(self, frame: "Frame", reason: FinishReason, answer: Sequence[dict[str, Any]]) -> None:
        """Record an answer of the run's own agent, or of a workflow's step, and why it ended.

        A workflow's steps contribute to one result, for which the first incomplete answer counts.
        """
        self.record_answer(frame, answer)
        if reason is FinishReason.ToolCalls or frame.member is not None:
            return
        *_, root = frame.path()
        if hasattr(root.owner, "steps") and not is_whole(self.usage.finish):
            return
        self.usage.finish = reason

    def ask(self, requests: Sequence[InputRequest], frame: "Frame") -> None:
        """Record an agent's requests to a person, and mark its frame and all enclosing frames as paused."""
        self.asked.update({each.id: each for each in requests})
        for each in frame.path():
            each.is_paused = True
        kept_back, self._kept_back = self._kept_back, []
        for write in kept_back:
            self.buffer.add(*write())

    async def wait_for_concurrent_steps(self, frame: "Frame") -> None:
        """Wait for the steps concurrent with one that waits for a person: if cut off, they would be repeated."""
        for _ in range(TURNS):  # steps that Agno starts concurrently begin one at a time
            await asyncio.sleep(0)
        around = {*frame.path()}
        self._held_up.update(each for each in around if each in self.steps)
        self._step_ended.set()
        while self.steps - self._held_up:
            self._step_ended.clear()
            await self._step_ended.wait()

    def step_ends(self, frame: "Frame") -> None:
        """Record that a workflow's step has ended."""
        self.steps.discard(frame)
        self._held_up.discard(frame)
        self._step_ended.set()

    def store_if_paused(self, write: Callable[[], Written]) -> None:
        """Store something only if the run waits for a person, now or later."""
        if self.asked:
            self.buffer.add(*write())
        else:
            self._kept_back.append(write)

    def pause(self) -> asyncio.CancelledError:
        """End the attempt until a person has answered the agents' requests, and return the exception to raise."""
        if self.attempt is not None:
            return self.attempt.pause(self.asked.values())
        return asyncio.CancelledError(REASON_PAUSE)

    def hitl_request(self, known: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the task's ``hitl_request`` if the run waits for a person; otherwise None.

        Args:
            known: Agno's own request, if it has paused.
        """
        if not self.asked:
            return known
        run = self.attempt or Run(self.record.id, self.record.agent_id, cast("Any", None))
        return run.waiting_for(self.asked.values(), **(known or {"wait_node_id": next(iter(self.asked))}))
