"""The state machine, without a database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.state.client_changes import Renewal, Retry, Skip, Stop
from worker.engine.state.records import History, task_record
from worker.engine.state.release import Release
from worker.engine.state.rows import TAKES_TURNS, Change, LoggedEvent, Row
from worker.engine.state.run_changes import Append, Crash, Finish, GiveBack, Save
from worker.words.changes import MUTABLE, check_changes
from worker.words.errors import Conflict, LeaseLost, ModuleException, ValidationError
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import TERMINAL, AgentExecutionStatus, TaskUpdateEventType
from worker.words.tasks import TaskRecord

Status = AgentExecutionStatus
ORGANIZATION, AGENT, TASK, WORKER = "o", "a", "t", "w"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOTE = NewEvent(type=TaskUpdateEventType.Note, data={"text": "x"})


def row(status: Status = Status.Executing, attempt: int = 1, **fields: Any) -> Row:
    given: dict[str, Any] = {
        "id": TASK,
        "organization_id": ORGANIZATION,
        "agent_id": AGENT,
        "status": status,
        "attempt": attempt,
        "suspicions": 0,
        "crashes": 0,
        "errors": 0,
        "worker_id": WORKER if status is Status.Executing else None,
        "last_event": 2,
        "now": BEGIN,
        "state": {},
    }
    return Row(**given | fields)


def save(attempt: int | None, **changes: Any) -> Save:
    return Save(ORGANIZATION, TASK, attempt, check_changes(changes))


OWNERS: list[Callable[[int], Change]] = [
    lambda attempt: Append(ORGANIZATION, TASK, attempt, [NOTE]),
    lambda attempt: save(attempt, result="x"),
    lambda attempt: save(attempt, status="completed"),
    lambda attempt: save(attempt, status="paused"),
    lambda attempt: Finish(ORGANIZATION, TASK, attempt, Outcome(Status.Completed, {"result": "x"})),
    lambda attempt: GiveBack(ORGANIZATION, TASK, attempt, HandBack(error="x")),
    lambda attempt: Crash(ORGANIZATION, TASK, attempt, "exited with code 7"),
]


@pytest.mark.parametrize("wish", OWNERS)
@pytest.mark.parametrize(
    ("status", "attempt"),
    [(Status.Executing, 2), (Status.Executing, 0), (Status.Pending, 1), (Status.Paused, 1), (Status.Stopped, 1)],
)
def test_only_the_owner_writes_and_a_refused_write_leaves_the_row_untouched(
    wish: Callable[[int], Change], status: Status, attempt: int
) -> None:
    before, after = row(status, attempt), row(status, attempt)
    with pytest.raises(LeaseLost):
        wish(1).decide(after)
    assert after == before


@pytest.mark.parametrize("wish", OWNERS)
def test_what_the_owner_writes_is_logged_under_its_attempt(wish: Callable[[int], Change]) -> None:
    owned = row()
    effect = wish(1).decide(owned)
    assert [(event.number, event.attempt) for event in effect.events] == [(3, 1)]
    assert owned.last_event == 3


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_the_end_of_a_task_lets_go_of_its_worker(status: Status) -> None:
    ended = row()
    effect = Finish(ORGANIZATION, TASK, 1, Outcome(status)).decide(ended)
    assert (ended.status, ended.worker_id, ended.changed["finished_at"]) == (status, None, BEGIN)
    assert [event.type for event in effect.events] == [TaskUpdateEventType.TaskFinished]


def test_a_released_task_that_moved_on_is_left_alone() -> None:
    for moved in (row(worker_id="another"), row(Status.Pending), row(Status.Completed)):
        assert Release(ORGANIZATION, TASK, WORKER).decide(moved).events == []
        assert moved.changed == {}


def release(suspicions: int, crashes: int = 0, **options: Any) -> Row:
    left = row(suspicions=suspicions, crashes=crashes)
    Release(ORGANIZATION, TASK, WORKER, **options).decide(left)
    return left


def test_a_worker_that_leaves_holds_nothing_against_its_tasks() -> None:
    left = release(5, 2, suspected=False)
    assert (left.status, left.suspicions, left.crashes) == (Status.Pending, 5, 2)


@pytest.mark.parametrize("suspicions", [0, 1, 2, 18])
def test_the_death_of_a_worker_that_runs_suspects_apart_is_a_suspicion_alone(suspicions: int) -> None:
    left = release(suspicions, 2)
    assert (left.status, left.suspicions, left.crashes) == (Status.Pending, suspicions + 1, 2)


def test_what_so_many_workers_died_of_goes_on_no_longer() -> None:
    left = release(19)
    assert (left.status, left.crashes) == (Status.Failed, 0)
    assert left.changed["result"] == "workers running the task died 20 times"


def test_a_suspect_beside_others_in_a_worker_that_cannot_run_it_apart_is_charged_with_its_death() -> None:
    for suspicions, crashes in ((0, 0), (1, 0), (2, 1)):
        assert release(suspicions, isolates=False).crashes == crashes
    ended = release(4, 2, isolates=False)
    assert (ended.status, ended.changed["result"]) == (Status.Failed, "workers running the task died 5 times")


def test_the_third_death_of_the_process_that_ran_it_alone_ends_a_task_with_its_reason() -> None:
    crash = Crash(ORGANIZATION, TASK, 1, "was killed by SIGSEGV", 4)
    first, third = row(suspicions=2), row(suspicions=2, crashes=2)
    assert [event.type for event in crash.decide(first).events] == [TaskUpdateEventType.TaskUpdated]
    assert (first.status, first.crashes, first.changed["available_at"] - BEGIN) == (Status.Pending, 1, timedelta(0, 4))
    assert [event.type for event in crash.decide(third).events] == [TaskUpdateEventType.TaskFinished]
    assert (third.status, third.crashes, third.suspicions) == (Status.Failed, 3, 2)
    assert third.changed["result"] == "the task's process died 3 times; the last time it was killed by SIGSEGV"


@pytest.mark.parametrize("status", [Status.Pending, Status.Executing])
def test_retry_of_what_is_not_over_is_a_conflict(status: Status) -> None:
    with pytest.raises(Conflict):
        Retry(ORGANIZATION, TASK).decide(row(status))


def test_fields_fixed_at_create_are_passed_over() -> None:
    every = dict.fromkeys(TaskRecord.model_fields, "x")
    allowed = MUTABLE - {"status", "tokens", "used_tools", "duration", "deep_planning", "hitl_request"}
    assert set(
        check_changes(
            {
                name: every[name]
                for name in every
                if name in allowed or name not in MUTABLE
                if name != "payload_extension"
            }
        )
    ) == allowed - {"payload_extension"}


@pytest.mark.parametrize("value", [True, "5", None, -0.1, float("inf"), 10**400])
def test_a_duration_is_a_number_of_seconds(value: Any) -> None:
    if value is None:
        assert check_changes({"duration": None}) == {"duration": None}, "it clears it"
        return
    with pytest.raises(ValidationError):
        check_changes({"duration": value})


ATTEMPTS = st.one_of(st.none(), st.integers(0, 4))
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([str(each) for each in Status]),
        "result": st.text(max_size=5),
        "internal_status": st.text(max_size=5),
        "title": st.text(max_size=5),
        "hitl_request": st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
        "payload_extension": st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2),
        "tokens": st.just({"prompt_tokens": 1}),
    },
)
ENDS = st.sampled_from([Status.Completed, Status.Error, Status.Failed, Status.Paused, Status.Stopped])
CLAIM = "claim"
TURN = "turn"
COUNTS = ("suspicions", "crashes", "errors")
LOCKED = ("status", "attempt", *COUNTS, "worker_id", "last_event", "state", "settings", "internal_status")


def saved(attempt: int | None, values: dict[str, Any]) -> Change:
    return save(attempt, **values)


def appended(attempt: int | None) -> Change:
    return Append(ORGANIZATION, TASK, attempt, [NOTE, NOTE])


def finished(attempt: int, status: Status, values: dict[str, Any]) -> Change:
    return Finish(ORGANIZATION, TASK, attempt, Outcome(status, check_changes(values)))


def given_back(attempt: int, delay: float, error: str | None) -> Change:
    return GiveBack(ORGANIZATION, TASK, attempt, HandBack(delay, error))


def renewed(text: str, place: int | None) -> Change:
    columns = {"settings": {"input": {"text": text}}, "conversation_id": "talk"}
    return Retry(ORGANIZATION, TASK, Renewal(AGENT, columns, {"source": text}, place=place))


def released(worker: str, *, suspected: bool, isolates: bool) -> Change:
    return Release(ORGANIZATION, TASK, worker, suspected=suspected, isolates=isolates)


def crashed(attempt: int, delay: float) -> Change:
    return Crash(ORGANIZATION, TASK, attempt, "exited with code 7", delay)


CHANGES: st.SearchStrategy[Change | str] = st.one_of(
    st.just(CLAIM),
    st.just(CLAIM),
    st.builds(saved, ATTEMPTS, VALUES),
    st.builds(appended, ATTEMPTS),
    st.builds(finished, st.integers(0, 4), ENDS, VALUES),
    st.builds(given_back, st.integers(0, 4), st.sampled_from([0, 60]), st.sampled_from([None, "boom"])),
    st.just(Stop(ORGANIZATION, TASK)),
    st.just(Retry(ORGANIZATION, TASK)),
    st.builds(renewed, st.sampled_from(["second", "third"]), st.sampled_from([None, 7])),
    st.just(Skip(ORGANIZATION, TASK, 8)),
    st.just(TURN),
    st.builds(released, st.sampled_from([WORKER, "another"]), suspected=st.booleans(), isolates=st.booleans()),
    st.builds(crashed, st.integers(0, 4), st.sampled_from([0, 60])),
)


@dataclass
class Store:
    """What the database does with effects, as far as the state machine can tell."""

    columns: dict[str, Any] = field(
        default_factory=lambda: {
            "id": TASK,
            "organization_id": ORGANIZATION,
            "agent_id": AGENT,
            "status": Status.Pending,
            "internal_status": None,
            "result": None,
            "attempt": 0,
            "suspicions": 0,
            "crashes": 0,
            "errors": 0,
            "worker_id": None,
            "last_event": 1,
            "created_at": BEGIN,
            "updated_at": BEGIN,
            "available_at": BEGIN,
            "started_at": None,
            "paused_at": None,
            "finish_reason": None,
            "waits_for": None,
            "queued": False,
            "finished_at": None,
            "settings": {"input": {"text": "first"}},
            "state": {"title": "T", TAKES_TURNS: "talk"},
        }
    )
    events: list[tuple[LoggedEvent, datetime]] = field(default_factory=list[tuple[LoggedEvent, datetime]])
    seen: dict[int, TaskRecord] = field(default_factory=dict[int, TaskRecord])
    second: int = 0

    def __post_init__(self) -> None:
        created = LoggedEvent(TASK, 1, TaskUpdateEventType.TaskCreated, {"title": "T"}, None, None, ORGANIZATION, AGENT)
        self.events.append((created, BEGIN))
        self.seen[1] = task_record(self.columns)

    def apply(self, change: Change | str) -> None:
        self.second += 1
        now = datetime.fromtimestamp(BEGIN.timestamp() + self.second, UTC)
        if change == TURN:  # as the statement that gives turns; it has no event
            self._turn(now)
        elif isinstance(change, str):
            self._claim(now)
        else:
            self._decide(change, now)
        now_seen = task_record(self.columns)
        seen = self.seen.setdefault(self.columns["last_event"], now_seen)
        if seen.result is None and seen.status in TERMINAL:  # what its run says once it has ended it has no event
            self.seen[self.columns["last_event"]] = seen.model_copy(update={"result": now_seen.result})

    def _claim(self, now: datetime) -> None:
        """As the statement of that name does."""
        if self.columns["status"] != Status.Pending or self.columns["queued"]:
            return
        attempt, number = self.columns["attempt"] + 1, self.columns["last_event"] + 1
        self.columns |= {
            "status": Status.Executing,
            "attempt": attempt,
            "worker_id": WORKER,
            "updated_at": now,
            "started_at": self.columns["started_at"] or now,
            "last_event": number,
        }
        data = {"status": Status.Executing, "execution_attempts": attempt, "_worker": WORKER}
        event = LoggedEvent(TASK, number, TaskUpdateEventType.TaskUpdated, data, attempt, None, ORGANIZATION, AGENT)
        self.events.append((event, now))

    def _turn(self, now: datetime) -> None:
        """As the statement that gives turns does."""
        if self.columns["status"] != Status.Pending or not self.columns["queued"]:
            return
        number, attempt = self.columns["last_event"] + 1, self.columns["attempt"]
        self.columns |= {"queued": False, "available_at": now, "updated_at": now, "last_event": number}
        data = {"waiting_for": None, "available_at": now if attempt else None}
        event = LoggedEvent(TASK, number, TaskUpdateEventType.TaskUpdated, data, None, None, ORGANIZATION, AGENT)
        self.events.append((event, now))

    def _decide(self, change: Change, now: datetime) -> None:
        has_result = self.columns["result"] is not None
        locked = row(now=now, has_result=has_result, **{name: self.columns[name] for name in LOCKED})
        try:
            effect = change.decide(locked)
        except ModuleException:
            assert locked.changed == {}, "a refused change changes nothing"
            return
        if locked.changed:
            self.columns |= {**locked.changed, "updated_at": now}
        self.events += [(event, now) for event in effect.events]


@settings(max_examples=300)
@given(st.lists(CHANGES, max_size=14))
def test_whatever_happens_to_a_task_its_invariants_hold(changes: list[Change | str]) -> None:
    store = Store()
    for change in changes:
        before = dict(store.columns)
        logged = len(store.events)
        store.apply(change)
        after = store.columns
        assert after["attempt"] >= before["attempt"], "an attempt is never used again"
        assert after["last_event"] == len(store.events) >= logged, "every event is counted"
        if before["status"] in TERMINAL and after["status"] != before["status"]:
            assert isinstance(change, Retry), "only a retry changes a terminal task"
        if before["status"] not in TERMINAL and after["status"] in TERMINAL:
            assert store.events[-1][0].type is TaskUpdateEventType.TaskFinished
            assert after["finished_at"] == after["updated_at"]
        assert (after["worker_id"] is None) or after["status"] == Status.Executing
        assert after["crashes"] <= 3
    assert [event.number for event, _ in store.events] == list(range(1, len(store.events) + 1))


@settings(max_examples=300)
@given(st.lists(CHANGES, max_size=14), st.integers(0, 14))
def test_the_task_composed_at_each_event_is_what_it_was_then(changes: list[Change | str], after: int) -> None:
    store = Store()
    for change in changes:
        store.apply(change)
    data = [(event.number, event.data or {}) for event, _ in store.events]
    renewals = {number: each["_settings_before"] for number, each in data if "_settings_before" in each}
    history = History(store.columns, renewals)
    for event, time in store.events:
        if event.type not in ("task_created", "task_updated", "task_finished"):
            continue
        if event.number <= after:
            history.fold(event.number, event.type, time, event.data)
            continue
        composed = history.event(
            {
                "task_id": TASK,
                "number": event.number,
                "type": event.type,
                "time": time,
                "data": event.data,
                "attempt": event.attempt,
            }
        ).data
        if event.number in store.seen:
            assert composed == store.seen[event.number]


def test_who_begins_a_task_anew_keeps_the_time_at_which_it_first_began() -> None:
    first = BEGIN - timedelta(hours=1)
    given_back = row(Status.Pending, started_at=first)
    save(None, status="executing").decide(given_back)
    assert (given_back.attempt, given_back.started_at) == (2, first)
