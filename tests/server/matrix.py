"""What the matrix of access is made of: keys of every kind, and tasks and workers that are theirs, or others'."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg

from tests.dashboard.browsing import Browser
from worker.contracts import AccessRule, AccessScope
from worker.engine.engine import Engine
from worker.words.roles import Role

MINE, THEIRS, FOREIGN = "mine", "theirs", "foreign"
"""Agents: the one that narrow keys reach, another one of their organization, one of another organization."""

ORGANIZATION, OTHER = "default", "strangers"
SECRET_TEXT = "the text of a task out of reach"

NO_ACCESS = ("no key", "a wrong key", "a revoked key", "an expired key")

BODIES: dict[str, Any] = {
    "POST /agent-execution/{agent_id}": {"input": {"text": "x"}},
    "POST /agent-execution/{agent_id}/report_task": {"input": "x", "result": "y"},
    "PATCH /agent-execution/{task_id}/update": {"title": "written"},
    "POST /agent-execution/{task_id}/events/push": [{"type": "chunk", "data": "pushed"}],
    "POST /agent-execution/{task_id}/answer": {"approve": True},
    "POST /agent-execution/{task_id}/signals": {"name": "x"},
    "POST /knowledge_bases/create": {"name": "made"},
    "POST /knowledge_bases/{knowledge_base_id}": [{"document_url": "https://example.com/x"}],
    "DELETE /knowledge_bases/{knowledge_base_id}": ["doc-x"],
    "POST /agent-execution/{task_id}/messages": {"text": "x"},
    "POST /metadata/api_key_allowance": {"api_key": "unknown"},
    "POST /deliveries/retry": {"all": True},
    "POST /events/{worker_id}": {"event": "worker-capacity-update", "data": {"is_busy": False}},
    "POST /work": {"verbs": [{"verb": "lost", "held": {}}]},
}


TALK = "talk"
"""A conversation that tasks of every agent belong to."""


@dataclass(slots=True)
class Holder:
    """Somebody with a key.

    Args:
        name: For messages.
        role: Of the key; none: it opens nothing.
        is_narrow: Whether it reaches ``MINE`` alone.
        headers: What it sends.
        worker: The id of the worker that it registered, if its role may.
        claims: Tasks that this worker has claimed, with their attempts.
        deliveries: Events that it has claimed, as its server told them.
    """

    name: str
    role: Role | None
    is_narrow: bool
    headers: dict[str, str]
    worker: str = "w-none"
    claims: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    deliveries: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(slots=True)
class World:
    """A server's database with something of everybody."""

    base: str
    engine: Engine
    url: str
    client: httpx.AsyncClient
    admin: httpx.AsyncClient
    holders: list[Holder] = field(default_factory=list[Holder])
    tasks: dict[str, str] = field(default_factory=dict[str, str])
    bases: dict[str, str] = field(default_factory=dict[str, str])
    sha256: str = ""

    async def fill(self) -> "World":
        """Make the keys, and tasks of every agent."""
        keys = self.engine.keys
        for role in Role:
            for agents in ((), (MINE,)):
                text, _ = await keys.create(ORGANIZATION, role=role, agents=agents)
                name = f"{role}{' of one agent' if agents else ''}"
                self.holders.append(Holder(name, role, bool(agents), headers(text, name)))
        revoked, key = await keys.create(ORGANIZATION, role=Role.Admin)
        await keys.revoke(key.id)
        expired, key = await keys.create(ORGANIZATION, role=Role.Admin, seconds=3600)
        self.execute("update worker.keys set expires_at = now() where id = %s", key.id)
        texts = (None, "wk_wrong", revoked, expired)
        self.holders += [
            Holder(name, None, False, headers(text, name)) for name, text in zip(NO_ACCESS, texts, strict=True)
        ]
        for agent in (MINE, THEIRS):
            self.tasks[agent] = await self.create(agent)
            self.bases[agent] = await self.create_base(agent)
        stranger, _ = await keys.create(OTHER, role=Role.Admin)
        self.tasks[FOREIGN] = await self.create(FOREIGN, stranger)
        self.bases[FOREIGN] = await self.create_base(FOREIGN, stranger)
        self.execute("update worker.tasks set conversation_id = %s", TALK)
        file = await self.client.post(
            "/files", params={"name": "f"}, content=SECRET_TEXT.encode(), headers={"x-api-key": stranger}
        )
        self.sha256 = file.json()["reference"][7:71]
        return self

    async def create(self, agent: str, key: str | None = None) -> str:
        """A task, whose text says whether it is out of reach."""
        text = "mine" if agent == MINE else SECRET_TEXT
        headers = {"x-api-key": key} if key else None
        answer = await self.admin.post(f"/agent-execution/{agent}", json={"input": {"text": text}}, headers=headers)
        return answer.raise_for_status().json()["id"]

    async def create_base(self, agent: str, key: str | None = None) -> str:
        """A knowledge base of an agent, whose name says whether it is out of reach."""
        headers = {"x-api-key": key} if key else None
        body = {"name": "mine" if agent == MINE else SECRET_TEXT}
        answer = await self.admin.post("/knowledge_bases/create", json=body, headers=headers)
        made = answer.raise_for_status().json()["id"]
        self.execute("update worker.knowledge_bases set agents = %s where id = %s", [agent], made)
        return made

    def execute(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def others(self) -> list[tuple[Any, ...]]:
        """All that is kept of the tasks out of reach: it is the same in the end."""
        return self.execute(
            """select t.id, t.status, t.attempt, t.result, t.last_event, t.worker_id, t.internal_status,
                      (select count(*) from worker.journal j where j.task_id = t.id)
               from worker.tasks t where t.id = any(%s) or t.organization_id = %s order by t.id""",
            [self.tasks[THEIRS], self.tasks[FOREIGN]],
            OTHER,
        )

    def with_keys(self) -> list[Holder]:
        """Those whose key opens something."""
        return [holder for holder in self.holders if holder.role is not None]

    async def register(self, holder: Holder) -> dict[str, Any]:
        """Have a holder register a worker for ``MINE``; the outcome."""
        holder.worker = "w-" + holder.name.replace(" ", "-")
        wish = {"handler": holder.worker, "event_type": "task_created", "agent_id": MINE}
        card = {"id": holder.worker, "name": "w", "agents": [MINE], "subscriptions": [wish], "lease_seconds": 600}
        return await self.ask(holder, {"verb": "register", "card": card}, worker=None)

    async def claim(self, holder: Holder, count: int) -> None:
        """Have a holder's worker claim so many new tasks, and hear of them."""
        for _ in range(count):
            await self.create(MINE)
        demand = {"total": count, "agents": {MINE: count}}
        claimed = await self.ask(holder, {"verb": "assignments", "demand": demand, "seconds": 5})
        holder.claims = [(each["task"]["id"], each["attempt"]) for each in claimed["value"]]
        holder.deliveries = (await self.ask(holder, {"verb": "deliveries", "limit": 5, "seconds": 5}))["value"]

    async def ask(self, holder: Holder, verb: dict[str, Any], worker: str | None = "") -> dict[str, Any]:
        """The outcome of a verb; without a worker's id, of the holder's own worker."""
        body = {"worker_id": holder.worker if worker == "" else worker, "verbs": [verb]}
        answer = await self.client.post("/work", json=body, headers=holder.headers)
        if answer.status_code != 200:
            return {"error": answer.json()}
        return answer.json()["results"][0]


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the matrix: a holder, a row of the table, and whose thing it is about."""

    holder: Holder
    name: str
    rule: AccessRule
    target: str


def headers(key: str | None, session: str) -> dict[str, str]:
    """What a holder sends: its key, and the secret of its process."""
    return {"x-worker-session": f"secret of {session}"} | ({"x-api-key": key} if key else {})


def expected(rule: AccessRule, holder: Holder, target: str) -> int | None:
    """What the table says a request is answered; none: it is let through.

    Args:
        rule: The row.
        holder: Who asks.
        target: About whose agent, task or worker: ``MINE``, ``THEIRS``, ``FOREIGN``.
    """
    if not rule.needs_key:
        return None
    if holder.role is None:
        return 401
    scope = rule.scopes.get(holder.role)
    if scope is None:
        return 403
    named = scope in (
        AccessScope.Agent,
        AccessScope.Task,
        AccessScope.Claim,
        AccessScope.Worker,
        AccessScope.KnowledgeBase,
    )
    if named and target == FOREIGN and scope is not AccessScope.Agent:
        return 404
    if named and target == THEIRS and holder.is_narrow:
        return 404
    if named and target == FOREIGN and holder.is_narrow:
        return 404
    if scope is AccessScope.Claim:
        return 409  # nobody has claimed it
    return None


async def status_of(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> tuple[int, str]:
    """The status of an answer, and its text; of a stream that goes on its beginning is enough."""
    async with client.stream(method, path, **options) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, ""
        return answer.status_code, (await answer.aread()).decode("utf-8", "replace")


def shown(differences: list[str]) -> str:
    """The cells that are not as the table says."""
    return f"{len(differences)} cells:\n" + "\n".join(differences[:40])


def targets(holder: Holder) -> Iterator[str]:
    """Whose things are worth asking for."""
    yield MINE
    if holder.role is not None:
        yield FOREIGN
    if holder.is_narrow:
        yield THEIRS


async def signed_in(browser: Browser, holder: Holder) -> int:
    """Sign in with a holder's key; the status of the answer."""
    return (await browser.sign_in(holder.headers.get("x-api-key", ""))).status_code
