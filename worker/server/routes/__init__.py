"""The HTTP routes, one module per subject."""

from worker.server.routes import (
    agents,
    audit,
    conversations,
    deliveries,
    events,
    files,
    keys,
    knowledge,
    metrics,
    providers,
    reports,
    requests,
    task_lists,
    tasks,
    tools,
    work,
    workers,
)

ROUTERS = (
    task_lists.router,
    tasks.router,
    tasks.saving,
    reports.router,
    events.router,
    files.router,
    agents.router,
    tools.router,
    knowledge.router,
    deliveries.router,
    providers.router,
    requests.router,
    conversations.router,
    keys.router,
    audit.router,
    workers.router,
    metrics.router,
    work.router,
)
"""All routers, in the order in which a path is matched."""
