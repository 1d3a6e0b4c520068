"""Examples and default handlers, each loaded afresh and served by a real worker on a real engine."""

import asyncio
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.workers import working
from worker import registry
from worker.engine.engine import Engine
from worker.face.options import new_task
from worker.registry import Registry
from worker.supervisor import Supervisor
from worker.words.events import TaskUpdateEvent
from worker.words.tasks import TaskRecord

ROOT = Path(__file__).parents[2]
FINISH_SECONDS = 60

Load = Callable[[str], ModuleType]
Done = Callable[..., Any]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, environment: Path) -> Load:
    """Import a module by its path below the root; its handlers are the only ones registered."""
    monkeypatch.setattr(registry, "default", Registry())

    def by_path(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return by_path


@pytest.fixture
def serving(engine: Engine) -> Callable[[], AbstractAsyncContextManager[Supervisor]]:
    """A worker that serves what was loaded, for the length of a block."""

    def serve() -> AbstractAsyncContextManager[Supervisor]:
        registry.default.check()
        return working(engine, registry.default)

    return serve


@pytest.fixture
def done(engine: Engine) -> Done:
    """Create a task and follow it to its end: the task and its events."""

    async def create(
        agent: str, text: str, files: Sequence[Path] = (), **options: Any
    ) -> tuple[TaskRecord, list[TaskUpdateEvent]]:
        created = await engine.tasks.create(await new_task(engine, agent, text, files, options))
        async with asyncio.timeout(FINISH_SECONDS):
            events = [event async for event in engine.tasks.events(created.id)]
        return await engine.tasks.get(created.id), events

    return create
