"""Model calls against the journal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.agents.conversation import Conversation
from worker.agents.journal import Place, no_longer_fits, too_large
from worker.agents.outlet import Written
from worker.agents.replay import Replay, Scope, Turn, scope_of_models, turn_of_tools
from worker.agents.values import fields_of, packed, unpacked
from worker.words.digests import GrowingDigest, digest


class Replayed(str):
    """Text of an answer from the journal: whoever streams knows it by its class, and tells it no second time."""

    __slots__ = ()


class ParsedCall(dict[str, Any]):
    """A tool call as it stands in the conversation, where a provider's stream would have pieces of one."""


def question_of(replay: Replay, model: Any, arguments: dict[str, Any]) -> "Question":
    """Make the journal's view of a model call; tool calls made from here on belong to it."""
    asker = arguments.get("run_response")
    agno_run_id = getattr(asker, "run_id", None) or ""
    conversation = replay.conversations.get(agno_run_id)
    if conversation is None:
        conversation = replay.conversations[agno_run_id] = Conversation(model.assistant_message_role, replay.contents)
    position, said = conversation.follow(arguments["messages"])
    content = _Content([model.id, _tool_names(arguments.get("tools"))], said, conversation.digest)
    scope = scope_of_models.get() or Scope()
    scope.asks += 1
    owner = getattr(asker, "agent_id", None) or getattr(asker, "team_id", None)
    if owner is None:  # a helper of Agno's, such as the one that keeps memories
        owner = f"~{content.match}"
    elif replay.by_beginning:
        owner = f"{owner}~{digest(content.said[:1])}"
    path = (*scope.path, owner)
    turn_of_tools.set(Turn(path, position))
    return Question(replay, path, position, content, agno_run_id, bool(scope.path))


class _Content:
    """What a model is asked, and its digest: made when it is wanted, since a first attempt often never does."""

    def __init__(self, head: list[Any], said: list[list[Any]], growing: GrowingDigest) -> None:
        self.said = said
        self._head = head
        self._growing = growing
        self._match = ""

    @property
    def match(self) -> str:
        """The digest."""
        self._match = self._match or self._growing.of(self._head, self.said)
        return self._match


@dataclass(slots=True, eq=False)
class Question:
    """A model call.

    Args:
        replay: The run's.
        path: Who asks.
        position: At how many messages.
        content: What is asked.
        agno_run_id: The run of Agno's that asks.
        is_nested: Whether that is a member's.
    """

    replay: Replay
    path: tuple[str, ...]
    position: int
    content: _Content
    agno_run_id: str
    is_nested: bool
    _is_known: bool = False
    _deltas: list[Any] = field(default_factory=list[Any])
    _pieces: list[Any] = field(default_factory=list[Any])

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.replay.run_id, self.path, "model", str(self.position), self.content.match)

    def known(self) -> list[Any] | None:
        """The answer in its pieces, if an earlier attempt has it. Raises what that one met instead of an answer."""
        journal = self.replay.journal
        entry = journal.take(self.place) if journal.has_entries else None
        if entry is None:
            self.replay.take_back()
            return None
        self._is_known = True
        if "failure" in entry.value:
            raise _failure(entry.value["failure"])
        return [_answer(each) for each in entry.value["answer"]]

    def begin_stream(self) -> None:
        """Its answer is about to stream."""
        self.replay.begin_stream(self.agno_run_id)

    def hear(self, delta: Any) -> None:
        """Take a piece of the answer, before anybody else may change it."""
        self._pieces += delta.tool_calls or []
        said = _pack_answer(delta, without_calls=True)
        last = self._deltas[-1] if self._deltas else None
        if last is not None and said.keys() == last.keys() == {"role", "content"} and said["role"] == last["role"]:
            last["content"] += said["content"]
        else:
            self._deltas.append(said)

    def heard(self, model: Any) -> None:
        """All pieces have come."""
        calls = model.parse_tool_calls(self._pieces) if self._pieces else []
        if calls:
            self._deltas.append({"tool_calls": packed(calls)})
        closes = self.replay.end_stream(self.agno_run_id, complete=True)
        self._note(self._deltas, has_calls=bool(calls), closes=closes)

    def answered(self, answer: Any) -> None:
        """The answer has come in one piece."""
        with_ids(answer.tool_calls or [])
        self._note([_pack_answer(answer)], has_calls=bool(answer.tool_calls))

    def broke_off(self) -> None:
        """Its stream has ended before its answer was complete."""
        self.replay.end_stream(self.agno_run_id, complete=False)

    def failed(self, error: Exception) -> None:
        """No answer came. A member's leader goes on with that, so for the leader it is a result like any other."""
        if not self.is_nested or self._is_known:
            return
        if self.replay.is_leaving:
            raise self.replay.suspend() from error
        code = getattr(error, "status_code", None)
        failure = {"text": str(error), "status_code": code, "provider": type(error).__module__.startswith("agno.")}
        self._forget_outdated()
        self.replay.note(self.place, {"failure": failure}, (), _WHAT)

    def _note(self, answer: list[Any], *, has_calls: bool, closes: bool = False) -> None:
        self._forget_outdated()
        if has_calls:
            self.replay.outlet.add(*self._written(answer, closes=closes))
        else:
            self.replay.outlet.hold(lambda: self._written(answer, closes=closes))

    def _written(self, answer: list[Any], *, closes: bool) -> Written:
        row = self.replay.journal.row(self.place, {"answer": answer}, closes=closes)
        return ((), [row]) if row else ([too_large(_WHAT)], ())

    def _forget_outdated(self) -> None:
        row = self.replay.journal.outdated(self.replay.run_id, self.path)
        if row is not None:
            self.replay.outlet.add([no_longer_fits()], [row])


_WHAT = "An answer of the model"


def with_ids(calls: Sequence[dict[str, Any]]) -> None:
    """Give an id to tool calls whose provider gives none: the same one whenever it is asked."""
    turn = turn_of_tools.get() or Turn()
    for index, call in enumerate(calls):
        if not call.get("id"):
            call["id"] = f"call_{digest([turn.path, turn.position, index])[:16]}"


def _tool_names(tools: Any) -> list[str]:
    return sorted(str((each.get("function") or each).get("name")) for each in tools or () if isinstance(each, dict))


def _pack_answer(answer: Any, *, without_calls: bool = False) -> dict[str, Any]:
    """The fields of a ModelResponse that say something."""
    left_out = _NOT_IN_PIECES if without_calls else _MADE_ANEW
    fields = fields_of(answer) or {}
    return {name: each if type(each) is str else packed(each) for name, each in fields.items() if name not in left_out}


_MADE_ANEW = frozenset({"created_at", "event"})
"""Fields of an answer that are made anew when it is given again."""

_NOT_IN_PIECES = _MADE_ANEW | {"tool_calls"}
"""And those that are put together of all pieces of a stream."""


def _answer(fields: dict[str, Any]) -> Any:
    from agno.models.response import ModelResponse

    known = unpacked(fields)
    if isinstance(known.get("content"), str):
        known["content"] = Replayed(known["content"])
    if known.get("tool_calls"):
        known["tool_calls"] = [ParsedCall(each) for each in known["tool_calls"]]
    return ModelResponse(**known)


def _failure(failure: dict[str, Any]) -> Exception:
    from agno.exceptions import ModelProviderError

    if failure["provider"] and failure["status_code"]:
        return ModelProviderError(failure["text"], failure["status_code"])
    return RuntimeError(failure["text"])
