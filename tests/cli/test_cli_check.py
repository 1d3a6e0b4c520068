"""``worker check`` names every mistake and starts nothing."""

import pytest

from tests.cli.shells import Shell

MISTAKES = """
    from worker import on, on_task, tool

    @on_task(agent_id="one")
    async def first(task): ...

    @on_task(agent_id="one")
    async def second(task): ...

    @on("task_finishd", agent_id="two")
    async def third(task): ...

    @on_task(agent_id="three")
    async def fourth(tsk): ...

    @on_task(agent_id="four", timeout=-1)
    async def fifth(task): ...

    @on_task(agent_id="not an id")
    async def sixth(task): ...

    @tool
    def total(a): ...

    @tool(name="total")
    def another(a): ...
"""


def test_good_handlers_are_listed_with_the_platform_they_lead_to(here: Shell) -> None:
    here.handlers("""
        from worker import on_task, tool

        @on_task(agent_id="one")
        async def first(task): ...

        @tool(agent_ids=["one"])
        def total(region: str) -> int: ...
    """)
    checked = here.worker("check")
    assert (checked.returncode, checked.stderr) == (0, "")
    platform, handler, tool = checked.stdout.splitlines()
    assert platform.startswith("platform: PostgreSQL at ")
    assert tool == "handlers/mine.py:7: total is a tool of one"
    assert handler == "handlers/mine.py:4: handlers.mine.first handles task_created of one"


def test_every_mistake_is_named_with_its_place(here: Shell) -> None:
    here.handlers(MISTAKES)
    checked = here.worker("check")
    assert checked.returncode == 1
    assert sorted(checked.stderr.splitlines()[:-1]) == [
        "handlers/mine.py:10: no handler can be registered for 'task_finishd'; did you mean 'task_finished'?",
        "handlers/mine.py:13: parameter 'tsk' of fourth is unknown and has no default; did you mean 'task'?",
        "handlers/mine.py:16: timeout must be a number above 0, not -1",
        "handlers/mine.py:19: agent_id must be 1 to 128 characters of A-Z a-z 0-9 . _ : -",
        "handlers/mine.py:25: a second tool is named 'total'; the first is at handlers/mine.py:22",
        "handlers/mine.py:7: a second task_created handler for agent 'one'; the first is at handlers/mine.py:4",
    ]
    assert checked.stderr.splitlines()[-1] == "6 problems"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import nowhere_to_be_found\n", "handlers/mine.py:1: ModuleNotFoundError: No module named"),
        ("x = (\n", "handlers/mine.py:1: SyntaxError: '(' was never closed"),
        ("\n\n1 / 0\n", "handlers/mine.py:3: ZeroDivisionError: division by zero"),
        ("x = 1\n", "no handler is registered: add a module with @on(...) to handlers/"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_its_line(here: Shell, source: str, problem: str) -> None:
    here.handlers(source)
    checked = here.worker("check")
    assert checked.returncode == 1
    assert checked.stderr.startswith(problem)
    assert checked.stderr.splitlines()[-1] == "1 problem"


def test_settings_and_handlers_are_checked_together(here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_CONCURRENCY", "many")
    monkeypatch.setenv("WORKER_LOG", "loud")
    checked = here.worker("check")
    assert checked.returncode == 1
    assert [line.split(":")[0] for line in checked.stderr.splitlines()] == [
        "WORKER_CONCURRENCY",
        "WORKER_LOG",
        "there is no folder 'handlers'",
        "3 problems",
    ]


def test_an_env_file_counts_as_environment_for_handlers_too(here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    here.handlers("""
        import os
        assert (os.environ["MODEL_KEY"], os.environ["REGION"]) == ("from the file", "from the shell")
        from worker import on_task

        @on_task(agent_id="one")
        async def first(task): ...
    """)
    monkeypatch.setenv("REGION", "from the shell")
    (here.folder / ".env").write_text("MODEL_KEY='from the file'\nexport REGION=from-the-file\n")
    checked = here.worker("check")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "Is a directory"),
        (b"K=\xff\xfe", "it is not UTF-8 text, or contains a NUL character"),
        (b"K='a\0b'", "it is not UTF-8 text, or contains a NUL character"),
    ],
)
def test_an_env_file_that_cannot_be_read_is_named(here: Shell, content: bytes | None, reason: str) -> None:
    file = here.folder / ".env"
    file.mkdir() if content is None else file.write_bytes(content)
    checked = here.worker("check")
    assert checked.returncode == 1
    assert checked.stderr.startswith(f"worker: the file .env in the current directory cannot be read: {reason}")
    assert len(checked.stderr.splitlines()) == 1


def test_nothing_is_started(here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    here.handlers("from worker import on_task\n\n@on_task\nasync def any_agent(task): ...\n")
    checked = here.worker("check")
    assert checked.returncode == 0
    assert "platform: the embedded PostgreSQL in .worker" in checked.stdout
    assert "handles task_created of any agent" in checked.stdout
    assert not (here.folder / ".worker").exists()


def test_a_database_url_that_cannot_be_read_is_a_problem_and_is_not_shown(
    here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "canary://secret@nowhere")
    here.handlers("""
        from worker import on_task

        @on_task
        async def first(task): ...
    """)
    checked = here.worker("check")
    assert checked.returncode == 1
    assert "DATABASE_URL is not a valid PostgreSQL URL" in checked.stderr
    assert "canary" not in checked.stdout + checked.stderr


def test_a_database_that_is_away_is_named_without_its_password(here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:canary@127.0.0.1:1/tasks")
    listed = here.worker("task", "list")
    assert listed.returncode == 1
    assert listed.stderr.strip() == (
        "worker: PostgreSQL at 127.0.0.1:1, database tasks: the database cannot be reached"
    )
