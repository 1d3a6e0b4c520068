"""The state machine as its page has it: what each change makes of a task in each status."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.engine.state.client_changes import Abandon, Retry, Stop
from worker.engine.state.families import AWAITS, Wake
from worker.engine.state.release import Release
from worker.engine.state.requests import AnswerRequests, ExpireRequests
from worker.engine.state.rows import Change, Row
from worker.engine.state.run_changes import Append, Crash, Finish, GiveBack, Save
from worker.engine.state.signals import Signal
from worker.words.errors import Conflict, LeaseLost
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.providers import ProviderState
from worker.words.requests import REQUESTS, InputAnswer, InputRequest, RequestKind
from worker.words.retry import CRASHES
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType

PAGE = Path(__file__).resolve().parents[2] / "docs" / "internals" / "state-machine.md"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OF = ("o", "t")
NOTE = NewEvent(type=TaskUpdateEventType.Note, data={"text": "x"})
ASKED = InputRequest.create(["here"], RequestKind.Question, question="?", agent="a")

CHANGES: dict[str, Change] = {
    "`Append`, of the owner": Append(*OF, 1, [NOTE]),
    "`Append`, of anybody": Append(*OF, None, [NOTE]),
    "`Save`, of the owner": Save(*OF, 1, {"title": "x"}),
    "`Finish` as `completed`": Finish(*OF, 1, Outcome(Status.Completed)),
    "`Finish` as `error`": Finish(*OF, 1, Outcome(Status.Error)),
    "`Finish` as `failed`": Finish(*OF, 1, Outcome(Status.Failed)),
    "`Finish` as `paused`": Finish(*OF, 1, Outcome(Status.Paused)),
    "`GiveBack`": GiveBack(*OF, 1, HandBack()),
    "`Crash`, the first": Crash(*OF, 1, "died"),
    "`Crash`, the third": Crash(*OF, 1, "died"),
    "`Release`": Release(*OF, "w"),
    "`Stop`": Stop(*OF),
    "`Retry`": Retry(*OF),
    "`AnswerRequests`": AnswerRequests(*OF, [InputAnswer(approve=True)], "somebody", 0),
    "`ExpireRequests`": ExpireRequests(*OF),
    "`Signal`": Signal(*OF, "go"),
    "`Wake`": Wake(*OF),
    "`Abandon`": Abandon(*OF, ProviderState(id="p", failures=3, error_code="quota", message="m")),
}


def row(status: Status, name: str) -> Row:
    state = {"hitl_request": {REQUESTS: [ASKED.model_dump(mode="json", exclude_none=True)]}, AWAITS: True}
    crashes = CRASHES - 1 if "third" in name else 0
    worker = "w" if status is Status.Executing else None
    return Row("t", "o", "a", status, 1, 0, crashes, 0, worker, 2, NOW, state)


def what_becomes(change: Change, name: str, status: Status) -> str:
    task = row(status, name)
    try:
        effect = change.decide(task)
    except LeaseLost:
        return "409, lost"
    except Conflict:
        return "409"
    if task.status != status:
        return f"**{task.status}**"
    return "noted" if effect.events or task.changed else "nothing"


def lines() -> Iterator[str]:
    statuses = list(Status)
    yield f"| | {' | '.join(f'`{each}`' for each in statuses)} |"
    yield f"|---|{'---|' * len(statuses)}"
    for name, change in CHANGES.items():
        yield f"| {name} | {' | '.join(what_becomes(change, name, each) for each in statuses)} |"


def test_its_page_says_what_each_change_makes_of_each_status() -> None:
    table = "\n".join(lines())
    shown = re.search(r"^\| \| .*?(?=\n\n|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert shown[0].strip() == table, f"the page should have:\n{table}"


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_refused_changes_nothing(name: str) -> None:
    for status in Status:
        task = row(status, name)
        before = task.pristine_copy()
        if what_becomes(CHANGES[name], name, status).startswith("409"):
            with pytest.raises(Conflict):
                CHANGES[name].decide(task)
            assert task == before
