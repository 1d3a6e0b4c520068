"""Names and sizes as a note shows them: one line, no query string, no credentials, no base64."""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from worker.words.unseen import UNSEEN

LONGEST_NAME = 120  # characters; enough for a real file name, too short to smuggle a page of text into a message
LONGEST_URL = 4_000  # characters; signed URLs have up to 2,000
STORED_SCHEME = "worker:"
_STORED = re.compile(r"worker:([0-9a-fA-F]+)/?")  # without a name; with one, it follows the digest
_DIGITS = 12  # of the digest of an upload without a name, which is called by them
_UNITS = ("bytes", "KB", "MB", "GB")
_STEP = 1024


def one_line(text: str, longest: int = LONGEST_NAME) -> str:
    """Return text without control and direction characters, cut to `longest` characters."""
    cleaned = UNSEEN.sub(" ", text).strip()
    return cleaned if len(cleaned) <= longest else cleaned[: longest - 1] + "…"


def size_words(size: int) -> str:
    """Return a size in bytes as people say it: `12 KB`, `1.4 MB`."""
    amount = float(size)
    unit = _UNITS[0]
    for larger in _UNITS[1:]:
        if amount < _STEP:
            break
        amount, unit = amount / _STEP, larger
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"


def display_url(url: str) -> str:
    """Return a URL as a note or a log line may show it: no user, password, query or fragment.

    A `data:` URL is shown as its type and the rough size of what it holds, never by its content.
    """
    if is_data_url(url):
        return _display_data(url)
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an invalid URL"
    return one_line(f"{parts.scheme}://{host}{parts.path}" if host else f"{parts.scheme}:{parts.path}", 300)


def is_data_url(url: str) -> bool:
    """Tell whether a URL carries its content itself."""
    return url[:5].lower() == "data:"


def name_of(url: str) -> str:
    """Return what to call the file behind a URL: the last part of its path, else its host."""
    if is_data_url(url):
        return _display_data(url)
    if url.startswith(STORED_SCHEME):
        return _name_of_stored(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid URL"
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    return one_line(last) or one_line(parts.netloc.rpartition("@")[2]) or "a file without a name"


def file_name(text: str) -> str:
    """Return the last part of a path that someone else chose, safe to show; empty if nothing is left."""
    return one_line(text.replace("\\", "/").rpartition("/")[2])


def labels(urls: Iterable[str]) -> dict[str, str]:
    """Return what to call each of a task's files where a model reads it, by URL, in order and no two alike.

    A URL that a model could open is called by itself; an uploaded file by its name, and a `data:` URL by its type and
    size. The second of a name has a number: `notes (2).txt`.
    """
    found: dict[str, str] = {}
    for url in dict.fromkeys(urls):
        if not is_data_url(url) and not url.startswith(STORED_SCHEME):
            found[url] = one_line(url, LONGEST_URL)
    taken = set(found.values())
    for url in dict.fromkeys(urls):
        if url not in found:
            found[url] = _untaken(name_of(url), taken)
            taken.add(found[url])
    return {url: found[url] for url in urls}


def _untaken(name: str, taken: set[str]) -> str:
    stem, dot, ending = name.rpartition(".") if not is_data_url(name) else (name, "", "")
    stem, ending = (stem, dot + ending) if stem else (name, "")
    numbered, number = name, 1
    while numbered in taken:
        number += 1
        numbered = f"{stem} ({number}){ending}"
    return numbered


def _name_of_stored(reference: str) -> str:
    """The name in a reference; without one the beginning of its digest, as the platform calls it too."""
    nameless = _STORED.fullmatch(reference)
    if nameless is not None:
        return nameless[1][:_DIGITS]
    return file_name(unquote(reference.partition("/")[2])) or "a file without a name"


def _display_data(url: str) -> str:
    comma = url.find(",")
    head, length = (url[:comma], len(url) - comma - 1) if comma >= 0 else (url, 0)  # the rest, which may be megabytes
    media_type = one_line(head[5:].partition(";")[0], 80) or "text/plain"
    is_base64 = head.lower().rstrip().endswith(";base64")
    size = length * 3 // 4 - url[-min(2, length) :].count("=") if is_base64 and length else length
    return f"data:{media_type} ({size_words(size)})"
