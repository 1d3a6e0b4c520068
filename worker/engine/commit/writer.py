"""The grouped writer: one task a process commits everybody's changes in groups.

No waiting window: whatever came while the last group committed is the next group. A group locks its task rows in the
order of their ids, asks each change for its effect, writes all effects with a handful of statements, commits, and
only then hints. A group that fails is split until the bad item stands alone, so its neighbours never notice.

What runs write of their own tasks, which is nearly everything, is decided on the rows as they are known (``known.py``):
one statement, which locks and checks them itself, in place of a look and a wait.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.contracts.bounds import remaining
from worker.contracts.lease import OwnLease
from worker.engine.commit.batch import NEVER, NewRow, Plan
from worker.engine.commit.hand_off import Offers
from worker.engine.commit.hints import DELIVERIES, WORK
from worker.engine.commit.in_doubt import Doubt, Logged, note_loss
from worker.engine.commit.owned_rows import Known
from worker.engine.commit.queue import Item, Queue, Waiting
from worker.engine.database import file_statements, statements
from worker.engine.database.bounds import too_late
from worker.engine.database.connections import (
    LEAVE_NO_LOCK,
    connect,
    errors,
    is_lost,
    is_passing,
    leaves_server,
    loads,
    translated,
)
from worker.engine.database.payloads import array, encode
from worker.engine.database.server_identity import Home
from worker.engine.database.vault import Vault
from worker.engine.fault_points import fault, looks_first
from worker.engine.state.changes import Append, Save
from worker.engine.state.rows import Row
from worker.words.conversations import Turns
from worker.words.errors import CutOff, TaskNotFound, Unavailable
from worker.words.ids import is_id
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline

LARGE_BYTES = 256 * 1024  # larger values go alone, on a connection of their own, so that no group waits for them
RECONNECT_SECONDS = 0.2, 1.0  # first and longest wait between attempts: once it is back, nobody waits longer
TRY_LATER_SECONDS = 5.0  # before what the database would not take just now is tried again
LOCK_TRIES = 2  # of a whole group, before it is split to find what is locked
LIMITS_TRANSACTIONS = 170000  # PostgreSQL 17
TRANSACTION_LIMIT = "select set_config('transaction_timeout', '10s', %s)"
"""For a freeze among the statements that follow the locks, where the server does not know that it waits for us."""

BEGUN_TURNS = 3
"""Of the loop, before a create's answer where the task was begun: a short run has its result on its way by then."""

GOES_ON = (Append, Save)
"""What a run writes in the midst of it."""

LOSS_SECONDS = 0.001  # before what a connection broke under is tried again; it doubles each time

Tell = Callable[[str, list[str], list[str]], None]
"""Called after a commit with a hint's flags, the ids of changed tasks, and of those that were not changed by their own
attempt alone."""


