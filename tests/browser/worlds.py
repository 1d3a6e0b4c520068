"""What the browser's tests look at: a server, a worker, an agent that says what it is told to, when it is told to."""

import asyncio
from pathlib import Path
from typing import Any

from agno.agent import Agent
from agno.tools import tool
from playwright.async_api import Page

from tests.server.serving import Serving
from tests.supervisor.stories import Handlers
from worker import Task, run_agent
from worker.engine.engine import Engine
from worker.settings import Settings
from worker.supervisor import Supervisor
from worker.testing import Call, Pieces, ScriptedModel
from worker.words.task_lists import TaskItem, TaskQuery
from worker.words.tasks import NewTask

PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
KEY = "a-key-of-the-browser-tests"
ANSWER = """# Quarterly figures

**Revenue grew by 12 %** against the quarter before, led by *subscriptions*.

| region | revenue | growth |
|---|---|---|
| Europe | 4.2 M | 14 % |
| Americas | 3.1 M | 9 % |

- Costs rose by 3 %.
- One chart could not be read.
"""


async def picture(page: Page, name: str) -> None:
    """Keep what a page looks like, for people."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


class World:
    """A server and a worker.

    ``says`` lets the model's text out: each piece of its answer waits for it.
    """

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.says = asyncio.Event()
        self.engine = Engine(str(serving.engine.core.url), organization_id="default")
        self.handlers = Handlers()
        self._running: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.engine.open()
        self.handlers.bind(self.analyse, "analyst")
        self.handlers.bind(self.travel, "travel")
        settings = Settings.model_validate({"drain_seconds": 0, "concurrency": 4})
        self.supervisor = Supervisor(self.engine, self.handlers, settings)
        self._running = asyncio.create_task(self.supervisor.run())
        await self.supervisor.ready()

    async def close(self) -> None:
        self.says.set()
        self.supervisor.stop()
        if self._running is not None:
            await self._running
        await self.engine.close()
        await asyncio.to_thread(self.serving.stop)

    async def restart(self) -> None:
        """End the server, and start another one at the same port."""
        port = self.serving.port
        await asyncio.to_thread(self.serving.stop)
        self.serving = Serving(self.engine.core.url, key=KEY, port=port).start()
        await self.serving.started()

    async def analyse(self, task: Task) -> Task:
        """An agent with two tools, whose text comes when the test says so."""

        async def wait(_: Any) -> None:
            await self.says.wait()

        def look_up(region: str) -> dict[str, Any]:
            """Figures of a region."""
            return {"region": region, "revenue": 4.2e6, "growth": {"quarter": 0.14, "year": 0.31}}

        def read_chart(name: str) -> str:
            """Figures of a chart."""
            raise ValueError(f"{name} is no chart")

        pieces = [ANSWER[at : at + 24] for at in range(0, len(ANSWER), 24)]
        turns = [
            [Call("look_up", {"region": "Europe"}), Call("look_up", {"region": "Americas"})],
            Call("read_chart", {"name": "chart.png"}),
            Pieces(pieces),
        ]
        agent = Agent(model=ScriptedModel(turns, between=wait), tools=[look_up, read_chart])
        return await run_agent(agent, task)

    async def travel(self, task: Task) -> Task:
        """An agent that may not book without a person's word, and lacks what only a person knows."""

        @tool(requires_confirmation=True)
        def pay(amount: int, to: str) -> str:
            """Pay an amount to somebody."""
            return f"paid {amount} to {to}"

        @tool(requires_user_input=True, user_input_fields=["seats", "window"])
        def book(city: str, seats: int, window: bool) -> str:
            """Book seats on the next train to a city."""
            return f"booked {seats} to {city}, {'by' if window else 'off'} the window"

        turns = [
            [Call("pay", {"amount": 120, "to": "the railway"}, "pay-1"), Call("book", {"city": "Rome"}, "book-1")],
            "All is booked.",
        ]
        return await run_agent(Agent(name="Travel agent", model=ScriptedModel(turns), tools=[pay, book]), task)

    async def items(self) -> list[TaskItem]:
        """All tasks, newest first."""
        return await self.engine.tasks.find(TaskQuery())

    async def create(self, text: str = "Summarise the figures.", agent: str = "analyst", **settings: Any) -> str:
        """Create a task. Returns: its id."""
        user = settings.pop("input_user", None)
        given = {"text": text, "user": {"id": user} if user else None}
        values = {"input": given, "output_format": "markdown", "events_streaming": True, **settings}
        task = await self.engine.tasks.create(NewTask.model_validate({"agent_id": agent, **values}))
        return task.id
