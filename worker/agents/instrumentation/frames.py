"""The position of code within a run: the chain of agents, steps and tools above a call.

The current frame is a context variable, so tasks and threads that inherit their context share it. Outside a run of the
worker there is no frame, and the hooks do nothing.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from worker.agents.journal import Scope
from worker.agents.runs.conversation import Conversation
from worker.agents.translation.values import packed, unpacked
from worker.current import Position, current_call_key, position
from worker.words.digests import digest

if TYPE_CHECKING:
    from worker.agents.instrumentation.steps.step_pauses import PausedWorkflow
    from worker.agents.runs.agent_run import AgentRun

T = TypeVar("T")

UNKNOWN = object()
"""Placeholder for the session state before a run's first tool call."""


@dataclass(slots=True, eq=False)
class Frame:
    """One level of a run: a run of an agent, team or workflow, a workflow's step, or a tool call.

    Args:
        run: The worker's run that the frame belongs to.
        owner: Agno's object: the agent, team, workflow or step, or the function call.
        open_scope: Opens the frame's scope in the journal, which most tool calls never need.
        parent: The enclosing frame; None for the run itself.
        run_id: Agno's id of the run; empty if the frame is not a run.
        given: The input of the run.
        member: The name in events: the name or id of a team's member or of a nested agent; None for the run itself.
    """

    run: "AgentRun"
    owner: Any
    open_scope: Callable[[], Scope]
    parent: "Frame | None" = None
    run_id: str = ""
    given: Any = None
    member: str | None = None
    response: Any = None  # Agno's RunOutput, known once the model is called
    home: Position = field(default_factory=position)
    conversations: dict[int, Conversation] = field(default_factory=dict[int, Conversation])
    hooks: Counter[str] | None = None  # how often each hook or other function of the user has been called
    calls: Counter[str] | None = None  # calls of tools with a call limit, by name
    noted_state: Any = UNKNOWN  # the session state after the last tool call, as JSON
    noted_references: int = 0  # how many of the run's references are journaled
    results: Counter[str] | None = None  # stored tool results, by the call's id
    made_ids: int = 0
    began: float | None = None  # when a tool call that every attempt makes began, as seconds since 1970
    servers: list[Any] = field(default_factory=list[Any])  # MCP connections that the run uses
    databases: list[Any] = field(default_factory=list[Any])  # toolkits that are connected for the run
    is_made_by_user_code: bool = False  # the run was made by the user's own code
    held: "PausedWorkflow | None" = None  # the pause of a paused workflow
    pauses: int = 0  # how often the workflow has paused
    is_paused: bool = False  # the frame or a nested one waits for a person
    is_live: bool = False  # the frame makes a call that no earlier attempt has completed
    _scope: Scope | None = None

    @property
    def scope(self) -> Scope:
        """The frame's scope in the journal."""
        if self._scope is None:
            # The journal belongs to the loop, and a tool's code may call another tool in a thread.
            self._scope = self.run.call(self.open_scope)
        return self._scope

    @property
    def has_scope(self) -> bool:
        """Whether the frame's scope has been opened."""
        return self._scope is not None

    def path(self) -> Iterator["Frame"]:
        """Yield the frame itself, its parent, and so on up to the run."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent

    def number_of(self, match: str) -> str:
        """Return what tells a tool call by a tool's code from equal ones before it; they have no ids.

        Args:
            match: A digest of the tool and its arguments.
        """
        if not hasattr(self.owner, "call_id"):  # a step that is tried again makes the same calls
            return ""
        self.calls = self.calls or Counter()
        self.calls[match] += 1
        number = self.calls[match]
        return f"#{number}" if number > 1 else ""

    def mark_live(self) -> None:
        """Mark the frame and its parents as making a call that no earlier attempt has completed."""
        for each in self.path():
            if each.is_live:
                return
            each.is_live = True

    def has_configured_recovery(self) -> bool:
        """Return whether the user has configured what follows a failed call: another model, or Agno's retries."""
        return has_configured_recovery([each.owner for each in self.path()][::-1])

    def restart(self) -> None:
        """Restart the scope when Agno repeats the run within this attempt, so that completed calls are replayed."""
        if self.conversations or (self.has_scope and any(each.identity for each in self.scope.children)):
            self.scope.has_failed = True
            self.run.journal.restart(self.scope)
            self.conversations.clear()
            self.hooks = self.results = self.calls = None
            self.noted_state, self.noted_references = UNKNOWN, 0

    def calls_tool(self, name: str) -> int:
        """Count a call of a tool and return the call's number in this run."""
        self.calls = self.calls or Counter()
        self.calls[name] += 1
        return self.calls[name]

    def new_references(self) -> Any:
        """Return the packed references that Agno's search has added since the last call; None if there are none."""
        added = self._references()[self.noted_references :]
        self.noted_references += len(added)
        return packed(added) if added else None

    def restore_references(self, noted: Any) -> None:
        """Add the references that an earlier attempt journaled at this place."""
        if noted and self.response is not None:
            references, known = self._references(), self.noted_references
            restored = unpacked(noted)
            self.response.references = [*references[:known], *restored, *references[known:]]
            self.noted_references += len(restored)

    def _references(self) -> list[Any]:
        return getattr(self.response, "references", None) or []

    def set_hook_key(self, name: str) -> None:
        """Set the idempotency key of a sync run's hook that is about to be called."""
        current_call_key.set(self._next_key(name))

    @contextmanager
    def calls_code(self, name: str) -> Generator[None]:
        """Set the idempotency key of a user's function for the duration of its call."""
        token = current_call_key.set(self._next_key(name))
        try:
            yield
        finally:
            current_call_key.reset(token)

    def _next_key(self, name: str) -> Callable[[], str]:
        self.hooks = self.hooks or Counter()
        self.hooks[name] += 1
        return partial(self._hook_key, name, self.hooks[name])

    def _hook_key(self, name: str, number: int) -> str:
        return f"{self.run.record.id}:{name}:{digest([self.scope.key, name, number])[:12]}"


