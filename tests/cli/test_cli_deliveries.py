"""``worker delivery`` as a person types it."""

import json

import pytest

from tests.cli.shells import Shell
from tests.support import wait_until
from worker.engine.engine import Engine

HANDLERS = """
    from pathlib import Path
    from worker import GiveUp, Task, TaskUpdateEventType, on, on_task

    @on_task(agent_id="analyst")
    def work(task: Task) -> str:
        return "done"

    @on(TaskUpdateEventType.TaskFinished)
    def tell(task: Task) -> None:
        if not Path("receiver-is-back").exists():
            raise GiveUp("the receiver is gone")
        Path("told").write_text(task.id)
"""


async def test_a_delivery_that_was_given_up_is_listed_and_retried_by_hand(here: Shell, engine: Engine) -> None:
    here.handlers(HANDLERS)
    created = here.worker("task", "create", "--agent", "analyst", "--text", "x")
    assert created.returncode == 0, created.stderr
    running = here.start("run")
    await running.says("delivery failed")
    assert "set_aside=True" in running.log or "set_aside=true" in running.log
    listed = here.worker("delivery", "list", "--json")
    (item,) = json.loads(listed.stdout)
    assert (item["state"], item["error"], item["tries"]) == ("set_aside", "the receiver is gone", 1)
    assert "the receiver is gone" in here.worker("delivery", "list").stdout
    (here.folder / "receiver-is-back").touch()
    retried = here.worker("delivery", "retry", item["id"])
    assert retried.stdout == "1 delivery will be retried once\n", retried.stderr
    told = here.folder / "told"
    await wait_until(lambda: told.exists() and told.read_text() == item["task_id"], "the handler was told")
    await wait_until(lambda: here.worker("delivery", "list", "--json").stdout == "[]\n", "nothing is left")
    assert running.end() == 0
    late = here.worker("delivery", "retry", item["id"])
    assert (late.returncode, late.stderr) == (1, "1 of the given deliveries is not set aside\n")


@pytest.mark.parametrize("arguments", [(), ("nonsense",)])
def test_a_wrong_wish_says_what_to_do(here: Shell, arguments: tuple[str, ...]) -> None:
    refused = here.worker("delivery", "retry", *arguments)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "--all" in refused.stderr or "not the id of a delivery" in refused.stderr
