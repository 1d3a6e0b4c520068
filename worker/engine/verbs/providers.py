"""The circuit breaker for model providers: one row per provider and key, which every worker obeys at its next call.

Tasks that wait for a provider are pending until far in the future, and name the provider. When a probe is due, the
first process to notice releases the task that has waited longest; if its call is answered, or it completes with another
key, the row is deleted, which ends the wait of all other tasks.
"""

import asyncio
from typing import Any

from worker.engine.commit.hints import WORK
from worker.engine.core import Core
from worker.engine.liveness.upkeep import repeat
from worker.engine.state.client_changes import Abandon
from worker.words.errors import NotFound
from worker.words.notices import ProviderAway, ProviderBack, announce
from worker.words.providers import (
    FAILURES,
    FAILURES_SECONDS,
    IDLE_SECONDS,
    LONGEST_PROBE_SECONDS,
    PROBE_SECONDS,
    ProviderFailure,
    ProviderState,
)
from worker.words.texts import clean

POLL_SECONDS = 1.0
BATCH = 500  # tasks released, or ended, per statement
MESSAGE_CHARACTERS = 1000

_STATE = """
    p.id, p.failures, p.error_code, p.provider_code, p.message, p.opened_at as since, p.ends_at, p.probes, p.probe_at,
    p.probe_task
"""

# Counts a failed call. A failure that is not followed by another within a minute no longer counts; enough of them in a
# row, or a single one that demands it, open the breaker.
_FAILED = f"""
    with breaker as (
        select %(opens)s or exists (
            select from worker.providers q
             where q.organization_id = %(organization)s and q.id = %(id)s and q.failures + 1 >= %(enough)s
               and q.failed_at >= now() - %(within)s * interval '1 second'
        ) as opens
    )
    insert into worker.providers as p
           (organization_id, id, failures, error_code, provider_code, message, opened_at, probe_at, ends_at)
    select %(organization)s, %(id)s, 1, %(error_code)s, %(provider_code)s, %(message)s,
           case when breaker.opens then now() end,
           case when breaker.opens then now() + %(probe)s * interval '1 second' end,
           case when breaker.opens then now() + %(wait)s * interval '1 second' end
      from breaker
    on conflict (organization_id, id) do update
       set failures = case when p.failed_at < now() - %(within)s * interval '1 second' and p.opened_at is null then 1
                           else p.failures + 1 end,
           failed_at = now(), error_code = excluded.error_code, provider_code = excluded.provider_code,
           message = excluded.message, opened_at = coalesce(p.opened_at, excluded.opened_at),
           probe_at = case when p.opened_at is null then excluded.probe_at else p.probe_at end,
           ends_at = case when p.opened_at is null then excluded.ends_at else p.ends_at end
    returning {_STATE}, coalesce(p.opened_at = now(), false) as is_new
"""  # noqa: S608 - constants

_LIST = f"""
    select {_STATE}, (
        select count(*) from (
            select from worker.tasks t where t.organization_id = p.organization_id
             and t.waits_for = p.id and t.status = 'pending' limit 100000
        ) waiting
    ) as waiting
    from worker.providers p where p.organization_id = %s order by p.opened_at nulls last, p.id
"""  # noqa: S608 - constants

# Releases the task that has waited longest for each provider whose probe is due, and postpones the next probe.
_PROBE = """
    with due as materialized (
        select organization_id, id, probes from worker.providers where probe_at <= now() for update skip locked
    ), chosen as materialized (
        select d.*, (select t.id from worker.tasks t where t.organization_id = d.organization_id
                        and t.waits_for = d.id and t.status = 'pending'
                      order by t.available_at, t.id limit 1) as task_id
        from due d
    ), put_off as (
        update worker.providers p set probe_task = c.task_id, probes = p.probes + 1,
               probe_at = now() + least(%(longest)s, %(probe)s * 2 ^ least(c.probes + 1, 20)) * interval '1 second'
          from chosen c where p.organization_id = c.organization_id and p.id = c.id
    )
    update worker.tasks t set available_at = now(), waits_for = null from chosen c where t.id = c.task_id
"""

_RELEASE = """
    update worker.tasks set available_at = now(), waits_for = null where id in (
        select t.id from worker.tasks t
         where t.waits_for is not null and not exists (
             select from worker.providers p
              where p.organization_id = t.organization_id and p.id = t.waits_for and p.opened_at is not null
         ) order by t.id limit %(batch)s for update skip locked
    ) returning id
"""

