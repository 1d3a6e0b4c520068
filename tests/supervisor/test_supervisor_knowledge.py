"""Documents of knowledge bases, read by a worker beside its own tasks: like any other task."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent as AgnoAgent

from tests.supervisor.stories import Handlers, Serve, create, done
from tests.support import wait_until
from worker import Context, KnowledgeBases, ModuleException, Task, run_agent
from worker.engine.engine import Engine
from worker.face.knowledge import KnowledgeBase
from worker.face.retrieving import retriever
from worker.testing import Call, ScriptedModel
from worker.words.knowledge import AGENT
from worker.words.retry import RetryPolicy
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import TaskRecord

RULES = "# Rules\n\nThe authentication methods are keys and tokens.\n"


class Site:
    """Documents on loopback; one whose path says so is answered only once it is let go."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.let_go = asyncio.Event()
        self.url = ""
        self.is_well = True

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1].decode()
        self.asked[path] += 1
        if "slow" in path:
            await self.let_go.wait()
        body = f"About {path}.".encode()
        writer.write(b"HTTP/1.1 200 OK\r\n" if self.is_well else b"HTTP/1.1 503 Busy\r\n")
        writer.write(b"content-type: text/plain\r\nconnection: close\r\n")
        writer.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))
        with suppress(ConnectionError):  # whoever asked is gone
            await writer.drain()
        writer.close()


@asynccontextmanager
async def site() -> AsyncGenerator[Site]:
    found = Site()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield found
    finally:
        found.let_go.set()
        server.close()


@pytest.fixture(autouse=True)
def private(environment: Path, monkeypatch: pytest.MonkeyPatch, handlers: Handlers) -> None:
    monkeypatch.setenv("WORKER_ALLOW_PRIVATE_URLS", "true")

    async def handler(task: Task) -> str:
        return "the handler"

    handlers.bind(handler, None)


async def base_of(engine: Engine) -> KnowledgeBase:
    (found,) = await engine.knowledge.list()
    return KnowledgeBase.of(found)


async def task_of(engine: Engine, base: KnowledgeBase) -> TaskRecord:
    (task_id,) = {each.task_id for each in await engine.knowledge.documents(base.id)}
    return await engine.tasks.get(str(task_id))


async def test_a_worker_reads_documents_and_shows_how_far_it_is(engine: Engine, serve: Serve) -> None:
    async with site() as here, serve():
        base = await KnowledgeBases().acreate("site")
        adding = asyncio.create_task(base.aadd_documents([f"{here.url}a.txt", f"{here.url}slow.txt"]))
        await wait_until(lambda: here.asked["/slow.txt"], "the second document is asked for")
        task = await task_of(engine, base)
        assert (task.status, task.agent_id, task.internal_status) == (Status.Executing, AGENT, "1 of 2 documents")
        assert [each.content for each in await base.asearch("a.txt")] == ["About /a.txt."]
        here.let_go.set()
        assert {each.status for each in await adding} == {"ready"}
        task = await task_of(engine, base)
        told = json.loads(task.result or "")
        assert (told["knowledge_base_id"], len(told["documents"])) == (base.id, 2)
        assert await engine.tasks.list_agents() == []  # nobody's agent
        assert (await done(engine)).result == "the handler"


async def test_a_task_that_reads_documents_can_be_stopped(engine: Engine, serve: Serve) -> None:
    async with site() as here, serve():
        base = await KnowledgeBases().acreate("site")
        await base.aadd_documents([f"{here.url}a.txt", f"{here.url}slow.txt"], sync=False)
        await wait_until(lambda: here.asked["/slow.txt"], "the second document is asked for")
        task = await engine.tasks.stop((await task_of(engine, base)).id)
        assert task.status is Status.Stopped
        here.let_go.set()
        states = {each.name: each.status for each in await base.alist_documents()}
        assert states == {"a.txt": "ready", "slow.txt": "pending"}


async def test_a_retry_by_hand_tries_again_what_could_not_be_read(engine: Engine, serve: Serve) -> None:
    async with site() as here, serve():
        base = await KnowledgeBases().acreate("site")
        here.is_well = False
        with pytest.raises(ModuleException, match="503"):
            await base.aadd_documents([f"{here.url}a.txt"])
        here.is_well = True
        task = await task_of(engine, base)
        assert (task.status, task.error_code) == (Status.Error, "invalid_request")
        await engine.tasks.retry(task.id)

        async def is_read() -> bool:
            return (await engine.tasks.get(task.id)).status is Status.Completed

        await wait_until(is_read, "the document is read")
        assert [each.content for each in await base.asearch("a.txt")] == ["About /a.txt."]


async def test_a_run_that_adds_documents_waits_for_no_place_of_its_own_worker(
    engine: Engine, serve: Serve, handlers: Handlers
) -> None:
    async def learn(task: Task) -> str:
        base = await KnowledgeBases().acreate("learnt")
        await base.aadd_documents(["data:text/plain,Zebras have stripes."])
        return (await base.asearch("zebras"))[0].content

    handlers.bind(learn, "learner")
    async with serve(concurrency=1):
        assert (await done(engine, "learner")).result == "Zebras have stripes."


async def test_what_an_agent_found_is_not_looked_for_again(
    engine: Engine, serve: Serve, handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []
    search = engine.knowledge.search

    async def counted(base: str, query: str, top_k: int, **more: Any) -> Any:
        searched.append(query)
        return await search(base, query, top_k, **more)

    monkeypatch.setattr(engine.knowledge, "search", counted)

    async def clerk(task: Task, context: Context) -> Task:
        base = await base_of(engine)
        model = ScriptedModel([Call("search_knowledge_base", {"query": "authentication"}), "Keys."])
        agent = AgnoAgent(
            id="clerk",
            model=model,
            knowledge_retriever=retriever([base.id], None, "clerk"),
            search_knowledge=True,
            telemetry=False,
        )
        await run_agent(agent, task)
        again = await retriever([base.id], None, "clerk")(query="tokens")
        if context.attempt == 1:
            raise ConnectionError("again, please")
        task.result = f"{task.result} {again[0]['content']}"
        return task

    handlers.bind(clerk, "clerk", retries=RetryPolicy(attempts=2, base=0.001))
    async with serve():
        base = await KnowledgeBases().acreate("rules")
        await base.aadd_documents([f"data:text/markdown,{RULES}".replace("\n", "%0A").replace("#", "%23")])
        task = await done(engine, "clerk")
        assert task.result == "Keys. The authentication methods are keys and tokens."
    assert searched == ["authentication", "tokens"]
    kinds = Counter([str(each.type) async for each in engine.tasks.events(task.id, follow=False)])
    assert (kinds["tool_call_request"], kinds["tool_call_result"]) == (2, 2)
    assert task.used_tools == ["search_knowledge_base"]
    assert await create(engine) is not None
