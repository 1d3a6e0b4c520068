"""Lists and counts of tasks, composed so that a page costs the same however many tasks there are.

A list is merged from lanes, each read in order from an index: one lane per agent if agents are given, else one per
status (there are seven). So two indexes serve every list, and none is needed for the whole organization.
"""

from typing import Any

from worker.engine.core import Core
from worker.engine.database.columns import TASK_COLUMNS
from worker.engine.database.vault import NO_SEARCH
from worker.words.errors import ValidationError
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskQuery
from worker.words.texts import clean

WINDOW = 10_000
"""Tasks per lane that a text search reads, and that are counted: some 50 ms."""

MIN_WINDOW = 500  # per agent, however many agents are given

_NEWEST_FIRST = "order by t.created_at desc, t.id desc"
_COLUMNS = {"parent_task_id": "parent_id"}
_EXACT = ("user_id", "parent_task_id", "triggering_agent_id", "internal_status", "finish_reason")
_SELECTIVE = ("user_id", "parent_task_id", "internal_status", "finish_reason")
"""Filters with an index of their own, which need no lanes."""

_HAS_TEXT = """
    strpos(lower(concat_ws(E'\\n', t.id, t.internal_status, t.state->>'title', t.settings->'input'->>'text', t.result)),
           lower(%(text)s)) > 0
"""
_BEFORE = """
    (t.created_at, t.id) < (select b.created_at, b.id from worker.tasks b
                             where b.id = %(before)s and b.organization_id = %(organization)s)
"""


async def find(core: Core, organization_id: str, query: TaskQuery) -> list[dict[str, Any]]:
    """Return the rows of a page of tasks, newest first."""
    asked = _Asked(organization_id, query)
    has_lanes = _lay_lanes(asked, query)
    page = f"select t.* from worker.tasks t where {asked.sql()} {_NEWEST_FIRST}"  # noqa: S608 - names of ours
    if query.text:
        page = f"select t.* from ({page} limit {WINDOW}) t where {_HAS_TEXT} {_NEWEST_FIRST}"  # noqa: S608 - the same
    page = f"{page} limit %(limit)s"
    sql = f"select {TASK_COLUMNS}, t.user_id from {_merged(page, has_lanes=has_lanes)} {_NEWEST_FIRST} limit %(limit)s"  # noqa: S608 - the same
    return await _run(core, query, sql, asked)


async def counts(core: Core, organization_id: str, query: TaskQuery) -> dict[AgentExecutionStatus, int]:
    """Count matching tasks by status, among the newest ``WINDOW`` of each status or of the given agents."""
    query = query.model_copy(update={"status": None, "statuses": (), "before": None})
    asked = _Asked(organization_id, query)
    has_lanes = _lay_lanes(asked, query)
    window = max(WINDOW // len(query.agents), MIN_WINDOW) if has_lanes and query.agents else WINDOW
    columns, kept = ("t.*", f"where {_HAS_TEXT}") if query.text else ("t.status", "")
    newest = f"select {columns} from worker.tasks t where {asked.sql()} {_NEWEST_FIRST} limit {window}"  # noqa: S608 - names of ours
    sql = f"select t.status, count(*) as count from {_merged(newest, has_lanes=has_lanes)} {kept} group by t.status"  # noqa: S608 - the same
    rows = await _run(core, query, sql, asked)
    return dict.fromkeys(AgentExecutionStatus, 0) | {AgentExecutionStatus(row["status"]): row["count"] for row in rows}


async def _run(core: Core, query: TaskQuery, sql: str, asked: "_Asked") -> list[dict[str, Any]]:
    """Run a query; one that no index supports runs isolated, with a time limit."""
    if query.text and core.vault.everything:
        raise ValidationError(NO_SEARCH, field="text")
    run = core.search if query.text or query.triggering_agent_id is not None else core.read
    return await run(sql, asked.values)  # pyright: ignore[reportArgumentType] # composed of constants


def _merged(page: str, *, has_lanes: bool) -> str:
    """Return the FROM item that merges a page of each lane, or the single page."""
    return f"unnest(%(lanes)s::text[]) as lane cross join lateral ({page}) t" if has_lanes else f"({page}) t"


class _Asked:
    """Conditions on worker.tasks t and their parameters."""

    def __init__(self, organization_id: str, query: TaskQuery) -> None:
        self.wheres = ["t.organization_id = %(organization)s"]
        self.values: dict[str, Any] = {"organization": organization_id, "limit": query.limit}
        for name in _EXACT:
            value = getattr(query, name)
            if value is not None:
                self.add(f"t.{_COLUMNS.get(name, name)} = %({name})s", **{name: clean(value)})
        if query.error_code is not None:
            self.add("t.state->>'error_code' = %(error_code)s", error_code=clean(query.error_code))
        if query.created_after is not None:
            self.add("t.created_at >= %(created_after)s", created_after=query.created_after)
        if query.created_before is not None:
            self.add("t.created_at < %(created_before)s", created_before=query.created_before)
        if query.before is not None:
            self.add(_BEFORE, before=clean(query.before))
        if query.text:
            self.values["text"] = clean(query.text)

    def add(self, where: str, **values: Any) -> None:
        self.wheres.append(where)
        self.values.update(values)

    def sql(self) -> str:
        return " and ".join(self.wheres)


def _lay_lanes(asked: _Asked, query: TaskQuery) -> bool:
    """Add the conditions for agents and statuses, and return whether they need several lanes."""
    agents, statuses = _wanted(query)
    lanes = agents if agents is not None else statuses
    single = len(lanes or ()) == 1 or any(getattr(query, name) is not None for name in _SELECTIVE)
    if agents is not None and single:
        _one_or_any(asked, "agent_id", agents)
    if statuses is not None and (single or agents is not None):
        _one_or_any(asked, "status", statuses)
    if not single:
        column = "status" if agents is None else "agent_id"
        asked.add(f"t.{column} = lane", lanes=list(AgentExecutionStatus) if lanes is None else lanes)
    return not single


def _wanted(query: TaskQuery) -> tuple[list[str] | None, list[str] | None]:
    agents: list[str] | None = None
    if query.wanted is not None:
        agents = list(dict.fromkeys(clean(each) for each in query.wanted))  # an agent named twice is one lane
    statuses: list[str] | None = list(dict.fromkeys(query.statuses)) or None
    if query.error_code is not None:  # completed tasks have none, and need not be read
        statuses = [each for each in statuses or AgentExecutionStatus if each is not AgentExecutionStatus.Completed]
    if query.status is not None:
        statuses = [query.status] if statuses is None or query.status in statuses else []
    return agents, statuses


def _one_or_any(asked: _Asked, column: str, values: list[str]) -> None:
    """Add a condition; a single value is compared by equality, so that an index gives the order too."""
    if len(values) == 1:
        asked.add(f"t.{column} = %({column})s", **{column: values[0]})
    else:
        asked.add(f"t.{column} = any(%({column})s::text[])", **{column: values})
