"""Where in a run code stands: the chain of agents, steps and tools above a call.

The frame in hand is a context variable, so tasks and threads that inherit their context know it too. Outside a run of
ours there is none, and the hooks do nothing.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from worker.agents.journal import Scope
from worker.agents.runs.conversation import Conversation
from worker.agents.translation.values import packed, unpacked
from worker.current import Position, call_in_hand, position
from worker.words.digests import digest

if TYPE_CHECKING:
    from worker.agents.instrumentation.step_pauses import PausedWorkflow
    from worker.agents.runs.agent_run import AgentRun

T = TypeVar("T")

UNKNOWN = object()
"""The session state of a run before its first tool call."""


@dataclass(slots=True, eq=False)
class Frame:
    """One level: a run of an agent, team or workflow, a workflow's step, or a tool call.

    Args:
        run: The run of ours that it belongs to.
        owner: Agno's object: the agent, team, workflow or step, or the function call.
        open_scope: Makes its scope in the journal, which most tool calls never need.
        parent: What made it; None for the run itself.
        run_id: Agno's id of the run, empty where it is none.
        given: What a run was given as its input.
        member: Who it is in events: the name or id of a team's member or of an agent within; None for the run itself.
    """

    run: "AgentRun"
    owner: Any
    open_scope: Callable[[], Scope]
    parent: "Frame | None" = None
    run_id: str = ""
    given: Any = None
    member: str | None = None
    response: Any = None  # Agno's RunOutput, known once its model is asked
    home: Position = field(default_factory=position)
    conversations: dict[int, Conversation] = field(default_factory=dict[int, Conversation])
    hooks: Counter[str] | None = None  # how often each has begun
    calls: Counter[str] | None = None  # of tools whose number is limited, by name
    noted_state: Any = UNKNOWN  # the session state after the last tool call, as JSON has it
    noted_references: int = 0  # how many of the run's references are noted
    results: Counter[str] | None = None  # stored tool results, by the call's id
    made_ids: int = 0
    servers: list[Any] = field(default_factory=list[Any])  # MCP connections that the run uses
    databases: list[Any] = field(default_factory=list[Any])  # toolkits that are connected for it
    is_users: bool = False  # the user's own code has made it
    held: "PausedWorkflow | None" = None  # where it has paused, if it is a workflow
    pauses: int = 0  # how often it has
    is_paused: bool = False  # something within it waits for a person
    is_live: bool = False  # something within it is made that no earlier attempt has completed
    _scope: Scope | None = None

    @property
    def scope(self) -> Scope:
        """Its scope in the journal."""
        if self._scope is None:
            self._scope = self.open_scope()
        return self._scope

    @property
    def has_scope(self) -> bool:
        """Whether anything has asked for its scope."""
        return self._scope is not None

    def path(self) -> Iterator["Frame"]:
        """The frame itself, what made it, and so on up to the run."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent

    def goes_live(self) -> None:
        """A call within it is made that no earlier attempt has completed."""
        for each in self.path():
            if each.is_live:
                return
            each.is_live = True

    def is_covered(self) -> bool:
        """Whether the user has said what follows a failed call within it: another model, or retries of Agno's."""
        return is_covered([each.owner for each in self.path()][::-1])

    def begins_again(self) -> None:
        """Agno starts its run once more, within this attempt: what was completed is answered, not done again."""
        if self.conversations or (self.has_scope and any(each.identity for each in self.scope.children)):
            self.scope.has_failed = True
            self.run.journal.restart(self.scope)
            self.conversations.clear()
            self.hooks = self.results = self.calls = None
            self.noted_state, self.noted_references = UNKNOWN, 0

    def calls_tool(self, name: str) -> int:
        """Count a call of a tool; returns which one it is in this run."""
        self.calls = self.calls or Counter()
        self.calls[name] += 1
        return self.calls[name]

    def new_references(self) -> Any:
        """What was added to its references since they were last noted, as Agno's search does; None if nothing was."""
        added = self._references()[self.noted_references :]
        self.noted_references += len(added)
        return packed(added) if added else None

    def restore_references(self, noted: Any) -> None:
        """Add what an earlier attempt noted here."""
        if noted and self.response is not None:
            references, known = self._references(), self.noted_references
            restored = unpacked(noted)
            self.response.references = [*references[:known], *restored, *references[known:]]
            self.noted_references += len(restored)

    def _references(self) -> list[Any]:
        return getattr(self.response, "references", None) or []

    def hook_begins(self, name: str) -> None:
        """A hook is about to be called: it has an idempotency key of its own."""
        self.hooks = self.hooks or Counter()
        self.hooks[name] += 1
        call_in_hand.set(partial(self._hook_key, name, self.hooks[name]))

    def _hook_key(self, name: str, number: int) -> str:
        return f"{self.run.record.id}:{name}:{digest([self.scope.key, name, number])[:12]}"


