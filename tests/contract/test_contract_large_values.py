"""Large values of a journal go to the file store and come back as they were; nobody above knows."""

import pytest

from tests.contract.conftest import Sql
from tests.contract.steps import claim, hand_back, note, numbers, run
from worker.contracts import Platform
from worker.words.errors import LeaseLost
from worker.words.work import JournalEntry

LARGE = '{"value":"' + "x" * (300 * 1024) + '"}'
pytestmark = pytest.mark.needs("resume")


async def test_a_large_value_is_a_file_and_comes_back_as_it_was(platform: Platform, sql: Sql) -> None:
    by, first = await run(platform)
    huge = '"' + "\\u00e9é" * (2 * 1024 * 1024) + '"'
    entries = [JournalEntry("small", "1"), JournalEntry("large", LARGE), JournalEntry("huge", huge)]
    await platform.work.emit(first.task.id, first.attempt, [note()], entries)
    assert await sql("select max(octet_length(value::text)) from worker.journal") == [(4,)]
    assert await sql("select count(*) from worker.files") == [(2,)]
    await hand_back(platform, first)
    await claim(platform, by)
    assert await platform.work.journal(first.task.id) == {"small": "1", "large": LARGE, "huge": huge}
    assert await numbers(platform, first.task.id) == [1, 2, 3, 4, 5]


async def test_the_same_large_value_is_stored_once(platform: Platform, sql: Sql) -> None:
    _, assignment = await run(platform)
    for key in ("a", "b"):
        await platform.work.emit(assignment.task.id, assignment.attempt, [], [JournalEntry(key, LARGE)])
    assert await sql("select count(*) from worker.files") == [(1,)]
    assert await platform.work.journal(assignment.task.id) == {"a": LARGE, "b": LARGE}


async def test_a_stale_attempt_writes_no_large_value(platform: Platform) -> None:
    by, first = await run(platform)
    await hand_back(platform, first)
    await claim(platform, by)
    with pytest.raises(LeaseLost):
        await platform.work.emit(first.task.id, first.attempt, [note()], [JournalEntry("large", LARGE)])
    assert await platform.work.journal(first.task.id) == {}


async def test_a_large_value_whose_file_is_gone_counts_as_never_written(platform: Platform, sql: Sql) -> None:
    _, assignment = await run(platform)
    entries = [JournalEntry("small", "1"), JournalEntry("large", LARGE)]
    await platform.work.emit(assignment.task.id, assignment.attempt, [], entries)
    await sql("delete from worker.files")
    assert await platform.work.journal(assignment.task.id) == {"small": "1"}
