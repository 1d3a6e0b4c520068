"""Hooks for runs, workflow steps, team members, and ids of agents."""

from functools import partial
from typing import Any

from worker.agents.instrumentation import bare_notes, exits, other_loops, sync_code
from worker.agents.instrumentation.frames import current_frame
from worker.agents.instrumentation.identities import character_of
from worker.agents.instrumentation.places import Original
from worker.agents.instrumentation.runs import bare_runs, nested_runs
from worker.agents.instrumentation.stable_ids import give_id, remember
from worker.agents.instrumentation.steps import failed_steps
from worker.current import run_in_hand


def run(original: Original) -> Original:
    """Make the hook for a run of an agent, team or workflow."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        if frame is None:
            attempt = bare_notes.current_attempt()
            if attempt is None:
                return original(self, *arguments, **options)
            return exits.guarded_result(
                bare_runs.made(attempt, original, self, arguments, options), with_cancelled=False
            )
        if frame.owner is self:  # the frame's own run, not a nested one
            return original(self, *arguments, **options)
        made = other_loops.on_run_loop(frame, nested_runs.run(frame, original, self, arguments, options))
        return exits.guarded_result(made, with_cancelled=False)

    return hook


def own_id(original: Original) -> Original:
    """Make the hook for the id that Agno generates for an agent without name and id."""

    def hook(self: Any) -> None:
        if self.id is not None or self.name:
            original(self)
        elif current_frame.get() is not None:
            give_id(self, character_of(self))
        else:
            original(self)
            remember(str(self.id))

    return hook


def step(original: Original) -> Original:
    """Make the hook for a workflow step of any kind."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        own = self
        if original.__name__.startswith("aexecute") and run_in_hand.get() is not None:
            own = sync_code.with_async_attributes(self, sync_code.STEP)
        if frame is None and bare_notes.current_attempt() is None:
            result = original(own, *arguments, **options)
        elif frame is None:
            result = failed_steps.execute(self, partial(original, own, *arguments, **options), None, options)
        else:
            result = nested_runs.step(frame, original, own, arguments, options)
        return exits.guarded_result(result)

    return hook


def members(original: Original) -> Original:
    """Make the hook for team members that a user's function returns."""

    async def hook(entity: Any, run_context: Any) -> None:
        await original(entity, run_context)
        _copy_members(entity, run_context)

    return hook


def members_sync(original: Original) -> Original:
    """Sync version of ``members``."""

    def hook(entity: Any, run_context: Any) -> None:
        original(entity, run_context)
        _copy_members(entity, run_context)

    return hook


def _copy_members(team: Any, run_context: Any) -> None:
    """Give a team's run copies of the members that a function returned, since Agno writes to them."""
    frame = current_frame.get()
    if frame is not None and callable(getattr(team, "members", None)) and run_context.members:
        run_context.members = frame.run.overrides.members_of(team, run_context.members)


def background(original: Any) -> Any:
    """Make the hook for the threads in which Agno creates memories of a sync run: they inherit the current frame."""

    def hook(self: Any) -> Any:
        executor = original.fget(self)
        return executor if current_frame.get() is None else nested_runs.Inheriting(executor)

    return property(hook)
