"""Values exchanged between a worker and its platform: its identity and capacity, and the work assigned to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from worker.words.conversations import Mode
from worker.words.digests import digest_of
from worker.words.events import TaskUpdateEvent
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord
from worker.words.tools import ToolRecord


@dataclass(frozen=True, slots=True)
class Subscription:
    """A handler's subscription to events.

    Args:
        agent_id: Only events of this agent's tasks; None means any agent's.
        retries: How often delivery is tried before an event is set aside; not part of a subscription's identity.
        needs: A setting, such as ``webhook_url``, without which a task's events are not wanted.
    """

    handler: str
    event_type: TaskUpdateEventType
    agent_id: str | None = None
    retries: RetryPolicy = field(default=DELIVERY_RETRIES, compare=False)
    needs: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class DeliveryDemand:
    """The number of deliveries that a worker can accept now.

    Args:
        total: The total number.
        each: The limit for each of its subscriptions; a subscription that is missing is limited by the total alone.
    """

    total: int
    each: Mapping[Subscription, int] = field(default_factory=dict[Subscription, int])

    def most(self, subscription: Subscription) -> int:
        """Return the maximum number of deliveries for one subscription."""
        return max(0, min(self.total, self.each.get(subscription, self.total)))


@dataclass(frozen=True, slots=True)
class WorkerCard:
    """A worker process, as it introduces itself to the platform.

    Args:
        id: A globally unique id.
        name: A name for people: the dyno, or the host and process number.
        agents: The agents that its handlers name; they are announced to the platform.
        any_agent: Whether it also serves agents that no handler names.
        concurrency: The number of tasks it runs concurrently.
        lease_seconds: How long its hold on tasks outlives its last sign of life.
        isolates: Whether it runs suspect tasks alone in their own process, so that its own death implicates none of
            them.
        tools: The tools that it has for its agents.
        reads_documents: Whether it also serves the tasks that read documents of knowledge bases.
        conversations: How its handlers treat concurrent tasks of a conversation, by agent; ``ANY_AGENT`` for agents
            that no handler names.
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
    """The number of tasks that a worker can start now.

    Args:
        total: The total number; 0 means none.
        agents: The limit for each agent that a handler names.
        others: The limit for agents that no handler names.
        suspects: The limit, within the total, for tasks whose worker died more than once while they ran; None means
            that such tasks are treated like any other.
    """

    total: int
    agents: dict[str, int] = field(default_factory=dict[str, int])
    others: int = 0
    suspects: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerWear:
    """The wear of a worker, as it reports it.

    Args:
        hung_threads: The number of threads that still run although nothing waits for them.
        memory: The memory of its process in bytes.
        runs: The number of handler runs that have ended.
        recent: The tasks of the last five of those runs, newest first.
        troubles: Code that hangs, or recently held the event loop, as one line each.
    """

    hung_threads: int
    memory: int
    runs: int
    recent: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


MAX_TROUBLES = 10  # per report
TROUBLE_CHARACTERS = 300


class Assignment(NamedTuple):
    """A task that a worker owns under the given attempt."""

    task: TaskRecord
    attempt: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for a subscribed handler. ``claim`` fences it, as the attempt fences a task."""

    subscription: Subscription
    subscription_id: int
    event: TaskUpdateEvent
    task: TaskRecord
    claim: int
    tries: int = 0


class JournalEntry(NamedTuple):
    """A completed step of a run: its key, and its value as JSON text.

    Args:
        reference: The stored file with the value, if it is too large for a row; ``value`` is then ``null``.
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
    """The content of one of a task's files when it was first read.

    Args:
        url_digest: The digest of the URL by which the task names the file, see ``url_digest``.
        reference: The reference of the content for ``open_file``.
        media_type: The Content-Type as received; empty if there was none.
        name: The file name as received; empty if there was none.
        size: The size in bytes.
    """

    url_digest: str
    reference: str
    media_type: str = ""
    name: str = ""
    size: int = 0


def url_digest(url: str) -> str:
    """Return the digest that stands for a file's URL, since the URL may contain a signature that must stay secret."""
    return digest_of(url)
