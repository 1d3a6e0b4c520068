"""Media that Agno itself downloads during a run: only from addresses that a run may read (``checked_http.py``).

The address may come from a tool, a model or a row of the journal. Outside a run, Agno's behavior is unchanged.
"""

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from worker.current import run_in_hand

if TYPE_CHECKING:
    import httpx

SIZE_SECONDS = 5.0  # Agno's own timeout

WEB = ("http://", "https://")
INTERACTIONS, ITEM = "agno.models.google.gemini_interactions", "media_to_content_item"
GOOGLES_OWN = "generativelanguage.googleapis.com"

Original = Callable[..., Any]


def read(original: Original) -> Original:
    """Make the hook for downloading a medium's content and type from an address."""

    @functools.wraps(original)
    def hook(url: str) -> tuple[bytes | None, str | None]:
        return original(url) if run_in_hand.get() is None else _read(url)

    return hook


def read_async(original: Original) -> Original:
    """Async version of ``read``."""

    @functools.wraps(original)
    async def hook(url: str) -> tuple[bytes | None, str | None]:
        if run_in_hand.get() is None:
            return await original(url)
        from worker.agents.models.checked_http import async_client

        async with async_client() as client, client.stream("GET", url) as response:
            response.raise_for_status()
            pieces, size = list[bytes](), 0
            async for piece in response.aiter_bytes():
                size += _checked(len(piece), size)
                pieces.append(piece)
            return b"".join(pieces), _type_of(response)

    return hook


def hook_google_downloads(model: Any) -> None:
    """Hook media downloads of Google's Interactions models, whose module is imported only when one is used.

    Args:
        model: Any model, before it is called.
    """
    for kind in type(model).__mro__:
        if kind.__module__ == INTERACTIONS:
            module = sys.modules[INTERACTIONS]
            made = getattr(module, ITEM)
            if not hasattr(made, "__wrapped__"):
                setattr(module, ITEM, _content_item(made))
            return


def _content_item(original: Original) -> Original:
    """Make the hook for a medium that Agno downloads for Google, or passes on as an address if the download fails."""

    @functools.wraps(original)
    def hook(media: Any, content_type: str, default_mime: str) -> Any:
        url = media.url
        if run_in_hand.get() is None or not url or not url.startswith(WEB) or GOOGLES_OWN in url:
            return original(media, content_type, default_mime)
        try:
            content = _read(url)[0]
        except Exception:  # noqa: BLE001 - after any error, Google receives the address instead
            item = original(_holding(media, b"-"), content_type, default_mime)
            return {"type": item["type"], "mime_type": item["mime_type"], "uri": url}
        return original(_holding(media, content), content_type, default_mime)

    return hook


def image_dimensions(original: Original) -> Original:
    """Make the hook for counting an image's tokens, for which Agno downloads the image."""

    @functools.wraps(original)
    def hook(image: Any) -> Any:
        if run_in_hand.get() is None or not image.url or image.content or image.filepath:
            return original(image)
        try:
            content = _read(image.url, SIZE_SECONDS)[0]
        except Exception:  # noqa: BLE001 - Agno then uses its default size
            content = b"?"
        return original(_holding(image, content))

    return hook


def file_tokens(original: Original) -> Original:
    """Make the hook for counting a file's tokens, for which Agno requests the file's size."""

    @functools.wraps(original)
    def hook(file: Any) -> Any:
        if run_in_hand.get() is None or not file.url or file.content or file.filepath:
            return original(file)
        from worker.agents.models.checked_http import MAX_BYTES, client

        try:
            with client(SIZE_SECONDS) as asking:
                size = int(asking.head(file.url).headers.get("content-length", 0))
        except Exception:  # noqa: BLE001 - the size counts as unknown, as in Agno
            size = 0
        return original(file.model_copy(update={"content": b"\0" * min(size, MAX_BYTES)})) if size > 0 else 0

    return hook


def _holding(media: Any, content: bytes | None) -> Any:
    return media.model_copy(update={"content": content, "url": None})


def _read(url: str, seconds: float | None = None) -> tuple[bytes, str | None]:
    from worker.agents.models.checked_http import SECONDS, client

    with client(seconds or SECONDS) as asking, asking.stream("GET", url) as response:
        response.raise_for_status()
        pieces, size = list[bytes](), 0
        for piece in response.iter_bytes():
            size += _checked(len(piece), size)
            pieces.append(piece)
        return b"".join(pieces), _type_of(response)


def _checked(size: int, before: int) -> int:
    from worker.agents.models.checked_http import MAX_BYTES

    if before + size > MAX_BYTES:
        raise ValueError(f"a media file has more than {MAX_BYTES:,} bytes")
    return size


def _type_of(response: "httpx.Response") -> str | None:
    return response.headers.get("content-type", "").partition(";")[0].strip() or None
