import pytest

from tests.agents.runs import Log, Runner
from tests.agents.waiting import CALLS


@pytest.fixture(autouse=True)
def _count() -> None:
    CALLS.clear()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def running(log: Log) -> Runner:
    return Runner(log)
