"""Failed deliveries: listing and retrying them."""

from collections.abc import Mapping
from typing import Any

from worker.contracts.bounds import bounded
from worker.engine.commit.hints import DELIVERIES
from worker.engine.core import Core
from worker.engine.verbs.audit import EngineAudit
from worker.words.actors import AuditAction
from worker.words.deliveries import DeliveryFilter, DeliveryQuery, DeliveryRetry, FailedDelivery
from worker.words.errors import ValidationError
from worker.words.statuses import DeliveryState
from worker.words.texts import clean

_COLUMNS = "s.handler, s.event_type, t.agent_id"

# Cursors that wait to retry an event; the number is that of the next event that the handler wants.
_WAITING = f"""
    select c.subscription_id, c.task_id, due.number, {_COLUMNS}, 'waiting' as state, c.tries, c.error,
           c.available_at as next_try_at, null::timestamptz as set_aside_at
    from worker.cursors c
    join worker.subscriptions s on s.id = c.subscription_id and s.organization_id = %(organization)s
    join worker.tasks t on t.id = c.task_id
    cross join lateral (
        select min(e.number) as number from worker.events e
         where e.task_id = c.task_id and e.number > c.position and e.number <= c.newest
           and e.type = s.event_type and e.origin is distinct from s.handler
    ) due
    where c.tries > 0 and c.position < c.newest and due.number is not null {{conditions}}
    order by c.task_id desc, due.number desc, c.subscription_id desc limit %(limit)s
"""  # noqa: S608 - constants

_SET_ASIDE = f"""
    select d.subscription_id, d.task_id, d.number, {_COLUMNS},
           case when d.retry_at is null then 'set_aside' else 'retrying' end as state, d.tries, d.error,
           d.retry_at as next_try_at, d.set_aside_at
    from worker.deliveries_set_aside d
    join worker.subscriptions s on s.id = d.subscription_id and s.organization_id = %(organization)s
    join worker.tasks t on t.id = d.task_id
    where true {{conditions}}
    order by d.task_id desc, d.number desc, d.subscription_id desc limit %(limit)s
"""  # noqa: S608 - constants

# Marks dead letters for a retry, and raises their cursors. Workers claim cursors, so nothing else of the same handler
# and task is delivered at the same time.
_RETRY = """
    with wanted as (
        select d.subscription_id, d.task_id, d.number from worker.deliveries_set_aside d
        join worker.subscriptions s on s.id = d.subscription_id and s.organization_id = %(organization)s
        join worker.tasks t on t.id = d.task_id
        where d.retry_at is null {conditions}
        order by d.subscription_id, d.task_id, d.number for update of d
    ), marked as (
        update worker.deliveries_set_aside d set retry_at = now() from wanted w
        where d.subscription_id = w.subscription_id and d.task_id = w.task_id and d.number = w.number
        returning d.subscription_id, d.task_id, d.number
    ), counted as (
        insert into worker.cursors as c (subscription_id, task_id, position, newest, retries)
        select subscription_id, task_id, max(number), max(number), count(*) from marked
        group by subscription_id, task_id order by subscription_id, task_id
        on conflict (subscription_id, task_id) do update set retries = c.retries + excluded.retries
    )
    select count(*) as count from marked
"""


