"""When a worker's process looks for garbage."""

import gc
from collections.abc import Iterator

import pytest

from worker.supervisor import garbage


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Loop:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("collector")
def test_what_is_loaded_at_the_start_is_passed_over_but_garbage_of_later_is_found() -> None:
    garbage.tune()

    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == garbage.YOUNG_OBJECTS
    Loop()
    assert gc.collect() > 0
