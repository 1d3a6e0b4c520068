"""Signed links that authorize their holder to answer one request of a task without a key.

A link names a request and the time at which it was asked. It is void once that request is answered or asked again.
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
LINK_SECONDS = 7 * 86_400  # a chat message may wait over a weekend; every read of a request makes a fresh link
STEP_SECONDS = 3600  # expiry times are rounded up, so that a request keeps the same link for an hour
SECRET = "answer links"  # noqa: S105 - the name of a secret, not the secret
SECRET_PERIOD_SECONDS = 10 * 86_400  # the previous secret is accepted as well, so this must outlast every link
TOKEN_CHARACTERS = 2000

Sign = Callable[[str, InputRequest], str]
"""A function that returns the link of a request, given the task's id and the request."""

LinkedRecord = TypeVar("LinkedRecord", bound=TaskRecord | TaskUpdateEvent | OpenRequest)


class LinkUsedUp(ModuleException):
    """This link can no longer be used."""

    status = 410


@dataclass(frozen=True, slots=True)
class AnswerLink:
    """The claims that a link carries.

    Args:
        organization_id: The organization that owns the task.
        task_id: The task.
        request_id: The request of the task that may be answered.
        asked: When the request was asked, in microseconds since 1970: a request that is asked again needs a new link.
        expires: When the link expires, in seconds since 1970.
        by: The public name of the key that read the link; empty if a process of the operator did.
    """

    organization_id: str
    task_id: str
    request_id: str
    asked: int
    expires: int
    by: str

    @classmethod
    def of(cls, organization_id: str, task_id: str, request: InputRequest, now: float, by: str = "") -> "AnswerLink":
        """Create the link for a request. It is valid for a week, but never beyond the request's deadline."""
        expires = (int(now) + LINK_SECONDS) // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS
        if request.answer_by is not None:
            expires = min(expires, int(request.answer_by.timestamp()))
        return cls(organization_id, task_id, request.id, _microseconds(request.asked_at), expires, by)

    def url(self, base: str, secret: bytes) -> str:
        """Return the URL of the link. The secret part is in the query string, which no log shows."""
        text = json.dumps(astuple(self), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        return f"{base.rstrip('/')}{PAGE}?token={_encoded(text)}.{_encoded(_signature(secret, text))}"

    @classmethod
    def read(cls, token: str, secrets: Sequence[bytes], now: float) -> "AnswerLink":
        """Verify and decode a token.

        Raises:
            NotFound: The token was not signed with any of the secrets.
            LinkUsedUp: The link has expired.
        """
        body, _, signature = token[:TOKEN_CHARACTERS].partition(".")
        try:
            text, given = _decoded(body), _decoded(signature)
        except (binascii.Error, ValueError):
            text, given = b"", b""
        if not any(hmac.compare_digest(_signature(each, text), given) for each in secrets):
            raise NotFound("This link is not valid. It may have been truncated when it was copied.")
        link = cls(*json.loads(text.decode("utf-8", "surrogatepass")))  # trusted, since the signature is ours
        if link.expires < now:
            raise LinkUsedUp(
                description="This link has expired. If the task is still waiting, the sender of the link can get a"
                " new one."
            )
        return link

    def fits(self, task: TaskRecord) -> InputRequest:
        """Return the open request of the task that this link may answer.

        Raises:
            LinkUsedUp: The request was answered, or is no longer asked.
        """
        waits = open_requests(task.hitl_request) if task.status is AgentExecutionStatus.Paused else []
        for each in waits:
            if each.id == self.request_id and _microseconds(each.asked_at) == self.asked:
                return each
        raise LinkUsedUp(description="This request has already been answered, or is no longer open.")


def linked(record: LinkedRecord, sign: Sign) -> LinkedRecord:
    """Return a copy of a record in which every open request has its link.

    Args:
        record: A task, an event, or a request from an inbox.
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
    """Return whether a record contains a request that could have a link."""
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
