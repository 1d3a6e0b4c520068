"""For tests of handlers and agents, offline and in no time: a model that says what it is told to, and a platform.

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
    from worker.testing.models import Call, Hook, Pieces, Request, Script, ScriptedModel, Turn
    from worker.testing.platform import StandIn

__all__ = ["Call", "Hook", "Pieces", "Request", "Script", "ScriptedModel", "StandIn", "Turn"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: a stand-in platform needs no Agno."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'platform' if name == 'StandIn' else 'models'}"), name)
