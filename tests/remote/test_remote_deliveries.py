"""Deliveries on a platform that keeps none: tried in this process, listed nowhere."""

import pytest

from tests.remote.conftest import ServeRemote
from tests.supervisor.stories import Handlers
from tests.support import wait_until
from worker import GiveUp, Task
from worker.remote.remote import Remote
from worker.testing import StandIn
from worker.words.deliveries import DeliveryQuery, DeliveryRetry
from worker.words.errors import Unsupported
from worker.words.notices import DeliveryFailed, Notice, subscribe
from worker.words.retry import RetryPolicy


async def test_a_bare_platform_refuses_to_list_and_retry_by_name(remote: Remote) -> None:
    with pytest.raises(Unsupported, match="cannot list deliveries"):
        await remote.deliveries.find(DeliveryQuery())
    with pytest.raises(Unsupported, match="cannot retry deliveries"):
        await remote.deliveries.retry(DeliveryRetry(all=True))


async def test_a_handlers_own_policy_and_its_giving_up_count_there_too(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    heard: list[Notice] = []
    end = subscribe(heard.append)

    async def impatient(task: Task) -> None:
        raise RuntimeError("no")

    async def resigned(task: Task) -> None:
        raise GiveUp("never")

    handlers.bind(lambda: "done")
    handlers.bind(impatient, None, "task_finished", retries=RetryPolicy(attempts=2, base=0.01, cap=0.01))
    handlers.bind(resigned, None, "task_finished")
    async with serve():
        platform.create()
        failures: list[DeliveryFailed] = []

        def given_up() -> bool:
            failures[:] = [each for each in heard if isinstance(each, DeliveryFailed)]
            return sum(each.set_aside for each in failures) == 2

        await wait_until(given_up, "both were set aside")
    end()
    tries = {each.handler.rpartition(".")[2]: each.tries for each in failures if each.set_aside}
    assert tries == {"impatient": 2, "resigned": 1}
