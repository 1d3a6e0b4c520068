"""Saving of a task's artifacts to a local folder."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from worker.words.errors import ValidationError

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.words.artifacts import Artifact


async def save(platform: "Platform", artifacts: "Sequence[Artifact]", folder: Path) -> list[Path]:
    """Save artifacts in a folder, which is created if it is missing. Artifacts that are only links are skipped.

    Args:
        platform: The platform that stores them.
        artifacts: The artifacts.
        folder: The folder.

    Returns:
        The paths of the saved files.

    Raises:
        ValidationError: A file with other content exists already.
        ModuleException: An artifact cannot be read.
    """
    from worker.face.artifacts import content_of, file_name

    saved: list[Path] = []
    for each in artifacts:
        if each.sha256 is not None:
            path, content = folder / file_name(each.name), await content_of(platform, each)
            await asyncio.to_thread(_write, path, content)
            saved.append(path)
    return saved


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() != content:
        raise ValidationError(
            f"{path} already exists with different content and was not overwritten. Choose another folder or move"
            " the file."
        )
    path.write_bytes(content)
