"""Figures: what counts them, who may read them, and that the document tells all of them."""

import asyncio
import re
import time
from typing import Any

import httpx
import psycopg
import pytest
from agno.agent import Agent

from tests.cli.shells import Shell
from tests.contract.steps import claim, create, deliver, finish, run, worker
from tests.server.conftest import KEY, Start
from tests.server.serving import Serving
from tests.supervisor.stories import Handlers, Serve, done
from tests.support import wait_until
from tests.telemetry.scrapes import Scrape, documented, scrape
from worker import Task, run_agent
from worker.contracts.stats import AgentStats, Stats
from worker.engine.engine import Engine
from worker.settings import Settings
from worker.telemetry import exposition, metrics
from worker.telemetry.lag import LoopLag
from worker.telemetry.metrics import Bounded, Metrics
from worker.telemetry.names import METRICS, PREFIX
from worker.telemetry.scraping import scraped
from worker.testing import Call, ScriptedModel
from worker.words import notices as words
from worker.words import watching
from worker.words.errors import ConfigurationError
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import Subscription


def now(figures: Metrics, stats: Stats | None = None) -> Scrape:
    return Scrape(exposition.text(figures, stats).decode())


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """Figures of this test alone, which begin at nothing."""
    monkeypatch.setattr(words, "_subscribers", list(words._subscribers))
    monkeypatch.setattr(watching, "_watchers", [])
    fresh = Metrics()
    fresh.listen()
    monkeypatch.setattr(metrics, "_of_this_process", [fresh])
    return fresh


def test_the_document_tells_every_figure_and_no_other() -> None:
    assert list(documented()) == [
        (PREFIX + figure.name, figure.kind, figure.labels, figure.help)
        for figure in sorted(METRICS, key=lambda each: not each.asked)
    ]


def test_what_is_exported_is_what_the_document_tells(figures: Metrics) -> None:
    agents = (AgentStats("a", pending=3, due=2, oldest_seconds=5.0, executing=1, paused=1),)
    found = now(figures, Stats(agents, workers=1)).families
    ours = {name.removeprefix(PREFIX): family.type for name, family in found.items() if name.startswith(PREFIX)}
    ours = {name: kind for name, kind in ours.items() if not name.endswith("_created")}  # comes with each, by itself
    assert ours == {figure.name.removesuffix("_total"): figure.kind for figure in METRICS}
    for name in ours:
        assert re.fullmatch(r"[a-z][a-z_]+", name)
    for figure in METRICS:
        assert (figure.kind == "counter") == figure.name.endswith("_total"), figure
        assert figure.kind != "histogram" or figure.name.endswith("_seconds"), figure


