"""The files of a task, in the forms that handlers and Agno use."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from worker.contracts import Platform
from worker.face import bridge, reading
from worker.face.configuration import Configuration
from worker.face.kept_files import TaskFileStore
from worker.words.tasks import TaskRecord

if TYPE_CHECKING:
    from worker.inputs import Attachments


class TaskFiles(TaskRecord):
    """A task with its files, which are read at most once."""

    _configuration: Configuration | None = PrivateAttr(default=None)

    _attachments: Any = PrivateAttr(default=None)

    _fitted: Any = PrivateAttr(default=None)  # the attachments, with pictures converted to suit every provider

    @property
    def configuration(self) -> Configuration:
        """The task's platform; for the default platform, the one that the environment names."""
        return self._configuration or Configuration()

    @property
    def origin(self) -> Configuration | None:
        """The platform that the task came from; None means the default one, which in a worker is the worker's own."""
        return self._configuration

    @property
    def attachments(self) -> "Attachments":
        """The task's files. A worker reads them before its handler starts; elsewhere they are read at first use."""
        if self._attachments is None:
            self._attachments = bridge.block(self._reading, self._configuration)
            self._attachments.release()  # files that a caller holds do not count against the worker's allowance
        return self._attachments

    async def aread_attachments(self) -> "Attachments":
        """Read the task's files, once. They count against the process's allowance until they are released."""
        if self._attachments is None:
            self._attachments = await bridge.across(self._reading, self._configuration)
        return self._attachments

    def get_files(self) -> list[Any]:
        """Return the PDFs among the files, as Agno ``File`` objects that every provider accepts."""
        from worker.inputs import to_agno_files

        return list(to_agno_files(self._for_anyone())) if self.input.files else []

    def get_images(self) -> list[Any]:
        """Return the pictures among the files, as Agno ``Image`` objects that every provider accepts."""
        from worker.inputs import to_agno_images

        return list(to_agno_images(self._for_anyone())) if self.input.files else []

    def _for_anyone(self) -> "Attachments":
        from worker.inputs import fit_blocking

        if self._fitted is None:
            self._fitted = fit_blocking(self.attachments)
        return self._fitted

    def get_audio(self) -> list[Any]:
        """Return the audio files, as Agno ``Audio`` objects in their original format."""
        from worker.inputs import to_agno_audio

        return list(to_agno_audio(self.attachments)) if self.input.files else []

    def get_audios(self) -> list[Any]:
        """Return the audio files; an alias of ``get_audio``."""
        return self.get_audio()

    def get_videos(self) -> list[Any]:
        """Return the videos among the files, as Agno ``Video`` objects in their original format."""
        from worker.inputs import to_agno_videos

        return list(to_agno_videos(self.attachments)) if self.input.files else []

    def get_human_readable_files(self) -> list[dict[str, str]]:
        """Return the text files, each as ``{"url", "content"}``, cut to a length that most models have room for."""
        from worker.inputs import fit_texts, human_readable

        return human_readable(fit_texts(self.attachments, limits=reading.limits())) if self.input.files else []

    def to_message(self, retry_count: int = 0, with_timestamp: bool = False) -> str:
        """Compose one message of the input: text, file URLs, contents of text files, notes on unreadable files.

        Contents are cut to a length that most models have room for, since the model is unknown here. ``run_agent`` fits
        them to the agent's model.

        Args:
            retry_count: Ignored; accepted for xpander-sdk. A retry resumes with the same message.
            with_timestamp: Start the message with the current time. Without it, the message is the same in every
                attempt, which lets a retry find its journaled answers.
        """
        del retry_count
        message = self._message()
        return f"[{datetime.now(UTC).isoformat(timespec='seconds')}]\n{message}" if with_timestamp else message

    def _message(self) -> str:
        text = self.input.text or ""
        if not self.input.files:
            return text
        from worker.inputs import compose_message, fit_texts

        return compose_message(text, self.input.files, fit_texts(self.attachments, limits=reading.limits()))

    async def _reading(self, platform: Platform) -> "Attachments":
        return await reading.read(platform, self.input.files or [], TaskFileStore(platform, self.id))
