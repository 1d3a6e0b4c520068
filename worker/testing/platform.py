"""A stand-in for a platform that speaks only the bare HTTP protocol: no event numbers, no attempts.

Its state is plain and public, so that a test can read it; its switches cause the faults of a real network.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

from worker.testing import wire
from worker.testing.http import Answer, Request, Server, Stream
from worker.testing.wire import Task

TERMINAL = frozenset({"completed", "failed", "error", "stopped"})
NOT_FOUND = Answer({"detail": "Not Found"}, 404)


@dataclass(slots=True, eq=False)
class Station:
    """A connected worker's stream, with the tasks that it was given."""

    worker_id: str
    agent_id: str
    stream: Stream
    is_busy: bool = False
    given: list[str] = field(default_factory=list[str])
    sent: int = 0  # events, including the registration
    drop_after: int | None = None


class StandIn:
    """A platform for tests.

    ``tasks`` has every task by id. ``ends`` counts by task how often a worker wrote a terminal status, ``starts`` how
    often one wrote that it executes the task. ``reports`` lists the workers' reports: (worker id, event, data).
    ``pushed`` lists pushed events, ``metrics`` the reports of runs.

    Args:
        agents: The ids of the platform's agents.
        key: The key that requests need; None means that any is accepted.
        organization_id: The organization of the tasks.
        comment_seconds: Between two signs of life on a stream.
    """

    def __init__(
        self,
        agents: Sequence[str] = ("agent",),
        *,
        key: str | None = None,
        organization_id: str = "default",
        comment_seconds: float = 15.0,
    ) -> None:
        self.agents = list(agents)
        self.tasks: dict[str, Task] = {}
        self.ends: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        self.reports: list[tuple[str, str, Any]] = []
        self.pushed: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.stations: list[Station] = []
        self.takes_back = True  # whether a task that is saved as pending is queued again
        self._key = key
        self._organization = organization_id
        self._comment_seconds = comment_seconds
        self._watchers: dict[str, list[Stream]] = {}
        self._server = Server(self._handle, self._serve)
        self._away_until = 0.0
        self._drops: list[int] = []
        self._copies = 1
        self._lose_reports = 0
        self._conflict: str | None = None

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()

    @property
    def url(self) -> str:
        """The value for XPANDER_BASE_URL."""
        return f"http://127.0.0.1:{self._server.port}"

    def create(self, agent_id: str = "agent", text: str = "a question", **fields: Any) -> str:
        """Create a task, and return its id."""
        task_id = str(uuid4())
        self.tasks[task_id] = {
            **fields,
            "id": task_id,
            "agent_id": agent_id,
            "organization_id": self._organization,
            "input": {"text": text, "files": [], **fields.get("input", {})},
            "status": "pending",
            "created_at": wire.now(),
            "updated_at": None,
            "result": None,
        }
        self._log(task_id, "task_created")
        self._dispatch()
        return task_id

    def stop(self, task_id: str) -> None:
        """Stop a task; its worker is not notified, since this protocol has no way to do so."""
        if self.tasks[task_id]["status"] not in TERMINAL:
            self._set(task_id, status="stopped", is_manually_stopped=True, finished_at=wire.now())

    def status(self, task_id: str) -> str:
        """Return a task's status."""
        return self.tasks[task_id]["status"]

    def drop_streams_after(self, events: int, times: int = 1) -> None:
        """Break each of the next ``times`` workers' streams after so many events; open streams count too."""
        self._drops = [events] * times
        for station in self.stations:
            if self._drops:
                station.drop_after = station.sent + self._drops.pop()

    def go_away(self, seconds: float) -> None:
        """Break every stream now, and answer 503 for so many seconds."""
        self._away_until = time.monotonic() + seconds
        for stream in self._streams():
            stream.cut()

    def duplicate_assignments(self, copies: int = 2) -> None:
        """Send every assignment several times, and once more when the worker has started the task."""
        self._copies = copies

    def hang(self) -> None:
        """Accept connections and answer nothing, until ``heal`` is called; open streams fall silent."""
        self._server.hangs = True
        for stream in self._streams():
            stream.silent = True

    def heal(self) -> None:
        """Answer again; streams that fell silent stay silent."""
        self._server.hangs = False

    def lose_reports(self, count: int) -> None:
        """Answer a worker's next reports, except heartbeats, with 503, and discard them."""
        self._lose_reports = count

    def refuse_environment(self, why: str) -> None:
        """Tell the next worker that a worker of another environment serves its agent."""
        self._conflict = why

    def _streams(self) -> list[Stream]:
        return [
            *(station.stream for station in self.stations),
            *(stream for streams in self._watchers.values() for stream in streams),
        ]

    async def _handle(self, request: Request) -> Answer:
        if time.monotonic() < self._away_until:
            return Answer({"detail": "away"}, 503)
        if self._key is not None and request.headers.get("x-api-key") != self._key:
            return Answer({"detail": "no such key"}, 401)
        return self._routed(request)

    def _routed(self, request: Request) -> Answer:
        match request.method, self._below_organization(request):
            case "POST", ("agent-execution", agent_id):
                return self._create(agent_id, request.body)
            case "GET", ("agent-execution", "executions", "history", agent_id):
                return Answer([wire.item(task) for task in self.tasks.values() if task["agent_id"] == agent_id])
            case "POST", ("events", worker_id):
                return self._report(worker_id, request.body)
            case "POST", ("agents-metrics", _, "execution"):
                self.metrics.append(request.body)
                return Answer({})
            case "GET", ("agents", "list"):
                return Answer([wire.agent(each, self._organization) for each in self.agents])
            case "GET", ("agents", agent_id) if agent_id in self.agents:
                return Answer(wire.agent(agent_id, self._organization))
            case "GET", ("activity", _, task_id) if task_id in self.tasks:
                return Answer({"id": task_id, "created_at": self.tasks[task_id]["created_at"], "messages": []})
            case method, ("agent-execution", task_id, *rest) if task_id in self.tasks:
                return self._about_task(method, task_id, rest, request.body)
            case _:
                return NOT_FOUND

    def _about_task(self, method: str, task_id: str, rest: list[str], body: Any) -> Answer:
        match method, rest:
            case "GET", ["status"]:
                return Answer(self.tasks[task_id])
            case "PATCH", ["update"]:
                return self._update(task_id, body)
            case "DELETE", []:
                self.stop(task_id)
                return Answer(self.tasks[task_id])
            case "POST", ["events", "push"]:
                return self._push(task_id, body)
            case _:
                return NOT_FOUND

    def _create(self, agent_id: str, body: Task) -> Answer:
        known = body.pop("id", None)
        if known is not None and known not in self.tasks:
            return NOT_FOUND
        if agent_id not in self.agents:
            return NOT_FOUND
        return Answer(self.tasks[self.create(agent_id, **body)])

    def _update(self, task_id: str, body: Task) -> Answer:
        """Store the values that are not null. The last write wins, since this platform has no fencing."""
        changes = {name: value for name, value in body.items() if value is not None}
        status = changes.get("status")
        if status == "pending" and not self.takes_back:
            del changes["status"]
        if status == "executing":
            self.starts[task_id] += 1
        if status in TERMINAL:
            self.ends[task_id] += 1
            changes["finished_at"] = wire.now()
        self._set(task_id, **changes)
        if status == "executing" and self._copies > 1:
            self._send_again(task_id)
        if status == "pending" and self.takes_back:
            for station in self.stations:
                station.given = [each for each in station.given if each != task_id]
            self._dispatch()
        return Answer(self.tasks[task_id])

    def _push(self, task_id: str, events: list[dict[str, Any]]) -> Answer:
        self.pushed.extend(events)
        for event in events:
            for stream in self._watchers.get(task_id, []):
                stream.send(event)
        return Answer({})

    def _report(self, worker_id: str, body: dict[str, Any]) -> Answer:
        if self._lose_reports and body["event"] != "worker-heartbeat":
            self._lose_reports -= 1
            return Answer({"detail": "away"}, 503)
        self.reports.append((worker_id, body["event"], body["data"]))
        for station in self.stations:
            if station.worker_id == worker_id and body["event"] == "worker-capacity-update":
                station.is_busy = body["data"]["is_busy"]
        self._dispatch()
        return Answer({})

    def _set(self, task_id: str, **changes: Any) -> None:
        task = self.tasks[task_id]
        task.update(changes, updated_at=wire.now())
        self._log(task_id, "task_finished" if task["status"] in TERMINAL else "task_updated")

    def _log(self, task_id: str, kind: str) -> None:
        for stream in self._watchers.get(task_id, []):
            stream.send(self._event(task_id, kind))

    def _event(self, task_id: str, kind: str) -> dict[str, Any]:
        task = self.tasks[task_id]
        return {
            "type": kind,
            "task_id": task_id,
            "organization_id": self._organization,
            "time": wire.now(),
            "data": task,
        }

    def _dispatch(self) -> None:
        """Assign each pending task that no worker has to the worker with the fewest tasks that is not busy."""
        given = {task_id for station in self.stations for task_id in station.given}
        for task in list(self.tasks.values()):
            if task["status"] != "pending" or task["id"] in given or task.get("run_locally"):
                continue
            free = [each for each in self.stations if each.agent_id == task["agent_id"] and not each.is_busy]
            if free:
                station = min(free, key=lambda each: len(each.given))
                station.given.append(task["id"])
                for _ in range(self._copies):
                    self._send(station, "agent-execution", task)

    def _send_again(self, task_id: str) -> None:
        for station in self.stations:
            if task_id in station.given:
                self._send(station, "agent-execution", self.tasks[task_id])

    def _send(self, station: Station, event: str, data: Any) -> None:
        station.stream.send(data, event)
        station.sent += 1
        if station.drop_after is not None and station.sent >= station.drop_after:
            station.stream.cut()

    def _serve(self, request: Request, stream: Stream) -> Awaitable[None] | None:
        if request.method != "GET" or time.monotonic() < self._away_until:
            return None
        if self._key is not None and request.headers.get("x-api-key") != self._key:
            return None
        match self._below_organization(request):
            case ("events", agent_id) if "environment" in request.query and agent_id in self.agents:
                return self._worker_stream(agent_id, stream)
            case ("agent-execution", task_id, "events") if task_id in self.tasks:
                return self._task_stream(task_id, stream)
            case _:
                return None

    async def _worker_stream(self, agent_id: str, stream: Stream) -> None:
        stream.open()
        if self._conflict is not None:
            why, self._conflict = self._conflict, None
            stream.send({"error": why}, "worker-environment-conflict")
            return
        station = Station(str(uuid4()), agent_id, stream, drop_after=self._drops.pop() if self._drops else None)
        self.stations.append(station)
        try:
            self._send(
                station,
                "worker-registration",
                wire.registration(station.worker_id, station.agent_id, self._organization),
            )
            self._dispatch()
            await self._stay(stream)
        finally:
            self.stations.remove(station)
            self._dispatch()  # tasks that it was given and did not start go to others

    async def _task_stream(self, task_id: str, stream: Stream) -> None:
        stream.open()
        watchers = self._watchers.setdefault(task_id, [])
        watchers.append(stream)
        stream.send({**self._event(task_id, "connected"), "data": {}})
        try:
            await self._stay(stream, until=lambda: self.status(task_id) in TERMINAL)
        finally:
            watchers.remove(stream)

    async def _stay(self, stream: Stream, until: Callable[[], bool] = lambda: False) -> None:
        last = time.monotonic()
        while stream.is_open and not until():
            await asyncio.sleep(min(0.05, self._comment_seconds))
            if time.monotonic() - last >= self._comment_seconds:
                last = time.monotonic()
                stream.comment()

    def _below_organization(self, request: Request) -> tuple[str, ...]:
        first, *rest = request.segments or ("",)
        return tuple(rest) if first == self._organization else request.segments
