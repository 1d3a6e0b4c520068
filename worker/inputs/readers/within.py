"""Pictures within documents: the meaningful ones, without duplicates, up to the wanted number."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import islice

from worker.inputs.names import file_name
from worker.inputs.readers.answer import Inner, ReadText

MIN_SIDE = 100  # the minimum shorter side in pixels, below which pictures are icons, lines or bullets
MAX_LOOKED_AT = 1_000


def take(answer: ReadText, pictures: Iterable[tuple[str, bytes]], wanted: int, most: int) -> None:
    """Add the pictures of a document to its files, if the library for pictures is installed.

    A note says how many are omitted.

    Args:
        answer: The content of the document.
        pictures: Names and contents, in the order of the document.
        wanted: The maximum number of pictures.
        most: Their maximum total size in bytes.
    """
    if find_spec("PIL") is None:
        return
    seen, left_out = set[bytes](), 0
    for number, (name, content) in enumerate(_readable(pictures), 1):
        digest = hashlib.sha256(content).digest()
        if digest in seen or not _says_something(content):
            continue
        seen.add(digest)
        if len(seen) - left_out > wanted or len(content) > most:
            left_out += 1
            continue
        most -= len(content)
        answer.files.append(Inner(file_name(name) or f"picture {number}", content))
    if left_out:
        what = "1 picture in it is" if left_out == 1 else f"{left_out:,} pictures in it are"
        answer.notes.append(f"{what} left out{'' if wanted else ' (see WORKER_DOCUMENT_PICTURES)'}")


def _readable(pictures: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Iterate over the pictures until one cannot be read: the document's text is useful without the rest."""
    with suppress(Exception):
        yield from islice(pictures, MAX_LOOKED_AT)


def _says_something(content: bytes) -> bool:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            return min(picture.size) >= MIN_SIDE
    except Exception:  # noqa: BLE001 - a damaged picture, or a drawing in a format that no model accepts
        return False
