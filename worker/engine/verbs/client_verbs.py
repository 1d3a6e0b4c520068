"""What the verbs of clients share: reading a task's row and completing its record."""

from typing import Any

from worker.contracts.bounds import bounded
from worker.engine.core import Core
from worker.engine.database.answer_links import AnswerLinks
from worker.engine.database.statements import tasks as sql_tasks
from worker.engine.state.records import task_record
from worker.engine.verbs.audit import EngineAudit
from worker.engine.verbs.conversations import Conversations
from worker.engine.verbs.files import FileStore
from worker.words.answer_links import LinkedRecord
from worker.words.errors import TaskNotFound
from worker.words.tasks import TaskRecord, with_agents_model
from worker.words.texts import clean


class ClientVerbs:
    """A base class of the verbs of clients, for one organization.

    Args:
        core: This process's hold on the database.
        organization_id: The organization of the tasks.
        links: Adds links to input requests; None if the server does so, which knows its client.
    """

    def __init__(self, core: Core, organization_id: str, links: AnswerLinks | None = None) -> None:
        self._core = core
        self._links = links
        self._organization = organization_id
        self._files = FileStore(core, organization_id)
        self.conversations = Conversations(core, organization_id)
        self._audit = EngineAudit(core, organization_id)

    async def _row(self, task_id: str, *, patient: bool = False) -> dict[str, Any]:
        rows = await self._core.read(sql_tasks.GET_TASK, (clean(task_id), self._organization), patient=patient)
        if not rows:
            raise TaskNotFound(task_id)
        return rows[0]

    async def _linked(self, record: LinkedRecord) -> LinkedRecord:
        return record if self._links is None else await self._links.with_links(record, self._organization)

    @bounded
    async def get(self, task_id: str) -> TaskRecord:
        """Return a task."""
        return await self._with_model(task_record(await self._row(task_id)))

    async def _with_model(self, task: TaskRecord) -> TaskRecord:
        said = await self._core.models.of(self._organization, [task.agent_id])
        return await self._linked(with_agents_model(task, said[task.agent_id]))
