"""A task's files on its page, and their content, served so that none of it can run scripts on the dashboard."""

from collections.abc import Awaitable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.responses import Response

from worker.contracts import Organization
from worker.dashboard.request_context import RequestContext, task_of
from worker.inputs.attachments import Kind
from worker.inputs.causes import UnreadableError
from worker.inputs.classify import claims, classify
from worker.inputs.data_urls import read_data_url
from worker.inputs.names import display_url, file_name, is_data_url, name_of
from worker.words.artifacts import Artifact
from worker.words.errors import FileNotStored, ModuleException, NotFound
from worker.words.limits import FILE_BYTES
from worker.words.tasks import TaskRecord
from worker.words.work import KeptFile, url_digest

PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"})
"""Formats that an <img> shows and that cannot contain scripts."""

DRAWING = "image/svg+xml"
"""Also shown by an <img>; opened directly, it is in a sandbox that runs no scripts."""

TEXT_BYTES = 256 * 1024  # largest text file that is shown on the page
TEXT_CHARACTERS = 20_000
TEXTS_SHOWN = 10
PDF_CSP = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
BOX_CSP = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'self'"
)


@dataclass(slots=True)
class ShownFile:
    """A file of a task.

    Args:
        number: The position among the task's files.
        look: ``picture``, ``pdf``, ``audio``, ``video``, ``text``, ``download`` (stored here), ``link`` (stored
            elsewhere), ``plain``.
        url: The URL of a link.
        text: The beginning of a text.
    """

    number: int
    name: str
    look: str
    size: int | None = None
    url: str | None = None
    text: str | None = None
    is_cut: bool = False


async def attachments(context: RequestContext, task: TaskRecord) -> list[ShownFile]:
    """Return a task's files, with the contents of texts up to a limit."""
    files = task.input.files or []
    if not files:
        return []
    kept = {each.url_digest: each for each in await context.access.organization.tasks.kept_files(task.id)}
    shown = [_attachment(number, url, kept.get(url_digest(url))) for number, url in enumerate(files)]
    for each in _short_texts(shown):
        url = files[each.number]
        await _show_text(each, _content(context.access.organization, url, kept.get(url_digest(url))))
    return shown


def _short_texts(files: list[ShownFile]) -> list[ShownFile]:
    """Return the texts among files whose contents are shown."""
    return [each for each in files if each.look == "text" and (each.size or 0) <= TEXT_BYTES][:TEXTS_SHOWN]


def _attachment(number: int, url: str, kept: KeptFile | None) -> ShownFile:
    if kept is not None:
        name = file_name(kept.name) or name_of(url)
        return ShownFile(number, name, _look(kept.media_type, name), kept.size)
    if is_data_url(url):
        return ShownFile(
            number, name_of(url), _look(url[5:].partition(",")[0].partition(";")[0], ""), len(url) * 3 // 4
        )
    if _scheme(url) in ("http", "https"):
        return ShownFile(number, display_url(url), "link", url=url)
    return ShownFile(number, display_url(url), "plain")


async def artifacts(context: RequestContext, task: TaskRecord) -> list[ShownFile]:
    """Return the files that a task's runs have produced, with the contents of texts up to a limit."""
    shown = [_artifact(number, made) for number, made in enumerate(task.artifacts)]
    for each in _short_texts(shown):
        await _show_text(each, _made(context.access.organization, task.artifacts[each.number]))
    return shown


def _artifact(number: int, made: Artifact) -> ShownFile:
    if made.sha256 is not None:
        return ShownFile(number, made.name, _look(made.media_type, made.name), made.size)
    return ShownFile(number, made.name, "link" if _scheme(made.url) in ("http", "https") else "plain", url=made.url)


def _scheme(url: str) -> str:
    """Return the scheme of a URL, or an empty string if it is invalid."""
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        return ""


def _look(media_type: str, name: str) -> str:
    """Return the likely display of a file, by its declared type; the content is checked when it is downloaded."""
    claimed = claims(media_type, name)
    if claimed in PICTURES or claimed == DRAWING:
        return "picture"
    if claimed.startswith(("audio/", "video/")):
        return claimed.partition("/")[0]
    if claimed == "application/pdf":
        return "pdf"
    if claimed.startswith("text/") or claimed in ("application/json", "application/yaml", "application/jsonl"):
        return "text"
    return "download"


async def _show_text(file: ShownFile, reading: Awaitable[tuple[bytes, str]]) -> None:
    """Show the beginning of a text, given its content and declared type; one that cannot be read has only a name."""
    try:
        content, declared = await reading
    except ModuleException:
        file.look = "plain"
        return
    found = classify(content, declared, file.name)
    if found.encoding is None:
        file.look = "download"
        return
    text = content.decode(found.encoding.name, "replace")
    file.text, file.is_cut = text[:TEXT_CHARACTERS], len(text) > TEXT_CHARACTERS


async def _content(organization: Organization, url: str, kept: KeptFile | None) -> tuple[bytes, str]:
    if is_data_url(url):
        try:
            fetched = read_data_url(url, FILE_BYTES)
        except UnreadableError as error:
            raise NotFound(f"The file cannot be read: {error}") from None
        return fetched.content, fetched.declared
    if kept is None:
        raise FileNotStored(url[:100])
    stored = await organization.tasks.open_file(kept.reference)
    return stored.content, stored.media_type


async def _made(organization: Organization, artifact: Artifact) -> tuple[bytes, str]:
    return (await organization.tasks.open_file(artifact.url)).content, artifact.media_type


async def file(context: RequestContext) -> Response:
    """Return one of a task's files: pictures, PDFs and media to display, all others to download."""
    task = await task_of(context)
    number: int = context.request.path_params["number"]
    files = task.input.files or []
    if number >= len(files):
        raise NotFound("The task has no such file.")
    organization = context.access.organization
    url = files[number]
    kept = {each.url_digest: each for each in await organization.tasks.kept_files(task.id)}.get(url_digest(url))
    content, declared = await _content(organization, url, kept)
    return _answer(context, _attachment(number, url, kept).name, content, declared)


async def artifact(context: RequestContext) -> Response:
    """Return a file that a task's runs have produced, like ``file``."""
    task = await task_of(context)
    number: int = context.request.path_params["number"]
    if number >= len(task.artifacts) or task.artifacts[number].sha256 is None:
        raise NotFound("The task has no such file.")
    made = task.artifacts[number]
    return _answer(context, made.name, *await _made(context.access.organization, made))


def _answer(context: RequestContext, name: str, content: bytes, declared: str) -> Response:
    found = classify(content, declared, name)
    is_pdf = found.kind is Kind.PDF
    is_drawing = found.media_type == DRAWING and DRAWING in (claims(declared, name), claims("", name))
    media_type = DRAWING if is_drawing else found.media_type
    seen = is_pdf or is_drawing or media_type in PICTURES or media_type.startswith(("audio/", "video/"))
    disposition = "inline" if seen and "save" not in context.request.query_params else "attachment"
    headers = {
        "content-disposition": f"{disposition}; filename*=UTF-8''{quote(name, safe='')}",
        "content-security-policy": PDF_CSP if is_pdf else BOX_CSP,
        "cache-control": "private, max-age=300",
    }
    return Response(content, 200, headers, media_type if seen else "application/octet-stream")


async def result(context: RequestContext) -> Response:
    """Return an HTML result as a sandboxed document."""
    task = await task_of(context)
    headers = {"content-security-policy": BOX_CSP}
    return Response((task.result or "").encode("utf-8", "replace"), 200, headers, "text/html; charset=utf-8")
