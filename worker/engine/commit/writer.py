"""The grouped writer: one asyncio task per process commits all changes in groups.

There is no waiting window: the changes that arrive while one group commits are the next group. A group locks its task
rows in the order of their ids, asks each change for its effect, writes all effects with a handful of statements,
commits, and only then sends hints. A group that fails is split until the bad item is alone, so its neighbors never
notice.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.background import in_background
from worker.contracts.bounds import remaining
from worker.contracts.lease import OwnLease
from worker.contracts.waiting import within
from worker.engine.commit.batch import Batch
from worker.engine.commit.collisions import collisions, locked
from worker.engine.commit.hand_off import HandOffs
from worker.engine.commit.hints import DELIVERIES, WORK
from worker.engine.commit.in_doubt import note_loss
from worker.engine.commit.owned_rows import OwnedRows
from worker.engine.commit.queue import Item, Queue, QueuedWrite, later
from worker.engine.commit.transaction import LARGE_BYTES, Transaction, limit
from worker.engine.database.bounds import timeout_error
from worker.engine.database.connections import connect, errors, is_lost, is_passing, is_unusable_server, platform_error
from worker.engine.database.server_identity import ServerIdentity
from worker.engine.database.vault import Vault
from worker.engine.fault_points import fault
from worker.engine.state.run_changes import Append, Crash, Finish, GiveBack, Save
from worker.engine.timings import DEFAULT, EngineTimings
from worker.words.conversations import ConversationKey
from worker.words.errors import CutOff, TaskNotFound, Unavailable
from worker.words.ids import is_id
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from psycopg import AsyncConnection

TRY_LATER_SECONDS = 5.0  # before retrying an item that the database refused for a passing reason
LOCK_TRIES = 2  # of a whole group, before it is split to find the locked row
BEGUN_TURNS = 3
"""Turns of the event loop before a create returns if its task was begun: a short run is writing its result by then."""

GOES_ON = (Append, Save)
"""Changes after which a run continues."""

ENDS = (Finish, GiveBack, Crash)
"""Changes after which a run writes nothing more."""

LOSS_SECONDS = 0.001  # before retrying a group whose connection broke; doubled each time

OnCommit = Callable[[str, list[str], list[str]], None]
"""Called after a commit with a hint's flags, the ids of changed tasks, and of those changed not only by their own
attempt."""


class Writer:
    """Commits changes in groups, on one connection.

    Args:
        url: The database.
        announce: Notifies those who wait for changes.
        ended: Called with conversations in which another task's turn may have come.
        parents: Called with tasks of which a child has ended.
        pooled: Whether connections go through a transaction pooler.
        server: The server that the process is connected to.
        lease: The lease of this process's worker, by its own clock.
        vault: Seals stored values, if encryption is configured.
        timings: The timeouts.
    """

    def __init__(
        self,
        url: str,
        announce: OnCommit,
        ended: Callable[[Collection[ConversationKey]], None],
        parents: Callable[[Collection[str]], None],
        *,
        pooled: bool,
        server: ServerIdentity,
        lease: OwnLease,
        vault: Vault,
        timings: EngineTimings = DEFAULT,
    ) -> None:
        self._timings = timings
        self._server = server
        self._vault = vault
        self._lease = lease
        self.hand_offs = HandOffs()
        self._url = url
        self._announce = announce
        self._ended = ended
        self._parents = parents
        self._pooled = pooled
        self._queue = Queue(timings.away)
        self._large = asyncio.Semaphore(1)
        self._later: set[asyncio.Task[None]] = set()
        self._connection: AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._trouble: Unavailable | None = None  # why nothing can be written at present
        self.owned_rows = OwnedRows()
        self.commits = 0
        self.items = 0

    def start(self) -> None:
        """Start committing."""
        self._task = asyncio.create_task(self._run(), name="grouped writer")

    async def close(self) -> None:
        """Commit pending writes, then close the connection; without a database, fail them."""
        self._closing.set()
        await asyncio.gather(*self._later)
        self._queue.close()
        if self._task is not None:
            await self._task
        if self._connection is not None:
            await self._connection.close()

    async def write(self, item: Item) -> datetime:
        """Commit a change exactly once, however often the database becomes unavailable meanwhile.

        A write of a live attempt waits until the database is back; any other fails after a while.

        Returns:
            The database's time of the commit, once it is durable.

        Raises:
            ModuleException: The item's own error: LeaseLost, TaskNotFound, Conflict, ValidationError or Unavailable.
            CutOff: The change was stored, but the worker's lease has expired since the claim: another may have resumed.
        """
        if self._closing.is_set():
            raise Unavailable("the platform is closed")
        if not is_id(item.task_id):  # not even valid in a query
            raise TaskNotFound(item.task_id)
        waiting = self._queue.number(item)
        waiting.owner = self.owned_rows.owner(item)
        if waiting.is_patient:
            await self._put(waiting)
            committed = await waiting.done
            self._settle(item)
            return committed
        late = asyncio.get_running_loop().call_later(min(waiting.left, remaining()), self._give_up, waiting)
        try:
            await self._put(waiting)
            return await waiting.done
        finally:
            late.cancel()

    def _settle(self, item: Item) -> None:
        """Forget the claim of a run that has ended.

        Raises:
            CutOff: The lease of a run that would continue has expired: another may have resumed its task.
        """
        if isinstance(item, ENDS):
            self.owned_rows.release(item.task_id, item.attempt)
        elif isinstance(item, GOES_ON) and self.is_cut_off(item.task_id, item.attempt):
            raise CutOff(item.task_id, item.attempt or 0)

    def is_cut_off(self, task_id: str, attempt: int | None) -> bool:
        """Return whether this process's worker claimed an attempt and may no longer own it, by its own clock."""
        asked = self.owned_rows.claimed_at(task_id, attempt)
        return asked is not None and not self._lease.holds(asked)

    async def _put(self, waiting: QueuedWrite) -> None:
        if waiting.size > LARGE_BYTES:
            self._beside(self._write_alone(waiting))
        else:
            await self._queue.put(waiting)

    def _give_up(self, waiting: QueuedWrite) -> None:
        """Fail a write that has waited too long, whatever the database does with it."""
        error = self._trouble or timeout_error()
        if not self._queue.drop(waiting):
            error = Unavailable(f"{error.description}; the outcome of the write is unknown", retry_after=5)
        waiting.give_up(error)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        in_background(work, self._later, "a write beside the groups")

    async def _write_alone(self, waiting: QueuedWrite) -> None:
        """Commit one item on a connection of its own; other large items get their turn while it waits."""
        pauses = self._timings.reconnect.pauses()
        while True:
            async with self._large:
                await self._try_alone(waiting)
            if waiting.done.done():
                return
            await within(self._closing, pauses.next())

    async def _try_alone(self, waiting: QueuedWrite) -> None:
        try:
            connection = await connect(self._url, pooled=self._pooled, server=self._server, vault=self._vault)
        except Exception as error:  # noqa: BLE001 - raised in the caller of write()
            if not isinstance(error, Unavailable) or not self._may_wait(waiting):
                waiting.refuse(error)
            return
        try:
            error = await self._try(connection, [waiting])
            if error is not None and not self._is_tried_again(waiting, error):
                waiting.refuse(platform_error(error) or error)
        finally:
            await connection.close()

    async def _run(self) -> None:
        while await self._queue.filled():
            connection = await self._connected()
            if connection is not None:
                await self._commit_group(connection, self._queue.take())

    async def _commit_group(self, connection: "AsyncConnection[Any]", group: list[QueuedWrite]) -> None:
        """Commit a group, splitting one that fails until the bad item is alone."""
        if connection.closed:  # it broke under the first half of a split group
            self._queue.put_back(group)
            return
        error = await self._try(connection, group)
        if error is None:
            return
        if is_lost(connection, error) or is_unusable_server(error):
            self._server.suspect()
            await connection.close()
            await self._requeue_group(group, error, LOSS_SECONDS * 2 ** max(each.losses for each in group))
        elif isinstance(error, locked()) and min(each.locked for each in group) < LOCK_TRIES:
            for each in group:
                each.locked += 1
            await self._requeue_group(group, error, self._timings.reconnect.first)
        elif len(group) > 1:
            half = len(group) // 2
            await self._commit_group(connection, group[:half])
            await self._commit_group(connection, group[half:])
        elif not group[0].again and (group[0].in_doubt is not None or isinstance(error, collisions())):
            group[0].again = True
            await self._commit_group(connection, group)
        elif self._is_tried_again(group[0], error):
            self._requeue_later(group[0], error)
        else:
            group[0].refuse(platform_error(error) or error)

    async def _requeue_group(self, group: list[QueuedWrite], error: Exception, seconds: float) -> None:
        """Put a whole group back into the queue, and wait a moment."""
        self._queue.put_back(group)
        failure = platform_error(error)
        self._trouble = failure if isinstance(failure, Unavailable) else None
        self._queue.fail_expired(failure or error)
        await within(self._closing, min(seconds, self._timings.reconnect.longest))

    def _may_wait(self, waiting: QueuedWrite) -> bool:
        return waiting.may_wait() and not self._closing.is_set()

    def _is_tried_again(self, waiting: QueuedWrite, error: Exception) -> bool:
        """Return whether a failed try is repeated; an attempt's write can wait until a full disk has room again."""
        return self._may_wait(waiting) and (is_passing(error) if waiting.is_patient else is_lost(None, error))

    def _requeue_later(self, waiting: QueuedWrite, error: Exception) -> None:
        """Put an item back into the queue after a while."""
        seconds = TRY_LATER_SECONDS
        announce(PlatformTrouble(doing="writing", error=platform_error(error) or error, again_in=seconds))

        async def put_back() -> None:
            await within(self._closing, seconds)
            self._queue.put_back([waiting])

        self._beside(put_back())

    async def _connected(self) -> "AsyncConnection[Any] | None":
        """Return the connection, reconnecting if it broke; None if nobody waits for it any longer."""
        pauses = self._timings.reconnect.pauses()
        await self._look()
        while self._connection is None or self._connection.closed:
            try:
                self._connection = await self._connect()
            except Unavailable as error:
                if self._closing.is_set():
                    self._queue.close()
                self._trouble = error
                self._queue.fail_expired(error)
                if not self._queue:
                    return None
                await within(self._closing, pauses.after("connecting to the database for writing", error))
            except Exception as error:  # noqa: BLE001 - a wrong configuration, for example: fail all waiting writes
                for waiting in self._queue.take():
                    waiting.refuse(error)
                return None
        return self._connection

    async def _look(self) -> None:
        """Close a connection that no longer leads to the right server; checked only after another connection broke."""
        connection = self._connection
        if connection is None or connection.closed or self._pooled:
            return
        try:
            with errors():
                await self._server.check(connection)
        except Unavailable:
            await connection.close()

    async def _connect(self) -> "AsyncConnection[Any]":
        connection = await connect(self._url, pooled=self._pooled, server=self._server, vault=self._vault)
        if not self._pooled:
            with errors():
                await limit(connection, is_local=False)
        return connection

    async def _try(self, connection: "AsyncConnection[Any]", group: Sequence[QueuedWrite]) -> Exception | None:
        """Commit a group once and report the outcomes; on failure, return the error without reporting anything."""
        items = [waiting.item if waiting.in_doubt else self.hand_offs.place(waiting.item) for waiting in group]
        batch = Batch(items, vault=self._vault)
        try:
            await Transaction(
                connection, group, batch, owned=self.owned_rows, vault=self._vault, pooled=self._pooled
            ).commit()
            self.commits += 1
            self.items += len(group)
        except Exception as error:  # noqa: BLE001 - the caller decides what it means
            broken = is_lost(connection, error)
            self.hand_offs.settle(batch.items, lost=broken)
            if broken:
                note_loss(group, batch)
            return error
        self._trouble = None
        self.hand_offs.settle(batch.items, batch.begun)
        turns = BEGUN_TURNS if batch.begun else 0
        for index, (waiting, outcome) in enumerate(zip(group, batch.outcomes(), strict=True)):
            if index not in batch.undecided:
                later(turns, waiting.settle, outcome)
        self._report(batch)
        fault("write.announced", batch.items)
        if batch.undecided:  # another process has changed their tasks meanwhile: the next try reads them first
            self._queue.put_back(group[index] for index in sorted(batch.undecided))
        return None

    def _report(self, batch: Batch) -> None:
        """Send hints about the committed changes."""
        flags = WORK * batch.wakes_work + DELIVERIES * batch.wakes_deliveries
        ids = batch.changed_tasks
        if flags or ids:
            self._announce(flags, ids, batch.disturbed)
        if batch.turns:
            self._ended(batch.turns)
        if batch.parents:
            self._parents(batch.parents)
