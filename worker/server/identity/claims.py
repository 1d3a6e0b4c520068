"""Whether what a request writes of is its sender's own: a worker it registered, a task or an event that worker claimed.

A session is a key and a secret that a worker's process made (``x-worker-session``), so that whoever has the same key,
or has read a worker's id, is still somebody else. A worker of the bare protocol, or of an older version, makes none: it
is known by its key and its id.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence

from worker.contracts import AccessScope, Claimant, WorkerSession
from worker.server.identity.access import Access
from worker.words.errors import Conflict, LeaseLost, NotFound

HEADER = "x-worker-session"
SECRET_CHARACTERS = 200
SECONDS = 5.0  # how long a worker's session is believed without a look
KEPT = 10_000

Claim = tuple[str, int | None]
"""Task and attempt; no attempt: whichever owns it now."""


class Claimants:
    """What this process knows of who claimed what. Which worker an attempt is of never changes."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[tuple[str, str, int], Claimant] = OrderedDict()
        self._workers: OrderedDict[tuple[str, str], tuple[float, Claimant]] = OrderedDict()

    async def of_worker(self, access: Access, worker_id: str) -> Claimant:
        """Who registered a worker. Raises: NotFound."""
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
        """Who claimed these, as far as anybody did."""
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
        """Keep who claimed what."""
        for (task_id, attempt), claimant in claims.items():
            if attempt is not None:
                self._attempts[organization_id, task_id, attempt] = claimant
        while len(self._attempts) > KEPT:
            self._attempts.popitem(last=False)

    def forget(self, access: Access, worker_id: str) -> None:
        """Look anew at a worker, which registers again."""
        self._workers.pop((access.organization.organization_id, worker_id), None)


class Claims:
    """What one request may call its own.

    Args:
        claimants: What this process knows.
        access: What the request may reach.
        secret: Its session's, as the header says.
        worker_id: The worker that it names.
        names_worker: Whether requests of its kind do; else a worker without a secret is known by its key alone.
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
        """A worker of this session, for agents within reach. Raises: NotFound."""
        found = await self._claimants.of_worker(self._access, worker_id)
        within = self._access.agents is None or (not found.any_agent and self._access.agents.issuperset(found.agents))
        if not within or not self._is_own(found):
            raise NotFound(f"There is no worker {worker_id[:128]!r}.")
        return found

    async def attempt(self, task_id: str, attempt: int, scope: AccessScope) -> None:
        """Let pass only an attempt that a worker of this session claimed.

        Whoever may write of the task anyway names an attempt, too, that no worker claimed: its own run of a task that
        is not dispatched.

        Raises:
            LeaseLost: It is another's.
            TaskNotFound: There is no such task.
        """
        found = (await self._claimants.of_claims(self._access, [(task_id, attempt)])).get((task_id, attempt))
        if found is None and scope is AccessScope.Task:
            return
        if found is None or not self._is_own(found):
            await self._access.task(task_id)
            raise LeaseLost(task_id, attempt)

    async def owned(self, claims: Sequence[Claim]) -> set[Claim]:
        """Those of them that workers of this session claimed."""
        found = await self._claimants.of_claims(self._access, claims)
        return {claim for claim, claimant in found.items() if self._is_own(claimant)}

    async def task(self, task_id: str) -> None:
        """Let pass only a task that a worker of this session holds, or last held. Raises: Conflict, TaskNotFound."""
        if not await self.owned([(task_id, None)]):
            await self._access.task(task_id)
            raise Conflict(f"No worker of this session has claimed task {task_id[:128]!r}; nothing was changed.")

    async def task_or_event(self, task_id: str) -> None:
        """Let pass a task, too, of which a worker of this session holds an event. Raises: Conflict."""
        held = await self._access.organization.presence.delivered_to(task_id)
        if not any(self._is_own(each) for each in held):
            await self.task(task_id)

    async def delivery(self, task_id: str, subscription_id: int, claim: int) -> None:
        """Let pass only a delivery that a worker of this session holds. Raises: LeaseLost."""
        held = await self._access.organization.presence.delivered_to(task_id, subscription_id, claim)
        if not any(self._is_own(each) for each in held):
            raise LeaseLost(task_id, claim)


def digest_of(secret: str) -> str:
    """What is stored of a session's secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
