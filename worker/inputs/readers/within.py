"""Pictures within documents: those that say something, each once, as far as they are wanted."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from PIL import Image

from worker.inputs.names import file_name
from worker.inputs.readers.answer import Inner, ReadText

LEAST_SIDE = 100  # pixels of the shorter side: icons, lines and bullets have fewer
MOST_LOOKED_AT = 1_000


def take(answer: ReadText, pictures: Iterable[tuple[str, bytes]], wanted: int, most: int) -> None:
    """Add pictures of a document to what is in it; a note says how many are left out.

    Args:
        answer: What the document says.
        pictures: Names and contents, in the order of the document.
        wanted: How many are taken at most.
        most: Bytes that they may have together.
    """
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
    """As many as there is time for; where one cannot be reached, its document's words are still worth reading."""
    with suppress(Exception):
        yield from islice(pictures, MOST_LOOKED_AT)


def _says_something(content: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return min(picture.size) >= LEAST_SIDE
    except Exception:  # noqa: BLE001 - a drawing of a kind that no model takes, or a damaged picture
        return False
