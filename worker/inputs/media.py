"""Conversion of attachments to Agno's media types."""

import re
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

from worker.inputs.attachments import Attachment, Attachments

if TYPE_CHECKING:
    from agno.media import Audio, File, Image, Video

_GOOGLES = {  # the names in Google's documentation, which Agno also uses
    "audio/mpeg": "audio/mp3",
    "video/quicktime": "video/mov",
    "video/x-msvideo": "video/avi",
}
_PLAIN = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")  # not allowed by AWS Bedrock, the only provider that reads ``name``
LONGEST_NAME = 180  # characters; Bedrock allows 200, and a number may follow


def to_agno_files(attachments: Attachments) -> "list[File]":
    """Return the PDFs as Agno File objects, in the task's order."""
    from agno.media import File

    return [
        File(
            content=pdf.content,
            mime_type="application/pdf",  # Agno validates it against its own list, so the declared type cannot be used
            filename=pdf.name,
            name=name,
            format="pdf",
            size=pdf.size,
        )
        for pdf, name in zip(attachments.pdfs, _plain_names(attachments.pdfs), strict=True)
    ]


def _plain_names(pdfs: Sequence[Attachment]) -> list[str]:
    """Return names that Bedrock accepts: restricted characters, single spaces, no duplicates."""
    names: list[str] = []
    for pdf in pdfs:
        plain = " ".join(_PLAIN.sub(" ", pdf.name.removesuffix(".pdf")).split())[:LONGEST_NAME] or "document"
        numbered = (f"{plain} {number}" for number in count(2))
        names.append(plain if plain not in names else next(each for each in numbered if each not in names))
    return names


def to_agno_images(attachments: Attachments) -> "list[Image]":
    """Return the pictures as Agno Image objects, in the task's order."""
    from agno.media import Image

    return [
        Image(content=image.content, mime_type=image.media_type, format=image.media_type.partition("/")[2])
        for image in attachments.images
    ]


def to_agno_audio(attachments: Attachments) -> "list[Audio]":
    """Return the audio files as Agno Audio objects, in the task's order."""
    from agno.media import Audio

    return [
        Audio(
            content=each.content,
            mime_type=media_type,
            format=media_type.partition("/")[2],
            sample_rate=None,
            channels=None,
        )
        for each in attachments.audio
        for media_type in [_GOOGLES.get(each.media_type, each.media_type)]
    ]


def to_agno_videos(attachments: Attachments) -> "list[Video]":
    """Return the videos as Agno Video objects, in the task's order."""
    from agno.media import Video

    return [
        Video(content=each.content, mime_type=media_type, format=media_type.partition("/")[2])
        for each in attachments.videos
        for media_type in [_GOOGLES.get(each.media_type, each.media_type)]
    ]
