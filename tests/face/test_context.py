import time

import structlog

from worker.contracts import Work
from worker.current import Run
from worker.engine.engine import Engine
from worker.face.context import Context


def a_run(work: Work, deadline: float | None = None) -> Run:
    return Run("t", "a", work, attempt=3, deadline=deadline)


async def test_a_context_tells_of_its_attempt(engine: Engine) -> None:
    context = Context(a_run(engine.work))
    assert (context.task_id, context.agent_id, context.attempt, context.event) == ("t", "a", 3, None)
    assert (context.deadline, context.remaining) == (None, None)


async def test_what_remains_is_counted_down_to_nothing(engine: Engine) -> None:
    remaining = Context(a_run(engine.work, time.monotonic() + 60)).remaining
    assert remaining is not None
    assert 59 < remaining <= 60
    assert Context(a_run(engine.work, time.monotonic() - 1)).remaining == 0


async def test_stopping_is_true_once_the_run_should_end(engine: Engine) -> None:
    context = Context(a_run(engine.work))
    assert not context.stopping
    context.run.stopping.set("stopped")
    assert context.stopping
    assert context.stopping.wait(0)
    assert context.stopping.reason == "stopped"


async def test_the_logger_names_the_attempt(engine: Engine) -> None:
    with structlog.testing.capture_logs() as lines:
        Context(a_run(engine.work)).logger.info("halfway", done=5)
    assert lines == [{"task": "t", "agent": "a", "attempt": 3, "done": 5, "event": "halfway", "log_level": "info"}]
