"""One transaction for many items: their effects are decided, then stored by a handful of statements.

Nearly all writes come from runs to their own tasks. They are decided on the rows that this process remembers
(``owned_rows.py``) and stored by one statement that locks and checks the rows itself, without a prior read.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.engine.commit.batch import NEVER, Batch, NewRow
from worker.engine.commit.in_doubt import InDoubt, Logged
from worker.engine.commit.owned_rows import OwnedRows
from worker.engine.commit.queue import QueuedWrite
from worker.engine.database.connections import LEAVE_NO_LOCK, loads
from worker.engine.database.payloads import array, encode
from worker.engine.database.statements import files as sql_files
from worker.engine.database.statements import tasks as sql_tasks
from worker.engine.database.vault import Vault
from worker.engine.fault_points import fault, needs_locked_write
from worker.engine.state.rows import Row

if TYPE_CHECKING:
    from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline

LARGE_BYTES = 256 * 1024  # larger values use a connection of their own, so that no group waits for them
LIMITS_TRANSACTIONS = 170000  # PostgreSQL 17
TRANSACTION_LIMIT = "select set_config('transaction_timeout', '10s', %s)"
"""Ends a transaction whose process freezes after locking rows, while the server cannot tell that it waits for us."""


class Transaction:
    """Stores the writes of a group of items, all of them or none.

    Args:
        connection: The connection to use.
        group: The items with their callers.
        batch: Collects the results.
        owned: The rows that this process owns.
        vault: Seals stored values, if encryption is configured.
        pooled: Whether connections go through a transaction pooler.
    """

    def __init__(
        self,
        connection: "AsyncConnection[Any]",
        group: Sequence[QueuedWrite],
        batch: Batch,
        *,
        owned: OwnedRows,
        vault: Vault,
        pooled: bool,
    ) -> None:
        self._connection = connection
        self._group = group
        self._batch = batch
        self._owned = owned
        self._vault = vault
        self._pooled = pooled

    async def commit(self) -> None:
        """Store the group's writes; raise only if the whole transaction failed."""
        if all(isinstance(each.item, NewRow) and not each.item.files and each.in_doubt is None for each in self._group):
            await self._create()
        elif self._is_known():
            await self._write_known()
        else:
            await self._change()
            self._owned.update(self._batch, {each.item.task_id for each in self._group})

    async def _create(self) -> None:
        """Insert new tasks without uploads: one statement in its own transaction, without a lock or a decision."""
        for item in self._batch.items:
            self._batch.take(item)
        await self._note_created(await self._insert())

    async def _insert(self) -> "AsyncCursor[dict[str, Any]]":
        from psycopg.rows import dict_row

        in_turns = any(row["conversation_id"] is not None for row in self._batch.new)
        statement = sql_tasks.INSERT_TURNS if in_turns else sql_tasks.INSERT_TASKS
        return await self._connection.cursor(row_factory=dict_row).execute(statement, (self._batch.inserted(),))

    async def _note_created(self, made: "AsyncCursor[dict[str, Any]]") -> None:
        rows = await made.fetchall()
        self._batch.now = rows[0]["now"]
        self._batch.wakes_deliveries |= rows[0]["is_due"]
        self._batch.begin([row for row in rows if row["id"] is not None])

    def _is_known(self) -> bool:
        """Return whether all items are runs' writes to known tasks; items in doubt always need a read."""
        if needs_locked_write():
            return False
        return all(
            each.in_doubt is None and each.size <= LARGE_BYTES and self._owned.covers(each.item, each.owner)
            for each in self._group
        )

    async def _write_known(self) -> None:
        """Store runs' writes to their own tasks by one statement, which skips tasks that changed meanwhile."""
        self._owned.decide([waiting.item for waiting in self._group], self._batch)
        fault("known.decided", self._batch.items)
        written = await self._connection.execute(sql_tasks.WRITE_OWNED, self._owned.parameters(self._batch))
        ((self._batch.now, ids, due),) = await written.fetchall()
        fault("known.committed", self._batch.items)
        stored = set(ids)
        self._owned.update(self._batch, stored)
        self._owned.doubt(self._batch.rows.keys() - stored)
        self._batch.wakes_deliveries |= due
        self._batch.keep(stored)

    async def _change(self) -> None:
        """Lock, decide and store in one pipeline with a single wait."""
        try:
            async with self._connection.pipeline() as pipeline:
                await self._connection.execute("begin")
                if self._pooled:
                    await self._connection.execute(LEAVE_NO_LOCK, (True,))
                    await limit(self._connection, is_local=True)
                fault("write.begun", self._batch.items)
                await self._decide(pipeline)
                fault("write.decided", self._batch.items)
                made, cursors = await self._store()
                await self._connection.execute("commit")
                fault("write.sent", self._batch.items)
            fault("write.committed", self._batch.items)
        except BaseException:
            if not self._connection.closed:
                await self._connection.rollback()
            raise
        if made is not None:
            await self._note_created(made)
        self._batch.wakes_deliveries |= cursors is not None and cursors.rowcount > 0

    async def _decide(self, pipeline: "AsyncPipeline") -> None:
        """Lock the rows and ask each change for its effect; new tasks alone need no wait.

        The pipeline itself needs no sync here, but with one the server knows that it waits for us and can time out.
        """
        from psycopg.rows import dict_row

        ids = sorted({item.task_id for item in self._batch.items if not isinstance(item, NewRow)})
        if ids:
            renewing = array(item.task_id for item in self._batch.items if getattr(item, "renewal", None))
            cursor = self._connection.cursor(row_factory=dict_row)
            locked = await cursor.execute(sql_tasks.LOCK_TASKS, {"ids": array(ids), "settings": renewing})
            await pipeline.sync()
            self._batch.rows = {row["id"]: Row(**row) for row in await locked.fetchall()}
            self._batch.now = next((row.now for row in self._batch.rows.values()), NEVER)
            fault("write.locked", self._batch.items)
        committed = await self._committed()
        for waiting, item in zip(self._group, self._batch.items, strict=True):
            if waiting.in_doubt in committed:
                self._batch.pass_over(item, committed[waiting.in_doubt])
            else:
                self._batch.take(item, waiting.owner)

    async def _committed(self) -> dict[InDoubt, datetime]:
        """Return the earlier tries that did commit although their answers were lost, with their times.

        The rows are locked, so those tries have ended: their events are in the log, or never will be.
        """
        doubts = list({each.in_doubt for each in self._group if each.in_doubt is not None})
        if not doubts:
            return {}
        keys = [each.task_id for each in doubts], [each.number for each in doubts]
        logged = await (await self._connection.execute(sql_tasks.READ_TIMES, keys)).fetchall()
        found = {(task_id, number): self._logged(*event) for task_id, number, *event in logged}
        seen = {each: found.get((each.task_id, each.number)) for each in doubts}
        return {each: event.time for each, event in seen.items() if event is not None and each.is_settled_by(event)}

    def _logged(self, time: datetime, attempt: int | None, data: str | None) -> Logged:
        if data is not None and self._vault.has_key:  # sealing a value twice gives two different texts
            data = encode(self._vault.opened(loads(data)))
        return Logged(time, attempt, data)

    async def _store(self) -> "tuple[AsyncCursor[dict[str, Any]] | None, AsyncCursor[Any] | None]":
        """Send the group's writes; return the cursors that report created tasks and due deliveries."""
        made = cursors = None
        if self._batch.new:
            made = await self._insert()
        for statement, values, ids in self._batch.updates():
            await self._connection.execute(statement, (values, ids))
        fault("write.updated", self._batch.items)
        if self._batch.dropped_journals:
            await self._connection.execute(sql_tasks.DROP_JOURNAL, (array(self._batch.dropped_journals),))
        if self._batch.journal:
            await self._connection.execute(sql_tasks.INSERT_JOURNAL, (self._batch.noted(),))
            fault("write.journaled", self._batch.items)
        if self._batch.dropped_files:
            await self._connection.execute(sql_files.DROP_TASK_FILES, (self._batch.dropped_files,))
        if self._batch.files:
            await self._connection.execute(sql_files.INSERT_TASK_FILES, (encode(self._batch.files),))
        if self._batch.events:
            cursors = await self._connection.execute(sql_tasks.INSERT_EVENTS, (self._batch.logged(),))
            fault("write.logged", self._batch.items)
        return made, cursors


async def limit(connection: "AsyncConnection[Any]", *, is_local: bool) -> None:
    """Limit the duration of this transaction, or of all on the connection, where the server supports it."""
    if connection.info.server_version >= LIMITS_TRANSACTIONS:
        await connection.execute(TRANSACTION_LIMIT, (is_local,))