# Forgets providers that no task needs to wait for: those whose probe has completed without them, because the key or the
# address has changed since, and those that have not been called for an hour.
_OUTDATED = """
    delete from worker.providers p
     where exists (
           select from worker.tasks t
            where t.id = p.probe_task and t.organization_id = p.organization_id and t.status = 'completed'
     ) or p.failed_at < now() - %(idle)s * interval '1 second' and not exists (
           select from worker.tasks t where t.organization_id = p.organization_id and (
               t.waits_for = p.id and t.status = 'pending'
               or t.id = p.probe_task and t.status in ('pending', 'executing')
           )
     )
    returning p.id, p.opened_at is not null as was_away
"""

_EXPIRED = "select organization_id, id from worker.providers where ends_at <= now()"

_WAITING = """
    select t.id from worker.tasks t
     where t.organization_id = %(organization)s and t.waits_for = %(id)s and t.status = 'pending' limit %(batch)s
"""

_FORGET = (
    "delete from worker.providers where organization_id = %s and id = %s returning opened_at is not null as was_away"
)


class Providers:
    """The failing providers of one organization."""

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self._organization = organization_id

    async def failed(self, failure: ProviderFailure) -> ProviderState:
        """Count a failed call, and return the provider's state, which shows whether tasks must wait."""
        (row,) = await self._core.rows(
            _FAILED,
            {
                "organization": self._organization,
                "id": clean(failure.id),
                "error_code": failure.error_code,
                "provider_code": clean(failure.provider_code),
                "message": clean(failure.message[:MESSAGE_CHARACTERS]),
                "opens": failure.opens,
                "wait": failure.wait_seconds,
                "enough": FAILURES,
                "within": FAILURES_SECONDS,
                "probe": PROBE_SECONDS,
            },
        )
        if row.pop("is_new"):
            announce(ProviderAway(row["id"], row["error_code"], row["message"]))
        return ProviderState.model_validate(row)

    async def answered(self, provider_id: str) -> None:
        """Record an answered call, which ends the wait for the provider."""
        await self._forget(provider_id)

    async def listed(self) -> list[ProviderState]:
        """Return the providers whose last call failed, the longest unavailable first."""
        return [ProviderState.model_validate(row) for row in await self._core.read(_LIST, (self._organization,))]

    async def resume(self, provider_id: str) -> ProviderState:
        """Make the tasks that wait for a provider available immediately.

        Raises:
            NotFound: The provider is not failing.
        """
        state = await self._known(provider_id)
        await self._forget(provider_id)
        return state

    async def fail(self, provider_id: str) -> ProviderState:
        """End the tasks that wait for a provider, as errors.

        Raises:
            NotFound: The provider is not failing.
        """
        state = await self._known(provider_id)
        asked = {"organization": self._organization, "id": state.id, "batch": BATCH}
        while ids := [row["id"] for row in await self._core.rows(_WAITING, asked)]:
            changes = [Abandon(self._organization, each, state) for each in ids]
            await asyncio.gather(*(self._core.writer.write(change) for change in changes))
            await self._core.rows("update worker.tasks set waits_for = null where id = any(%s)", (ids,))
        await self._forget(provider_id)
        return state

    async def _known(self, provider_id: str) -> ProviderState:
        found = next((each for each in await self.listed() if each.id == provider_id), None)
        if found is None:
            raise NotFound(
                f"Provider {provider_id!r} is not failing. Run `worker provider list` to see the providers that are."
            )
        return found

    async def _forget(self, provider_id: str) -> None:
        rows = await self._core.rows(_FORGET, (self._organization, clean(provider_id)))
        if any(row["was_away"] for row in rows):
            announce(ProviderBack(provider_id))
            await release(self._core)


async def release(core: Core) -> None:
    """Release the tasks whose provider is no longer unavailable."""
    while rows := await core.rows(_RELEASE, {"batch": BATCH}):
        core.announce(WORK, [])
        if len(rows) < BATCH:
            return


async def look_after(core: Core) -> None:
    """Send probes, release tasks, and end those that have waited too long; runs until cancelled."""
    await repeat(lambda: look(core), POLL_SECONDS, "checking unavailable providers")


async def look(core: Core) -> None:
    """Run one round of ``look_after``."""
    for row in await core.rows(_EXPIRED):
        await Providers(core, row["organization_id"]).fail(row["id"])
    for row in await core.rows(_OUTDATED, {"idle": IDLE_SECONDS}):
        if row["was_away"]:
            announce(ProviderBack(row["id"]))
    probe: dict[str, Any] = {"probe": PROBE_SECONDS, "longest": LONGEST_PROBE_SECONDS}
    async with core.connection() as connection:
        probed = (await connection.execute(_PROBE, probe)).rowcount
    if probed:
        core.announce(WORK, [])
    await release(core)
