"""What the providers refuse of files: one table of their limits, and a look into requests as they came by the wire."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pypdf
from PIL import Image

MIB = 1024 * 1024
COMMON = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a provider takes.

    Args:
        source: Where it says so.
        types: Of pictures.
        side: Pixels of their longest side.
        base64_bytes: Of one picture as base64.
        pictures: Of one request.
        few: Up to how many may have that side; else 2,000.
        moves: Whether a moving picture is taken.
        pages: Of all PDFs of a request.
        documents: PDFs of one request.
        document_bytes: Of one PDF.
        names: What a document may be called; none: anything. Then no two may be called alike.
        request_bytes: Of the whole body.
    """

    source: str
    types: frozenset[str] = COMMON
    side: int = 100_000
    base64_bytes: int = 20 * MIB
    pictures: int = 500
    few: int = 10_000
    moves: bool = True
    pages: int = 100
    documents: int = 1_000
    document_bytes: int = 32_000_000
    names: re.Pattern[str] | None = None
    request_bytes: int = 50_000_000


OPENAI = Accepted("platform.openai.com/docs/guides/images-vision, /pdf-files", moves=False)
ANTHROPIC = Accepted(
    "platform.claude.com/docs/en/build-with-claude/vision, /pdf-support",
    side=8_000,
    base64_bytes=5 * MIB,
    pictures=100,
    few=20,
    request_bytes=32_000_000,
)
ACCEPTED = {
    "openai-chat": OPENAI,
    "openai-responses": OPENAI,
    "anthropic": ANTHROPIC,
    "gemini": Accepted(
        "ai.google.dev/gemini-api/docs/image-understanding, /document-processing",
        types=COMMON - {"image/gif"} | {"image/heic", "image/heif"},
        pictures=3_000,
        pages=1_000,
        document_bytes=50_000_000,
        request_bytes=20_000_000,
    ),
    "bedrock": Accepted(
        "docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html, API_runtime_DocumentBlock.html",
        side=8_000,
        base64_bytes=5 * MIB,
        pictures=20,
        documents=5,
        document_bytes=4_500_000,
        names=re.compile(r"(?!.*\s\s)[A-Za-z0-9 ()\[\]-]{1,200}"),
    ),
}
"""By the wire's name."""

Part = tuple[str, bytes, str]
"""Media type, content and name of a file in a request."""


def refusal(wire: str, body: Any, size: int) -> str | None:
    """Why a provider refuses a request; None if it takes it.

    Args:
        wire: The provider's.
        body: The JSON as it came.
        size: Bytes of it.
    """
    accepted, parts = ACCEPTED[wire], list(PARTS[wire](body))
    pictures = [each for each in parts if each[0].startswith("image/")]
    documents = [each for each in parts if each[0] == "application/pdf"]
    if size > accepted.request_bytes:
        return f"request of {size} bytes"
    if len(pictures) > accepted.pictures or len(documents) > accepted.documents:
        return f"{len(pictures)} pictures, {len(documents)} documents"
    side = accepted.side if len(pictures) <= accepted.few else 2_000
    wrong = [why for each in pictures if (why := _picture(each, accepted, side))]
    wrong += [why for each in documents if (why := _document(each, accepted))]
    names = [name for _, _, name in documents]
    if accepted.names is not None and len(set(names)) < len(names):
        wrong.append(f"duplicate names {names}")
    pages = sum(_pages(content) for _, content, _ in documents) if not wrong else 0
    return wrong[0] if wrong else f"{pages} pages" if pages > accepted.pages else None


def _picture(part: Part, accepted: Accepted, side: int) -> str | None:
    media_type, content, _ = part
    if media_type not in accepted.types:
        return f"{media_type} is not taken"
    if len(base64.b64encode(content)) > accepted.base64_bytes:
        return f"picture of {len(content)} bytes"
    if media_type in {"image/heic", "image/heif"}:
        return None
    with Image.open(io.BytesIO(content)) as picture:
        if Image.MIME[str(picture.format)] != media_type:
            return f"{media_type} is {picture.format}"
        if max(picture.size) > side:
            return f"{picture.size} is more than {side}"
        if getattr(picture, "n_frames", 1) > 1 and not accepted.moves:
            return "it moves"
        return "CMYK" if picture.mode == "CMYK" else None


def _document(part: Part, accepted: Accepted) -> str | None:
    _, content, name = part
    if len(content) > accepted.document_bytes:
        return f"document of {len(content)} bytes"
    if accepted.names is not None and not accepted.names.fullmatch(name):
        return f"a document cannot be called {name!r}"
    return "encrypted" if pypdf.PdfReader(io.BytesIO(content)).is_encrypted else None


def _pages(content: bytes) -> int:
    return len(pypdf.PdfReader(io.BytesIO(content)).pages)


def _blocks(messages: Any) -> Iterator[Any]:
    for message in messages:
        content = message.get("content", message.get("parts"))
        yield from content if isinstance(content, list) else ()


def _of_data_url(url: str, name: str = "") -> Part:
    head, _, body = url.partition(",")
    return head.removeprefix("data:").partition(";")[0], base64.b64decode(body), name


def _of_chat(body: Any) -> Iterator[Part]:
    for block in _blocks(body["messages"]):
        if block["type"] == "image_url":
            yield _of_data_url(block["image_url"]["url"])
        elif block["type"] == "file":
            yield _of_data_url(block["file"]["file_data"], block["file"]["filename"])


def _of_responses(body: Any) -> Iterator[Part]:
    for block in _blocks(body["input"]):
        if block["type"] == "input_image":
            yield _of_data_url(block["image_url"])
        elif block["type"] == "input_file":
            yield _of_data_url(block["file_data"], block["filename"])


def _of_anthropic(body: Any) -> Iterator[Part]:
    for block in _blocks(body["messages"]):
        if block["type"] in {"image", "document"}:
            source = block["source"]
            yield source["media_type"], base64.b64decode(source["data"]), str(block.get("title") or "")


def _of_gemini(body: Any) -> Iterator[Part]:
    for block in _blocks(body["contents"]):
        if "inlineData" in block:
            data = block["inlineData"]
            yield data.get("mimeType") or data["mime_type"], base64.urlsafe_b64decode(data["data"]), ""


def _of_bedrock(body: Any) -> Iterator[Part]:
    for block in _blocks(body["messages"]):
        for kind, main in (("image", "image"), ("document", "application")):
            if kind in block:
                found = block[kind]
                content = base64.b64decode(found["source"]["bytes"])
                yield f"{main}/{found['format']}", content, found.get("name", "")


PARTS: dict[str, Callable[[Any], Iterator[Part]]] = {
    "openai-chat": _of_chat,
    "openai-responses": _of_responses,
    "anthropic": _of_anthropic,
    "gemini": _of_gemini,
    "bedrock": _of_bedrock,
}
