"""The SQL of agents."""

_WITH_TOOLS = """
    select a.id, a.record, a.announced, a.version, a.created_at, (
        select json_agg(tool order by w.started_at) from worker.workers w, json_array_elements(w.tools) as tool
        where w.organization_id = a.organization_id and w.gone_at is null and w.tools is not null
            and (w.any_agent or a.id = any(w.agents))
    ) as tools
    from worker.agents a where a.organization_id = %s
"""

GET_MODELS = """
    select id, record->>'model_provider' as model_provider, record->>'model_name' as model_name,
        record->>'llm_reasoning_effort' as llm_reasoning_effort
    from worker.agents where organization_id = %s and id = any(%s)
"""

GET_AGENT = _WITH_TOOLS + " and a.id = %s"

LIST_AGENTS = _WITH_TOOLS + " order by a.record->>'name', a.id"

SAVE_AGENT = """
    insert into worker.agents as a (organization_id, id, record) values (%s, %s, %s::json)
    on conflict (organization_id, id) do update
        set record = excluded.record, announced = false, version = a.version + 1
    returning version, created_at
"""

DELETE_AGENT = """
    delete from worker.agents where organization_id = %s and id = %s
    returning id, record, announced, version, created_at
"""