def has_configured_recovery(owners: Sequence[Any]) -> bool:
    """Return whether the user has configured what follows a failed call: a fallback model, or Agno's retries.

    Args:
        owners: The agents, teams, workflows and steps that make the call, outermost first.
    """
    fallbacks = getattr(owners[-1], "fallback_config", None) if owners else None
    return bool(getattr(fallbacks, "has_fallbacks", False)) or any(_retries(each) for each in owners)


def _retries(owner: Any) -> bool:
    """Return whether a run or step is configured to restart when it fails."""
    if hasattr(owner, "max_retries") and hasattr(owner, "skip_on_failure"):
        return owner.max_retries not in (0, step_retries())
    retries = getattr(owner, "retries", 0)
    return isinstance(retries, int) and retries > 0


@cache
def step_retries() -> int:
    """Return Agno's default number of retries of a step."""
    from agno.workflow import Step

    return signature(Step).parameters["max_retries"].default


@dataclass(slots=True)
class Turn:
    """The model answer that tool calls come from.

    Args:
        conversation: The conversation of the answer.
        position: The number of messages before the answer.
        drops_calls: Whether the answer's tool calls are ignored: it was cut short, or should have been the last one.
    """

    conversation: Conversation
    position: int
    drops_calls: bool = False


class Place(NamedTuple):
    """The place of a tool call.

    Args:
        owner: The frame of the agent or team in whose run the call is made.
        helper: The Agno helper that makes the call; None for the agent itself.
        home: The scope of the caller.
        at: The number of messages before the call, and the call's id.
        match: A digest of the tool and its arguments.
    """

    owner: Frame
    helper: str | None
    home: Scope
    at: str
    match: str

    @property
    def mark(self) -> str:
        """A digest that is equal for the same call in every attempt, and for no other call."""
        return digest([self.home.key, self.at, self.match])

    def call_id(self, call: Any) -> str:
        """Return the id of a call in events; one that a tool's code makes has none of its own."""
        return call.call_id or f"call_{self.mark[:16]}"

    @property
    def member(self) -> str | None:
        """The caller's name in events."""
        return f"agno.{self.helper}" if self.helper else self.owner.member


def place_of(frame: Frame, turn: Turn | None, call_id: str | None, match: str = "") -> Place:
    """Return the place of a tool call.

    Args:
        frame: The frame of the caller: an agent or team, or a tool whose code calls another tool.
        turn: The answer that requests the call; None if code does.
        call_id: The call's id.
        match: A digest of the tool and its arguments, given once in a call: equal calls are numbered.
    """
    owner = next((each for each in frame.path() if each.run_id), frame)
    if turn is None:
        return Place(owner, None, frame.scope, f".{call_id or ''}{frame.number_of(match) if match else ''}", match)
    home = turn.conversation
    return Place(owner, home.helper, home.scope, f"{turn.position}.{call_id or ''}", match)


current_frame: ContextVar[Frame | None] = ContextVar("current_frame", default=None)
current_turn: ContextVar[Turn | None] = ContextVar("current_turn", default=None)


@contextmanager
def within(frame: Frame | None, key: Callable[[], str] | None = None) -> Generator[None]:
    """Set the current frame for the duration of a block.

    Args:
        frame: The frame.
        key: Makes the idempotency key of the code that is called, if it has one.
    """
    frame_token, key_token, turn_token = current_frame.set(frame), current_call_key.set(key), current_turn.set(None)
    try:
        yield
    finally:
        current_turn.reset(turn_token)
        current_call_key.reset(key_token)
        current_frame.reset(frame_token)


async def streamed(items: AsyncIterator[T], frame: Frame, key: Callable[[], str] | None = None) -> AsyncIterator[T]:
    """Pass on an iterator's items, with the frame set only while the iterator runs, not while its reader does."""
    turn: Turn | None = None
    try:
        while True:
            with within(frame, key):
                current_turn.set(turn)
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                finally:
                    turn = current_turn.get()
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            with within(frame, key):
                await close()


def streamed_sync(items: Iterator[T], frame: Frame, key: Callable[[], str] | None = None) -> Iterator[T]:
    """Sync version of ``streamed``."""
    turn: Turn | None = None
    try:
        while True:
            with within(frame, key):
                current_turn.set(turn)
                try:
                    item = next(items)
                except StopIteration:
                    return
                finally:
                    turn = current_turn.get()
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
