"""Child tasks: created by a handler, which then waits for them without holding a worker slot."""

import asyncio
import json
import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from worker.contracts import Platform
from worker.current import Run
from worker.face import bridge
from worker.face.journaling import journal_of, load, note, noted, work_of
from worker.face.options import TaskOptions, new_task
from worker.face.task import Task
from worker.face.uploads import FileSource
from worker.words.errors import ChildFailed, TaskNotFound, ValidationError
from worker.words.ids import new_id
from worker.words.outcomes import HandBack
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import NewTask, TaskRecord

NOT_OF_CHILDREN = frozenset({"existing_task_id", "parent_execution", "run_locally", "worker_id"})
"""Options of a new task that a child cannot have."""
SECRETS = {"user_tokens", "user_oidc_token"}
MOST = 1_000  # children at once


class ChildTask:
    """A child task of a handler. It is created once it is awaited, alone or by ``context.gather``.

    Args:
        run: The attempt that creates it.
        agent_id: The child's agent.
        prompt: The prompt.
        files: URLs as text; local files as ``pathlib.Path``.
        options: See ``TaskOptions``.

    Raises:
        ValidationError: A child cannot have one of the options.
        Conflict: The platform does not keep journals.
    """

    def __init__(
        self, run: Run, agent_id: str, prompt: str | None, files: Sequence[FileSource] | None, options: TaskOptions
    ) -> None:
        for name in sorted(options.keys() & NOT_OF_CHILDREN):
            raise ValidationError(f"A child task does not support the option {name!r}.", field=name)
        self._arguments = agent_id, prompt, files, options
        self.run = run
        self.agent_id = agent_id
        self.at = journal_of(run).step(f"task {agent_id}")
        self.id: str | None = None  # set when it is about to be journaled
        self.ended: Task | None = None
        self.is_begun = False

    def __await__(self) -> Generator[Any, None, Task]:
        """Wait until the child has finished.

        Raises:
            ChildFailed: The child did not end as completed.
            asyncio.CancelledError: The child has not finished, so the attempt ends until it has.
        """
        return self._wait().__await__()

    async def _wait(self) -> Task:
        return (await wait([self]))[0]

    def __del__(self) -> None:
        if not getattr(self, "is_begun", True):
            warnings.warn(
                f"a task of agent {self.agent_id!r} was never created: await context.run_task(…)",
                RuntimeWarning,
                stacklevel=2,
            )

    async def new(self, platform: Platform) -> NewTask:
        """Build the task to create; local files are uploaded.

        Raises:
            ValidationError: An option is invalid.
        """
        return await new_task(platform, *self._arguments)


class _ChildGroup:
    """Children of one run that are awaited together."""

    def __init__(self, children: Sequence[ChildTask]) -> None:
        if len(children) > MOST:
            raise ValidationError(f"At most {MOST:,} tasks can be awaited together.", field="children")
        self._children = children
        self._run = children[0].run
        for each in children:
            each.is_begun = True

    async def look(self, platform: Platform) -> list[str]:
        """Create missing children, read those that have finished, and return the ids of the unfinished ones."""
        await load(self._run, platform)
        await self._identify(platform)
        records = {each.id: each for each in await self._read(platform, self._unknown())}
        missing = {each.id: each for each in self._unknown() if each.id is not None and each.id not in records}
        if missing:
            await self._make(platform, missing)
        await self._note_ends(platform, records)
        return [each.id for each in self._unknown() if each.id is not None]

    def _unknown(self) -> list[ChildTask]:
        return [each for each in self._children if each.ended is None]

    async def _identify(self, platform: Platform) -> None:
        """Give each child an id, journaled before the child is created under it, and read journaled outcomes."""
        fresh: dict[str, Any] = {}
        for each in self._children:
            if each.id is None:
                known = noted(self._run, each.at)
                each.id = new_id() if known is None else known.value["child"]
                if known is None:
                    fresh[each.at] = {"child": each.id}
            if each.ended is None and (end := noted(self._run, f"{each.at}.end")) is not None:
                each.ended = Task.of(TaskRecord.model_validate(end.value))
        await note(self._run, fresh, platform)

    async def _read(self, platform: Platform, children: Sequence[ChildTask]) -> list[TaskRecord]:
        ids = [each.id for each in children if each.id is not None]
        return await work_of(self._run, platform).children(self._run.task_id, ids) if ids else []

    async def _make(self, platform: Platform, missing: dict[str, ChildTask]) -> None:
        """Create children. A child that an earlier attempt created was deleted meanwhile: raise TaskNotFound for it."""
        for each in missing.values():
            if noted(self._run, f"{each.at}.made") is not None:
                raise TaskNotFound(each.id or "")
        new_tasks = {child: await each.new(platform) for child, each in missing.items()}
        await work_of(self._run, platform).make_children(self._run.task_id, self._run.attempt or 0, new_tasks)
        await note(self._run, {f"{each.at}.made": True for each in missing.values()}, platform)

    async def _note_ends(self, platform: Platform, records: Mapping[str, TaskRecord]) -> None:
        """Journal outcomes of children: later code of the handler depends on them, whatever happens to the children."""
        ended = {
            f"{each.at}.end": (each, record)
            for each in self._unknown()
            if (record := records.get(each.id or "")) is not None and record.status.is_terminal
        }
        said = {at: json.loads(record.model_dump_json(exclude=SECRETS)) for at, (_, record) in ended.items()}
        await note(self._run, said, platform, lambda at: f"The outcome of task {ended[at][1].id}")
        for child, record in ended.values():
            child.ended = Task.of(record)

    def outcome(self, awaited: Sequence[str], *, is_patient: bool) -> list[Task]:
        """Return all children, in order.

        Args:
            awaited: The ids of unfinished children.
            is_patient: Whether to wait for all children and return failed ones like the others.

        Raises:
            ChildFailed: A child did not end as completed.
            CancelledError: The attempt ends until all children have finished.
        """
        ended = [each.ended for each in self._children if each.ended is not None]
        failed = next((each for each in ended if each.status is not AgentExecutionStatus.Completed), None)
        if failed is not None and not is_patient:
            raise ChildFailed(failed)
        if awaited:
            raise self._suspend(awaited)
        return ended

    def _suspend(self, awaited: Sequence[str]) -> asyncio.CancelledError:
        """End the attempt until the children have finished, and return the exception to raise."""
        agents = ", ".join(dict.fromkeys(each.agent_id for each in self._unknown()))
        what = "a task" if len(awaited) == 1 else f"{len(awaited)} tasks"
        text = f"waits for {what} of {agents}"[:400]
        return self._run.suspend(HandBack(waiting_for=text, awaits=tuple(awaited)))


def of_run(run: Run, children: Iterable[Any]) -> list[ChildTask]:
    """Check that these are children of this run, and return them as a list.

    Raises:
        ValidationError: One of them is not.
    """
    found = list(children)
    for each in found:
        if not isinstance(each, ChildTask) or each.run is not run:
            raise ValidationError("context.gather accepts only tasks from context.run_task(…).", field="children")
    return found


async def wait(children: Sequence[ChildTask], *, is_patient: bool = False) -> list[Task]:
    """Create children, and wait for all.

    Raises:
        ChildFailed: A child did not end as completed.
        asyncio.CancelledError: The attempt ends until all children have finished.
    """
    if not children:
        return []
    family = _ChildGroup(children)
    return family.outcome(await bridge.across(family.look), is_patient=is_patient)


wait_sync = bridge.blocking(wait)
