"""What is no whole answer, on six wires: a result is whole, marked, or there is none."""

import asyncio
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.answers import Fault, Finish, Raw, Says
from tests.providers.standin import WIRES
from tests.providers.stories import (
    PIECES,
    SHAPES,
    WHOLE,
    Story,
    alone,
    in_a_team,
    in_one_piece,
    in_plain_code,
    streamed_by_plain_code,
)
from tests.providers.wires import Wire
from worker.words.classification import classify, message_of

SIX = ("openai-chat", "openai-responses", "anthropic", "gemini", "bedrock", "mistral")
AT_ONCE = 6  # stories told side by side


@pytest.fixture(params=SIX)
def wire(request: pytest.FixtureRequest) -> Any:
    return WIRES[request.param]


@pytest.fixture(params=[each for each in WIRES if each not in SIX])
def another_wire(request: pytest.FixtureRequest) -> Any:
    return WIRES[request.param]


SILENT = "sent no output for 4 seconds"
COMMENT = "Raw response: : keep-alive"  # Google's client does not know comments, and says so at once


async def told(stories: list[Story]) -> None:
    """Tell stories, several at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def tell(story: Story) -> None:
        async with places:
            await story.told()

    await asyncio.gather(*map(tell, stories))


def check_whole(story: Story) -> None:
    """However it went: the result is whole, what the tool did was done once, and nothing was asked without need."""
    where = f"{story.wire} {story.shape.__name__} {story.trouble} {story.errors}"
    assert story.result == WHOLE, where
    assert story.effects == ["looked"], where
    assert sum(not each.results for each in story.server.requests) == 1, where
    assert story.asked_after_the_tool == 1 + len(story.errors), where
    if story.streams and story.shape is not in_a_team:
        text = story.task.text
        assert text.endswith(WHOLE), where
        assert text == WHOLE or story.task.notes().count("discard") == 1, where


@pytest.mark.parametrize("shape", [in_plain_code, streamed_by_plain_code])
async def test_plain_code_gets_whole_answers(wire: Wire, shape: Any) -> None:
    stories = [Story(wire, shape, trouble) for trouble in (Says(PIECES), Says(PIECES, fault=Fault("close", at=1)))]
    await told(stories)
    for story in stories:
        assert story.result == WHOLE, (story.trouble, story.errors)
        assert story.effects == ["looked"]
    assert not stories[0].errors


async def test_a_provider_that_falls_silent_is_asked_again(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_MODEL_SILENCE_SECONDS", "4")  # of which an answer that comes needs none
    last = len(wire.events(Says(PIECES))) - 1
    silent = [Fault("stall", at=0), Fault("stall", at=last), Fault("comments", at=1)]
    stories = [Story(wire, alone, Says(PIECES, fault=each)) for each in silent]
    await told(stories)
    for story in stories:
        assert story.result == WHOLE, story.errors
        assert story.effects == ["looked"]
        assert story.errors
        assert all(SILENT in str(error) or COMMENT in str(error) for error in story.errors), story.errors


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_cut_or_filtered_after_some_words_is_marked(wire: Wire, shape: str) -> None:
    reasons: list[Finish] = [each for each in ("length", "content_filter", "context_length") if each in wire.finishes]
    stories = [Story(wire, SHAPES[shape], Says(PIECES[:1], finish=each)) for each in reasons]
    await told(stories)
    for story, reason in zip(stories, reasons, strict=True):
        assert not story.errors
        if story.shape is not in_a_team:
            assert story.result == PIECES[0]
        (row,) = [each["value"] for each in story.task.rows_of("run")]
        assert row["finish"] == ("stop" if story.shape is in_a_team else reason)
        assert story.task.notes() == ["incomplete"]


async def test_what_is_empty_or_withheld_is_no_result(another_wire: Wire, wire: Wire) -> None:
    for each in (wire, another_wire):
        empty = Story(each, alone, Says((), finish="stop"))
        thoughts = Story(each, alone, Says((), reasoning="Hm."))
        without_end = Story(each, alone, Says(PIECES, finish=None))
        cut_call = Story(each, alone, replace(Says((), finish="length"), calls=[]))
        await told([empty, thoughts, without_end, cut_call])
        for story in (empty, thoughts, without_end, cut_call):
            check_whole(story)
            assert len(story.errors) == 1
        reasons: list[Finish] = [reason for reason in ("content_filter", "refusal") if reason in each.finishes]
        withheld = [Story(each, alone, Says((), finish=reason)) for reason in reasons]
        await told(withheld)
        for story in withheld:
            assert story.result is None
            assert len(story.errors) == story.asked_after_the_tool == 1


WITHIN_STREAMS = {
    "invalid_prompt": ("No such prompt.", "invalid_request"),
    "rate_limit_exceeded": ("Too fast.", "rate_limited"),
    "context_length_exceeded": ("This is too much.", "context_length"),
    "invalid_api_key": ("No such key.", "auth"),
}
NAMELESS = ("bedrock", "cohere", "ollama")  # their errors within a stream have a text alone, or names of their own


@pytest.mark.parametrize("name", [each for each in WIRES if each not in NAMELESS])
async def test_an_error_within_a_stream_is_what_its_code_says(name: str) -> None:
    for code, (message, kind) in WITHIN_STREAMS.items():
        fault = Fault("fail", at=2, status=400, code=code, message=message)
        story = await Story(WIRES[name], alone, Says((*PIECES, "!"), fault=fault)).told(attempts=1)
        (error,) = story.errors
        assert (classify(error).code, message_of(error)) == (kind, message)


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "groq", "mistral"])
async def test_an_error_in_json_instead_of_a_stream_is_what_its_code_says(name: str) -> None:
    wire = WIRES[name]
    told = {**WITHIN_STREAMS, "insufficient_quota": ("Pay first.", "quota")}
    for code, (message, kind) in told.items():
        body = json.dumps(wire.error(400, code, message)).encode()
        story = await Story(wire, alone, Raw([body], "application/json")).told(attempts=1)
        (error,) = story.errors
        assert (classify(error).code, message_of(error)) == (kind, message), code


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("streams", [True, False])
async def test_an_answer_in_the_wrong_form_is_used_or_asked_for_again(name: str, streams: bool) -> None:
    wire = WIRES[name]
    whole = json.dumps(wire.body(Says(PIECES))).encode()
    asked, events = (alone, [whole]) if streams else (in_one_piece, wire.events(Says(PIECES)))
    stories = [Story(wire, asked, Raw(events, kind), streams) for kind in ("application/json", wire.stream_type)]
    await told(stories)
    for story in stories:
        check_whole(story)
        for error in story.errors:
            known = classify(error)
            assert known.is_retryable, error
            if name == "litellm":  # which has an exception of its own for it: a server's error
                continue
            assert known.code == "invalid_response", error
            assert "cannot be parsed: " in str(error) or "is empty" in str(error), error


REASON = re.compile(rb'"(finish_?reason|stop_?reason|done_reason)": ?"\w+"', re.IGNORECASE)


@pytest.mark.parametrize("name", [each for each in WIRES if each not in ("openai-responses", "bedrock")])  # without one
@pytest.mark.parametrize("reason", [b"5", b"true", b'["stop"]', b'{"why": "stop"}'])
async def test_a_reason_that_is_no_text_is_not_the_tasks_fault(name: str, reason: bytes) -> None:
    wire = WIRES[name]
    whole = wire.events(Says(PIECES))
    events = [REASON.sub(rb'"\1": ' + reason, each) for each in whole]
    assert events != whole
    story = Story(wire, alone, Raw(events, wire.stream_type))
    await told([story])
    check_whole(story)
    for error in story.errors:
        assert classify(error).is_retryable, error


async def test_an_error_that_a_client_fails_to_describe_is_what_the_provider_says() -> None:
    told = {
        "mistral": (Raw([b""], "text/plain", 429), "rate_limited"),
        "ollama": (Raw([b'{"error": {"message": "Too long.", "code": "context_length_exceeded"}}']), "context_length"),
    }
    for name, (reply, kind) in told.items():
        story = await Story(WIRES[name], alone, reply).told(attempts=1)
        (error,) = story.errors
        assert classify(error).code == kind, error


async def test_a_second_answer_to_the_same_request_is_left_out() -> None:
    def chunk(index: int, text: str, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
        whole = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return f"data: {json.dumps(whole)}\n\n".encode()

    chunks = [chunk(0, WHOLE), chunk(1, "Or not."), chunk(0, "", "stop"), chunk(1, "", "length"), b"data: [DONE]\n\n"]
    for name in ("openai-chat", "groq", "mistral"):
        story = await Story(WIRES[name], alone, Raw(chunks, "text/event-stream")).told(attempts=1)
        assert (story.result, story.errors, story.task.notes()) == (WHOLE, [], []), name
