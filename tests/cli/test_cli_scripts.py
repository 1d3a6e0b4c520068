"""Handlers in a script: `python handler.py` is a worker, and with `--invoke` it does one task."""

import signal
import subprocess
import sys
import textwrap

from tests.cli.shells import Shell

SCRIPT = """
    from worker import Task, on_boot, on_task
    from worker.modules.tasks.models.task import AgentExecutionInput, LocalTaskTest

    @on_boot(configuration=None)
    def boot():
        print("booted", flush=True)

    @on_task{options}
    async def handle(task: Task) -> Task:
        if task.input.text == "fail":
            raise ValueError("no such thing")
        task.result = f"{{task.input.text}} for {{task.agent_id}} in {{task.output_format}}"
        return task

    print("loaded", __name__, flush=True)
"""


def ran(here: Shell, *arguments: str, options: str = "", more: str = "") -> "subprocess.CompletedProcess[str]":

    script = here.folder / "xpander_handler.py"
    script.write_text(textwrap.dedent(SCRIPT.format(options=options)) + more)
    command = [sys.executable, script.name, *arguments]
    return subprocess.run(
        command, cwd=here.folder, env=here.environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_one_task_is_done_by_invoke(here: Shell) -> None:
    done = ran(here, "--invoke", "--prompt", "Sum it", "--output_format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "loaded __main__\nloaded xpander_handler\nbooted\nSum it for local in json\n"
    failed = ran(here, "--invoke", "--prompt", "fail")
    assert (failed.returncode, failed.stderr) == (1, "worker: no such thing\n")
    wrong = ran(here, "--invoke")
    assert wrong.returncode == 2
    assert "--prompt" in wrong.stderr


def test_a_test_task_is_done(here: Shell) -> None:
    options = '(test_task=LocalTaskTest(input=AgentExecutionInput(text="Try it"), output_format="text"))'
    done = ran(here, options=options)
    assert done.stdout.endswith("Try it for local in text\n"), done.stderr


def test_a_script_that_raises_or_serves_by_itself_is_no_worker(here: Shell) -> None:
    raised = ran(here, more="raise RuntimeError('no')\n")
    assert (raised.returncode, raised.stdout) == (1, "loaded __main__\n")
    checked = ran(here, more="from worker.registry import default\ndefault.check()\n")
    assert (checked.returncode, checked.stdout) == (0, "loaded __main__\n")


async def test_a_script_is_a_worker(here: Shell) -> None:

    (here.folder / "handler.py").write_text(textwrap.dedent(SCRIPT.format(options='(agent_id="seller")')))
    worker = here.launch([sys.executable, "handler.py"])
    await worker.says("worker ready")
    done = here.worker("task", "create", "--agent", "seller", "--text", "sell", "--wait")
    assert done.stdout.endswith("sell for seller in None\n")
    assert worker.end(signal.SIGTERM) == 0
