"""What commands print and how they exit."""

import asyncio
import json
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.cli.shells import ROOT, Shell
from tests.contract.steps import claim, finish, hand_back, worker
from worker import cli
from worker.cli.app import app
from worker.engine.engine import Engine
from worker.settings import table
from worker.words.task_options import CREATE, Option
from worker.words.tasks import TaskRecord


@pytest.fixture
def typed() -> CliRunner:
    return CliRunner()


def created(typed: CliRunner, *options: str) -> str:
    result = typed.invoke(app, ["task", "create", "--agent", "a", "--text", "x", *options])
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_help_names_every_setting(typed: CliRunner) -> None:
    result = typed.invoke(app, ["--help"])
    assert result.exit_code == 0
    assert [name for name, _, _ in table() if name not in result.stdout] == []


def test_version(typed: CliRunner) -> None:
    assert typed.invoke(app, ["--version"]).stdout.startswith("agno-worker ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task", "create", "--text", "x"], "--agent"),
        (["task", "create", "--agent", "a"], "give --text, --file or both"),
        (["task", "create", "--agent", "a", "--file", "gone.pdf"], "'gone.pdf' is neither an existing file nor a URL"),
        (
            ["task", "create", "--agent", "a", "--file", "file:///etc/hostname"],
            "'file:///etc/hostname' is neither an existing file nor a URL",
        ),
        (["task", "create", "--agent", "a b", "--text", "x"], "agent_id must be 1 to 128 characters"),
        (["task", "create", "--agent", "a", "--text", "x", "--output-format", "poem"], "poem"),
        (["task", "create", "--agent", "a", "--text", "x", "--output-schema", "gone.json"], "gone.json"),
        (["task", "list", "--limit", "0"], "--limit"),
        (["task", "list", "--status", "done"], "done"),
        (["task", "events", "t", "--after", "-1"], "--after"),
        (["run", "--concurrency", "0"], "--concurrency"),
        (["tusk"], "tusk"),
        (["--nope"], "No such option: --nope"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    typed: CliRunner, environment: Path, arguments: list[str], words: str
) -> None:
    result = typed.invoke(app, arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_option_without_its_value_is_told_with_its_command(
    typed: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["worker", "task", "create", "--text"])
    line = "worker task create: Option '--text' requires an argument (see worker task create --help)\n"
    assert typed.invoke(app, ["task", "create", "--text"]).stderr == line


def test_a_value_that_is_none_of_some_is_told_without_a_librarys_words(typed: CliRunner) -> None:
    result = typed.invoke(app, ["task", "list", "--status", "done"])
    assert "Invalid value for '--status': 'done' is not one of" in result.stderr


def test_a_group_without_a_command_shows_its_help_and_nothing_else(typed: CliRunner) -> None:
    result = typed.invoke(app, ["task"])
    assert (result.exit_code, result.stderr) == (2, "")
    assert "create" in result.stdout


def test_an_interrupt_before_a_command_begins_leaves_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 130


def test_a_schema_that_is_no_json_object_is_refused(typed: CliRunner, environment: Path) -> None:
    for content, words in (("{", "is not JSON"), ("[]", "does not contain a JSON object")):
        (environment / "schema.json").write_text(content)
        options = ["--agent", "a", "--text", "x", "--output-schema", "schema.json"]
        result = typed.invoke(app, ["task", "create", *options])
        assert (result.exit_code, words in result.stderr) == (2, True)


@pytest.mark.parametrize("command", ["show", "stop", "retry", "events"])
def test_an_unknown_task_is_one_line_and_exit_1(typed: CliRunner, environment: Path, command: str) -> None:
    result = typed.invoke(app, ["task", command, "nope"])
    assert (result.exit_code, result.stderr) == (1, "worker: There is no task 'nope'.\n")


def test_debug_shows_the_traceback(typed: CliRunner, environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" in typed.invoke(app, ["--debug", "task", "show", "nope"]).stderr
    monkeypatch.setenv("WORKER_LOG_LEVEL", "debug")
    assert "Traceback" in typed.invoke(app, ["task", "show", "nope"]).stderr


def test_a_setting_that_does_not_fit_is_named_and_its_value_is_not(
    typed: CliRunner, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_CONCURRENCY", "s3cret")
    result = typed.invoke(app, ["task", "list"])
    assert result.exit_code == 1
    assert result.stderr.startswith("worker: WORKER_CONCURRENCY: Input should be a valid integer")
    assert "s3cret" not in result.stderr


def test_create_takes_all_its_options(typed: CliRunner, environment: Path) -> None:
    (environment / "schema.json").write_text('{"type": "object"}')
    task_id = created(
        typed,
        *("--title", "A title", "--output-format", "json", "--output-schema", "schema.json"),
        *("--user-id", "u1", "--stream", "--file", "https://example.com/a.pdf"),
    )
    task = json.loads(typed.invoke(app, ["task", "show", task_id, "--json"]).stdout)
    assert task["input"] == {"text": "x", "files": ["https://example.com/a.pdf"], "user": task["input"]["user"]}
    assert task["input"]["user"]["id"] == "u1"
    assert (task["title"], task["output_format"], task["output_schema"]) == ("A title", "json", {"type": "object"})
    assert (task["events_streaming"], task["source"]) == (True, "cli")
    assert not {"user_tokens", "user_oidc_token"} & task.keys()


GIVEN: dict[type, str] = {str: "something", int: "7", bool: "", dict: '{"a": 1}', list: "[{}]"}
TOLD: dict[type, Any] = {str: "something", int: 7, bool: True, dict: {"a": 1}, list: [{}]}
OF_ITS_OWN = {
    "webhook_url": "https://example.com/x",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


@pytest.mark.parametrize("option", CREATE, ids=lambda option: option.name)
def test_each_option_of_a_task_arrives(
    typed: CliRunner, environment: Path, monkeypatch: pytest.MonkeyPatch, option: Option
) -> None:
    monkeypatch.setenv("WORKER_WEBHOOK_SECRET", "a secret of webhooks, long enough")
    value = OF_ITS_OWN.get(option.name, list(option.kind)[-1].value if issubclass(option.kind, Enum) else None)
    flag = f"--{option.flag or option.name.replace('_', '-')}"
    said = [flag] if option.kind is bool else [flag, value or GIVEN[option.kind]]
    task = json.loads(typed.invoke(app, ["task", "show", created(typed, *said), "--json"]).stdout)
    if option.name in {*TaskRecord.SECRET, "webhook_url"}:  # nobody is told these again
        assert option.name not in task
    else:
        assert task[option.name] == (value or TOLD[option.kind])


def test_json_is_given_itself_or_in_a_file(typed: CliRunner, environment: Path) -> None:
    (environment / "list.json").write_text("[1]")
    for given, words in [
        ("{", "the value is not JSON"),
        ("list.json", "list.json does not contain a JSON object"),
        ("[1]", "the value does not contain a JSON object"),
        ("gone.json", "'gone.json' is neither JSON nor an existing file"),
    ]:
        result = typed.invoke(app, ["task", "create", "--agent", "a", "--text", "x", "--output-schema", given])
        assert (result.exit_code, words in result.stderr) == (2, True), result.stderr


def test_a_finished_task_runs_again_under_its_id(typed: CliRunner, environment: Path) -> None:
    task_id = created(typed)
    busy = typed.invoke(app, ["task", "create", "--agent", "a", "--text", "y", "--id", task_id])
    assert busy.exit_code == 1
    typed.invoke(app, ["task", "stop", task_id])
    assert created(typed, "--id", task_id) == task_id


def test_show_for_people_leaves_out_what_is_not_known(typed: CliRunner, environment: Path) -> None:
    task_id = created(typed, "--title", "A title")
    lines = typed.invoke(app, ["task", "show", task_id]).stdout.splitlines()
    assert f"task:              {task_id}" in lines
    assert "status:            pending" in lines
    assert not any(line.startswith(("result:", "tokens:", "finished:")) for line in lines)


def test_show_tells_every_attempt(typed: CliRunner, environment: Path, database_url: str) -> None:
    task_id = created(typed)
    asyncio.run(_two_attempts(database_url, task_id))
    told = json.loads(typed.invoke(app, ["task", "show", task_id, "--json"]).stdout)["attempts"]
    assert [(each["number"], each["outcome"], each["worker"]) for each in told] == [
        (1, "error", "a worker"),
        (2, "completed", "a worker"),
    ]
    lines = typed.invoke(app, ["task", "show", task_id]).stdout.splitlines()
    rows = [line.split("\t") for line in lines if "\t" in line]
    assert [(row[0], row[3], row[4], row[5]) for row in rows[1:]] == [
        ("1", "a worker", "error", "no luck yet"),
        ("2", "a worker", "completed", ""),
    ]


async def _two_attempts(url: str, task_id: str) -> None:
    engine = Engine(url)
    await engine.open()
    by = await worker(engine, "a")
    (first,) = await claim(engine, by)
    await hand_back(engine, first, error="no luck\nyet")
    (second,) = await claim(engine, by)
    assert second.task.id == task_id
    await finish(engine, second)
    await engine.close()


def test_list_filters_pages_and_is_a_table_of_tabs_for_programs(typed: CliRunner, environment: Path) -> None:
    ids = [created(typed, "--title", f"number\t{number}") for number in range(3)]
    typed.invoke(app, ["task", "stop", ids[0]])

    def listed(*options: str) -> list[str]:
        return [each["id"] for each in json.loads(typed.invoke(app, ["task", "list", "--json", *options]).stdout)]

    assert listed() == ids[::-1]
    assert listed("--limit", "1", "--before", ids[2]) == [ids[1]]
    assert listed("--status", "stopped") == [ids[0]]
    assert listed("--agent", "b") == []
    assert listed("--agent", "b", "--agent", "a", "--status", "pending", "--status", "stopped") == ids[::-1]
    assert listed("--text", "NUMBER\t1") == [ids[1]]
    assert listed("--created-after", "2100-01-01") == []
    assert listed("--created-before", "2100-01-01", "--user", "nobody") == []
    part = created(typed, "--parent-execution", ids[0])
    assert listed("--parent", ids[0]) == [part]
    typed.invoke(app, ["task", "stop", part])
    assert listed("--status", "pending") == [ids[2], ids[1]]
    ids.append(part)
    rows = typed.invoke(app, ["task", "list"]).stdout.splitlines()
    assert [row.split("\t")[0] for row in rows] == ["task", *ids[::-1]]
    assert {len(row.split("\t")) for row in rows} == {5}


def test_events_are_one_json_object_a_line(typed: CliRunner, environment: Path) -> None:
    task_id = created(typed)
    typed.invoke(app, ["task", "stop", task_id])
    lines = typed.invoke(app, ["task", "events", task_id, "--json"]).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [each["number"] for each in events] == [1, 2]
    assert events[-1]["data"]["status"] == "stopped"
    rest = typed.invoke(app, ["task", "events", task_id, "--json", "--after", "1"]).stdout.splitlines()
    assert rest == lines[1:]
    people = typed.invoke(app, ["task", "events", task_id]).stdout.splitlines()
    assert people[-1].endswith("task_finished, stopped")


def test_migrate_says_what_it_did_and_where(
    typed: CliRunner, environment: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    early = typed.invoke(app, ["task", "list"])
    assert (early.exit_code, "run `worker migrate`" in early.stderr) == (1, True)
    first = typed.invoke(app, ["migrate"]).stdout.splitlines()
    assert first[0].startswith("0001")
    again = typed.invoke(app, ["migrate"])
    assert again.exit_code == 0
    assert again.stdout.startswith("the schema is already up to date")
    assert "database test_" in again.stdout


def test_a_database_that_is_not_there_is_one_line(
    typed: CliRunner, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:pa55word@127.0.0.1:1/x")
    result = typed.invoke(app, ["task", "list"])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "pa55word" not in result.output


def test_looking_at_a_task_loads_neither_agno_nor_a_server(here: Shell) -> None:
    task_id = here.worker("task", "create", "--agent", "a", "--text", "x").stdout.strip()
    program = f"""
import sys
from worker.cli.app import app
app(["task", "show", {task_id!r}], standalone_mode=False)
app(["task", "list"], standalone_mode=False)
print(sorted({{"agno", "fastapi", "openai", "pandas", "numpy", "pypdf", "httpx"}} & set(sys.modules)))
"""
    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=here.folder,
        env=here.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[-1] == "[]"


def test_help_loads_no_engine_either(here: Shell) -> None:
    program = 'import sys, worker.cli.app; print(sorted({"pydantic", "psycopg", "agno"} & set(sys.modules)))'
    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=here.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "[]\n"


def test_a_conversation_is_told_and_its_tasks_are_skipped_and_spoken_to(typed: CliRunner, environment: Path) -> None:
    made = typed.invoke(app, ["task", "create", "--agent", "desk", "--text", "Hello.", "--conversation", "talk"])
    task_id = made.stdout.strip()
    assert typed.invoke(app, ["task", "send", task_id, "In French, please."]).exit_code == 0
    assert "In French, please." in typed.invoke(app, ["task", "events", task_id]).stdout
    shown = typed.invoke(app, ["conversation", "show", "talk"]).stdout
    assert "> Hello." in shown
    listed = typed.invoke(app, ["conversation", "list", "--json"])
    assert [each["id"] for each in json.loads(listed.stdout)] == ["talk"]
    assert "talk" in typed.invoke(app, ["conversation", "list"]).stdout
    assert typed.invoke(app, ["task", "skip", task_id, "--json"]).exit_code == 0
    refused = typed.invoke(app, ["conversation", "show", "none"])
    assert (refused.exit_code, refused.stdout) == (1, "")
