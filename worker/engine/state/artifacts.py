"""Artifacts: files made by a run, recorded on its task and stored as long as the task is. Pure functions, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.engine.state.references import FileRow
from worker.engine.state.rows import Effect, Row, log, own, put
from worker.words.artifacts import MAX_ARTIFACTS, Artifact
from worker.words.errors import ValidationError
from worker.words.references import Reference
from worker.words.statuses import TaskUpdateEventType
from worker.words.texts import plain
from worker.words.work import url_digest

ARTIFACTS = "artifacts"
"""Key in a task's ``state``: its artifacts."""


@dataclass(frozen=True, slots=True)
class Produce:
    """A change in which the owner records files that it has made."""

    organization_id: str
    task_id: str
    attempt: int
    artifacts: Sequence[Artifact]
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Record the artifacts; each replaces an earlier one of the same name.

        Raises:
            LeaseLost: The attempt no longer owns the task.
            ValidationError: There are too many artifacts, or a digest is not that of its file.
            FileNotStored: A reference names no stored file.
        """
        own(row, self.attempt)
        known = {each["name"]: each for each in row.state.get(ARTIFACTS) or ()}
        made = {each.name: plain(each.model_dump(exclude_none=True)) for each in self.artifacts}
        if {**known, **made} == known:
            return Effect()
        files = [_row(each) for each in self.artifacts if each.sha256 is not None]
        if len({**known, **made}) > MAX_ARTIFACTS:
            raise ValidationError(f"A task can have at most {MAX_ARTIFACTS:,} artifacts.", field=ARTIFACTS)
        delta = put(row, {ARTIFACTS: [*{**known, **made}.values()]})
        return Effect(events=[log(row, TaskUpdateEventType.TaskUpdated, delta, self.attempt)], files=files)


def _row(artifact: Artifact) -> FileRow:
    """Return the artifact's row among the task's files; raise ValidationError if its digest does not match."""
    sha256 = Reference.stored(artifact.url).sha256
    if sha256 != artifact.sha256:
        raise ValidationError("sha256 does not match the file", field="artifacts.sha256")
    return FileRow(url_digest(f"artifact:{artifact.name}:{sha256}"), sha256, artifact.media_type, artifact.name)
