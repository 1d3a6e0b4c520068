"""Offline tests of handlers and agents: run a handler on a task, script its model, use a temporary platform.

    from worker.testing import Call, run_handler

    async def test_the_analyst_adds(): ...
        run = await run_handler(analyse, text="How much?", model=[Call("add", {"a": 1, "b": 2}), "It is 3."])
        assert (run.status, run.result) == ("completed", "It is 3.")

``run_handler`` (sync: ``run_handler_sync``) treats one task as a worker would, on a real PostgreSQL that belongs to the
session. The pytest fixture ``worker_platform`` is such a platform, for tests that create tasks and run workers. Both
need the extra ``embedded``. ``ScriptedModel`` is a model that follows a script, for any Agno agent:

    from agno.agent import Agent
    from worker.testing import Call, ScriptedModel

    def add(a: int, b: int) -> int:
        return a + b

    agent = Agent(model=ScriptedModel([Call("add", {"a": 1, "b": 2}), "It is 3."]), tools=[add])

``StandIn`` is a platform that speaks the bare HTTP protocol, with switches for faults:

    from worker.testing import StandIn

    async with StandIn(agents=["analyst"]) as platform:
        ...  # XPANDER_BASE_URL is platform.url
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.testing.local import LocalPlatform, LocalWorker, local_platform
    from worker.testing.models import Call, Hook, Pieces, Request, Script, ScriptedModel, Turn
    from worker.testing.platform import StandIn
    from worker.testing.running import HandlerRun, run_handler, run_handler_sync

__all__ = [
    "Call",
    "HandlerRun",
    "Hook",
    "LocalPlatform",
    "LocalWorker",
    "Pieces",
    "Request",
    "Script",
    "ScriptedModel",
    "StandIn",
    "Turn",
    "local_platform",
    "run_handler",
    "run_handler_sync",
]

_PLACES = {
    "StandIn": "platform",
    "HandlerRun": "running",
    "run_handler": "running",
    "run_handler_sync": "running",
    "LocalPlatform": "local",
    "LocalWorker": "local",
    "local_platform": "local",
}
"""The modules of names that are not in ``models``."""


def __getattr__(name: str) -> Any:
    """Import a name on first use: a stand-in platform needs no Agno, and neither does a handler without an agent."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES.get(name, 'models')}"), name)
