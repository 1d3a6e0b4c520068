"""Secrets of tasks at rest: nobody who reads the database, or a backup, reads them without the key."""

import json
from typing import Any

import pytest

from tests.conftest import execute
from tests.contract.steps import claim, create, worker
from worker.engine.database.vault import new_key
from worker.engine.engine import Engine
from worker.words.errors import ConfigurationError

SECRET = "canary-0123456789"
SECRETS: dict[str, Any] = {"user_tokens": {"crm": SECRET}, "user_oidc_token": SECRET}


def stored(url: str) -> str:
    """Everything that the database holds, as a backup has it."""
    tables = [row[0] for row in execute(url, "select tablename from pg_tables where schemaname = 'worker'")]
    return json.dumps([execute(url, f"select t::text from worker.{table} t") for table in tables], default=str)  # noqa: S608


async def made(url: str, key: str | None, **wishes: Any) -> str:
    engine = Engine(url, encryption_key=key)
    await engine.open()
    try:
        return (await create(engine, **wishes)).id
    finally:
        await engine.close()


async def claimed(url: str, key: str | None) -> list[Any]:
    engine = Engine(url, poll=0.1, encryption_key=key)
    await engine.open()
    try:
        by = await worker(engine)
        return [each.task.user_tokens for each in await claim(engine, by, seconds=1)]
    finally:
        await engine.close()


async def test_with_a_key_nothing_in_the_database_tells_them(database_url: str) -> None:
    key = new_key()
    await made(database_url, key, **SECRETS)
    assert SECRET not in stored(database_url)
    assert await claimed(database_url, key) == [SECRETS["user_tokens"]]


async def test_without_a_key_they_are_stored_as_they_are(database_url: str) -> None:
    await made(database_url, None, **SECRETS)
    assert SECRET in stored(database_url)
    assert await claimed(database_url, None) == [SECRETS["user_tokens"]]


async def test_keys_rotate_with_the_new_one_first(database_url: str) -> None:
    old, new = new_key(), new_key()
    await made(database_url, old, **SECRETS)
    assert await claimed(database_url, f"{new} {old}") == [SECRETS["user_tokens"]]
    await made(database_url, new, **SECRETS)


async def test_a_task_from_before_keys_is_run_with_its_secrets_and_shows_them_to_nobody(database_url: str) -> None:
    task = await made(database_url, None)
    settings = {"input": {"text": "x"}, **SECRETS}
    execute(database_url, f"update worker.tasks set settings = '{json.dumps(settings)}' where id = '{task}'")  # noqa: S608
    engine = Engine(database_url)
    await engine.open()
    try:
        assert SECRET not in (await engine.tasks.get(task)).model_dump_json()
    finally:
        await engine.close()
    assert await claimed(database_url, new_key()) == [SECRETS["user_tokens"]]


@pytest.mark.parametrize("given", [None, "another"])
async def test_who_has_another_key_or_none_neither_works_nor_writes_secrets(
    database_url: str, given: str | None
) -> None:
    await made(database_url, new_key(), **SECRETS)
    key = new_key() if given else None
    with pytest.raises(ConfigurationError, match="WORKER_ENCRYPTION_KEY"):
        await claimed(database_url, key)
    with pytest.raises(ConfigurationError, match="WORKER_ENCRYPTION_KEY"):
        await made(database_url, key, **SECRETS)
    await made(database_url, key)


def test_what_is_no_key_is_refused_with_the_way_to_make_one(database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="worker key generate") as refused:
        Engine(database_url, encryption_key="canary")
    assert "canary" not in str(refused.value)