async def test_a_run_is_counted_with_its_calls_and_tokens(
    figures: Metrics, engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    def search(query: str) -> str:
        if query == "bad":
            raise ValueError("no such thing")
        return f"found {query}"

    model = ScriptedModel(
        [Call("search", {"query": "x"}), Call("search", {"query": "bad"}), "done"],
        prompt_tokens=10,
        completion_tokens=4,
    )

    async def work(task: Task) -> Task:
        return await run_agent(Agent(model=model, tools=[search], telemetry=False), task)

    handlers.bind(work)
    async with serve():
        await done(engine, events_streaming=True)
        seen = now(figures)
    agent = {"agent": "agent"}
    assert seen.value("runs_started_total", **agent) == 1
    assert seen.value("runs", **agent) == 0
    assert seen.value("tasks_ended_total", **agent, status="completed") == 1
    assert seen.value("run_seconds_count", **agent) == seen.value("wait_seconds_count", **agent) == 1
    assert seen.value("model_calls_total", outcome="ok") == 3
    assert seen.value("tokens_total", **agent, type="input") == 30
    assert seen.value("tokens_total", **agent, type="output") == 12
    assert seen.value("tool_calls_total", tool="search", outcome="ok") == 1
    assert seen.value("tool_calls_total", tool="search", outcome="error") == 1
    assert seen.value("tool_call_seconds_count", tool="search") == 2


async def test_retries_stops_and_deliveries_are_counted(
    figures: Metrics, engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    fails = [ConnectionError("away")]
    began = asyncio.Event()

    async def flaky(task: Task) -> str:
        if fails:
            raise fails.pop()
        return "well"

    async def slow(task: Task) -> None:
        began.set()
        await asyncio.Event().wait()

    async def tell(task: Task) -> None:
        if task.agent_id == "flaky":
            raise RuntimeError("not now")

    handlers.bind(flaky, "flaky")
    handlers.bind(slow, "slow")
    handlers.bind(tell, None, "task_finished")
    async with serve():
        await done(engine, "flaky")
        stopped = await create(engine, agent="slow")
        await began.wait()
        await engine.tasks.stop(stopped.id)
        await wait_until(lambda: now(figures).value("deliveries_total") == 1, "the stop was delivered")
        await wait_until(lambda: now(figures).value("deliveries_failed_total") == 1, "the other delivery failed")
        await wait_until(lambda: now(figures).value("tasks_stopped_total", agent="slow") == 1, "the stop was counted")
        seen = now(figures)
    assert seen.value("tasks_retried_total", agent="flaky") == 1
    assert seen.value("leases_lost_total") is None
    assert seen.value("runs") == 0


async def test_how_the_tasks_stand_is_counted_by_agent_and_organization(engine: Engine) -> None:
    for agent in ("analyst", "analyst", "writer"):
        await create(engine, agent=agent)
    by = await worker(engine, "analyst", subscriptions=[Subscription("h", Type.TaskFinished)])
    first, second = await claim(engine, by, 2)
    await finish(engine, first)
    await engine.core.rows("update worker.tasks set available_at = now() - interval '1 min' where status = 'pending'")
    stats = await engine.stats()
    assert [(each.agent_id, each.pending, each.due, each.executing) for each in stats.agents] == [
        ("analyst", 0, 0, 1),
        ("writer", 1, 1, 0),
    ]
    assert stats.agents[0].oldest_seconds == 0
    assert 59 < stats.agents[1].oldest_seconds < 90
    assert (stats.workers, stats.deliveries_due, stats.deliveries_failing) == (1, 1, 0)
    (delivery,) = await deliver(engine, by)
    await engine.work.settle(delivery, "not now")
    await finish(engine, second, Status.Paused)
    stats = await engine.stats()
    assert (stats.deliveries_due, stats.deliveries_failing, stats.deliveries_set_aside) == (1, 1, 0)
    assert stats.agents[0].paused == 1
    assert await engine.organization("other").stats() == Stats(())


async def test_a_waiting_retry_is_pending_and_not_due(engine: Engine) -> None:
    _, assignment = await run(engine)
    from worker.words.outcomes import HandBack

    await engine.work.hand_back(assignment.task.id, assignment.attempt, HandBack(delay=60, error="not now"))
    (agent,) = (await engine.stats()).agents
    assert (agent.pending, agent.due, agent.oldest_seconds) == (1, 0, 0)


async def test_finished_tasks_do_not_make_a_scrape_slower(engine: Engine, database_url: str) -> None:
    await engine.core.rows(
        "insert into worker.tasks (id, organization_id, agent_id, status, last_event, settings, state)"
        " select 't' || n, 'default', 'agent' || mod(n, 7),"
        " case when mod(n, 100) = 0 then 'pending' else 'completed' end, 1, '{}', '{}' from generate_series(1, 50000) n"
    )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("analyze worker.tasks")
        from worker.engine.verbs.stats import _HELD, _PAUSED, _PENDING

        for sql in (_PENDING, _HELD, _PAUSED):
            keys = {"organization": "default", "most": 1000}
            plan = await (await connection.execute(b"explain " + sql.encode(), keys)).fetchall()
            assert "Seq Scan on tasks" not in str(plan), plan
    assert sum(each.pending for each in (await engine.stats()).agents) == 500


async def test_the_servers_figures_need_the_servers_key(serving: Serving, engine: Engine, figures: Metrics) -> None:
    await create(engine, agent="mine")
    await create(engine, agent="other")
    url = f"{serving.base}/metrics"
    async with httpx.AsyncClient(timeout=30) as stranger:
        for headers in ({}, {"x-api-key": "wrong"}, {"authorization": "Bearer wrong"}, {"authorization": KEY}):
            assert (await stranger.get(url, headers=headers)).status_code == 401, headers
    for headers in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}):
        seen = await scrape(url, **headers)
        assert seen.value("tasks", agent="mine", status="pending") == 1
        assert seen.value("platform_up") == 1
        assert seen.value("event_loop_lag_seconds_count") is not None
    key, _ = await engine.keys.create("default", agents=["mine"])
    seen = await scrape(url, authorization=f"Bearer {key}")
    assert seen.value("tasks", agent="mine", status="pending") == 1
    assert "other" not in seen.text
    assert "event_loop_lag" not in seen.text
    other, _ = await engine.keys.create("acme")
    assert (await scrape(f"{serving.base}/acme/metrics", authorization=f"Bearer {other}")).value("tasks") is None