class Writer:
    """Commits changes in groups, on one connection.

    Args:
        url: The database.
        tell: How those who wait hear of it.
        ended: Told of conversations in which another task's turn may have come.
        pooled: A transaction pooler stands between.
        home: The server that the process is on.
        lease: Of this process's worker, by its own clock.
        vault: Seals what is stored, as far as that is wished.
    """

    def __init__(
        self,
        url: str,
        tell: Tell,
        ended: Callable[[Collection[Turns]], None],
        *,
        pooled: bool,
        home: Home,
        lease: OwnLease,
        vault: Vault,
    ) -> None:
        self._home = home
        self._vault = vault
        self._lease = lease
        self.offers = Offers()
        self._url = url
        self._told = tell
        self._ended = ended
        self._pooled = pooled
        self._queue = Queue()
        self._large = asyncio.Semaphore(1)
        self._later: set[asyncio.Task[None]] = set()
        self._connection: AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._trouble: Unavailable | None = None  # why nothing is written at the moment
        self.known = Known()
        self.commits = 0
        self.items = 0

    def start(self) -> None:
        """Begin to commit."""
        self._task = asyncio.create_task(self._run(), name="grouped writer")

    async def close(self) -> None:
        """Commit what waits, then let go of the connection; where there is none, whoever waits is told."""
        self._closing.set()
        await asyncio.gather(*self._later)
        self._queue.close()
        if self._task is not None:
            await self._task
        if self._connection is not None:
            await self._connection.close()

    async def write(self, item: Item) -> datetime:
        """Have a change committed, once and no more, however often the database goes away meanwhile.

        What carries a live attempt waits until it is back; anything else is told after a while.

        Returns:
            The database's time of the commit, once it is durable.

        Raises:
            ModuleException: This item's own: LeaseLost, TaskNotFound, Conflict, ValidationError, Unavailable.
            CutOff: It was stored, but the worker's lease has run out since it claimed the task: another may go on.
        """
        if self._closing.is_set():
            raise Unavailable("the platform is closed")
        if not is_id(item.task_id):  # what the database could not even be asked for
            raise TaskNotFound(item.task_id)
        waiting = self._queue.number(item)
        waiting.owner = self.known.owner(item)
        if waiting.is_patient:
            await self._put(waiting)
            committed = await waiting.done
            self._check_held(item)
            return committed
        late = asyncio.get_running_loop().call_later(min(waiting.left, remaining()), self._give_up, waiting)
        try:
            await self._put(waiting)
            return await waiting.done
        finally:
            late.cancel()

    def _check_held(self, item: Item) -> None:
        """Refuse a late "ok" to a run that would go on: others may have begun where it stood."""
        if isinstance(item, GOES_ON) and self.is_cut_off(item.task_id, item.attempt):
            raise CutOff(item.task_id, item.attempt or 0)

    def is_cut_off(self, task_id: str, attempt: int | None) -> bool:
        """Whether this process's worker claimed an attempt and may own it no longer, by its own clock."""
        asked = self.known.claimed_at(task_id, attempt)
        return asked is not None and not self._lease.holds(asked)

    async def _put(self, waiting: Waiting) -> None:
        if waiting.size > LARGE_BYTES:
            self._beside(self._write_alone(waiting))
        else:
            await self._queue.put(waiting)

    def _give_up(self, waiting: Waiting) -> None:
        """Tell whoever has waited long enough, whatever the database does with what it was sent."""
        error = self._trouble or too_late()
        if not self._queue.drop(waiting):
            error = Unavailable(f"{error.description}; whether this was stored is not known", retry_after=5)
        waiting.give_up(error)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="a write beside the groups")
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _write_alone(self, waiting: Waiting) -> None:
        """Commit one item on a connection of its own; others get their turn while it waits."""
        wait, longest = RECONNECT_SECONDS
        while True:
            async with self._large:
                await self._try_alone(waiting)
            if waiting.done.done():
                return
            await self._pause(wait)
            wait = min(wait * 2, longest)

    async def _try_alone(self, waiting: Waiting) -> None:
        try:
            connection = await connect(self._url, pooled=self._pooled, home=self._home, vault=self._vault)
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            if not isinstance(error, Unavailable) or not self._may_wait(waiting):
                waiting.refuse(error)
            return
        try:
            error = await self._try(connection, [waiting])
            if error is not None and not self._is_tried_again(waiting, error):
                waiting.refuse(translated(error) or error)
        finally:
            await connection.close()

    async def _run(self) -> None:
        while await self._queue.filled():
            connection = await self._connected()
            if connection is not None:
                await self._commit_group(connection, self._queue.take())

    async def _commit_group(self, connection: "AsyncConnection[Any]", group: list[Waiting]) -> None:
        """Commit a group; one that fails is split until the bad item stands alone."""
        if connection.closed:  # under the first half of a group that was split
            self._queue.put_back(group)
            return
        error = await self._try(connection, group)
        if error is None:
            return
        if is_lost(connection, error) or leaves_server(error):
            self._home.doubt()
            await connection.close()
            await self._again(group, error, LOSS_SECONDS * 2 ** max(each.losses for each in group))
        elif isinstance(error, _locked()) and min(each.locked for each in group) < LOCK_TRIES:
            for each in group:
                each.locked += 1
            await self._again(group, error, RECONNECT_SECONDS[0])
        elif len(group) > 1:
            half = len(group) // 2
            await self._commit_group(connection, group[:half])
            await self._commit_group(connection, group[half:])
        elif not group[0].again and (group[0].doubt is not None or isinstance(error, _collisions())):
            group[0].again = True
            await self._commit_group(connection, group)
        elif self._is_tried_again(group[0], error):
            self._try_later(group[0], error)
        else:
            group[0].refuse(translated(error) or error)

    async def _again(self, group: list[Waiting], error: Exception, seconds: float) -> None:
        """Put a group back whole, for a moment."""
        self._queue.put_back(group)
        told = translated(error)
        self._trouble = told if isinstance(told, Unavailable) else None
        self._queue.tell_impatient(told or error)
        await self._pause(min(seconds, RECONNECT_SECONDS[1]))

    def _may_wait(self, waiting: Waiting) -> bool:
        return waiting.may_wait() and not self._closing.is_set()

    def _is_tried_again(self, waiting: Waiting, error: Exception) -> bool:
        """Whether a try that failed is followed by another: an attempt can wait until the disk is full no more."""
        return self._may_wait(waiting) and (is_passing(error) if waiting.is_patient else is_lost(None, error))

    def _try_later(self, waiting: Waiting, error: Exception) -> None:
        """Put an item back after a while."""
        seconds = TRY_LATER_SECONDS
        announce(PlatformTrouble(doing="writing", error=translated(error) or error, again_in=seconds))

        async def put_back() -> None:
            await self._pause(seconds)
            self._queue.put_back([waiting])

        self._beside(put_back())

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    async def _connected(self) -> "AsyncConnection[Any] | None":
        """The connection, made anew where it broke; none: nobody waits for it any more."""
        wait, longest = RECONNECT_SECONDS
        await self._look()
        while self._connection is None or self._connection.closed:
            try:
                self._connection = await self._connect()
            except Unavailable as error:
                if self._closing.is_set():
                    self._queue.close()
                self._trouble = error
                self._queue.tell_impatient(error)
                if not self._queue:
                    return None
                announce(PlatformTrouble(doing="connecting to write", error=error, again_in=wait))
                await self._pause(wait)
                wait = min(wait * 2, longest)
            except Exception as error:  # noqa: BLE001 - a wrong configuration, say: whoever waits hears of it at once
                for waiting in self._queue.take():
                    waiting.refuse(error)
                return None
        return self._connection

    async def _look(self) -> None:
        """Let go of a connection that leads elsewhere by now, or nowhere; it is looked at if another one broke."""
        connection = self._connection
        if connection is None or connection.closed or self._pooled:
            return
        try:
            with errors():
                await self._home.check(connection)
        except Unavailable:
            await connection.close()

    async def _connect(self) -> "AsyncConnection[Any]":
        connection = await connect(self._url, pooled=self._pooled, home=self._home, vault=self._vault)
        if not self._pooled:
            with errors():
                await _limit(connection, is_local=False)
        return connection

    async def _try(self, connection: "AsyncConnection[Any]", group: Sequence[Waiting]) -> Exception | None:
        """Commit a group once and tell those who wait. Returns: what went wrong, and then nobody was told."""
        items = [waiting.item if waiting.doubt else self.offers.place(waiting.item) for waiting in group]
        plan = Plan(items, vault=self._vault)
        try:
            await self._commit(connection, group, plan)
        except Exception as error:  # noqa: BLE001 - the caller decides what it means
            broken = is_lost(connection, error)
            self.offers.settle(plan.items, lost=broken)
            if broken:
                note_loss(group, plan)
            return error
        self._trouble = None
        self.offers.settle(plan.items, plan.begun)
        turns = BEGUN_TURNS if plan.begun else 0
        for index, (waiting, outcome) in enumerate(zip(group, plan.outcomes(), strict=True)):
            if index not in plan.undecided:
                _after(turns, waiting.settle, outcome)
        self._tell(plan)
        fault("write.told", plan.items)
        if plan.undecided:  # somebody else has written to their tasks meanwhile: they are looked at first
            self._queue.put_back(group[index] for index in sorted(plan.undecided))
        return None

    async def _commit(self, connection: "AsyncConnection[Any]", group: Sequence[Waiting], plan: Plan) -> None:
        """One transaction for many items. Raises only where the whole transaction failed."""
        if all(isinstance(each.item, NewRow) and not each.item.files and each.doubt is None for each in group):
            await self._create(connection, plan)
        elif self._is_known(group):
            await self._write_known(connection, group, plan)
        else:
            await self._change(connection, group, plan)
            self.known.update(plan, {each.item.task_id for each in group})
        self.commits += 1
        self.items += len(group)

    async def _create(self, connection: "AsyncConnection[Any]", plan: Plan) -> None:
        """New tasks alone, without uploads, need no lock and no decision: one statement, its own transaction."""
        for item in plan.items:
            plan.take(item)
        await self._note_created(await self._insert(connection, plan), plan)

    async def _insert(self, connection: "AsyncConnection[Any]", plan: Plan) -> "AsyncCursor[dict[str, Any]]":
        from psycopg.rows import dict_row

        in_turns = any(row["conversation_id"] is not None for row in plan.new)
        statement = statements.INSERT_TURNS if in_turns else statements.INSERT_TASKS
        return await connection.cursor(row_factory=dict_row).execute(statement, (plan.inserted(),))

    async def _note_created(self, made: "AsyncCursor[dict[str, Any]]", plan: Plan) -> None:
        rows = await made.fetchall()
        plan.now = rows[0]["now"]
        plan.wakes_deliveries |= rows[0]["is_due"]
        plan.begin([row for row in rows if row["id"] is not None])

    def _is_known(self, group: Sequence[Waiting]) -> bool:
        """Whether all of a group is what runs write of tasks that are known; what is in doubt is always looked at."""
        if looks_first():
            return False
        return all(
            each.doubt is None and each.size <= LARGE_BYTES and self.known.covers(each.item, each.owner)
            for each in group
        )

    async def _write_known(self, connection: "AsyncConnection[Any]", group: Sequence[Waiting], plan: Plan) -> None:
        """What runs write of their own tasks needs no look at them: one statement, which leaves out what has moved."""
        self.known.decide([waiting.item for waiting in group], plan)
        fault("known.decided", plan.items)
        written = await connection.execute(statements.WRITE_KNOWN, self.known.parameters(plan))
        ((plan.now, ids, due),) = await written.fetchall()
        fault("known.committed", plan.items)
        stored = set(ids)
        self.known.update(plan, stored)
        self.known.doubt(plan.rows.keys() - stored)
        plan.wakes_deliveries |= due
        plan.keep(stored)

    async def _change(self, connection: "AsyncConnection[Any]", group: Sequence[Waiting], plan: Plan) -> None:
        """Lock, decide, store: one pipeline, with one wait in it."""
        try:
            async with connection.pipeline() as pipeline:
                await connection.execute("begin")
                if self._pooled:
                    await connection.execute(LEAVE_NO_LOCK, (True,))
                    await _limit(connection, is_local=True)
                fault("write.begun", plan.items)
                await self._decide(connection, pipeline, group, plan)
                fault("write.decided", plan.items)
                made, cursors = await self._store(connection, plan)
                await connection.execute("commit")
                fault("write.sent", plan.items)
            fault("write.committed", plan.items)
        except BaseException:
            if not connection.closed:
                await connection.rollback()
            raise
        if made is not None:
            await self._note_created(made, plan)
        plan.wakes_deliveries |= cursors is not None and cursors.rowcount > 0

    async def _decide(
        self, connection: "AsyncConnection[Any]", pipeline: "AsyncPipeline", group: Sequence[Waiting], plan: Plan
    ) -> None:
        """Lock the rows and ask each change for its effect; new tasks alone have nothing to wait for.

        A sync, though the pipeline needs none: the server then knows that it waits for us, and not for ever.
        """
        ids = sorted({item.task_id for item in plan.items if not isinstance(item, NewRow)})
        if ids:
            renewing = array(item.task_id for item in plan.items if getattr(item, "renewal", None))
            locked = await connection.execute(statements.LOCK_TASKS, {"ids": array(ids), "settings": renewing})
            await pipeline.sync()
            plan.rows = {row[0]: Row(*row) for row in await locked.fetchall()}
            plan.now = next((row.now for row in plan.rows.values()), NEVER)
            fault("write.locked", plan.items)
        committed = await self._committed(connection, group)
        for waiting, item in zip(group, plan.items, strict=True):
            if waiting.doubt in committed:
                plan.pass_over(item, committed[waiting.doubt])
            else:
                plan.take(item, waiting.owner)

    async def _committed(self, connection: "AsyncConnection[Any]", group: Sequence[Waiting]) -> dict[Doubt, datetime]:
        """Which earlier tries have committed after all, and when: their answers were lost.

        The rows are locked, so those tries have ended: their events are in the log, or never will be.
        """
        doubts = list({each.doubt for each in group if each.doubt is not None})
        if not doubts:
            return {}
        keys = [each.task_id for each in doubts], [each.number for each in doubts]
        logged = await (await connection.execute(statements.READ_TIMES, keys)).fetchall()
        found = {(task_id, number): self._logged(*event) for task_id, number, *event in logged}
        seen = {each: found.get((each.task_id, each.number)) for each in doubts}
        return {each: event.time for each, event in seen.items() if event is not None and each.is_settled_by(event)}

    def _logged(self, time: datetime, attempt: int | None, data: str | None) -> Logged:
        if data is not None and self._vault.has_key:  # each sealing is another text
            data = encode(self._vault.opened(loads(data)))
        return Logged(time, attempt, data)

    async def _store(
        self, connection: "AsyncConnection[Any]", plan: Plan
    ) -> "tuple[AsyncCursor[dict[str, Any]] | None, AsyncCursor[Any] | None]":
        """Send what the group writes; the cursors of the statements that say what was created and what is due."""
        made = cursors = None
        if plan.new:
            made = await self._insert(connection, plan)
        for statement, values, ids in plan.updates():
            await connection.execute(statement, (values, ids))
        fault("write.updated", plan.items)
        if plan.dropped_journals:
            await connection.execute(statements.DROP_JOURNAL, (array(plan.dropped_journals),))
        if plan.journal:
            await connection.execute(statements.INSERT_JOURNAL, (plan.noted(),))
            fault("write.journaled", plan.items)
        if plan.dropped_files:
            await connection.execute(file_statements.DROP_TASK_FILES, (plan.dropped_files,))
        if plan.files:
            await connection.execute(file_statements.INSERT_TASK_FILES, (encode(plan.files),))
        if plan.events:
            cursors = await connection.execute(statements.INSERT_EVENTS, (plan.logged(),))
            fault("write.logged", plan.items)
        return made, cursors

    def _tell(self, plan: Plan) -> None:
        """Hint at what was committed."""
        flags = WORK * plan.wakes_work + DELIVERIES * plan.wakes_deliveries
        ids = plan.changed_tasks
        if flags or ids:
            self._told(flags, ids, plan.disturbed)
        if plan.turns:
            self._ended(plan.turns)


def _after(turns: int, tell: Callable[[datetime | Exception], None], outcome: datetime | Exception) -> None:
    """Tell an outcome so many turns of the loop later."""
    if turns:
        asyncio.get_running_loop().call_soon(_after, turns - 1, tell, outcome)
    else:
        tell(outcome)


async def _limit(connection: "AsyncConnection[Any]", *, is_local: bool) -> None:
    if connection.info.server_version >= LIMITS_TRANSACTIONS:
        await connection.execute(TRANSACTION_LIMIT, (is_local,))


def _locked() -> tuple[type[Exception], ...]:
    """Errors that come of a lock which somebody else holds for long, as a migration does, or an administrator."""
    from psycopg import errors

    return errors.LockNotAvailable, errors.QueryCanceled


def _collisions() -> tuple[type[Exception], ...]:
    """Errors that come of what somebody else did at the same moment, such as giving up a subscription."""
    from psycopg import errors

    return errors.DeadlockDetected, errors.SerializationFailure, errors.ForeignKeyViolation
