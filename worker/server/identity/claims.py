"""Ownership checks: whether a request's sender registered the worker, or claimed the task or event, that it writes to.

A session is a key plus a secret that the worker's process generated (the ``x-worker-session`` header). Another process
with the same key, or one that has read a worker's id, therefore counts as a different sender. Workers of the bare
protocol and of older versions send no secret and are identified by their key and their worker id.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence

from worker.contracts import AccessScope, Claimant, WorkerSession
from worker.server.identity.access import Access
from worker.words.digests import digest_of
from worker.words.errors import Conflict, LeaseLost, NotFound

HEADER = "x-worker-session"
SECRET_CHARACTERS = 200
SECONDS = 5.0  # how long a worker's session is cached before it is read again
KEPT = 10_000

Claim = tuple[str, int | None]
"""A task id and an attempt number; None means the attempt that owns the task now."""


class Claimants:
    """A cache of claimants by worker and by attempt. The worker of an attempt never changes."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[str, str, int], Claimant] = OrderedDict()
        self._workers: OrderedDict[tuple[str, str], tuple[float, Claimant]] = OrderedDict()

    async def of_worker(self, access: Access, worker_id: str) -> Claimant:
        """Return the session that registered a worker.

        Raises:
            NotFound: There is no such worker.
        """
        name = access.organization.organization_id, worker_id
        known = self._workers.get(name)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        found = await access.organization.presence.claimant(worker_id)
        self._workers[name] = time.monotonic() + SECONDS, found
        while len(self._workers) > KEPT:
            self._workers.popitem(last=False)
        return found

    async def of_claims(self, access: Access, claims: Sequence[Claim]) -> dict[Claim, Claimant]:
        """Return the claimant of each claim; claims that no worker has made are missing from the result."""
        organization_id = access.organization.organization_id
        found: dict[Claim, Claimant] = {}
        unknown: list[Claim] = []
        for claim in claims:
            task_id, attempt = claim
            known = None if attempt is None else self._attempts.get((organization_id, task_id, attempt))
            if known is None:
                unknown.append(claim)
            else:
                found[claim] = known
        if unknown:
            found |= await access.organization.presence.claimed_by(unknown)
        self.learn(organization_id, found)
        return found

    def learn(self, organization_id: str, claims: dict[Claim, Claimant]) -> None:
        """Cache the claimants of some attempts."""
        for (task_id, attempt), claimant in claims.items():
            if attempt is not None:
                self._attempts[organization_id, task_id, attempt] = claimant
        while len(self._attempts) > KEPT:
            self._attempts.popitem(last=False)

    def forget(self, access: Access, worker_id: str) -> None:
        """Drop a worker from the cache, because it is registering again."""
        self._workers.pop((access.organization.organization_id, worker_id), None)


class Claims:
    """Checks whether the sender of one request owns the things that the request names.

    Args:
        claimants: The claimants known to this process.
        access: The permissions of the request.
        secret: The session secret from the request's header.
        worker_id: The worker id that the request names.
        names_worker: Whether this kind of request names a worker. If not, a worker without a session secret is matched
            by its key alone.
    """

    def __init__(
        self,
        claimants: Claimants,
        access: Access,
        secret: str | None,
        *,
        worker_id: str | None = None,
        names_worker: bool = False,
    ) -> None:
        self._claimants = claimants
        self._access = access
        self._names_worker = names_worker
        self.worker_id = worker_id
        self.session = WorkerSession(access.key, digest_of(secret) if secret else None)

    def _is_own(self, claimant: Claimant) -> bool:
        its = claimant.session
        if its is None or its.key != self.session.key:
            return False
        if its.secret is not None:
            return its.secret == self.session.secret
        return not self._names_worker or claimant.worker_id == self.worker_id

    async def worker(self, worker_id: str) -> Claimant:
        """Return a worker that this session registered, if the key can reach all of its agents.

        Raises:
            NotFound: There is no such worker, or it belongs to another session.
        """
        found = await self._claimants.of_worker(self._access, worker_id)
        within = self._access.agents is None or (not found.any_agent and self._access.agents.issuperset(found.agents))
        if not within or not self._is_own(found):
            raise NotFound(f"There is no worker {worker_id[:128]!r}.")
        return found

    async def attempt(self, task_id: str, attempt: int, scope: AccessScope) -> None:
        """Check that a worker of this session claimed an attempt.

        With the scope ``Task``, an attempt that no worker claimed is accepted as well: the sender runs a task itself
        that is not dispatched to workers.

        Raises:
            LeaseLost: The attempt belongs to another session.
            TaskNotFound: There is no such task, or the key cannot reach it.
        """
        found = (await self._claimants.of_claims(self._access, [(task_id, attempt)])).get((task_id, attempt))
        if found is None and scope is AccessScope.Task:
            return
        if found is None or not self._is_own(found):
            await self._access.task(task_id)
            raise LeaseLost(task_id, attempt)

    async def owned(self, claims: Sequence[Claim]) -> set[Claim]:
        """Return the claims that workers of this session have made."""
        found = await self._claimants.of_claims(self._access, claims)
        return {claim for claim, claimant in found.items() if self._is_own(claimant)}

    async def task(self, task_id: str) -> None:
        """Check that a worker of this session holds a task, or was the last to hold it.

        Raises:
            Conflict: No worker of this session has claimed the task.
            TaskNotFound: There is no such task, or the key cannot reach it.
        """
        if not await self.owned([(task_id, None)]):
            await self._access.task(task_id)
            raise Conflict(f"No worker of this session has claimed task {task_id[:128]!r}. Nothing was changed.")

    async def task_or_event(self, task_id: str) -> None:
        """Check that a worker of this session holds a delivery of one of the task's events, or has claimed the task.

        Raises:
            Conflict: No worker of this session holds or has claimed it.
            TaskNotFound: There is no such task, or the key cannot reach it.
        """
        claimed = await self._access.organization.presence.delivered_to(task_id)
        if not any(self._is_own(each) for each in claimed):
            await self.task(task_id)

    async def delivery(self, task_id: str, subscription_id: int, claim: int) -> None:
        """Check that a worker of this session holds a delivery under the given claim.

        Raises:
            LeaseLost: No worker of this session holds the delivery.
        """
        claimed = await self._access.organization.presence.delivered_to(task_id, subscription_id, claim)
        if not any(self._is_own(each) for each in claimed):
            raise LeaseLost(task_id, claim)