class EngineDeadLetters:
    """The failed deliveries of one organization."""

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self._organization = organization_id
        self._audit = EngineAudit(core, organization_id)

    @bounded
    async def find(self, query: DeliveryQuery) -> list[FailedDelivery]:
        """Return the matching deliveries, those of the newest tasks first."""
        conditions, parameters = _conditions(query)
        parameters |= {"organization": self._organization, "limit": query.limit}
        if query.before is not None:
            subscription_id, number, task_id = _parts(query.before)
            parameters |= {"before_task": task_id, "before_number": number, "before_subscription": subscription_id}
        found: list[dict[str, Any]] = []
        for state, sql, number in ((DeliveryState.Waiting, _WAITING, "due.number"), (None, _SET_ASIDE, "d.number")):
            if query.state is None or (query.state is DeliveryState.Waiting) == (state is DeliveryState.Waiting):
                own = "c" if state else "d"
                where = conditions + _beside(query, own, number)
                found += await self._core.read(sql.format(conditions=where), parameters)  # pyright: ignore[reportArgumentType] # composed of constants
        found.sort(key=lambda row: (row["task_id"], row["number"], row["subscription_id"]), reverse=True)
        return [_item(row) for row in found[: query.limit]]

    @bounded
    async def retry(self, selection: DeliveryRetry) -> int:
        """Mark dead letters to be tried once more, and return how many."""
        conditions, parameters = _conditions(selection)
        parameters["organization"] = self._organization
        if selection.ids is not None:
            parts = [_parts(each) for each in selection.ids]
            conditions += (
                " and (d.subscription_id, d.number, d.task_id) in"
                " (select * from unnest(%(ids)s::bigint[], %(numbers)s::bigint[], %(task_ids)s::text[]))"
            )
            names = ("ids", "numbers", "task_ids")
            parameters |= {name: [part[place] for part in parts] for place, name in enumerate(names)}
        meant = selection.model_dump(exclude_defaults=True, exclude={"agents"})
        async with self._audit.of(AuditAction.DeliveryRetried, _subject(selection), agent=selection.agent_id, **meant):
            rows = await self._core.rows(_RETRY.format(conditions=conditions), parameters)  # pyright: ignore[reportArgumentType] # composed of constants
        count: int = rows[0]["count"]
        if count:
            self._core.announce(DELIVERIES, [])
        return count


def _subject(selection: DeliveryRetry) -> str:
    """Return the subject of a retry for the audit log."""
    if selection.ids is not None and len(selection.ids) == 1:
        return f"delivery {selection.ids[0]}"
    return "deliveries" if selection.ids is None else f"{len(selection.ids)} deliveries"


def _conditions(wanted: DeliveryFilter) -> tuple[str, dict[str, Any]]:
    conditions, parameters = "", dict[str, Any]()
    columns = {"handler": "s.handler", "task_id": "t.id", "agent_id": "t.agent_id"}
    for name, column in columns.items():
        value = getattr(wanted, name)
        if value is not None:
            conditions += f" and {column} = %({name})s"
            parameters[name] = clean(value)
    if wanted.agents is not None:
        conditions += " and t.agent_id = any(%(agents)s::text[])"
        parameters["agents"] = [clean(each) for each in wanted.agents]
    return conditions, parameters


def _beside(query: DeliveryQuery, own: str, number: str) -> str:
    """Return the conditions that apply to only one of the two tables."""
    conditions = ""
    if query.before is not None:
        conditions += (
            f" and ({own}.task_id, {number}, {own}.subscription_id)"
            " < (%(before_task)s, %(before_number)s, %(before_subscription)s)"
        )
    if query.state in (DeliveryState.SetAside, DeliveryState.Retrying):
        conditions += f" and d.retry_at is {'' if query.state is DeliveryState.SetAside else 'not '}null"
    return conditions


def _item(row: Mapping[str, Any]) -> FailedDelivery:
    return FailedDelivery(
        id=f"{row['subscription_id']}.{row['number']}.{row['task_id']}", event=row["number"], **_fields(row)
    )


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("subscription_id", "number")}


def _parts(delivery_id: str) -> tuple[int, int, str]:
    """Return the subscription, number and task in a delivery's id; raise ValidationError if it is not one."""
    subscription, _, rest = delivery_id.partition(".")
    number, _, task_id = rest.partition(".")
    digits = 18  # any number of so many digits fits into a bigint
    if not task_id or not all(
        each.isascii() and each.isdigit() and len(each) <= digits for each in (subscription, number)
    ):
        raise ValidationError(f"{delivery_id[:100]!r} is not the id of a delivery", field="id")
    return int(subscription), int(number), clean(task_id) or ""
