"""What passes between a worker and its platform: who it is, what it can take, what it is given."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.words.conversations import Mode
from worker.words.events import TaskUpdateEvent
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord
from worker.words.tools import ToolRecord


@dataclass(frozen=True, slots=True)
class Subscription:
    """A handler's wish for events.

    Args:
        agent_id: Of which agent's tasks; None means any.
        retries: How often an event is delivered before it is set aside; not part of what tells wishes apart.
        needs: A setting, such as ``webhook_url``; events of a task that has none of it are not wanted.
    """

    handler: str
    event_type: TaskUpdateEventType
    agent_id: str | None = None
    retries: RetryPolicy = field(default=DELIVERY_RETRIES, compare=False)
    needs: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class DeliveryDemand:
    """How many deliveries a worker can take now.

    Args:
        total: In all.
        each: At most so many of each of its subscriptions; one that is not named may have them all.
    """

    total: int
    each: Mapping[Subscription, int] = field(default_factory=dict[Subscription, int])

    def most(self, subscription: Subscription) -> int:
        """At most so many of one subscription."""
        return max(0, min(self.total, self.each.get(subscription, self.total)))


@dataclass(frozen=True, slots=True)
class WorkerCard:
    """A worker, one process, as it introduces itself.

    Args:
        id: Unique in all time.
        name: For people: the dyno, the host and process number.
        agents: The agents its handlers name; they are announced to the platform.
        any_agent: Whether it also serves agents that no handler names.
        concurrency: How many tasks it runs at once.
        lease_seconds: How long its hold on a task outlives its last sign of life.
        isolates: Whether it runs suspects alone in a process of their own, so that its own death says nothing of them.
        tools: The tools that it has for its agents.
        reads_documents: Whether it serves the tasks that read documents of knowledge bases, too.
        conversations: What its handlers say of a second task of a conversation, by agent; ``ANY_AGENT`` for agents
            that none names.
    """

    id: str
    name: str
    agents: tuple[str, ...] = ()
    any_agent: bool = False
    concurrency: int = 10
    lease_seconds: float = 30.0
    subscriptions: tuple[Subscription, ...] = ()
    isolates: bool = False
    tools: tuple[ToolRecord, ...] = ()
    reads_documents: bool = False
    conversations: Mapping[str, Mode] = field(default_factory=dict[str, Mode])


@dataclass(frozen=True, slots=True)
class Demand:
    """How many tasks a worker can start now.

    Args:
        total: In all; 0 means none.
        agents: At most so many of each agent that a handler names.
        others: At most so many of agents that none names.
        suspects: At most so many, among them, of tasks that ran when their worker died, more than once; None: such a
            task is as any other.
    """

    total: int
    agents: dict[str, int] = field(default_factory=dict[str, int])
    others: int = 0
    suspects: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerWear:
    """How worn a worker is, as it says itself.

    Args:
        hung_threads: Threads that go on though nobody waits for them.
        memory: Bytes that its process uses.
        runs: How many runs of handlers have ended.
        recent: The tasks of the last five of them, the newest first.
        troubles: What hangs, and what has held the event loop lately: where the code stands, in a line each.
    """

    hung_threads: int
    memory: int
    runs: int
    recent: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


MOST_TROUBLES = 10  # that a worker tells of at once
TROUBLE_CHARACTERS = 300


class Assignment(NamedTuple):
    """A task that a worker now owns, under this attempt."""

    task: TaskRecord
    attempt: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for a subscribed handler. ``claim`` fences it as the attempt fences a task."""

    subscription: Subscription
    subscription_id: int
    event: TaskUpdateEvent
    task: TaskRecord
    claim: int
    tries: int = 0


class JournalEntry(NamedTuple):
    """A completed step of a run: its key, and its value as JSON text.

    Args:
        reference: Of the stored file that holds the value, where it is too large for a row; ``value`` is null then.
    """

    key: str
    value: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file. ``reference`` is ``worker:<sha256>/<name>``."""

    reference: str
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class KeptFile:
    """What one of a task's files held when it was first read.

    Args:
        url_digest: Of the URL by which the task names it, see ``url_digest``.
        reference: What ``open_file`` knows its content by.
        media_type: The Content-Type that it came with, as it was sent; empty: none came.
        name: The file name that came with it; empty: none came.
        size: In bytes.
    """

    url_digest: str
    reference: str
    media_type: str = ""
    name: str = ""
    size: int = 0


def url_digest(url: str) -> str:
    """What a file's URL is known by where it is kept: it may hold a signature, which nobody else need read."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
