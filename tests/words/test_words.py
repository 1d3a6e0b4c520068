"""Ids, statuses, records, retry policy, errors, notices: the words."""

import copy
import pickle
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import is_retryable, retry_after
from worker.words import errors
from worker.words.changes import MUTABLE, check_changes
from worker.words.classification import causes
from worker.words.errors import ModuleException, ValidationError
from worker.words.events import NewEvent, SubAgentTrigger, Thought, ToolCallResult, typed_data
from worker.words.ids import check_id, is_id, new_id
from worker.words.notices import Notice, WorkerStopped, announce, subscribe
from worker.words.retry import RetryPolicy
from worker.words.statuses import BINDABLE, TERMINAL, AgentExecutionStatus, TaskUpdateEventType
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord, Tokens, User

Status = AgentExecutionStatus


class ApiError(Exception):
    """As the model providers' clients raise it."""

    def __init__(self, code: int, text: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status_code = code
        self.response = type("Response", (), {"headers": headers or {}})()


def test_our_ids_are_uuids_of_version_7_and_sort_in_the_order_in_which_they_were_made() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(set(made))
    for each in made[:50]:
        assert (len(each), each[14], is_id(each)) == (36, "7", True)
        assert each[19] in "89ab"
        milliseconds = int(each.replace("-", "")[:12], 16)
        assert abs(milliseconds / 1000 - datetime.now(UTC).timestamp()) < 10


@given(st.text(alphabet=st.sampled_from("abzAZ09._:-"), min_size=1, max_size=128))
def test_an_id_of_the_allowed_form_is_taken_as_it_is(value: str) -> None:
    assert check_id(value) is value


@pytest.mark.parametrize("value", ["", "x" * 129, "a b", "a\n", "ä", "a/b", "\0", None, 5, b"a", "٣"])
def test_an_id_of_another_form_is_refused_by_the_name_of_its_field(value: Any) -> None:
    with pytest.raises(ValidationError, match="parent must be 1 to 128 characters") as caught:
        check_id(value, "parent")
    assert (caught.value.field, caught.value.status_code) == ("parent", 422)


def test_statuses_and_event_types_are_plain_text() -> None:
    assert f"{Status.Completed}" == "completed" == Status.Completed
    assert Status.InProgress is Status.Executing
    assert Status("executing") is Status.InProgress
    assert {status for status in Status if status.is_terminal} == TERMINAL
    assert [status for status in Status if not status.is_terminal] == ["pending", "executing", "paused"]


def test_eight_event_types_can_be_bound() -> None:
    assert BINDABLE == (
        "task_created",
        "task_updated",
        "task_finished",
        "tool_call_request",
        "tool_call_result",
        "sub_agent_trigger",
        "input_requested",
        "input_received",
    )


@pytest.mark.parametrize("value", [{}, {"text": ""}, {"text": None, "files": None}, {"files": []}])
def test_an_input_needs_text_or_files(value: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError, match="either text or files must be provided"):
        AgentExecutionInput.model_validate(value)
    assert AgentExecutionInput(files=["a"]).text == ""
    assert AgentExecutionInput(text="a").files == []


def test_unknown_fields_of_a_record_are_dropped_and_those_of_a_person_kept() -> None:
    new = NewTask.model_validate({"agent_id": "a", "input": {"text": "x"}, "from_the_future": 1})
    assert "from_the_future" not in new.model_dump()
    assert User.model_validate({"team": "red"}).model_dump()["team"] == "red"


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (User(first_name="Ada", last_name="Lovelace", email="a@b"), "Ada Lovelace"),
        (User(last_name="Lovelace"), "Lovelace"),
        (User(email="a@b", id="1"), "a@b"),
        (User(id="1"), "1"),
        (User(), ""),
    ],
)
def test_a_person_has_a_name_to_show(user: User, name: str) -> None:
    assert user.display_name == name


def test_secrets_of_a_task_do_not_show_in_its_text() -> None:
    new = NewTask(
        agent_id="a", input=AgentExecutionInput(text="x"), user_tokens={"k": "hunter2"}, user_oidc_token="hunter3"
    )
    assert "hunter" not in repr(new)
    assert "hunter" not in str(new)


def test_what_a_save_may_change_exists() -> None:
    assert set(TaskRecord.model_fields) >= MUTABLE


def test_tokens_are_summed_without_the_cached_ones() -> None:
    assert Tokens(prompt_tokens=2, completion_tokens=3, cache_read_tokens=100).total_tokens == 5


@pytest.mark.parametrize("value", [None, "", "x" * 255, "\N{GRINNING FACE}" * 255])
def test_an_internal_status_of_up_to_255_characters_is_taken(value: str | None) -> None:
    assert check_changes({"internal_status": value}) == {"internal_status": value}


@pytest.mark.parametrize("value", ["x" * 256, "\N{GRINNING FACE}" * 256, 5, b"x", ["x"]])
def test_another_internal_status_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="internal_status") as caught:
        check_changes({"internal_status": value})
    assert caught.value.field == "internal_status"


@pytest.mark.parametrize("kind", list(TaskUpdateEventType))
@pytest.mark.parametrize("data", [None, [], "x", 1.5, {"type": "no such", "text": [], "request_id": 5}])
def test_data_of_another_form_stays_as_it_is(kind: TaskUpdateEventType, data: Any) -> None:
    assert typed_data(kind, data) is data


