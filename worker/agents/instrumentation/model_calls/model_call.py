"""Model calls: answered from the journal if an earlier attempt has the answer, and journaled when they complete."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

from worker.agents.answers.completeness import Answered, cut_short, provider_error, says_something, settled, tokens_of
from worker.agents.answers.errors import AnswerError
from worker.agents.answers.reading import Reading, read_answers_of
from worker.agents.answers.unstreamed import ParsedCall
from worker.agents.errors import ensure_message
from worker.agents.event_buffer import Written
from worker.agents.instrumentation.frames import Frame, Turn, current_turn
from worker.agents.instrumentation.model_calls import steering
from worker.agents.instrumentation.model_calls.callers import ANSWERING, Caller
from worker.agents.instrumentation.model_calls.model_answers import (
    MADE_ANEW,
    NOT_IN_PIECES,
    append_piece,
    as_asked,
    assembled,
    failure_of,
    pack,
)
from worker.agents.instrumentation.model_calls.model_conversations import conversation_of, tool_names
from worker.agents.journal.rows import Number
from worker.agents.models.models import stand_in
from worker.agents.models.providers import provider_of
from worker.agents.runs.loops import keeps_tools, reason_to_end
from worker.agents.runs.state import FailedCall
from worker.agents.translation.values import ReplayedText, packed, unpacked
from worker.words.finish import FinishReason, is_whole
from worker.words.watching import ModelCallSpan as Stretch

WHAT = "An answer of the model"


class ModelCall:
    """One model call.

    Args:
        frame: The frame of the caller.
        model: The model.
        arguments: The arguments with which Agno calls the model.
        is_streamed: Whether the answer is streamed.
        caller: The caller, if the stack does not show it.
    """

    def __init__(
        self, frame: Frame, model: Any, arguments: dict[str, Any], *, is_streamed: bool, caller: Caller | None = None
    ) -> None:
        self._run = frame.run
        self._run.join()
        self.model = stand_in.get() or model
        self._frame = frame
        self._is_streamed = is_streamed
        self._conversation = conversation_of(frame, self.model, arguments, caller)
        self._position, self._said = steering.follow_again(frame, self._conversation)
        self._tools: list[Any] | None = arguments.get("tools")
        self.arguments = {**arguments, "tools": copy.copy(self._tools)}  # some providers' models add tools of their own
        self._last = self._reason_to_end()
        if self._last is not None and not keeps_tools(self.model):
            self._tools = None
            self.arguments |= {"tools": None, "tool_choice": None}
        self._turn = Turn(self._conversation, self._position)
        self.set_turn()
        self._run.journal.order.moved(self._conversation.scope)
        self._digest = ""
        self._is_known = self._in_flight = False
        self._usage = [0, 0, 0, 0]
        self._deltas: list[dict[str, Any]] = []
        self._pieces: list[Any] = []
        self._holds = False  # whether the answer contains anything besides tool calls
        self._finish = FinishReason.Stop
        self.reading = Reading(streamed=is_streamed)
        read_answers_of(type(self.model))
        name = str(self.model.provider or self.model.name or "")
        self._provider = provider_of(self.model)
        self.stretch = Stretch(model=str(self.model.id), provider=name, streamed=is_streamed)

    def set_turn(self) -> None:
        """Set the call's answer as the source of the tool calls that follow."""
        current_turn.set(self._turn)

    async def from_journal(self) -> list[Any] | None:
        """Return an earlier attempt's answer in its chunks, or raise its failure again; None if there is neither."""
        run, scope = self._run, self._conversation.scope
        entry = run.journal.take(scope, "model", self._at, self._match) if scope.entries else None
        if entry is None:
            if self._is_streamed:
                await run.turn_to_stream(scope)
            await run.check_provider(self._provider, has_configured_recovery=self._frame.has_configured_recovery())
            self._frame.mark_live()
            run.journal.order.in_flight += 1
            self._in_flight = True
            run.discard_unfinished_text()
            if run.has_failures:
                run.settle_failures(scope, self._at, self._match)
            if await steering.read(self._frame, self._conversation, self._position):
                self._position, self._said = self._conversation.follow()
                self._turn.position, self._digest = self._position, ""
            if self._is_streamed:
                run.begin_stream(self._frame.run_id)
            return None
        self._is_known = self.stretch.replayed = True
        await run.turn(scope, entry)
        if entry.is_failure:
            raise failure_of(entry.value["failure"])
        if not entry.is_counted:
            entry.is_counted = True
            self._count(entry.value["usage"])
        is_shown = not run.shows_text or run.journal.is_shown(entry)
        if not is_shown:
            run.defer_text(self._frame.run_id, scope, entry.number, entry.value["answer"])
        answer = [self._answer(each, is_shown=is_shown) for each in entry.value["answer"]]
        usual = FinishReason.ToolCalls if any(each.tool_calls for each in answer) else FinishReason.Stop
        self._end(FinishReason(entry.value.get("finish", usual)), entry.value["answer"])
        return answer

    async def answered(self, answer: Any) -> None:
        """Journal an answer that was not streamed."""
        self.leave_flight()
        await self._run.provider_answered(self._provider)
        self._conversation.give_ids(answer.tool_calls or [], self._position)
        await self._run.turn(self._conversation.scope)
        self._note([pack(answer, MADE_ANEW)], has_calls=bool(answer.tool_calls))

    def check(self, answer: Any) -> None:
        """Check whether an answer that was not streamed is valid.

        Raises:
            ModelProviderError: The answer is not valid.
        """
        self._holds = says_something(answer)
        self._add_usage(answer)
        self._settle(has_calls=bool(answer.tool_calls))
        if self._turn.drops_calls:
            answer.tool_calls = []

    def leave_flight(self) -> None:
        """Record that the call is no longer in flight."""
        if self._in_flight:
            self._in_flight = False
            self._run.journal.order.in_flight -= 1

    def add_chunk(self, delta: Any) -> None:
        """Record a chunk of the answer before other code can change it."""
        self._pieces += delta.tool_calls or []
        self._holds = self._holds or says_something(delta)
        self._add_usage(delta)
        append_piece(self._deltas, pack(delta, NOT_IN_PIECES))

    def check_whole(self) -> None:
        """Check whether a streamed answer is valid, after its last chunk.

        Raises:
            ModelProviderError: The answer is not valid.
        """
        self._settle(has_calls=bool(self._pieces))
        if self._turn.drops_calls:
            self._pieces = []

    async def complete_stream(self) -> None:
        """Journal a streamed answer that is complete and valid."""
        self.leave_flight()
        await self._run.provider_answered(self._provider)
        calls = assembled(self.model, self._pieces)
        self._conversation.give_ids(calls, self._position)
        if calls:
            self._deltas.append({"tool_calls": packed(calls)})
        await self._run.turn(self._conversation.scope)
        closes = self._run.end_stream(self._frame.run_id, complete=True)
        self._note(self._deltas, has_calls=bool(calls), closes=closes)

    def abort_stream(self) -> None:
        """Record that the stream has ended before its answer was complete."""
        self.leave_flight()
        if not self._is_known:
            self._run.end_stream(self._frame.run_id, complete=False)

    async def report_failure(self, error: Exception) -> None:
        """Report a failed call to the provider's state.

        Raises:
            CancelledError: The task waits for the provider.
        """
        if not self._is_known:
            await self._run.provider_failed(
                self._provider, error, has_configured_recovery=self._frame.has_configured_recovery()
            )

    def failed(self, error: Exception) -> None:
        """Record that no answer came. A team's leader continues after a member's failure, as after any result."""
        self.leave_flight()
        ensure_message(error)
        if self._is_known:
            self._run.failures.append(error)
            return
        if self._is_answer:
            self._run.record_answer(self._frame, self._deltas)
        if any(self._usage):
            self._run.spend(self._conversation.scope, self._usage)
        if self._frame.parent is not None and self._run.is_leaving:
            raise self._run.suspend() from error
        agno_ignores_failure = self._frame.parent is not None or self._conversation.helper is not None
        if (
            agno_ignores_failure
            and not self._run.may_continue_without(error)
            and not self._frame.has_configured_recovery()
        ):
            raise self._run.give_up(self._who, error) from error
        self._run.drop_outdated(self._conversation.scope)
        self._run.failed(FailedCall(self._conversation.scope, self._at, self._match, error, self._who))

    @property
    def _who(self) -> str:
        """The caller's name in notes."""
        owner = self._frame.member or getattr(self._frame.owner, "name", None) or "the agent"
        return f"{self._conversation.helper} of {owner}" if self._conversation.helper else str(owner)

    @property
    def silence(self) -> float:
        """Seconds for which the model may send nothing."""
        return self._run.bounds.silence

    @property
    def _at(self) -> str:
        return f"{self._position}~" if self._is_streamed else str(self._position)

    @property
    def _match(self) -> str:
        """Digest of the request, computed on demand: a first attempt that ends with this answer never needs it."""
        if not self._digest:
            head = [self.model.id, tool_names(self._tools)]
            self._digest = self._conversation.digest.of(head, self._said)
        return self._digest

    def _add_usage(self, answer: Any) -> None:
        if answer.response_usage is not None:
            more = tokens_of(answer, self.model)
            self._usage = [mine + each for mine, each in zip(self._usage, more, strict=True)]

    def _count(self, usage: Sequence[int]) -> None:
        self._run.usage.add(usage)
        stretch = self.stretch
        stretch.input_tokens, stretch.output_tokens, stretch.cache_read_tokens, stretch.cache_write_tokens = usage

    def _note(self, answer: list[Any], *, has_calls: bool, closes: bool = False) -> None:
        self._count(self._usage)
        self._run.drop_outdated(self._conversation.scope)
        self._end(self._finish, answer)
        number = self._run.journal.next_number()  # the row is created later, if at all
        if (self._is_streamed and not closes) or self._becomes_text:
            self._run.defer_text(self._frame.run_id, self._conversation.scope, number, answer)
        write = partial(self._written, answer, closes=closes, number=number)
        if has_calls:  # the requested tools are about to start, and wait for this row
            self._run.buffer.add_soon(*write())
        else:
            self._run.buffer.hold(write)

    def _written(self, answer: list[Any], *, closes: bool, number: Number) -> Written:
        value: dict[str, Any] = {"answer": answer, "usage": self._usage}
        if not is_whole(self._finish):
            value["finish"] = self._finish
        scope, match = self._conversation.scope, self._match
        return self._run.written(scope, "model", self._at, value, match=match, what=WHAT, closes=closes, number=number)

    def _settle(self, *, has_calls: bool) -> None:
        """Determine why the answer ended, and whether the answer and its tool calls count.

        Raises:
            ModelProviderError: The answer does not count.
        """
        try:
            reason = self.reading.settle(has_calls=has_calls)
            self._turn.drops_calls = has_calls and (self._last is not None or reason is not FinishReason.ToolCalls)
            if self._last is not None and is_whole(reason):
                reason = self._last
            has_calls = has_calls and not self._turn.drops_calls
            if self._is_answer:
                spoken = reason is FinishReason.Stop and not self._holds and self._has_spoken()
                answered = Answered(reason, has_calls, self._holds, spoken)
                reason = settled(answered, self.reading, self._run.incomplete)
            self._finish = reason
        except AnswerError as error:
            self._run.usage.finish = error.reason or self._run.usage.finish
            raise provider_error(error, self.model) from error

    @property
    def _is_answer(self) -> bool:
        """Whether the call produces an agent's answer, rather than a side request of a helper or of user code."""
        return self._conversation.is_agent or self._conversation.helper in ANSWERING

    @property
    def _becomes_text(self) -> bool:
        """Whether Agno streams the answer, although it is not streamed: it should have had a form."""
        return not self._is_streamed and self._conversation.is_agent and self._run.shows_text

    def _has_spoken(self) -> bool:
        """Return whether the same turn already contained text alongside a tool call."""
        for message in reversed(self._conversation.messages):
            if message.role == "user":
                return False
            if message.role == self.model.assistant_message_role and says_something(message):
                return True
        return False

    def _reason_to_end(self) -> FinishReason | None:
        """Return why this has to be the agent's last answer; None if it may call more tools."""
        if not self.arguments.get("tools"):
            return None
        bounds = self._run.bounds
        messages, calls = self._conversation.messages, bounds.calls_of(self._frame.owner)
        return reason_to_end(messages, repeats=bounds.tool_repeats, calls=calls)

    def _end(self, reason: FinishReason, answer: Sequence[dict[str, Any]]) -> None:
        """Record why the answer ended, and emit a note if it is incomplete."""
        self.stretch.finish_reason = reason
        if self._is_answer:
            self._run.answered(self._frame, reason, answer)
        if not is_whole(reason):
            self._run.emit([cut_short(reason, self._whose())], self._conversation.scope)

    def _whose(self) -> str:
        """Describe the answer's owner for a note."""
        if self._conversation.helper is not None:
            return f"an answer of {self._conversation.helper}"
        return f"the answer of {self._frame.member}" if self._frame.member else "the answer"

    def _answer(self, fields: dict[str, Any], *, is_shown: bool) -> Any:
        from agno.models.response import ModelResponse

        known = unpacked(fields)
        if is_shown and isinstance(known.get("content"), str):
            if self._is_streamed:
                known["content"] = ReplayedText(known["content"])
            elif self._becomes_text:  # which the user's code may read, so that it has no class of ours
                self._run.was_shown(self._frame.run_id, known["content"])
        if known.get("tool_calls"):
            known["tool_calls"] = [ParsedCall(each) for each in known["tool_calls"]]
        if known.get("parsed") is not None:
            known["parsed"] = as_asked(known["parsed"], self.arguments.get("response_format"))
        return ModelResponse(**known)
