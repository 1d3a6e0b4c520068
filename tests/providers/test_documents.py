"""Documents with status 200 where a stream was requested: a whole answer counts, and anything else is an error."""

import json
from typing import Any

import pytest

from tests.providers.answers import Raw, Says, Usage
from tests.providers.standin import WIRES
from tests.providers.stories import PIECES, WHOLE, Story, alone, in_plain_code, streamed_by_plain_code
from worker.testing import Call
from worker.words.classification import classify, message_of

SKIP_DOCUMENTS = ("openai-chat", "openai-responses", "anthropic", "groq")
"""Providers whose clients find no event in a document, and say nothing."""

PAGE = Raw([b"<html><title>signed out</title></html>"], "text/html")


def document(name: str, says: Says) -> Raw:
    """An answer in one piece."""
    return Raw([json.dumps(WIRES[name].body(says)).encode()], "application/json; charset=utf-8")


@pytest.mark.parametrize("name", [*SKIP_DOCUMENTS, "gemini", "ollama"])
@pytest.mark.parametrize("shape", [alone, streamed_by_plain_code])
async def test_a_whole_answer_instead_of_a_stream_counts(name: str, shape: Any) -> None:
    wire = WIRES[name]
    whole = await Story(wire, shape, document(name, Says(PIECES, usage=Usage(7, 3)))).told(attempts=1)
    assert (whole.result, whole.errors, whole.effects, whole.task.notes()) == (WHOLE, [], ["looked"], [])
    (row,) = whole.task.rows_of("run")
    assert row["value"]["usage"][:2] == [10 + 7, 5 + 3]

    calls = await Story(wire, shape, document(name, Says(calls=[Call("look", {}, "c2")]))).told(attempts=1)
    assert (calls.result, calls.errors, calls.effects) == (WHOLE, [], ["looked", "looked"])

    cut = await Story(wire, shape, document(name, Says(PIECES[:1], finish="length"))).told(attempts=1)
    assert (cut.result, cut.errors, cut.task.notes()) == (PIECES[0], [], ["incomplete"])


@pytest.mark.parametrize("name", SKIP_DOCUMENTS)
async def test_another_document_is_shown_in_the_error(name: str) -> None:
    for reply in (Raw([b'{"status": "signed out"}'], "application/json"), PAGE):
        story = await Story(WIRES[name], alone, reply).told(attempts=1)
        (error,) = story.errors
        assert (classify(error).code, "signed out" in message_of(error)) == ("invalid_response", True), error


@pytest.mark.parametrize("shape", [alone, in_plain_code])
async def test_a_page_instead_of_an_answer_is_no_outage_of_cohere(shape: Any) -> None:
    story = await Story(WIRES["cohere"], shape, PAGE).told(attempts=1)
    (error,) = story.errors
    assert classify(error).code == "invalid_response", error
    assert shape is in_plain_code or "headers" not in message_of(error)


@pytest.mark.parametrize("shape", [alone, streamed_by_plain_code])
async def test_an_event_that_coheres_client_skips_is_no_part_of_a_whole_answer(shape: Any) -> None:
    events = WIRES["cohere"].events(Says(PIECES))
    (at,) = [n for n, each in enumerate(events) if PIECES[1].encode() in each]
    events[at] = events[at].replace(b'"}', b'"')
    story = await Story(WIRES["cohere"], shape, Raw(events, "text/event-stream")).told(attempts=1)
    (error,) = story.errors
    assert classify(error).code == "invalid_response", error
