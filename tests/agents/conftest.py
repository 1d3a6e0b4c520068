import pytest

from tests.agents.runs import Log, Runner


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def running(log: Log) -> Runner:
    return Runner(log)