def test_data_of_an_event_has_its_type() -> None:
    result = typed_data(TaskUpdateEventType.ToolCallResult, {"request_id": "1", "operation_id": "2", "result": [1]})
    assert isinstance(result, ToolCallResult)
    assert isinstance(typed_data(TaskUpdateEventType.SubAgentTrigger, {"agent_id": "a"}), SubAgentTrigger)
    assert isinstance(typed_data(TaskUpdateEventType.Analyze, {"type": "analyze"}), Thought)
    with pytest.raises(pydantic.ValidationError):
        NewEvent.model_validate({"type": "no_such_event"})


def test_a_wait_is_at_most_doubled_with_every_failure_up_to_its_cap() -> None:
    policy = RetryPolicy(attempts=9, base=2, cap=10)
    random.seed(1)
    longest = [max(policy.delay(errors) for _ in range(500)) for errors in range(1, 7)]
    assert longest == pytest.approx([2, 4, 8, 10, 10, 10], rel=0.05)
    assert all(0 <= policy.delay(errors) <= 10 for errors in (1, 5, 60, 5000))


@pytest.mark.parametrize("code", [408, 409, 423, 425, 429, 498, 500, 502, 503, 504, 529, 599])
def test_answers_that_may_be_different_next_time_are_tried_again(code: int) -> None:
    assert is_retryable(ApiError(code))


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 410, 413, 422])
def test_other_refusals_are_final(code: int) -> None:
    assert not is_retryable(ApiError(code))


@pytest.mark.parametrize("text", ["insufficient_quota", "Your credit balance is too low to …"])
def test_a_429_that_means_never_is_final(text: str) -> None:
    assert not is_retryable(ApiError(429, text))


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), type("ReadTimeout", (Exception,), {})()])
def test_broken_connections_are_tried_again(error: Exception) -> None:
    assert is_retryable(error)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), ApiError(200), ApiError(0)])
def test_defects_are_final(error: Exception) -> None:
    assert not is_retryable(error)


def test_the_cause_of_an_error_decides() -> None:
    error = RuntimeError("the agent failed")
    error.__cause__ = ApiError(503)
    assert is_retryable(error)
    assert [type(each) for each in causes(error)] == [RuntimeError, ApiError]


def test_errors_that_cause_one_another_are_walked_once() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert list(causes(first)) == [first, second]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("1800", 1800.0),
        ("999999", 86400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        ("2015-10-21T07:28:00", 0.0),
        ("1m30s", 90.0),
        ("soon", None),
    ],
)
def test_a_server_that_asks_to_wait_is_obeyed_up_to_a_day(value: str, seconds: float | None) -> None:
    assert retry_after(ApiError(429, headers={"retry-after": value})) == seconds
    assert retry_after(ApiError(429)) is None
    assert retry_after(errors.Unavailable(retry_after=4)) == 4


def test_a_server_may_name_the_moment_from_which_on_it_answers_again() -> None:
    moment = formatdate(time.time() + 60, usegmt=True)
    asked = retry_after(ApiError(429, headers={"Retry-After": moment}))
    assert asked is not None
    assert 58 <= asked <= 60


def test_what_an_error_hides_does_not_decide() -> None:
    error = ValueError("a defect")
    error.__context__ = ConnectionError()
    assert is_retryable(error), "raised while a broken connection was handled"
    error.__suppress_context__ = True  # from None
    assert not is_retryable(error)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_wait_is_a_number_of_seconds_between_0_and_a_day(value: str) -> None:
    asked = retry_after(ApiError(429, headers={"retry-after": value}))
    assert asked is None or 0 <= asked <= 86_400


EVERY_ERROR: list[ModuleException] = [
    ModuleException(418, "short and stout"),
    ValidationError("x", field="f"),
    errors.NotFound(),
    errors.TaskNotFound("t"),
    errors.AgentNotFound("a"),
    errors.FileNotStored("r"),
    errors.Conflict(),
    errors.LeaseLost("t", 3),
    errors.TooLarge(),
    errors.Unsupported("resume", "the platform"),
    errors.Unavailable(retry_after=1),
    errors.ConfigurationError("x"),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_an_error_has_a_status_code_and_a_sentence_for_a_person(error: ModuleException) -> None:
    assert 400 <= error.status_code < 600
    assert error.description
    assert error.description in str(error)


def test_an_error_without_a_description_says_what_its_class_says() -> None:
    assert errors.Unavailable().description == "The platform is currently unavailable; try again later."
    assert (ModuleException().status_code, ModuleException().description) == (
        500,
        "The platform could not carry out the operation.",
    )


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_an_error_survives_the_way_to_another_process(error: ModuleException) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(again) is type(error)
        assert (again.status_code, again.description, vars(again)) == (
            error.status_code,
            error.description,
            vars(error),
        )


@pytest.fixture
def heard() -> Iterator[list[Notice]]:
    notices: list[Notice] = []
    end = subscribe(notices.append)
    yield notices
    end()
    end()  # to end twice is no error


def test_every_subscriber_hears_a_notice_until_it_ends_its_subscription(heard: list[Notice]) -> None:
    others: list[Notice] = []
    end = subscribe(others.append)
    first, second = WorkerStopped("w", 0), WorkerStopped("w", 1)
    announce(first)
    end()
    announce(second)
    assert (heard, others) == ([first, second], [first])


def test_a_status_of_two_names_is_told_once() -> None:
    known = "'pending', 'executing', 'paused', 'error', 'failed', 'completed' or 'stopped'"
    with pytest.raises(pydantic.ValidationError, match=f"should be {known}"):
        TaskQuery.model_validate({"status": "nope"})
    assert TaskQuery.model_validate({"status": "executing"}).status is AgentExecutionStatus.InProgress
    assert AgentExecutionStatus("executing") is TaskQuery(status=AgentExecutionStatus.Executing).status
