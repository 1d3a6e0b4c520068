"""Log lines: one form for ours, the user's and the libraries', one line each, nothing secret in them."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from worker.current import Run, run_in_hand
from worker.redaction import Redactor
from worker.settings import Settings
from worker.telemetry import logs
from worker.words import notices
from worker.words.notices import TaskEnded, TaskStarted, WorkerStarted, announce


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test configures ends with it: else each notice of later tests would become a line, and structlog's own
    form shows every variable of a traceback, which takes seconds."""
    monkeypatch.setattr(logs, "_worker_name", None)
    monkeypatch.setattr(logs, "_configured", False)
    monkeypatch.setattr(notices, "_subscribers", [])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config() if structlog.is_configured() else None
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


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
    assert "test_telemetry_logs.py" in str(line["exception"])


def test_a_traceback_on_a_terminal_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    """What a handler has in its variables is the user's: a question, a customer, a password."""
    logs.configure(Settings(log="console"))
    customer = "Ada " + "Lovelace"  # so that the line of code does not hold it
    try:
        raise ValueError(f"row {len(customer)} has no price")  # noqa: TRY301 - as above
    except ValueError as error:
        announce(TaskEnded("t", "analyst", 1, "error", 0.1, error))
    shown = capsys.readouterr().out
    assert "row 12 has no price" in shown
    assert "test_telemetry_logs.py" in shown
    assert "Ada Lovelace" not in shown


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


def run_in_a_thread(log: Callable[[], object], **options: Any) -> None:
    """Log as a sync handler does: in a thread, with the run in hand."""
    run = Run(task_id="t-1", agent_id="analyst", work=cast("Any", None), **options)

    def handler() -> None:
        token = run_in_hand.set(run)
        try:
            asyncio.run(asyncio.to_thread(log))
        finally:
            run_in_hand.reset(token)

    thread = threading.Thread(target=handler)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "log",
    [lambda: logging.getLogger("mine").info("hello"), lambda: structlog.get_logger("mine").info("hello")],
    ids=["logging", "structlog"],
)
def test_a_handlers_own_lines_name_its_run_in_threads_too(
    capsys: pytest.CaptureFixture[str], log: Callable[[], object]
) -> None:
    logs.configure(Settings(log="json"))
    announce(WorkerStarted("w-1", "dyno.1", "nowhere", 1, ()))
    run_in_a_thread(log, attempt=2)
    _, line = lines(capsys.readouterr().out)
    assert {name: line[name] for name in ("event", "task", "agent", "attempt", "worker")} == {
        "event": "hello",
        "task": "t-1",
        "agent": "analyst",
        "attempt": 2,
        "worker": "dyno.1",
    }


def test_a_worker_that_cannot_run_poison_apart_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log="json"))
    for isolates in (True, False):
        announce(WorkerStarted("w-1", "dyno.1", "nowhere", 1, ("handlers.mine",), isolates))
    *ready, told = lines(capsys.readouterr().out)
    assert [line["event"] for line in ready] == ["worker ready", "worker ready"]
    assert (told["level"], "WORKER_CHILDREN" in str(told["event"])) == ("warning", True)


def test_a_delivery_has_a_handler_in_place_of_an_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(log="json"))
    run_in_a_thread(lambda: logging.getLogger("mine").info("hello"), origin="handlers.tell")
    (line,) = lines(capsys.readouterr().out)
    assert (line["handler"], line.get("attempt")) == ("handlers.tell", None)


SECRETS = [
    "postgres://someone:canary@db.example/app",
    "https://someone:canary@files.example/a?token=canary",
    "wss://a.example/?canary",
    "GET https://files.example/a.pdf?X-Amz-Signature=canary&x=1 failed",
    "{'Authorization': 'Bearer canary'}",
    '{"x-api-key": "canary"}',
    "authorization: Basic canary",
    "header (b'authorization', b'Bearer canary')",
    "the token is Bearer canarycanary",
    "whsec_canarycanarycanarycanary",
    "password is a-known-canary",
]


@pytest.mark.parametrize("form", ["json", "logfmt", "console"])
@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret_or_is_known_to_be_one_is_in_no_line(
    capsys: pytest.CaptureFixture[str], form: str, text: str
) -> None:
    logs.configure(Settings.model_validate({"log": form, "webhook_url": "a-known-canary"}))
    structlog.get_logger("mine").error(text, field=text, nested={"list": [text]}, exc_info=RuntimeError(text))
    out = capsys.readouterr().out
    assert "canary" not in out
    assert "***" in out
    if form != "console":
        assert len(out.splitlines()) == 1
    if form == "json":
        json.loads(out)


@given(st.text())
def test_redaction_never_fails_and_leaves_ordinary_words_alone(text: str) -> None:
    redact = Redactor(["s3cret-value"])
    assert "s3cret-value" not in redact(text + "s3cret-value" + text)
    assert redact("task completed in 3.2 s, see https://docs.example/page") == (
        "task completed in 3.2 s, see https://docs.example/page"
    )


@pytest.mark.parametrize(
    "piece", ["http://", "a://", "authorization: ", "bearer ", "http://a?", "://@", "wk_", "api_key = "]
)
def test_a_long_hostile_text_is_read_once(piece: str) -> None:
    redact = Redactor(["s3cret-value"])
    began = time.process_time()
    redact(piece * (300_000 // len(piece)))
    assert time.process_time() - began < 2


@pytest.mark.parametrize("form", ["json", "logfmt", "console"])
def test_an_exception_whose_text_is_a_whole_file_is_a_short_line(capsys: pytest.CaptureFixture[str], form: str) -> None:
    logs.configure(Settings.model_validate({"log": form, "api_key": "a-secret-of-ours"}))
    large = "a-secret-of-ours " + "x" * 50_000_000
    try:
        raise ValueError(large)  # noqa: TRY301 - it must have been raised to have a traceback
    except ValueError as error:
        announce(TaskEnded("t", "analyst", 1, "error", 0.1, error))
    structlog.get_logger("worker").info("said", answer=large)
    written = capsys.readouterr().out
    assert len(written) < 3 * logs.TEXT_CHARACTERS
    assert "characters more]" in written
    assert "a-secret" not in written
