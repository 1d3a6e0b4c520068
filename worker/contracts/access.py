"""Access control over HTTP: one table of roles by routes, verbs of ``/work``, and pages.

A key has a role, an organization and, optionally, some agents. Each row states, for each role, what a request has to be
about; roles that a row does not name are refused (403). Regardless of scope, data of another organization is never
found (404). Nothing outside the table is served: ``tests/server/test_server_matrix.py`` derives every combination from
the table, and fails on a route, verb or page without a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from worker.words.roles import Role


class AccessScope(StrEnum):
    """What a request of a role has to be about."""

    Organization = "organization"
    """No restriction: the request concerns no agent."""
    Listed = "listed"
    """No restriction, but the request only reads and changes what belongs to the key's agents."""
    Agent = "agent"
    """The named agent is one of the key's agents; otherwise 404."""
    Task = "task"
    """The named task belongs to one of the key's agents; otherwise 404."""
    KnowledgeBase = "knowledge base"
    """One of the key's agents searches the named knowledge base, or a key of theirs has created it; otherwise 404."""
    Worker = "worker"
    """The named worker was registered with this key, in this session, for agents of the key; otherwise 404."""
    Claim = "claim"
    """As ``Task``, and a worker of this key, in this session, has claimed the task or an event of it; otherwise 409."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A row of the table.

    Args:
        scopes: For each permitted role, what the request has to be about.
        needs_key: Whether a key is needed at all.
        takes_signature: Whether the signature in a file's URL is accepted instead of a key.
        waits: Whether the request is admitted while the database is unavailable, and decided once it is available
            again.
        from_programs: Whether the request needs a header that no page of another site can send, because it changes
            something although the protocol uses GET.
    """

    scopes: Mapping[Role, AccessScope] = field(default_factory=lambda: MappingProxyType(dict[Role, AccessScope]()))
    needs_key: bool = True
    takes_signature: bool = False
    waits: bool = False
    from_programs: bool = False

    @property
    def roles(self) -> tuple[Role, ...]:
        """The permitted roles."""
        return tuple(self.scopes)


def _rule(
    *,
    viewer: AccessScope | None = None,
    client: AccessScope | None = None,
    worker: AccessScope | None = None,
    admin: AccessScope,
    takes_signature: bool = False,
    waits: bool = False,
    from_programs: bool = False,
) -> AccessRule:
    given = {Role.Viewer: viewer, Role.Client: client, Role.Worker: worker, Role.Admin: admin}
    scopes = {role: scope for role, scope in given.items() if scope is not None}
    return AccessRule(
        MappingProxyType(scopes), takes_signature=takes_signature, waits=waits, from_programs=from_programs
    )


def _read(scope: AccessScope) -> AccessRule:
    return _rule(viewer=scope, client=scope, worker=scope, admin=scope)


def _use(scope: AccessScope) -> AccessRule:
    return _rule(client=scope, worker=scope, admin=scope)


def _write(scope: AccessScope) -> AccessRule:
    return _rule(client=scope, admin=scope)


def _work(scope: AccessScope) -> AccessRule:
    return _rule(worker=scope, admin=scope)


OPEN = AccessRule(needs_key=False)
"""No key is needed: the request reveals nothing and changes nothing."""

SAVE = _rule(client=AccessScope.Task, worker=AccessScope.Claim, admin=AccessScope.Task)
"""Fields and events of a task. A request that names an attempt must come from its claimant, whatever the role."""

