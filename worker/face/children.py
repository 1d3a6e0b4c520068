"""Tasks that a handler makes and waits for. A long wait holds no place in a worker, as any other."""

import asyncio
import json
import warnings
from collections.abc import Generator, Iterable, Sequence
from typing import Any

from worker.agents.journal import too_large
from worker.contracts import Platform
from worker.current import Run
from worker.face import bridge
from worker.face.journaling import emit, journal_of, load, work_of
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
    """A task that a handler makes: it begins, and is waited for, when it is awaited, alone or by ``context.gather``.

    Args:
        run: The attempt that makes it.
        agent_id: Its agent.
        prompt: What that is asked.
        files: URLs as text; local files as ``pathlib.Path``.
        options: See ``TaskOptions``.

    Raises:
        ValidationError: It has an option that no child can have.
        Conflict: The platform keeps no journals.
    """

    def __init__(
        self, run: Run, agent_id: str, prompt: str | None, files: Sequence[FileSource] | None, options: TaskOptions
    ) -> None:
        for name in sorted(options.keys() & NOT_OF_CHILDREN):
            raise ValidationError(f"A child has no option {name!r}.", field=name)
        self._wish = agent_id, prompt, files, options
        self.run = run
        self.agent_id = agent_id
        self.at = journal_of(run).step(f"task {agent_id}")
        self.id: str | None = None  # once it is journaled
        self.ended: Task | None = None
        self.is_begun = False

    def __await__(self) -> Generator[Any, None, Task]:
        """Wait until it has ended. Raises: ChildFailed, CancelledError (the attempt ends until then)."""
        return self._wait().__await__()

    async def _wait(self) -> Task:
        return (await wait([self]))[0]

    def __del__(self) -> None:
        if not getattr(self, "is_begun", True):
            warnings.warn(
                f"a task of agent {self.agent_id!r} was never made: await context.run_task(…)",
                RuntimeWarning,
                stacklevel=2,
            )

    async def new(self, platform: Platform) -> NewTask:
        """The wish for it; local files are uploaded. Raises: ValidationError."""
        return await new_task(platform, *self._wish)


class _Family:
    """Children that are waited for together; all are of one run."""

    def __init__(self, children: Sequence[ChildTask]) -> None:
        if len(children) > MOST:
            raise ValidationError(f"At most {MOST:,} tasks are waited for at once.", field="children")
        self._children = children
        self._run = children[0].run
        self._journal = journal_of(self._run)
        for each in children:
            each.is_begun = True

    async def look(self, platform: Platform) -> list[str]:
        """Make those that are not there, read those that have ended. Returns: the ids of those that have not."""
        await load(self._run, platform)
        await self._identify(platform)
        records = {each.id: each for each in await self._read(platform, self._unknown())}
        missing = {each.id: each for each in self._unknown() if each.id is not None and each.id not in records}
        if missing:
            await self._make(platform, missing)
        for each in self._unknown():
            record = records.get(each.id or "")
            if record is not None and record.status.is_terminal:
                await self._note_end(platform, each, record)
        return [each.id for each in self._unknown() if each.id is not None]

    def _unknown(self) -> list[ChildTask]:
        return [each for each in self._children if each.ended is None]

    async def _identify(self, platform: Platform) -> None:
        """Give each its id, which is journaled before anything is made under it; read what ends are journaled."""
        made: list[Any] = []
        for each in self._children:
            if each.id is None:
                known = self._take(each.at)
                each.id = new_id() if known is None else known["child"]
                if known is None:
                    made.append(self._journal.row(self._journal.root, "step", each.at, {"child": each.id}))
            if each.ended is None and (end := self._take(f"{each.at}.end")) is not None:
                each.ended = Task.of(TaskRecord.model_validate(end))
        await emit(self._run, [], [row for row in made if row is not None], platform)

    def _take(self, at: str) -> Any:
        known = self._journal.take(self._journal.root, "step", at)
        return None if known is None else known.value

    async def _read(self, platform: Platform, children: Sequence[ChildTask]) -> list[TaskRecord]:
        ids = [each.id for each in children if each.id is not None]
        return await work_of(self._run, platform).children(self._run.task_id, ids) if ids else []

    async def _make(self, platform: Platform, missing: dict[str, ChildTask]) -> None:
        """Make them, unless an earlier attempt has: then they were deleted meanwhile, with all they said."""
        for each in missing.values():
            if self._take(f"{each.at}.made") is not None:
                raise TaskNotFound(each.id or "")
        wishes = {child: await each.new(platform) for child, each in missing.items()}
        await work_of(self._run, platform).make_children(self._run.task_id, self._run.attempt or 0, wishes)
        rows = [self._journal.row(self._journal.root, "step", f"{each.at}.made", True) for each in missing.values()]
        await emit(self._run, [], [row for row in rows if row is not None], platform)

    async def _note_end(self, platform: Platform, child: ChildTask, record: TaskRecord) -> None:
        """Journal how it ended: what comes after this place depends on it, whatever becomes of the child later."""
        said = json.loads(record.model_dump_json(exclude=SECRETS))
        row = self._journal.row(self._journal.root, "step", f"{child.at}.end", said)
        await emit(
            self._run,
            [too_large(f"The end of task {record.id}")] if row is None else [],
            [row] if row else [],
            platform,
        )
        child.ended = Task.of(record)

    def result(self, *, is_patient: bool) -> list[Task] | None:
        """All of them, in order; None while one has not ended. Raises: ChildFailed.

        Args:
            is_patient: Whether all are waited for, and one that has not ended well is answered as it is.
        """
        for each in self._children:
            if each.ended is not None and each.ended.status is not AgentExecutionStatus.Completed and not is_patient:
                raise ChildFailed(each.ended)
        return None if self._unknown() else [each.ended for each in self._children if each.ended is not None]

    def suspend(self, awaited: Sequence[str]) -> asyncio.CancelledError:
        """End the attempt until they have ended; returns what to raise."""
        agents = ", ".join(dict.fromkeys(each.agent_id for each in self._unknown()))
        what = "a task" if len(awaited) == 1 else f"{len(awaited)} tasks"
        text = f"waits for {what} of {agents}"[:400]
        return self._run.suspend(HandBack(waiting_for=text, awaits=tuple(awaited)))


def of_run(run: Run, children: Iterable[Any]) -> list[ChildTask]:
    """See that these are children of this run. Raises: ValidationError."""
    found = list(children)
    for each in found:
        if not isinstance(each, ChildTask) or each.run is not run:
            raise ValidationError("context.gather takes what context.run_task(…) answers.", field="children")
    return found


async def wait(children: Sequence[ChildTask], *, is_patient: bool = False) -> list[Task]:
    """Make children, and wait for all. Raises: ChildFailed, CancelledError (the attempt ends until they have ended)."""
    if not children:
        return []
    family = _Family(children)
    awaited = await bridge.across(family.look)
    found = family.result(is_patient=is_patient)
    if found is None:
        raise family.suspend(awaited)
    return found


def wait_sync(children: Sequence[ChildTask], *, is_patient: bool = False) -> list[Task]:
    """Do the same, and block this thread."""
    if not children:
        return []
    family = _Family(children)
    awaited = bridge.block(family.look)
    found = family.result(is_patient=is_patient)
    if found is None:
        raise family.suspend(awaited)
    return found
