"""Who may do what over HTTP: one table of roles by routes, verbs of ``/work``, and pages.

A key has a role, an organization, and perhaps some agents. Each row says for each role what a request has to be about;
a role that a row does not name is refused (403). Whatever the scope, nothing of another organization is ever found
(404). What is not in the table is not served: ``tests/server/test_server_matrix.py`` makes every combination of it, and
fails on a route, a verb or a page that has no row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from worker.words.roles import Role


class Scope(StrEnum):
    """What a request of a role has to be about."""

    Organization = "organization"
    """Anything: it concerns no agent."""
    Listed = "listed"
    """Anything: the answer holds, and the change reaches, only what belongs to the key's agents."""
    Agent = "agent"
    """The agent that it names is one of the key's; else 404."""
    Task = "task"
    """The task that it names is of one of the key's agents; else 404."""
    KnowledgeBase = "knowledge base"
    """One of the key's agents searches the knowledge base that it names, or a key of theirs has made it; else 404."""
    Worker = "worker"
    """The worker that it names was registered by this key, in this session, for agents of the key; else 404."""
    Claim = "claim"
    """As ``Task``, and a worker of this key, in this session, has claimed the task, or an event of it; else 409."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row.

    Args:
        scopes: For each role that may, what the request has to be about.
        needs_key: Whether a key is needed at all.
        takes_signature: Whether the signature of a file's URL does in the place of a key.
        waits: Whether it is let through while the database is away, to be decided once it is back.
        from_programs: Whether a request needs a header that no page of another site can send: it changes something,
            although the protocol asks for it by GET.
    """

    scopes: Mapping[Role, Scope] = field(default_factory=lambda: MappingProxyType(dict[Role, Scope]()))
    needs_key: bool = True
    takes_signature: bool = False
    waits: bool = False
    from_programs: bool = False

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who may."""
        return tuple(self.scopes)


def _rule(
    *,
    viewer: Scope | None = None,
    client: Scope | None = None,
    worker: Scope | None = None,
    admin: Scope,
    takes_signature: bool = False,
    waits: bool = False,
    from_programs: bool = False,
) -> Rule:
    given = {Role.Viewer: viewer, Role.Client: client, Role.Worker: worker, Role.Admin: admin}
    scopes = {role: scope for role, scope in given.items() if scope is not None}
    return Rule(MappingProxyType(scopes), takes_signature=takes_signature, waits=waits, from_programs=from_programs)


def _read(scope: Scope) -> Rule:
    return _rule(viewer=scope, client=scope, worker=scope, admin=scope)


def _write(scope: Scope) -> Rule:
    return _rule(client=scope, admin=scope)


def _work(scope: Scope) -> Rule:
    return _rule(worker=scope, admin=scope)


OPEN = Rule(needs_key=False)
"""No key is needed: it tells nothing, and changes nothing."""

SAVE = _rule(client=Scope.Task, worker=Scope.Claim, admin=Scope.Task)
"""Fields and events of a task. Whoever names an attempt has to have claimed it, whatever the role."""

ROUTES: Mapping[str, Rule] = MappingProxyType(
    {
        "GET /health": OPEN,
        "GET /ready": OPEN,
        "GET /docs": OPEN,  # it leads to the page
        "GET /openapi.json": OPEN,
        "GET /metrics": _read(Scope.Listed),
        "GET /workers": _read(Scope.Listed),
        # tasks
        "POST /agent-execution/{agent_id}": _write(Scope.Agent),
        "POST /agent-execution/{agent_id}/report_task": _write(Scope.Agent),
        "GET /agent-execution/{task_id}/status": _read(Scope.Task),
        "GET /agent-execution/{task_id}/attempts": _read(Scope.Task),
        "GET /agent-execution/{task_id}/files": _read(Scope.Task),
        "GET /agent-execution/{task_id}/artifacts": _read(Scope.Task),
        "GET /agent-execution/{task_id}/events": _read(Scope.Task),
        "GET /activity/{agent_id}/{task_id}": _read(Scope.Task),
        "PATCH /agent-execution/{task_id}/update": SAVE,
        "POST /agent-execution/{task_id}/events/push": SAVE,
        "DELETE /agent-execution/{task_id}": _write(Scope.Task),
        "POST /agent-execution/{task_id}/retry": _write(Scope.Task),
        "POST /agent-execution/{task_id}/answer": _write(Scope.Task),
        "POST /agent-execution/{task_id}/signals": _write(Scope.Task),
        "POST /agent-execution/{task_id}/messages": _write(Scope.Task),
        "POST /agent-execution/{task_id}/skip": _write(Scope.Task),
        "GET /requests": _read(Scope.Listed),
        "GET /conversations": _read(Scope.Listed),
        "GET /conversations/{conversation_id:path}": _read(Scope.Listed),
        "GET /agent-execution/executions/history": _read(Scope.Listed),
        "GET /agent-execution/executions/history/{agent_id}": _read(Scope.Agent),
        "GET /agent-execution/executions/history/user/{user_id}": _read(Scope.Listed),
        "GET /agent-execution/executions/counts": _read(Scope.Listed),
        # files
        "POST /files": _rule(client=Scope.Organization, worker=Scope.Organization, admin=Scope.Organization),
        "GET /files/{sha256}/{name:path}": _rule(
            viewer=Scope.Organization,
            client=Scope.Organization,
            worker=Scope.Organization,
            admin=Scope.Organization,
            takes_signature=True,
        ),
        # agents
        "GET /agents/list": _read(Scope.Listed),
        "GET /agents/{agent_id}": _read(Scope.Agent),
        "PUT /agents/{agent_id}": _rule(admin=Scope.Agent),
        "DELETE /agents/{agent_id}": _rule(admin=Scope.Agent),
        "POST /agents-metrics/{agent_id}/execution": _rule(client=Scope.Agent, worker=Scope.Agent, admin=Scope.Agent),
        "POST /agents/{agent_id}/operations/{tool_id}": _rule(
            client=Scope.Agent, worker=Scope.Agent, admin=Scope.Agent
        ),
        "PATCH /agents/{agent_id}/sync_local_tools": _rule(client=Scope.Agent, worker=Scope.Agent, admin=Scope.Agent),
        "POST /metadata/api_key_allowance": _read(Scope.Listed),
        "GET /metadata/default_llm_extra_headers": _read(Scope.Organization),
        # knowledge bases; the ways to them are the public protocol's
        "GET /knowledge_bases": _read(Scope.Listed),
        "POST /knowledge_bases/create": _write(Scope.Listed),
        "GET /knowledge_bases/{knowledge_base_id}": _read(Scope.KnowledgeBase),
        "POST /knowledge_bases/{knowledge_base_id}": _write(Scope.KnowledgeBase),
        "DELETE /knowledge_bases/{knowledge_base_id}": _write(Scope.KnowledgeBase),
        "GET /knowledge_bases/{knowledge_base_id}/details": _read(Scope.KnowledgeBase),
        "GET /knowledge_bases/{knowledge_base_id}/list": _read(Scope.KnowledgeBase),
        "DELETE /knowledge_bases/{knowledge_base_id}/erase": _write(Scope.KnowledgeBase),
        # providers of models
        "GET /providers": _read(Scope.Organization),
        "POST /providers/{provider_id}/resume": _rule(admin=Scope.Organization),
        "POST /providers/{provider_id}/fail": _rule(admin=Scope.Organization),
        # keys, and who did what
        "GET /keys": _rule(admin=Scope.Listed),
        "POST /keys": _rule(admin=Scope.Listed),
        "POST /keys/{key_id}/revoke": _rule(admin=Scope.Listed),
        "GET /audit": _rule(admin=Scope.Listed),
        # deliveries
        "GET /deliveries": _read(Scope.Listed),
        "POST /deliveries/retry": _write(Scope.Listed),
        # workers
        "GET /events/{agent_id}": _rule(worker=Scope.Agent, admin=Scope.Agent, waits=True, from_programs=True),
        "POST /events/{worker_id}": _rule(worker=Scope.Worker, admin=Scope.Worker, waits=True),
        "POST /work": _read(Scope.Organization),  # each of its verbs has a rule of its own
    }
)
"""Method and path of every route, as the application has them. ``GET`` is ``HEAD`` too."""

NATIVE_STREAM = "-"
"""In the place of an agent, in the address of a native worker's stream: it serves its worker's agents."""

VERBS: Mapping[str, Rule] = MappingProxyType(
    {
        "register": _work(Scope.Worker),
        "assignments": _work(Scope.Worker),
        "deliveries": _work(Scope.Worker),
        "renew": _work(Scope.Worker),
        "report": _work(Scope.Worker),
        "drain": _work(Scope.Worker),
        "leave": _work(Scope.Worker),
        "emit": _work(Scope.Claim),
        "keep_files": _work(Scope.Claim),
        "journal": _work(Scope.Claim),
        "told": _work(Scope.Claim),
        "store_document": _work(Scope.Claim),
        "messages": _work(Scope.Claim),
        "finish": _work(Scope.Claim),
        "hand_back": _work(Scope.Claim),
        "make_children": _work(Scope.Claim),
        "save_artifacts": _work(Scope.Claim),
        "children": _work(Scope.Claim),
        "crashed": _work(Scope.Claim),
        "settle": _work(Scope.Claim),
        "save": SAVE,
        "lost": _work(Scope.Listed),
        "providers": _work(Scope.Organization),
        "provider_failed": _work(Scope.Organization),
        "provider_answered": _work(Scope.Organization),
    }
)
"""Verbs of ``POST /work``."""

PAGES: Mapping[str, Rule] = MappingProxyType(
    {
        "GET /": _read(Scope.Listed),
        "GET /ui": _read(Scope.Listed),
        "GET /ui/live": _read(Scope.Listed),
        "GET /ui/tasks/{task_id}": _read(Scope.Task),
        "GET /ui/tasks/{task_id}/stream": _read(Scope.Task),
        "GET /ui/tasks/{task_id}/result.html": _read(Scope.Task),
        "GET /ui/tasks/{task_id}/files/{number:int}": _read(Scope.Task),
        "GET /ui/tasks/{task_id}/artifacts/{number:int}": _read(Scope.Task),
        "POST /ui/tasks/{task_id}/stop": _write(Scope.Task),
        "POST /ui/tasks/{task_id}/retry": _write(Scope.Task),
        "POST /ui/tasks/{task_id}/answer": _write(Scope.Task),
        "POST /ui/tasks/{task_id}/send": _write(Scope.Task),
        "POST /ui/tasks/{task_id}/signal": _write(Scope.Task),
        "POST /ui/tasks/{task_id}/skip": _write(Scope.Task),
        "GET /ui/inbox": _read(Scope.Listed),
        "GET /ui/conversations": _read(Scope.Listed),
        "GET /ui/conversations/{conversation_id:path}": _read(Scope.Listed),
        "GET /ui/new": _write(Scope.Listed),
        "POST /ui/new": _write(Scope.Listed),
        "GET /ui/workers": _read(Scope.Listed),
        "GET /ui/docs": _read(Scope.Organization),
        "GET /ui/agents": _read(Scope.Listed),
        "GET /ui/knowledge": _read(Scope.Listed),
        "POST /ui/knowledge": _write(Scope.Listed),
        "GET /ui/knowledge/{knowledge_base_id}": _read(Scope.KnowledgeBase),
        "POST /ui/knowledge/{knowledge_base_id}": _write(Scope.KnowledgeBase),
        "POST /ui/knowledge/{knowledge_base_id}/remove": _write(Scope.KnowledgeBase),
        "GET /ui/dead": _read(Scope.Listed),
        "POST /ui/dead": _write(Scope.Listed),
        "GET /ui/deliveries": _read(Scope.Listed),
        "POST /ui/deliveries": _write(Scope.Listed),
        "GET /ui/keys": _rule(admin=Scope.Listed),
        "POST /ui/keys": _rule(admin=Scope.Listed),
        "POST /ui/keys/{key_id}/revoke": _rule(admin=Scope.Listed),
        "GET /ui/audit": _rule(admin=Scope.Listed),
        "GET /ui/answer": OPEN,  # the link in its address is the right
        "POST /ui/answer": OPEN,
        "GET /ui/sign-in": OPEN,
        "POST /ui/sign-in": OPEN,
        "POST /ui/sign-out": OPEN,
        "GET /ui/static": OPEN,
        "GET /ui/{rest:path}": _read(Scope.Organization),
    }
)
"""Method and path of every page."""
