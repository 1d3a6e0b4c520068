"""The media that a run's agents and their tools have made besides text: images, audio, video and files."""

import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = {"images": "image", "videos": "video", "audio": "audio", "files": "file"}
"""The fields of Agno's outputs that hold media, and the default name for each."""

TYPES = {"image": "image/png", "video": "video/mp4", "audio": "audio/wav", "file": "application/octet-stream"}
"""Default media types."""

WITHIN = ("member_responses", "step_executor_runs", "step_results", "steps")
"""The fields in which an output holds the outputs of nested runs and steps."""

DEEPEST = 10


@dataclass(frozen=True, slots=True)
class Produced:
    """A media object made by a run.

    Args:
        name: The file name.
        media_type: Such as ``image/png``.
        content: The content or its location: bytes, a local file, or a URL.
    """

    name: str
    media_type: str
    content: bytes | Path | str


def produced(output: Any) -> list[Produced]:
    """Return the media in one of Agno's outputs, including those of members and steps, each once.

    Args:
        output: The output of an agent, a team or a workflow; None if there is none.
    """
    found: dict[Any, Produced] = {}
    taken: set[str] = set()
    for kind, each in _media(output, DEEPEST):
        content = _content_of(each)
        if content is not None and content not in found:
            name, media_type = _named(each, kind, len(found) + 1)
            while name in taken:
                name = f"{len(taken) + 1}-{name}"
            taken.add(name)
            found[content] = Produced(name, media_type, content)
    return list(found.values())


def _media(output: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if output is None or not depth:
        return
    for name, kind in KINDS.items():
        for each in getattr(output, name, None) or ():
            yield kind, each
    if (spoken := getattr(output, "response_audio", None)) is not None:
        yield "audio", spoken
    for name in WITHIN:
        inner = getattr(output, name, None)
        for each in inner if isinstance(inner, list) else ():
            for one in each if isinstance(each, list) else [each]:
                yield from _media(one, depth - 1)


def _content_of(media: Any) -> bytes | Path | str | None:
    content = media.content
    if isinstance(content, str) and content:
        return content.encode()
    if isinstance(content, bytes) and content:
        return content
    if media.filepath:
        return Path(media.filepath)
    return media.url or None


def _named(media: Any, kind: str, number: int) -> tuple[str, str]:
    """Return the file name and media type of a media object."""
    path = Path(media.filepath).name if media.filepath else None
    name: str | None = getattr(media, "filename", None) or getattr(media, "name", None) or path
    declared: str | None = media.mime_type
    if declared is None and media.format:
        declared = mimetypes.guess_type(f"x.{media.format}")[0]
    media_type = declared or (mimetypes.guess_type(name)[0] if name else None) or TYPES[kind]
    if name is None:
        extension = f".{media.format}" if media.format else mimetypes.guess_extension(media_type) or ""
        name = f"{kind}-{number}{extension}"
    return name, media_type
