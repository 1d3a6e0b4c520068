"""Names and sizes for notes: one line, without query strings, credentials or base64."""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from worker.words.invisible_characters import UNSEEN

LONGEST_NAME = 120  # characters; enough for real file names, but not for smuggling a page of text into a message
LONGEST_URL = 4_000  # characters; signed URLs have up to 2,000
STORED_SCHEME = "worker:"
_STORED = re.compile(r"worker:([0-9a-fA-F]+)/?")  # a reference without a name, which would follow the digest
_DIGITS = 12  # of the digest, which name an upload without a name
_UNITS = ("bytes", "KB", "MB", "GB")
_STEP = 1024


def one_line(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a text with control and direction characters replaced by spaces, cut to ``longest`` characters."""
    cleaned = UNSEEN.sub(" ", text).strip()
    return cleaned if len(cleaned) <= longest else cleaned[: longest - 1] + "…"


def size_words(size: int) -> str:
    """Return a size in bytes for people: ``12 KB``, ``1.4 MB``."""
    amount = float(size)
    unit = _UNITS[0]
    for larger in _UNITS[1:]:
        if amount < _STEP:
            break
        amount, unit = amount / _STEP, larger
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"


def display_url(url: str) -> str:
    """Return a URL for notes and logs, without user, password, query or fragment.

    A ``data:`` URL is represented by its type and approximate size, never by its content.
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
    """Return whether a URL is a ``data:`` URL."""
    return url[:5].lower() == "data:"


def name_of(url: str) -> str:
    """Return a name for the file behind a URL: the last part of its path, else its host."""
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
    """Return the last part of an untrusted path, safe to show; empty if nothing is left."""
    return one_line(text.replace("\\", "/").rpartition("/")[2])


def labels(urls: Iterable[str]) -> dict[str, str]:
    """Return the names of a task's files for models, by URL, in order and without duplicates.

    A URL that a model could open is its own name; an uploaded file has its file name, and a ``data:`` URL its type and
    size. Repeated names are numbered: ``notes (2).txt``.
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
    """Return the name in a reference, or the beginning of its digest, as the platform does."""
    nameless = _STORED.fullmatch(reference)
    if nameless is not None:
        return nameless[1][:_DIGITS]
    return file_name(unquote(reference.partition("/")[2])) or "a file without a name"


def _display_data(url: str) -> str:
    comma = url.find(",")
    head, length = (url[:comma], len(url) - comma - 1) if comma >= 0 else (url, 0)  # the body may be megabytes
    media_type = one_line(head[5:].partition(";")[0], 80) or "text/plain"
    is_base64 = head.lower().rstrip().endswith(";base64")
    size = length * 3 // 4 - url[-min(2, length) :].count("=") if is_base64 and length else length
    return f"data:{media_type} ({size_words(size)})"
