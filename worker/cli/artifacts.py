"""Saving the files that a task's runs have made."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from worker.words.errors import ValidationError

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.words.artifacts import Artifact


async def save(platform: "Platform", artifacts: "Sequence[Artifact]", folder: Path) -> list[Path]:
    """Save files into a folder, which is made where it is missing; what is elsewhere is left out.

    Args:
        platform: Where they are.
        artifacts: The files.
        folder: The folder.

    Returns:
        Where they are now.

    Raises:
        ValidationError: One would replace a file that is there, and holds something else.
        ModuleException: One cannot be read.
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
        raise ValidationError(f"{path} is there already, and holds something else; it was not replaced")
    path.write_bytes(content)
