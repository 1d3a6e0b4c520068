"""Files that a run has made: what its handler saved, and what its agents and their tools produced beside text."""

from pydantic import BaseModel, ConfigDict, Field

MOST_ARTIFACTS = 1_000  # of one task
NAME_CHARACTERS = 200


class Artifact(BaseModel):
    """A file that a run has made; another one of the same name takes its place.

    Args:
        name: What it is called, without folders.
        media_type: Such as ``image/png``.
        size: In bytes; 0 where it is not stored here.
        sha256: Of its content; none where it is not stored here.
        url: Where it is: a reference that ``open_file`` knows (``worker:…``), a signed URL where the server answers it,
            or the URL by which the agent named it.
    """

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=NAME_CHARACTERS)
    media_type: str = Field(default="application/octet-stream", max_length=255)
    size: int = Field(default=0, ge=0)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    url: str = Field(max_length=10_000)
