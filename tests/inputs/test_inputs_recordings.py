"""Audio and video: known by their content, sent to models that take them, otherwise a note."""

import base64
import time
from typing import Any

import pytest
from agno.media import Audio, Video
from agno.models.google import Gemini
from agno.models.message import Message
from agno.models.openai import OpenAIChat

from tests.inputs.recordings import MP3_FRAME, RECORDINGS, box, mp3, mp4, wav
from worker.agents.models.capabilities import GEMINI
from worker.inputs import Attachments, Kind, Reader, adapt, to_agno_audio, to_agno_images, to_agno_videos
from worker.inputs.classify import classify
from worker.inputs.recordings import has_its_tracks
from worker.words.models import ModelCapabilities

WAV_AND_MP3 = frozenset({"audio/wav", "audio/mpeg"})


def data(content: bytes, declared: str = "application/octet-stream") -> str:
    return f"data:{declared};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_is_known_by_its_content(name: str) -> None:
    content, media_type = RECORDINGS[name]
    for declared, called in (("", ""), ("text/plain", "a.txt"), ("application/pdf", "report.pdf")):
        found = classify(content, declared, called)
        assert (found.kind, found.media_type) == (media_type.partition("/")[0], media_type)


@pytest.mark.parametrize(
    "content",
    [
        b"ID3 is a format of tags, and this is a text about it.\n" * 20,
        b"FORM and RIFF, fLa and Ogg: containers\n",
        "\ufeffNa\u00efve text in UTF-16 begins with FF FE\n".encode("utf-16-le"),
        MP3_FRAME[:4] + b"no other frame follows" * 40,
        b"\x1a\x45\xdf\xa3" + bytes(100),
    ],
)
def test_what_only_looks_like_a_recording_is_none(content: bytes) -> None:
    assert classify(content).kind not in {Kind.AUDIO, Kind.VIDEO}


async def read(*contents: bytes) -> Attachments:
    return await Reader().read([data(each) for each in contents])


async def test_recordings_become_what_agno_sends() -> None:
    attachments = await read(wav(), mp3(), mp4(b"vide"))
    first, second = to_agno_audio(attachments)
    (film,) = to_agno_videos(attachments)
    assert isinstance(first, Audio)
    assert isinstance(film, Video)
    assert (first.content, first.format, second.format) == (wav(), "wav", "mp3")
    assert (film.content, film.mime_type) == (mp4(b"vide"), "video/mp4")
    assert (attachments.notes, to_agno_images(attachments)) == ((), [])
    sent: Any = OpenAIChat(id="gpt-audio", api_key="x")._format_message(
        Message(role="user", content="x", audio=[second])
    )
    assert sent["content"][1] == {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(mp3()).decode(), "format": "mp3"},
    }


async def test_agno_sends_google_all_that_gemini_takes_by_the_names_that_it_knows() -> None:
    takes = ModelCapabilities(pdfs=True, images=True, audio=GEMINI.audio, video=GEMINI.video)
    fitting = await adapt(await read(*(content for content, _ in RECORDINGS.values())), takes)
    message = Message(role="user", content="x", audio=to_agno_audio(fitting), videos=to_agno_videos(fitting))
    formatted: Any = Gemini(id="gemini-2.5-pro", api_key="x")._format_messages([message])[0]
    sent = {part.inline_data.mime_type for part in formatted[0].parts if part.inline_data}
    assert sent >= {"audio/mp3", "audio/wav", "audio/mp4", "video/mp4", "video/mov", "video/webm", "video/avi"}
    assert len(sent) == len(GEMINI.audio | GEMINI.video)


async def test_what_a_model_does_not_take_is_a_note_that_says_what_it_takes() -> None:
    attachments = await read(wav(), RECORDINGS["a.flac"][0], mp4(b"vide"))
    some = await adapt(attachments, ModelCapabilities(pdfs=True, images=True, audio=WAV_AND_MP3))
    assert [item.kind for item in some.items] == [Kind.AUDIO, Kind.OTHER, Kind.OTHER]
    assert [note.partition(" could not be attached: ")[2] for note in some.notes] == [
        "the model does not accept audio/flac, only audio/mpeg, audio/wav.",
        "the model does not accept video.",
    ]
    none = await adapt(attachments, ModelCapabilities(pdfs=True, images=True))
    assert (to_agno_audio(none), to_agno_videos(none), len(none.notes)) == ([], [], 3)
    assert "the model does not accept audio." in none.notes[0]


async def test_a_film_that_was_cut_short_is_a_note() -> None:
    (item,) = (await read(mp4(b"vide", is_whole=False))).items
    assert item.kind is Kind.UNREADABLE
    assert item.note is not None
    assert item.note.endswith("could not be read: it is truncated: its table of contents is missing.")


@pytest.mark.parametrize("filling", [box(b"free"), b"hdlr"], ids=["boxes", "tracks"])
def test_a_film_of_millions_of_parts_is_looked_at_in_no_time(filling: bytes) -> None:
    many = filling * (16_000_000 // len(filling))
    content = box(b"ftyp", b"isom", bytes(4)) + (many if filling != b"hdlr" else box(b"moov", many))
    begun = time.process_time()
    assert classify(content).kind is Kind.VIDEO
    assert has_its_tracks(content) == (filling == b"hdlr")
    assert time.process_time() - begun < 0.3  # seconds


async def test_what_makes_a_request_too_large_is_a_note() -> None:
    attachments = await read(wav(1.0), wav(0.5), wav(0.1))
    takes = ModelCapabilities(pdfs=True, images=True, audio=WAV_AND_MP3, request=20_000)
    fitting = await adapt(attachments, takes)
    assert [item.kind for item in fitting.items] == [Kind.AUDIO, Kind.OTHER, Kind.AUDIO]
    (note,) = fitting.notes
    assert note.endswith("with it, the files would exceed the 19.5 KB that the model's provider accepts per request.")
