"""What people do at a command line, with real processes."""

import asyncio
import json
import signal
import subprocess
from typing import Any

from tests.cli.shells import SECONDS, Shell
from tests.support import wait_until

GREETER = """
    from worker import on_task

    @on_task(agent_id="greeter")
    async def greet(task):
        task.internal_status = "greeted"
        return f"Hello, {task.input.text}!"
"""

WAITER = """
    import asyncio
    from worker import on_task

    @on_task(agent_id="waiter")
    async def wait(task):
        await asyncio.Event().wait()
"""


def task_in(shell: Shell, task_id: str) -> dict[str, Any]:
    shown = shell.worker("task", "show", task_id, "--json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


async def test_a_worker_in_one_folder_does_the_task_made_in_another(here: Shell, elsewhere: Shell) -> None:
    elsewhere.handlers(GREETER)
    worker = elsewhere.start("run", "--concurrency", "3")
    await worker.says("worker ready")
    assert "concurrency=3" in worker.log
    assert "PostgreSQL at" in worker.log

    done = here.worker("task", "create", "--agent", "greeter", "--text", "-", "--wait", stdin="Ada")

    assert (done.returncode, done.stdout) == (0, "Hello, Ada!\n")
    assert done.stderr.endswith("completed: greeted\n")
    assert worker.end(signal.SIGTERM) == 0
    assert "worker stopped" in worker.log


async def test_a_handler_that_raises_leaves_its_message_on_the_task_and_its_traceback_in_the_log(
    here: Shell, elsewhere: Shell
) -> None:
    elsewhere.handlers("""
        from worker import on_task

        @on_task(agent_id="careless")
        def fail(task):
            raise ValueError("no such invoice: 17")
    """)
    worker = elsewhere.start("run")
    await worker.says("worker ready")

    done = here.worker("task", "create", "--agent", "careless", "--text", "pay", "--wait", "--json")

    assert done.returncode == 1
    task = json.loads(done.stdout)
    assert (task["status"], task["result"]) == ("error", "no such invoice: 17")
    await worker.says("ValueError: no such invoice: 17")
    assert "Traceback" in worker.log
    assert "mine.py" in worker.log


async def test_a_tool_of_a_worker_is_listed_shown_and_called(here: Shell) -> None:
    here.handlers("""
        from worker import on_task, tool

        @tool(timeout=9)
        def total(region: str) -> dict:
            '''Add up the sales of a region.'''
            if region == "nowhere":
                raise ValueError("no such region")
            return {region: 3}

        @on_task(agent_id="seller")
        async def work(task):
            return "sold"
    """)
    worker = here.start("run")
    await worker.says("worker ready")

    rows = [line.split("\t") for line in here.worker("tool", "list").stdout.splitlines()]
    assert rows[1] == ["seller", "total", "9 s", "Add up the sales of a region."]
    assert json.loads(here.worker("tool", "show", "total", "--json").stdout)["parameters"]["required"] == ["region"]
    assert here.worker("tool", "invoke", "total", '{"region": "north"}').stdout == '{"north": 3}\n'

    failed = here.worker("tool", "invoke", "total", '{"region": "nowhere"}', "--agent", "seller")
    assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", "worker: no such region\n")
    unknown = here.worker("tool", "show", "other")
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "worker: No running worker has a tool 'other'. See `worker tool list`.\n",
    )


async def test_a_failed_task_is_done_again_by_retry(here: Shell) -> None:
    here.handlers("""
        from pathlib import Path
        from worker import on_task

        @on_task(agent_id="second-time")
        async def work(task):
            if not Path("repaired").exists():
                raise ValueError("broken")
            return "works"
    """)
    worker = here.start("run")
    await worker.says("worker ready")
    first = here.worker("task", "create", "--agent", "second-time", "--text", "x", "--wait", "--json")
    task_id = json.loads(first.stdout)["id"]
    (here.folder / "repaired").touch()

    retried = here.worker("task", "retry", task_id).stdout.split()
    assert retried[0] == task_id
    assert retried[1] in ("pending", "executing", "completed"), "a worker may have taken it by now"

    followed = here.worker("task", "events", task_id, "--follow", "--json")
    events = [json.loads(line) for line in followed.stdout.splitlines()]
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "task_finished"
    assert task_in(here, task_id)["result"] == "works"


async def test_a_running_task_is_stopped_and_whoever_waits_for_it_hears_of_it(here: Shell) -> None:
    here.handlers(WAITER)
    worker = here.start("run")
    await worker.says("worker ready")
    waiting = here.start("task", "create", "--agent", "waiter", "--text", "x", "--follow")
    await waiting.says("executing")
    task_id = waiting.log.split()[0]

    stopped = here.worker("task", "stop", task_id)

    assert (stopped.returncode, stopped.stdout) == (0, f"{task_id} stopped\n")
    assert await asyncio.to_thread(waiting.process.wait, SECONDS) == 1
    assert "status:            stopped" in waiting.log
    assert "Traceback" not in waiting.log


async def test_an_interrupt_ends_the_waiting_and_not_the_task(here: Shell) -> None:
    here.handlers(WAITER)
    worker = here.start("run")
    await worker.says("worker ready")
    waiting = here.start("task", "create", "--agent", "waiter", "--text", "x", "--follow")
    await waiting.says("executing")
    task_id = waiting.log.split()[0]

    assert waiting.end(signal.SIGINT) == 130

    assert f"worker task show {task_id}" in waiting.log
    assert "Traceback" not in waiting.log
    assert task_in(here, task_id)["status"] == "executing"