def is_covered(owners: Sequence[Any]) -> bool:
    """Whether the user has said what follows a failed call: another model of who makes it, or retries of Agno's.

    Args:
        owners: Who makes it, the outermost first.
    """
    fallbacks = getattr(owners[-1], "fallback_config", None) if owners else None
    return bool(getattr(fallbacks, "has_fallbacks", False)) or any(_retries(each) for each in owners)


def _retries(owner: Any) -> bool:
    """Whether a run, or a step, is configured to begin anew when it fails."""
    if hasattr(owner, "max_retries") and hasattr(owner, "skip_on_failure"):
        return owner.max_retries not in (0, step_retries())
    retries = getattr(owner, "retries", 0)
    return isinstance(retries, int) and retries > 0


@cache
def step_retries() -> int:
    """How often Agno tries a step again of which nobody has said how often."""
    from agno.workflow import Step

    return signature(Step).parameters["max_retries"].default


@dataclass(slots=True)
class Turn:
    """The model answer that tool calls come from.

    Args:
        conversation: In which it was given.
        position: After how many messages.
        drops_calls: Whether the answer's tool calls do not count: it was cut, or should have been the last.
    """

    conversation: Conversation
    position: int
    drops_calls: bool = False


class Place(NamedTuple):
    """Where a tool call stands.

    Args:
        owner: The agent or team in whose run it is made.
        helper: Of Agno's, which makes it on the side; None: the agent itself.
        home: The scope of whoever makes it.
        at: After how many messages of the conversation, and the call's id.
    """

    owner: Frame
    helper: str | None
    home: Scope
    at: str

    @property
    def member(self) -> str | None:
        """Who makes it, in events."""
        return f"agno.{self.helper}" if self.helper else self.owner.member


def place_of(frame: Frame, turn: Turn | None, call_id: str | None) -> Place:
    """Find where a tool call stands.

    Args:
        frame: Who calls: the agent or team, or the tool within which code calls another.
        turn: The answer that asks for it; None means code does.
        call_id: Its id.
    """
    owner = next((each for each in frame.path() if each.run_id), frame)
    if turn is None:
        return Place(owner, None, frame.scope, f".{call_id or ''}")
    return Place(owner, turn.conversation.helper, turn.conversation.scope, f"{turn.position}.{call_id or ''}")


frame_in_hand: ContextVar[Frame | None] = ContextVar("frame_in_hand", default=None)
turn_in_hand: ContextVar[Turn | None] = ContextVar("turn_in_hand", default=None)


@contextmanager
def within(frame: Frame | None, key: Callable[[], str] | None = None) -> Generator[None]:
    """Have a frame in hand for a while.

    Args:
        frame: Which.
        key: Makes the idempotency key of what is called, if it has one.
    """
    frame_token, key_token, turn_token = frame_in_hand.set(frame), call_in_hand.set(key), turn_in_hand.set(None)
    try:
        yield
    finally:
        turn_in_hand.reset(turn_token)
        call_in_hand.reset(key_token)
        frame_in_hand.reset(frame_token)


async def awaited(result: Awaitable[T], frame: Frame, key: Callable[[], str] | None = None) -> T:
    """Await something with a frame in hand."""
    with within(frame, key):
        return await result


async def streamed(items: AsyncIterator[T], frame: Frame, key: Callable[[], str] | None = None) -> AsyncIterator[T]:
    """Pass on what an iterator yields. The frame is in hand only while the iterator runs, not while its reader does."""
    turn: Turn | None = None
    try:
        while True:
            with within(frame, key):
                turn_in_hand.set(turn)
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                finally:
                    turn = turn_in_hand.get()
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            with within(frame, key):
                await close()


def streamed_sync(items: Iterator[T], frame: Frame, key: Callable[[], str] | None = None) -> Iterator[T]:
    """Do the same for a plain iterator."""
    turn: Turn | None = None
    try:
        while True:
            with within(frame, key):
                turn_in_hand.set(turn)
                try:
                    item = next(items)
                except StopIteration:
                    return
                finally:
                    turn = turn_in_hand.get()
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