async def test_a_server_without_its_database_still_tells_of_itself(
    start: Start, engine: Engine, figures: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = await start(key=KEY)

    async def away() -> Stats:
        from worker.words.errors import Unavailable

        raise Unavailable

    organization = serving.engine.organization("default")
    monkeypatch.setattr(organization, "stats", away)
    seen = await scrape(f"{serving.base}/metrics", authorization=f"Bearer {KEY}")
    assert seen.value("platform_up") == 0
    assert seen.value("queue_depth") is None
    assert seen.value("event_loop_lag_seconds_count") is not None


async def test_a_worker_answers_on_its_own_port_even_while_its_loop_is_blocked(
    here: Shell, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.handlers("""
        import time
        from worker import Task, on_task

        @on_task(agent_id="blocking")
        async def block(task: Task) -> str:
            time.sleep(3)
            return "done"
    """)
    monkeypatch.setenv("WORKER_METRICS_PORT", "0")
    monkeypatch.setenv("WORKER_LOG", "logfmt")
    running = here.start("run")
    await running.says("worker ready")
    found = re.search(r"address=(http://127\.0\.0\.1:\d+/metrics)", running.log)
    assert found is not None, running.log
    assert (await scrape(found[1])).value("platform_up") == 1
    await create(engine, agent="blocking")
    await wait_until(
        lambda: httpx.get(found[1], timeout=30).text.count('agno_worker_runs{agent="blocking"} 1.0'), "it runs"
    )
    began = time.monotonic()
    blocked = await scrape(found[1])
    assert blocked.value("platform_up") in (0, 1)
    assert time.monotonic() - began < 3
    await wait_until(lambda: Scrape(httpx.get(found[1], timeout=30).text).value("runs") == 0, "it is over")
    lag = await scrape(found[1])
    assert (lag.value("event_loop_lag_seconds_sum") or 0) > 1
    assert running.end() == 0


async def test_without_a_port_a_worker_listens_nowhere_and_counts_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_of_this_process", [])
    async with scraped(Settings(), engine) as address:
        assert address is None
    assert metrics._of_this_process == []


async def test_a_port_that_is_taken_is_told(engine: Engine, figures: Metrics) -> None:
    settings = Settings.model_validate({"metrics_port": 0})
    async with scraped(settings, engine) as address:
        assert address is not None
        taken = settings.model_copy(update={"metrics_port": int(address.split(":")[2].split("/")[0])})
        with pytest.raises(ConfigurationError, match="cannot listen for metrics"):
            async with scraped(taken, engine):
                pass


async def test_a_loop_that_is_blocked_is_late() -> None:
    seen: list[float] = []
    lag = LoopLag(seen.append)
    await wait_until(lambda: seen, "the loop was looked at")
    time.sleep(0.6)  # noqa: ASYNC251 - this is what it measures
    await wait_until(lambda: len(seen) > 1, "it was looked at again")
    lag.stop()
    assert seen[1] > 0.3
    assert seen[0] < seen[1]


def test_a_label_has_only_so_many_values() -> None:
    bound = Bounded(2)
    assert [bound(each) for each in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]


def test_many_agents_are_summed_up_as_other(figures: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(figures.bounds, "agent", Bounded(1))
    agents = [AgentStats(name, pending=1, due=1, oldest_seconds=age) for name, age in (("a", 1), ("b", 9), ("c", 5))]
    seen = now(figures, Stats(tuple(agents)))
    assert seen.value("tasks", agent="other", status="pending") == 2
    assert seen.value("queue_oldest_seconds", agent="other") == 9
    values: dict[str, Any] = {"task_id": "t", "attempt": 1, "handler": "h"}
    for agent in ("a", "b", "c"):
        words.announce(words.TaskStarted(agent_id=agent, **values))
    seen = now(figures)
    assert seen.value("runs_started_total", agent="a") == 1
    assert seen.value("runs_started_total", agent="other") == 2


def test_a_hostile_agents_name_breaks_no_line(figures: Metrics) -> None:
    name = 'a"} 1\nagno_worker_forged 1'
    words.announce(words.TaskStarted("t", name, 1, "h"))
    seen = now(figures)
    assert seen.value("runs_started_total", agent=name) == 1
    assert "agno_worker_forged" not in seen.families