async def test_follow_shows_the_events_and_then_the_result(here: Shell) -> None:
    here.handlers(GREETER)
    worker = here.start("run")
    await worker.says("worker ready")

    done = here.worker("task", "create", "--agent", "greeter", "--text", "Ada", "--follow")

    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert "task_finished, completed, attempt 1, greeted" in lines
    assert "result:            Hello, Ada!" in lines


async def test_local_files_are_uploaded_and_urls_pass(here: Shell, elsewhere: Shell) -> None:
    elsewhere.handlers("""
        from worker import on_task

        @on_task(agent_id="reader")
        def read(task):
            return [each["content"] for each in task.get_human_readable_files()]
    """)
    worker = elsewhere.start("run", "--agent", "reader")
    await worker.says("worker ready")
    (here.folder / "notes.txt").write_text("from a path")
    arguments = ["--file", "notes.txt", "--file", "data:text/plain,from%20a%20url"]

    done = here.worker("task", "create", "--agent", "reader", *arguments, "--wait")

    assert json.loads(done.stdout) == ["from a path", "from a url"]
    listed = json.loads(here.worker("task", "list", "--agent", "reader", "--json").stdout)
    files = task_in(here, listed[0]["id"])["input"]["files"]
    assert files[0].startswith("worker:")
    again = here.worker("task", "create", "--agent", "reader", "--file", files[0], "--wait")
    assert json.loads(again.stdout) == ["from a path"]


def test_a_reader_that_has_seen_enough_ends_the_events_quietly(here: Shell) -> None:
    created = here.worker("task", "create", "--agent", "nobody", "--text", "x")
    task_id = created.stdout.strip()
    process = subprocess.Popen(
        here.command("task", "events", task_id, "--follow", "--json"),
        cwd=here.folder,
        env=here.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = json.loads(process.stdout.readline())
    process.stdout.close()
    assert (first["number"], first["type"], first["task_id"]) == (1, "task_created", task_id)

    here.worker("task", "stop", task_id)

    assert process.wait(SECONDS) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


async def test_a_worker_does_not_start_with_a_mistake_in_its_handlers(here: Shell) -> None:
    here.handlers("""
        from worker import on

        @on("task_creatd")
        async def work(task): ...
    """)
    started = here.worker("run")
    assert started.returncode == 1
    assert started.stderr == (
        "worker: handlers/mine.py:4: no handler can be registered for 'task_creatd'; did you mean 'task_created'?\n"
    )


async def test_a_person_at_a_command_line_answers_what_a_task_asks(here: Shell, elsewhere: Shell) -> None:
    elsewhere.handlers("""
        from worker import on_task

        @on_task(agent_id="letters")
        async def send(task, context):
            if not await context.ask("May it be sent?"):
                return "not sent"
            form = {"type": "object", "properties": {"copies": {"type": "integer"}}, "required": ["copies"]}
            return await context.ask("How many?", schema=form)
    """)
    worker = elsewhere.start("run")
    await worker.says("worker ready")
    waiting = here.worker("task", "create", "--agent", "letters", "--text", "x", "--follow")
    assert "? May it be sent?" in waiting.stdout
    inbox = here.worker("task", "list", "--paused", "--json")
    (request,) = json.loads(inbox.stdout)
    task_id = request["task_id"]
    assert f"worker task answer {task_id} {request['id']}" in waiting.stdout
    assert "May it be sent?" in here.worker("task", "show", task_id).stdout
    wrong = here.worker("task", "answer", task_id, "--value", "yes")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1), wrong.stderr
    done = here.worker("task", "answer", task_id, "--approve")
    assert done.returncode == 0, done.stderr
    assert done.stdout in (f"{task_id} pending\n", f"{task_id} executing\n")  # a worker may have begun by then
    await wait_until(
        lambda: "How many?" in here.worker("task", "list", "--paused").stdout, "the next question", SECONDS
    )
    assert here.worker("task", "answer", task_id, "--value", '{"copies": 2}').returncode == 0
    await wait_until(lambda: task_in(here, task_id)["status"] == "completed", "it goes on", SECONDS)
    assert task_in(here, task_id)["result"] == '{"copies":2}'


def test_a_task_is_tried_with_the_options_and_files_of_any_other(here: Shell) -> None:
    here.handlers("""
        from worker import on_task

        @on_task(agent_id="reader")
        async def read(task):
            files = [each['content'] for each in task.get_human_readable_files()]
            return f"{task.title}: {files} {task.output_schema} {task.think_mode.value} {task.source}"
    """)
    (here.folder / "figures.csv").write_text("a,b\n1,2\n")
    tried = here.worker("invoke", "Read it", "--file", "figures.csv", "--title", "Figures", "--think-mode", "harder")
    assert tried.stdout == "Figures: ['a,b\\n1,2\\n'] None harder invoke\n", tried.stderr
    wrong = here.worker("invoke", "Read it", "--file", "gone.csv")
    assert (wrong.returncode, "'gone.csv' is neither an existing file nor a URL" in wrong.stderr) == (2, True)
