"""Attachments are durable: what an attempt has read of a URL, the next one reads too, whatever became of the URL."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest

from tests.engine.proxy import Proxy, far, way
from tests.inputs.servers import Site, ok, pdf, picture, serving, status
from tests.supervisor.stories import Handlers, Serve, create, done, finished
from tests.support import wait_until
from worker import Task
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.engine.verbs.files import FileStore
from worker.face import bridge
from worker.words.errors import Unavailable
from worker.words.notices import Notice, PlatformTrouble
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import StoredFile

__all__ = ["far", "way"]

NOT_KEPT = (
    "b.pdf could not be stored for a retry, which will fetch them again: at most 20 bytes of a task's files are stored"
    " (WORKER_KEEP_BYTES)."
)
CSV = b"year,total\n2020,5\n"


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("WORKER_ALLOW_PRIVATE_URLS", "true")
    async with serving() as site:
        site.routes |= {
            "/a.csv?signature=secret": ok(CSV, "text/csv", 'Content-Disposition: attachment; filename="figures.csv"'),
            "/b.pdf": ok(pdf("hello")),
            "/c.png": ok(picture("PNG")),
        }
        yield site


def nothing(task: Task) -> str:
    return "done"


def message(task: Task) -> str:
    return task.to_message()


def failing_once(seen: list[str], between: Callable[[], Any]) -> Callable[..., Any]:
    """A handler that notes the message it finds, and whose first attempt fails as a connection does."""

    async def handler(task: Task) -> str:
        seen.append(task.to_message() + f" {len(task.get_files())} {len(task.get_images())}")
        if len(seen) == 1:
            between()
            raise ConnectionError("try again")
        return "done"

    return handler


async def test_a_retry_reads_what_the_first_attempt_read_though_the_urls_have_expired(
    engine: Engine, handlers: Handlers, serve: Serve, site: Site
) -> None:
    seen: list[str] = []
    urls = [site.url(path) for path in site.routes]
    handlers.bind(failing_once(seen, site.routes.clear), retries=2)
    async with serve():
        task = await done(engine, files=urls)
    assert (task.status, task.execution_attempts) == (Status.Completed, 2)
    assert seen[0] == seen[1]
    assert "2020,5" in seen[0]
    assert seen[0].endswith(" 1 1")
    assert len(site.heads) == 3


async def test_what_could_not_be_read_is_tried_again_at_a_retry(
    engine: Engine, handlers: Handlers, serve: Serve, site: Site
) -> None:
    seen: list[str] = []
    site.routes["/late.txt"] = status(404, "Not Found")
    handlers.bind(failing_once(seen, lambda: site.routes.update({"/late.txt": ok(b"here")})), retries=2)
    async with serve():
        await done(engine, files=[site.url("/late.txt"), site.url("/b.pdf")])
    assert "late.txt could not be read: the server answered 404 (Not Found)." in seen[0]
    assert '"content": "here"' in seen[1]
    assert sorted(site.paths()) == ["/b.pdf", "/late.txt", "/late.txt"]


async def test_a_reader_of_a_finished_task_needs_no_url(
    engine: Engine, handlers: Handlers, serve: Serve, *, site: Site, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers.bind(nothing)
    async with serve():
        task = await done(engine, files=[site.url("/b.pdf"), site.url("/a.csv?signature=secret")])
    site.routes.clear()
    monkeypatch.setenv("DATABASE_URL", database_url)
    again = await Task.aload(task.id)
    assert [file.filename for file in again.get_files()] == ["b.pdf"]
    assert [entry["content"] for entry in again.get_human_readable_files()] == [CSV.decode()]
    bridge.close()
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("select url_digest, media_type, name from worker.task_files order by name").fetchall()
    assert [row[1:] for row in rows] == [("", ""), ("text/csv", "figures.csv")]
    assert "secret" not in str(rows)


async def test_a_retry_by_hand_reads_what_was_kept(
    engine: Engine, handlers: Handlers, serve: Serve, site: Site
) -> None:
    seen: list[str] = []

    def handler(task: Task) -> None:
        seen.append(task.to_message())

    handlers.bind(handler)
    async with serve():
        task = await done(engine, files=[site.url("/a.csv?signature=secret")])
        site.routes.clear()
        await engine.tasks.retry(task.id)
        await finished(engine, task)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("most", [0, 20])
async def test_what_exceeds_the_bound_is_not_kept_and_an_event_says_so(
    engine: Engine, handlers: Handlers, serve: Serve, *, site: Site, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setenv("WORKER_KEEP_BYTES", str(most))
    handlers.bind(nothing)
    async with serve():
        task = await done(engine, files=[site.url("/b.pdf"), site.url("/a.csv?signature=secret")])
    assert len(await engine.tasks.kept_files(task.id)) == (1 if most else 0)
    notes = [event.data for event in await log(engine, task.id) if event.type is TaskUpdateEventType.Note]
    assert [note.text for note in notes] == ([NOT_KEPT] if most else [])


async def log(engine: Engine, task_id: str) -> list[Any]:
    return [event async for event in engine.tasks.events(task_id, follow=False)]


async def test_an_unreadable_file_is_not_kept_and_a_file_of_no_use_is(
    engine: Engine, handlers: Handlers, serve: Serve, site: Site
) -> None:
    site.routes |= {"/cut.pdf": ok(pdf("hello")[:-200]), "/a.ogg": ok(b"OggS\0\x02" + b"\0" * 38)}
    handlers.bind(nothing)
    async with serve():
        task = await done(engine, files=[site.url("/cut.pdf"), site.url("/a.ogg"), "data:,inline"])
    assert [file.size for file in await engine.tasks.kept_files(task.id)] == [44]


async def test_a_store_that_is_away_ends_no_run(
    engine: Engine,
    handlers: Handlers,
    serve: Serve,
    *,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    notices: list[Notice],
) -> None:
    async def away(*_: object) -> str:
        raise Unavailable("the database is away")

    monkeypatch.setattr(FileStore, "store", away)
    handlers.bind(nothing)
    async with serve():
        task = await done(engine, files=[site.url("/a.csv?signature=secret")])
    assert task.status is Status.Completed
    assert _troubles(notices) == ["storing a task's files"]


@pytest.mark.parametrize("timings", [EngineTimings(reading=0.3)], ids=["quick"])
async def test_a_run_whose_files_cannot_be_read_since_the_database_is_away_waits_for_it(
    *,
    engine: Engine,
    far: Engine,
    way: Proxy,
    handlers: Handlers,
    serve: Serve,
    notices: list[Notice],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handlers.bind(message)
    reference = await engine.tasks.store_file("figures.csv", "text/csv", CSV)
    real = FileStore.open

    async def open_when_away(self: FileStore, reference: str) -> StoredFile:
        if not _troubles(notices):
            await way.take()
        return await real(self, reference)

    monkeypatch.setattr(FileStore, "open", open_when_away)
    async with serve(far):
        task = await create(engine, files=[reference])
        await wait_until(lambda: "reading a task's files" in _troubles(notices), "it waits", 30)
        await way.give()
        task = await finished(engine, task)
    assert (task.status, task.execution_attempts, task.errors) == (Status.Completed, 1, 0)
    assert "2020,5" in str(task.result)


def _troubles(notices: list[Notice]) -> list[str]:
    return [each.doing for each in notices if isinstance(each, PlatformTrouble)]


async def test_the_same_content_of_many_tasks_is_stored_once(
    engine: Engine, handlers: Handlers, serve: Serve, *, site: Site, database_url: str
) -> None:
    handlers.bind(nothing)
    async with serve():
        tasks = [await create(engine, files=[site.url("/b.pdf")]) for _ in range(5)]
        for task in tasks:
            await finished(engine, task)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from worker.files").fetchall() == [(1,)]
        assert connection.execute("select count(*) from worker.task_files").fetchall() == [(5,)]
