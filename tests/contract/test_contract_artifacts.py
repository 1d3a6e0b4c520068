"""Files that runs make: noted on their task, read by whoever may read it, and gone with it."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.media import Audio, File, Image
from agno.tools.function import ToolResult
from agno.workflow import Step

from tests.agents.runs import flow
from tests.contract.steps import AGENT, create, log, note, run, until
from tests.supervisor.stories import Handlers
from tests.workers import handlers, no_spare_platform, working
from worker.contracts import Platform
from worker.face.artifacts import content_of
from worker.face.context import Context
from worker.face.running import run_agent
from worker.face.task import Task
from worker.testing import Call, ScriptedModel
from worker.words.artifacts import MAX_ARTIFACTS, Artifact
from worker.words.errors import LeaseLost, NotFound, ValidationError
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type

__all__ = ["handlers", "no_spare_platform"]

PNG = b"\x89PNG\r\n\x1a\n-a-picture"
TRIES: list[int] = []


async def ended(platform: Platform, handlers: Handlers, **wishes: Any) -> Any:
    async with working(platform, handlers):
        task = await create(platform, **wishes)
        return await until(platform, task.id, Status.Completed, Status.Error, Status.Failed)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_handler_saves_files(platform: Platform, handlers: Handlers, tmp_path: Path, kind: str) -> None:
    local = tmp_path / "local.csv"
    local.write_text("a,b\n")

    async def work(task: Task, context: Context) -> str:
        saved = await context.save_file("../../chart.png", PNG)
        await context.save_file("notes.md", "first")
        await context.save_file("notes.md", "# Notes", "text/markdown")
        await context.save_file("table.csv", local)
        return saved.name

    def work_sync(task: Task, context: Context) -> str:
        saved = context.save_file_sync("../../chart.png", PNG)
        context.save_file_sync("notes.md", "# Notes", "text/markdown")
        context.save_file_sync("table.csv", local)
        return saved.name

    handlers.bind(work if kind == "async" else work_sync, AGENT)
    done = await ended(platform, handlers)
    assert (done.status, done.result) == (Status.Completed, "chart.png")
    assert [(each.name, each.media_type, each.size) for each in done.artifacts] == [
        ("chart.png", "image/png", len(PNG)),
        ("notes.md", "text/markdown", 7),
        ("table.csv", "text/csv", 4),
    ]
    assert done.artifacts[0].sha256 == hashlib.sha256(PNG).hexdigest()
    assert [await content_of(platform, each) for each in done.artifacts] == [PNG, b"# Notes", b"a,b\n"]


async def test_what_agents_and_tools_make_is_kept(platform: Platform, handlers: Handlers) -> None:
    def draw() -> ToolResult:
        return ToolResult(content="drawn", images=[Image(content=PNG, mime_type="image/png", id="i")])

    def write() -> ToolResult:
        files = [File(content=b"a,b\n", filename="../table.csv", mime_type="text/csv")]
        return ToolResult(content="written", files=files, audios=[Audio(url="https://example.org/a.mp3", format="mp3")])

    artist = Agent(name="artist", model=ScriptedModel([[Call("draw"), Call("write")], "done"]), tools=[draw, write])

    async def work(task: Task) -> Task:
        return await run_agent(flow(Step(name="draw", agent=artist)) if task.input.text == "flow" else artist, task)

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        for text in ("agent", "flow"):
            task = await create(platform, text=text)
            done = await until(platform, task.id, Status.Completed, Status.Error)
            assert done.status is Status.Completed, done.result
            made = {each.name: each for each in done.artifacts}
            assert {name: each.media_type for name, each in made.items()} == {
                "image-1.png": "image/png",
                "table.csv": "text/csv",
                "audio-2.mp3": "audio/mpeg",
            }
            assert await content_of(platform, made["image-1.png"]) == PNG
            assert made["audio-2.mp3"].url == "https://example.org/a.mp3"
            results = [each.data.result for each in await log(platform, task.id) if each.type is Type.ToolCallResult]
            assert sorted(results) == ["drawn", "written"]


async def test_what_cannot_be_kept_is_said(
    platform: Platform, handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_FILE_BYTES", "1000")

    def draw() -> ToolResult:
        return ToolResult(content="drawn", images=[Image(content=b"x" * 1001, format="png")])

    artist = Agent(name="artist", model=ScriptedModel([Call("draw"), "done"]), tools=[draw])

    async def work(task: Task) -> Task:
        return await run_agent(artist, task)

    handlers.bind(work, AGENT)
    done = await ended(platform, handlers)
    assert (done.status, done.artifacts) == (Status.Completed, [])
    (said,) = [each.data for each in await log(platform, done.id) if each.type is Type.Note]
    assert said.kind == "artifact"
    assert said.text.startswith(
        "image-1.png, which the agent created, could not be stored: image-1.png has 1,001 bytes"
    )


async def test_a_retry_saves_the_same_once_and_one_from_the_start_anew(platform: Platform, handlers: Handlers) -> None:
    TRIES.clear()

    async def work(task: Task, context: Context) -> str:
        TRIES.append(1)
        await context.save_file("same.txt", "always the same")
        if len(TRIES) == 1:
            raise ConnectionError("try again")
        if len(TRIES) == 2:
            await context.save_file("other.txt", "the other")
        return "done"

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed)
        assert [each.name for each in done.artifacts] == ["same.txt", "other.txt"]
        after = (await platform.tasks.retry(task.id)).last_event
        anew = await until(platform, task.id, Status.Completed, after=after)
    assert [each.name for each in anew.artifacts] == ["same.txt"]


async def test_only_the_owner_notes_files_and_only_stored_ones(platform: Platform) -> None:
    _, held = await run(platform)
    owner = held.task.id, held.attempt
    reference = await platform.tasks.store_file("f", "text/plain", b"content")
    known = Artifact(name="f", url=reference, sha256=hashlib.sha256(b"content").hexdigest(), size=7)
    for _ in range(2):
        await platform.work.save_artifacts(*owner, [known])
    assert (await platform.tasks.get(held.task.id)).artifacts == [known]
    with pytest.raises(LeaseLost):
        await platform.work.save_artifacts(held.task.id, held.attempt + 1, [known])
    with pytest.raises(ValidationError, match="sha256 does not match the file"):
        await platform.work.save_artifacts(*owner, [known.model_copy(update={"sha256": "0" * 64})])
    absent = known.model_copy(update={"url": f"worker:{'0' * 64}/f", "sha256": "0" * 64})
    with pytest.raises(NotFound):
        await platform.work.save_artifacts(*owner, [absent])
    many = [known.model_copy(update={"name": str(number)}) for number in range(MAX_ARTIFACTS)]
    with pytest.raises(ValidationError, match="at most 1,000 artifacts"):
        await platform.work.save_artifacts(*owner, many)
    await platform.work.emit(*owner, [note()])
    assert (await platform.tasks.get(held.task.id)).artifacts == [known]
