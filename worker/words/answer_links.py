"""Links by which somebody answers one request without a key: signed, so that the link alone is the right to answer.

A link names the request as it was asked at one time. Once that is answered, or asked anew, the link fits nothing.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, TypeVar

from worker.words.errors import ModuleException, NotFound
from worker.words.events import TaskUpdateEvent
from worker.words.requests import REQUESTS, InputRequest, OpenRequest, open_requests
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import TaskRecord

PAGE = "/ui/answer"
LINK_SECONDS = 7 * 86_400  # a chat message may lie over a weekend; whenever a request is read its link is made anew
STEP_SECONDS = 3600  # ends of validity are rounded up, so that the same request keeps its link for an hour
SECRET = "answer links"  # noqa: S105 - the name of a secret, not the secret
SECRET_PERIOD_SECONDS = 10 * 86_400  # the secret before is accepted, too: longer than any link holds
TOKEN_CHARACTERS = 2000

Sign = Callable[[str, InputRequest], str]
"""Makes the link of a request: of which task, and what is asked."""

Told = TypeVar("Told", bound=TaskRecord | TaskUpdateEvent | OpenRequest)


class LinkUsedUp(ModuleException):
    """This link cannot be used any more."""

    status = 410


@dataclass(frozen=True, slots=True)
class AnswerLink:
    """What a link says.

    Args:
        organization_id: Whose task.
        task_id: The task.
        request_id: What of it is answered.
        asked: When that was asked, in microseconds since 1970: what is asked anew has another link.
        expires: Until when it holds, in seconds since 1970.
        by: What the key is known by through which the link was told; empty: a process of the operator's told it.
    """

    organization_id: str
    task_id: str
    request_id: str
    asked: int
    expires: int
    by: str

    @classmethod
    def of(cls, organization_id: str, task_id: str, request: InputRequest, now: float, by: str = "") -> "AnswerLink":
        """The link of a request: it holds a week, and no longer than its deadline."""
        expires = (int(now) + LINK_SECONDS) // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS
        if request.answer_by is not None:
            expires = min(expires, int(request.answer_by.timestamp()))
        return cls(organization_id, task_id, request.id, _microseconds(request.asked_at), expires, by)

    def url(self, base: str, secret: bytes) -> str:
        """Its address; what is secret stands in the query, which no log shows."""
        text = json.dumps(astuple(self), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        return f"{base.rstrip('/')}{PAGE}?token={_encoded(text)}.{_encoded(_signature(secret, text))}"

    @classmethod
    def read(cls, token: str, secrets: Sequence[bytes], now: float) -> "AnswerLink":
        """Read a token.

        Raises:
            NotFound: It was not signed by any of the secrets.
            LinkUsedUp: It has expired.
        """
        body, _, signature = token[:TOKEN_CHARACTERS].partition(".")
        try:
            text, given = _decoded(body), _decoded(signature)
        except (binascii.Error, ValueError):
            text, given = b"", b""
        if not any(hmac.compare_digest(_signature(each, text), given) for each in secrets):
            raise NotFound("This link is none of ours: it may have been cut off when it was copied.")
        link = cls(*json.loads(text.decode("utf-8", "surrogatepass")))  # it is signed: we wrote it
        if link.expires < now:
            raise LinkUsedUp(
                description="This link has expired. The task may still wait: whoever sent the link can get a new one."
            )
        return link

    def fits(self, task: TaskRecord) -> InputRequest:
        """What it answers, as the task asks it now. Raises: LinkUsedUp."""
        waits = open_requests(task.hitl_request) if task.status is AgentExecutionStatus.Paused else []
        for each in waits:
            if each.id == self.request_id and _microseconds(each.asked_at) == self.asked:
                return each
        raise LinkUsedUp(description="This was answered before, or is not asked any more.")


def linked(record: Told, sign: Sign) -> Told:
    """A record in which each open request has its link.

    Args:
        record: A task, an event, or a request of an inbox.
        sign: Makes the links.
    """
    if isinstance(record, OpenRequest):
        return record.model_copy(update={"answer_url": sign(record.task_id, record)})
    if isinstance(record, TaskUpdateEvent):
        data: Any = record.data
        if isinstance(data, InputRequest):
            data = data.model_copy(update={"answer_url": sign(record.task_id, data)})
        elif isinstance(data, TaskRecord):
            data = linked(data, sign)
        return record if data is record.data else record.model_copy(update={"data": data})
    if record.status is not AgentExecutionStatus.Paused or not open_requests(record.hitl_request):
        return record
    listed = [_with_link(each, record, sign) for each in (record.hitl_request or {})[REQUESTS]]
    return record.model_copy(update={"hitl_request": {**(record.hitl_request or {}), REQUESTS: listed}})


def needs_links(record: TaskRecord | TaskUpdateEvent | OpenRequest) -> bool:
    """Whether there is a request in it that could have a link."""
    data: Any = record.data if isinstance(record, TaskUpdateEvent) else record
    if isinstance(data, TaskRecord):
        return data.status is AgentExecutionStatus.Paused and bool(data.hitl_request)
    return isinstance(data, InputRequest)


def _with_link(listed: dict[str, Any], task: TaskRecord, sign: Sign) -> dict[str, Any]:
    request = InputRequest.model_validate(listed)
    if request.answered_at is not None:
        return listed
    return {**listed, "answer_url": sign(task.id, request)}


def _microseconds(asked_at: datetime | None) -> int:
    return 0 if asked_at is None else round(asked_at.timestamp() * 1_000_000)


def _signature(secret: bytes, text: bytes) -> bytes:
    return hmac.digest(secret, text, hashlib.sha256)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii", "replace") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