ROUTES: Mapping[str, AccessRule] = MappingProxyType(
    {
        "GET /health": OPEN,
        "GET /ready": OPEN,
        "GET /docs": OPEN,  # redirects to the page
        "GET /openapi.json": OPEN,
        "GET /metrics": _read(AccessScope.Listed),
        "GET /workers": _read(AccessScope.Listed),
        # tasks
        "POST /agent-execution/{agent_id}": _write(AccessScope.Agent),
        "POST /agent-execution/{agent_id}/report_task": _write(AccessScope.Agent),
        "GET /agent-execution/{task_id}/status": _read(AccessScope.Task),
        "GET /agent-execution/{task_id}/attempts": _read(AccessScope.Task),
        "GET /agent-execution/{task_id}/files": _read(AccessScope.Task),
        "GET /agent-execution/{task_id}/artifacts": _read(AccessScope.Task),
        "GET /agent-execution/{task_id}/events": _read(AccessScope.Task),
        "GET /activity/{agent_id}/{task_id}": _read(AccessScope.Task),
        "PATCH /agent-execution/{task_id}/update": SAVE,
        "POST /agent-execution/{task_id}/events/push": SAVE,
        "DELETE /agent-execution/{task_id}": _write(AccessScope.Task),
        "POST /agent-execution/{task_id}/retry": _write(AccessScope.Task),
        "POST /agent-execution/{task_id}/answer": _write(AccessScope.Task),
        "POST /agent-execution/{task_id}/signals": _write(AccessScope.Task),
        "POST /agent-execution/{task_id}/messages": _write(AccessScope.Task),
        "POST /agent-execution/{task_id}/skip": _write(AccessScope.Task),
        "GET /requests": _read(AccessScope.Listed),
        "GET /conversations": _read(AccessScope.Listed),
        "GET /conversations/{conversation_id:path}": _read(AccessScope.Listed),
        "GET /agent-execution/executions/history": _read(AccessScope.Listed),
        "GET /agent-execution/executions/history/{agent_id}": _read(AccessScope.Agent),
        "GET /agent-execution/executions/history/user/{user_id}": _read(AccessScope.Listed),
        "GET /agent-execution/executions/counts": _read(AccessScope.Listed),
        # files
        "POST /files": _use(AccessScope.Organization),
        "GET /files/{sha256}/{name:path}": _rule(
            viewer=AccessScope.Organization,
            client=AccessScope.Organization,
            worker=AccessScope.Organization,
            admin=AccessScope.Organization,
            takes_signature=True,
        ),
        # agents
        "GET /agents/list": _read(AccessScope.Listed),
        "GET /agents/{agent_id}": _read(AccessScope.Agent),
        "PUT /agents/{agent_id}": _rule(admin=AccessScope.Agent),
        "DELETE /agents/{agent_id}": _rule(admin=AccessScope.Agent),
        "POST /agents-metrics/{agent_id}/execution": _use(AccessScope.Agent),
        "POST /agents/{agent_id}/operations/{tool_id}": _use(AccessScope.Agent),
        "PATCH /agents/{agent_id}/sync_local_tools": _use(AccessScope.Agent),
        "POST /metadata/api_key_allowance": _read(AccessScope.Listed),
        "GET /metadata/default_llm_extra_headers": _read(AccessScope.Organization),
        # knowledge bases; their paths are those of the public protocol
        "GET /knowledge_bases": _read(AccessScope.Listed),
        "POST /knowledge_bases/create": _write(AccessScope.Listed),
        "GET /knowledge_bases/{knowledge_base_id}": _read(AccessScope.KnowledgeBase),
        "POST /knowledge_bases/{knowledge_base_id}": _write(AccessScope.KnowledgeBase),
        "DELETE /knowledge_bases/{knowledge_base_id}": _write(AccessScope.KnowledgeBase),
        "GET /knowledge_bases/{knowledge_base_id}/details": _read(AccessScope.KnowledgeBase),
        "GET /knowledge_bases/{knowledge_base_id}/list": _read(AccessScope.KnowledgeBase),
        "DELETE /knowledge_bases/{knowledge_base_id}/erase": _write(AccessScope.KnowledgeBase),
        # providers of models
        "GET /providers": _read(AccessScope.Organization),
        "POST /providers/{provider_id}/resume": _rule(admin=AccessScope.Organization),
        "POST /providers/{provider_id}/fail": _rule(admin=AccessScope.Organization),
        # keys and the audit log
        "GET /keys": _rule(admin=AccessScope.Listed),
        "POST /keys": _rule(admin=AccessScope.Listed),
        "POST /keys/{key_id}/revoke": _rule(admin=AccessScope.Listed),
        "GET /audit": _rule(admin=AccessScope.Listed),
        # deliveries
        "GET /deliveries": _read(AccessScope.Listed),
        "POST /deliveries/retry": _write(AccessScope.Listed),
        # workers
        "GET /events/{agent_id}": _rule(
            worker=AccessScope.Agent, admin=AccessScope.Agent, waits=True, from_programs=True
        ),
        "POST /events/{worker_id}": _rule(worker=AccessScope.Worker, admin=AccessScope.Worker, waits=True),
        "POST /work": _read(AccessScope.Organization),  # each of its verbs has a rule of its own
    }
)
"""Method and path of every route, as in the application. ``GET`` includes ``HEAD``."""

NATIVE_STREAM = "-"
"""Stands for the agent in the address of a native worker's stream, which serves all of the worker's agents."""

