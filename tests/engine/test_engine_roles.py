"""What an administrator may set or leave out: it works all the same, or one sentence says what to do."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.conftest import execute
from tests.contract.steps import claim, create, finish, worker
from worker.engine.engine import Engine
from worker.words.errors import ConfigurationError
from worker.words.statuses import AgentExecutionStatus as Status

ROLE = "administered"
GRANTS = (
    f"grant usage on schema worker to {ROLE}",
    f"grant select, insert, update, delete on all tables in schema worker to {ROLE}",
    f"grant usage on all sequences in schema worker to {ROLE}",
)
SETTINGS = (
    "DateStyle = 'German'",
    "DateStyle = 'SQL, DMY'",
    "IntervalStyle = 'sql_standard'",
    "TimeZone = 'Asia/Kathmandu'",
    "client_encoding = 'LATIN1'",
    "bytea_output = 'escape'",
    "lock_timeout = '1min'",
    "plan_cache_mode = 'force_generic_plan'",
    "default_transaction_isolation = 'serializable'",
)


@pytest.fixture
def role_url(database_url: str) -> Iterator[str]:
    """The same database for a role that has been granted nothing yet."""
    execute(database_url, f"create role {ROLE} login")
    yield urlsplit(database_url.replace("://postgres@", f"://{ROLE}@")).geturl()
    execute(database_url, f"drop owned by {ROLE}")
    execute(database_url, f"drop role {ROLE}")


def grant(url: str) -> None:
    for statement in GRANTS:
        execute(url, statement)


@pytest.mark.parametrize("setting", SETTINGS)
async def test_whatever_is_set_for_the_role_a_task_is_done(database_url: str, role_url: str, setting: str) -> None:
    grant(database_url)
    execute(database_url, f"alter role {ROLE} set {setting}")
    engine = Engine(role_url)
    await engine.open()
    task = await create(engine, "Ärger ☂")
    by = await worker(engine)
    (held,) = await claim(engine, by)
    await finish(engine, held, result="☂")
    done = await engine.tasks.get(task.id)
    assert (done.status, done.result) == (Status.Completed, "☂")
    await engine.close()


@pytest.mark.parametrize(("setting", "ours"), [("off", "on"), ("remote_apply", "remote_apply")])
async def test_what_was_acknowledged_is_on_disk(database_url: str, role_url: str, setting: str, ours: str) -> None:
    grant(database_url)
    execute(database_url, f"alter role {ROLE} set synchronous_commit = {setting}")
    engine = Engine(role_url)
    await engine.open()
    assert await engine.core.rows("select current_setting('synchronous_commit') as is_set") == [{"is_set": ours}]
    await engine.close()


@pytest.mark.parametrize("missing", GRANTS)
async def test_a_missing_grant_is_named_before_anything_is_done(database_url: str, role_url: str, missing: str) -> None:
    for statement in GRANTS:
        if statement is not missing:
            execute(database_url, statement)
    engine = Engine(role_url)
    await engine.open()
    with pytest.raises(ConfigurationError, match="role lacks") as told:
        await worker(engine)
    what = {GRANTS[0]: "schema worker", GRANTS[1]: "insert on tasks", GRANTS[2]: "sequence lock_keys"}[missing]
    assert what in told.value.description
    assert "deploy.md" in told.value.description
    await engine.close()


async def test_a_database_of_another_encoding_is_refused(database_url: str) -> None:
    execute(database_url, "drop database if exists latin")
    execute(database_url, "create database latin encoding 'LATIN1' locale 'C' template template0")
    engine = Engine(urlsplit(database_url)._replace(path="/latin").geturl())
    try:
        with pytest.raises(ConfigurationError, match="encoding is LATIN1"):
            await engine.migrate()
        with pytest.raises(ConfigurationError, match="encoding is LATIN1"):
            await engine.open()
    finally:
        execute(database_url, "drop database latin with (force)")
