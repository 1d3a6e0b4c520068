"""Files that a run produced: saved by its handler, or returned by its agents and their tools in addition to text."""

from pydantic import BaseModel, ConfigDict, Field

MAX_ARTIFACTS = 1_000  # per task
NAME_CHARACTERS = 200


class Artifact(BaseModel):
    """A file that a run produced. A later file of the same name replaces it.

    Args:
        name: The file name, without folders.
        media_type: The media type, such as ``image/png``.
        size: The size in bytes; 0 if the file is not stored here.
        sha256: The digest of the content; None if the file is not stored here.
        url: The location: a reference that ``open_file`` accepts (``worker:…``), a signed URL in answers of the server,
            or the URL that the agent gave.
    """

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=NAME_CHARACTERS)
    media_type: str = Field(default="application/octet-stream", max_length=255)
    size: int = Field(default=0, ge=0)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    url: str = Field(max_length=10_000)