VERBS: Mapping[str, AccessRule] = MappingProxyType(
    {
        "register": _work(AccessScope.Worker),
        "assignments": _work(AccessScope.Worker),
        "deliveries": _work(AccessScope.Worker),
        "renew": _work(AccessScope.Worker),
        "report": _work(AccessScope.Worker),
        "drain": _work(AccessScope.Worker),
        "leave": _work(AccessScope.Worker),
        "emit": _work(AccessScope.Claim),
        "keep_files": _work(AccessScope.Claim),
        "journal": _work(AccessScope.Claim),
        "told": _work(AccessScope.Claim),
        "store_document": _work(AccessScope.Claim),
        "messages": _work(AccessScope.Claim),
        "finish": _work(AccessScope.Claim),
        "hand_back": _work(AccessScope.Claim),
        "make_children": _work(AccessScope.Claim),
        "save_artifacts": _work(AccessScope.Claim),
        "children": _work(AccessScope.Claim),
        "crashed": _work(AccessScope.Claim),
        "settle": _work(AccessScope.Claim),
        "save": SAVE,
        "lost": _work(AccessScope.Listed),
        "providers": _work(AccessScope.Organization),
        "provider_failed": _work(AccessScope.Organization),
        "provider_answered": _work(AccessScope.Organization),
    }
)
"""Verbs of ``POST /work``."""

PAGES: Mapping[str, AccessRule] = MappingProxyType(
    {
        "GET /": _read(AccessScope.Listed),
        "GET /ui": _read(AccessScope.Listed),
        "GET /ui/live": _read(AccessScope.Listed),
        "GET /ui/tasks/{task_id}": _read(AccessScope.Task),
        "GET /ui/tasks/{task_id}/stream": _read(AccessScope.Task),
        "GET /ui/tasks/{task_id}/result.html": _read(AccessScope.Task),
        "GET /ui/tasks/{task_id}/files/{number:int}": _read(AccessScope.Task),
        "GET /ui/tasks/{task_id}/artifacts/{number:int}": _read(AccessScope.Task),
        "POST /ui/tasks/{task_id}/stop": _write(AccessScope.Task),
        "POST /ui/tasks/{task_id}/retry": _write(AccessScope.Task),
        "POST /ui/tasks/{task_id}/answer": _write(AccessScope.Task),
        "POST /ui/tasks/{task_id}/send": _write(AccessScope.Task),
        "POST /ui/tasks/{task_id}/signal": _write(AccessScope.Task),
        "POST /ui/tasks/{task_id}/skip": _write(AccessScope.Task),
        "GET /ui/inbox": _read(AccessScope.Listed),
        "GET /ui/conversations": _read(AccessScope.Listed),
        "GET /ui/conversations/{conversation_id:path}": _read(AccessScope.Listed),
        "GET /ui/new": _write(AccessScope.Listed),
        "POST /ui/new": _write(AccessScope.Listed),
        "GET /ui/workers": _read(AccessScope.Listed),
        "GET /ui/docs": _read(AccessScope.Organization),
        "GET /ui/agents": _read(AccessScope.Listed),
        "GET /ui/knowledge": _read(AccessScope.Listed),
        "POST /ui/knowledge": _write(AccessScope.Listed),
        "GET /ui/knowledge/{knowledge_base_id}": _read(AccessScope.KnowledgeBase),
        "POST /ui/knowledge/{knowledge_base_id}": _write(AccessScope.KnowledgeBase),
        "POST /ui/knowledge/{knowledge_base_id}/remove": _write(AccessScope.KnowledgeBase),
        "GET /ui/dead": _read(AccessScope.Listed),
        "POST /ui/dead": _write(AccessScope.Listed),
        "GET /ui/deliveries": _read(AccessScope.Listed),
        "POST /ui/deliveries": _write(AccessScope.Listed),
        "GET /ui/keys": _rule(admin=AccessScope.Listed),
        "POST /ui/keys": _rule(admin=AccessScope.Listed),
        "POST /ui/keys/{key_id}/revoke": _rule(admin=AccessScope.Listed),
        "GET /ui/audit": _rule(admin=AccessScope.Listed),
        "GET /ui/answer": OPEN,  # the link itself grants access
        "POST /ui/answer": OPEN,
        "GET /ui/sign-in": OPEN,
        "POST /ui/sign-in": OPEN,
        "POST /ui/sign-out": OPEN,
        "GET /ui/static": OPEN,
        "GET /ui/{rest:path}": _read(AccessScope.Organization),
    }
)
"""Method and path of every page."""
