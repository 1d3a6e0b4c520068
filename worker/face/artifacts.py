"""Artifacts: files that a run makes, stored on the platform for everyone who may read the task."""

import asyncio
import mimetypes
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from worker.contracts import Platform
from worker.contracts.waiting import until_answered
from worker.current import Run
from worker.face.journaling import work_of
from worker.face.uploads import check_file
from worker.settings import Settings
from worker.words.artifacts import NAME_CHARACTERS, Artifact
from worker.words.errors import Conflict, NotFound, TooLarge, Unsupported, ValidationError
from worker.words.events import NewEvent, note_event
from worker.words.invisible_characters import UNSEEN
from worker.words.media_types import UNKNOWN, is_media_type

if TYPE_CHECKING:
    from worker.agents.runs.produced_media import Produced

Content = bytes | str | os.PathLike[str]
"""Bytes; text, which is stored as UTF-8; or a local file."""


class Saving:
    """A file that a handler saves.

    Args:
        run: The attempt.
        name: The file's name; folders in it are dropped.
        data: The content.
        media_type: The media type, such as ``image/png``; None means that it is guessed from the name.

    Raises:
        Conflict: There is no attempt: the handler of another event owns no task.
        ValidationError: The name or media type is invalid.
    """

    def __init__(self, run: Run, name: str, data: Content, media_type: str | None) -> None:
        if run.attempt is None:
            raise Conflict("A file can only be saved by a task's run.")
        self._run = run
        self._attempt = run.attempt
        self._name = file_name(name)
        self._data = data
        self._type = _checked_type(media_type) if media_type else mimetypes.guess_type(self._name)[0] or UNKNOWN

    async def store(self, platform: Platform) -> Artifact:
        """Store the file, and add it to the task's artifacts.

        Raises:
            ModuleException: The file is missing or too large, the attempt has lost its lease, or the platform cannot
                store it.
        """
        content = self._data
        if isinstance(content, str):
            content = content.encode()
        elif not isinstance(content, bytes):
            content = await asyncio.to_thread(_read, Path(content))
        artifact = await _stored(platform, self._name, self._type, content)
        await work_of(self._run, platform).save_artifacts(self._run.task_id, self._attempt, [artifact])
        return artifact


async def keep_produced(platform: Platform, run: Run, made: "Sequence[Produced]") -> list[NewEvent]:
    """Store the files that a run's agents have produced. A file that cannot be stored is reported by an event.

    Args:
        platform: The task's platform.
        run: The attempt.
        made: The files.

    Returns:
        The events.

    Raises:
        LeaseLost: The attempt no longer owns its task.
    """
    kept, notes = list[Artifact](), list[NewEvent]()
    for each in made:
        try:
            kept.append(await _store_artifact(platform, each))
        except (TooLarge, ValidationError, Unsupported, OSError) as error:
            why = error.description if isinstance(error, TooLarge | ValidationError | Unsupported) else str(error)
            text = f"{each.name}, which the agent created, could not be stored: {why}"
            notes.append(note_event(text, "artifact"))
    if kept and run.attempt is not None:
        try:
            await work_of(run, platform).save_artifacts(run.task_id, run.attempt, kept)
        except Unsupported as error:
            text = f"{len(kept)} files that the agent created could not be stored: {error.description}"
            notes.append(note_event(text, "artifact"))
    return notes


async def _store_artifact(platform: Platform, made: "Produced") -> Artifact:
    name = file_name(made.name)
    media_type = made.media_type if is_media_type(made.media_type) else UNKNOWN
    if isinstance(made.content, str):
        if not made.content.lower().startswith(("https://", "http://")):
            raise ValidationError("it is neither content nor a file nor a URL")
        return Artifact(name=name, media_type=media_type, url=made.content)
    content = made.content
    if isinstance(content, Path):
        content = await asyncio.to_thread(_read, content)
    return await _stored(platform, name, media_type, content)


async def _stored(platform: Platform, name: str, media_type: str, content: bytes) -> Artifact:
    most = Settings().file_bytes
    if len(content) > most:
        raise TooLarge(f"{name} has {len(content):,} bytes; the maximum is {most:,} (WORKER_FILE_BYTES)")
    reference = await until_answered(
        lambda: platform.tasks.store_file(name, media_type, content), "storing a run's file"
    )
    digest = sha256(content).hexdigest()
    return Artifact(name=name, media_type=media_type, size=len(content), sha256=digest, url=reference)


def _read(path: Path) -> bytes:
    return check_file(path, field="data").read_bytes()


def file_name(name: str) -> str:
    """Return a file name without folders and invisible characters.

    Raises:
        ValidationError: Nothing is left of the name.
    """
    last = PurePosixPath(name.replace("\\", "/")).name if isinstance(name, str) else ""
    cleaned = UNSEEN.sub(" ", last).strip()
    if not cleaned or cleaned in (".", ".."):
        raise ValidationError(f"{name!r} is not a valid file name", field="name")
    if len(cleaned) <= NAME_CHARACTERS:
        return cleaned
    suffix = PurePosixPath(cleaned).suffix[:20]
    return cleaned[: NAME_CHARACTERS - len(suffix)] + suffix


def _checked_type(media_type: str) -> str:
    if not is_media_type(media_type):
        raise ValidationError(f"{media_type!r} is not a media type, such as image/png", field="media_type")
    return media_type


def named(artifacts: Sequence[Artifact], name: str) -> Artifact:
    """Return the artifact with this name.

    Raises:
        NotFound: There is none.
    """
    found = next((each for each in artifacts if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in artifacts) or "none"
        raise NotFound(f"The task has no artifact {name!r}; its artifacts are {known}.")
    return found


async def content_of(platform: Platform, artifact: Artifact) -> bytes:
    """Return an artifact's content.

    Raises:
        Conflict: The artifact is only a link to a URL.
        FileNotStored: Its file no longer exists.
    """
    if artifact.sha256 is None:
        raise Conflict(f"{artifact.name} is not stored with the task; download it from {artifact.url}")
    return (await platform.tasks.open_file(artifact.url)).content
