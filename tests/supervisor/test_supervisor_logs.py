"""Log lines: one form for ours, the user's and the libraries', one line each, nothing secret in them."""

import json
import logging
from collections.abc import Iterator

import pytest

from worker.settings import Settings
from worker.supervisor import logs
from worker.words.notices import TaskEnded, TaskStarted, announce


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a test configures ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    logs.configure(Settings(log="logfmt", log_level="error"))
    root.handlers = handlers


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_notice_becomes_one_line_with_task_agent_and_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log="json"))
    announce(TaskEnded("t", "analyst", 2, "completed", 1.5))
    (line,) = lines(capsys.readouterr().out)
    assert (line["event"], line["task"], line["agent"], line["attempt"]) == ("task completed", "t", "analyst", 2)
    assert line["level"] == "info"


def test_an_error_is_one_line_with_the_users_part_of_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log="json"))
    try:
        raise ValueError("row 7 has no price")  # noqa: TRY301 - it must have been raised to have a traceback
    except ValueError as error:
        announce(TaskEnded("t", "analyst", 1, "error", 0.1, error))
    (line,) = lines(capsys.readouterr().out)
    assert "row 7 has no price" in str(line["exception"])
    assert "test_supervisor_logs.py" in str(line["exception"])


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log="json"))
    announce(TaskStarted("t", "analyst", 1, "handlers.analyse"))
    logs.configure(Settings(log="json", log_level="debug"))
    announce(TaskStarted("t", "analyst", 1, "handlers.analyse"))
    (line,) = lines(capsys.readouterr().out)
    assert line["event"] == "task started"


def test_pythons_own_logging_comes_out_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log="json"))
    logging.getLogger("handlers.mine").warning("only %d rows", 3)
    (line,) = lines(capsys.readouterr().out)
    assert (line["event"], line["logger"], line["level"]) == ("only 3 rows", "handlers.mine", "warning")


def test_httpx_does_not_tell_the_urls_it_fetches(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log="json"))
    logging.getLogger("httpx").info("HTTP Request: GET https://files.example/a?signature=canary")
    assert "canary" not in capsys.readouterr().out


def test_logfmt_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log="logfmt"))
    announce(TaskEnded("t", "analyst", 1, "error", 0.1, RuntimeError("two\nlines")))
    assert len(capsys.readouterr().out.splitlines()) == 1
