"""A worker is killed with -9 while it reads documents; another one reads what is left, and nothing twice."""

import signal

import pytest

from tests.cli.shells import Shell
from tests.supervisor.test_supervisor_knowledge import site
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.knowledge import DocumentStatus, NewKnowledgeBase

HANDLERS = """
    from worker import Task, on_task

    @on_task(agent_id="somebody")
    async def handle(task: Task) -> str:
        return "done"
"""


async def test_what_was_read_before_a_kill_is_not_read_again(
    here: Shell, engine: Engine, way: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_ALLOW_PRIVATE_URLS", "true")
    here.handlers(HANDLERS)
    async with site() as documents:
        base = await engine.knowledge.create(NewKnowledgeBase(name="site"))
        first = here.start("run", **way)
        await first.says("worker ready")
        urls = [f"{documents.url}{name}" for name in ("one.txt", "slow.txt", "three.txt")]
        added = await engine.knowledge.add(base.id, urls)
        await wait_until(lambda: documents.asked["/slow.txt"], "the second document is asked for", 30)
        second = here.start("run", **way)
        first.end(signal.SIGKILL)
        await second.says("worker ready")
        await wait_until(lambda: documents.asked["/slow.txt"] == 2, "the other worker goes on", 60)
        documents.let_go.set()

        async def all_read() -> bool:
            found = await engine.knowledge.documents(base.id)
            return all(each.status is DocumentStatus.Ready for each in found)

        await wait_until(all_read, "all documents are read", 60)
    assert documents.asked == {"/one.txt": 1, "/slow.txt": 2, "/three.txt": 1}
    for each, name in zip(added, ("one", "slow", "three"), strict=True):
        (found,) = await engine.knowledge.search(base.id, f"{name}.txt", 1)
        assert (found.content, found.document_id) == (f"About /{name}.txt.", each.id)
    assert (await engine.tasks.get(str(added[0].task_id))).execution_attempts == 2
