"""Examination of a file's bytes: its type, completeness and contents, with notes on anything unusual."""

import re
from dataclasses import dataclass, field, replace

from worker.inputs import documents
from worker.inputs.attachments import Attachment, Fetched, Kind
from worker.inputs.causes import UnreadableError
from worker.inputs.classify import ClassifiedFile, claims, classify, type_of_name
from worker.inputs.decoding import pieces
from worker.inputs.documents import Document
from worker.inputs.kinds import DEEPEST, HTML, MAX_IN_ALL, OLD_EXCEL, OLD_WORD
from worker.inputs.names import STORED_SCHEME, is_data_url, labels, name_of, one_line
from worker.inputs.pdfs import check_pdf
from worker.inputs.pictures import is_complete
from worker.inputs.recordings import has_its_tracks
from worker.inputs.threads import examine

BLANK = b" \t\r\n\f\v\0\xef\xbb\xbf\xfe\xff"  # including the bytes of byte-order marks and the NULs of UTF-16
PAGES = frozenset({"html", "xhtml+xml", "xml", "svg+xml", "rfc822", "related"})
EXPORTED = frozenset(
    {OLD_EXCEL, OLD_WORD}
)  # programs give HTML tables and reports these extensions, so that Excel and Word open them
TABLES = frozenset({"csv", "tab-separated-values"})
TABLE_TYPES = frozenset({f"text/{each}" for each in TABLES})
PACKED = ("application/vnd.", "application/msword", "application/zip", "application/epub")  # formats that are no text
JSON = "application/json"
PASSWORD = re.compile(rb"""<input\b[^<>]{0,1000}\btype\s{0,10}=\s{0,10}["']?password\b""", re.IGNORECASE)
FORM_WITHIN = 256 * 1024  # bytes of a page in which a field for a password is looked for
OF_ONE_ENCODING = frozenset({HTML})  # documents that are text throughout, in any encoding
MIN_TEXT = 64 * 1024  # bytes always granted to the text of a document, however large the document is
MARKS = 1000  # bytes for the line before the text of a document


@dataclass(frozen=True)
class _File:
    """A file under examination.

    Args:
        url: The URL as the task names it; for a ``data:`` URL, its label.
        name: The name as one line, safe to show; for a file within another, prefixed with the name of that one.
        fetched: Its bytes, declared type and name.
        most: The maximum size of the file and the files in it, in bytes.
        depth: The number of files around it.
        pictures: How many pictures of a document are wanted.
        inner: The files found so far in the outermost one.
    """

    url: str
    name: str
    fetched: Fetched
    most: int
    depth: int = 0
    pictures: int = 0
    inner: list[str] = field(default_factory=list[str])


async def examined(
    url: str, fetched: Fetched, most: int, label: str | None = None, pictures: int = 0
) -> tuple[Attachment, ...]:
    """Turn the content of a URL into attachments.

    Args:
        url: The URL as the task names it; of a ``data:`` URL only the label is kept.
        fetched: The content.
        most: The maximum size of the file and the files in it, in bytes.
        label: The name that messages use for it among other files (``names.labels``).
        pictures: How many pictures of a document are wanted.

    Returns:
        The file, followed by the files in it: members of an archive, attachments of an e-mail, pictures of a document.

    Raises:
        UnreadableError: The file cannot be read.
    """
    label = label or labels([url])[url]
    name = label if url.startswith(STORED_SCHEME) else fetched.name or name_of(url)
    return await _examined(_File(label if is_data_url(url) else url, name, fetched, most, pictures=pictures))


async def _examined(file: _File) -> tuple[Attachment, ...]:
    fetched = file.fetched
    if not fetched.content:
        raise UnreadableError("it is empty (0 bytes)")
    found = await examine(lambda: classify(fetched.content, fetched.declared, file.name))
    if found.kind is Kind.DOCUMENT:
        return await _read(file, found)
    if found.kind is Kind.PDF:
        return (replace(_attachment(file, found), pages=await check_pdf(fetched.content)),)
    await examine(lambda: _check(fetched.content, found))
    return (replace(_attachment(file, found), note=_remarks(file, found)),)


def _check(content: bytes, found: ClassifiedFile) -> None:
    """Raise UnreadableError if the content is incomplete or blank."""
    if found.kind is Kind.IMAGE and not is_complete(content, found.media_type):
        raise UnreadableError("it is truncated: its end is missing")
    if found.kind in {Kind.AUDIO, Kind.VIDEO} and not has_its_tracks(content):
        raise UnreadableError("it is truncated: its table of contents is missing")
    if found.kind is Kind.TEXT and not any(piece.strip(BLANK) for piece in pieces(content)):
        raise UnreadableError("it contains only white space")


def _attachment(file: _File, found: ClassifiedFile) -> Attachment:
    return Attachment(
        url=file.url,
        kind=found.kind,
        media_type=found.media_type,
        name=file.name,
        content=file.fetched.content,
        encoding=found.encoding.name if found.encoding is not None else None,
    )


async def _read(file: _File, found: ClassifiedFile) -> tuple[Attachment, ...]:
    """Convert a document to text and its inner files; if that fails, a document that is text is kept as it is."""
    content, encoding = file.fetched.content, found.encoding.name if found.encoding is not None else None
    if file.depth >= DEEPEST:
        raise UnreadableError(f"it is nested deeper than {DEEPEST} files")
    most = max(file.most - len(content) - MARKS, MIN_TEXT)
    try:
        document = await documents.read(
            content, found.media_type, file.name, encoding, most=most, pictures=file.pictures
        )
    except UnreadableError as cause:
        if found.encoding is None:
            raise
        return (_as_it_is(file, found, f"it cannot be converted ({cause})"),)
    if document.missing:
        how = f"it is {document.words}; reading it requires `pip install 'agno-worker[files]'`"
        return (_as_it_is(file, replace(found, media_type=document.media_type), how),)
    read = _converted(file, found, document)
    return (read, *await _members(file, document, most - read.size + len(content)))


def _converted(file: _File, found: ClassifiedFile, document: Document) -> Attachment:
    text = f"[text extracted from {file.name}]\n\n{document.text}"
    mislabelled = _mislabelled(file, document.media_type)
    notes = [f"{file.name}: {each}." for each in document.notes]
    if document.media_type in OF_ONE_ENCODING:
        notes += _of_encoding(file.name, found)
    return Attachment(
        url=file.url,
        kind=Kind.TEXT,
        media_type="text/markdown",
        name=file.name,
        content=text.encode("utf-8", "replace"),
        encoding="utf-8",
        original=file.fetched.content,
        source=document.media_type,
        is_cut=document.is_cut,
        note=_joined([*([mislabelled] if mislabelled else []), *notes]),
    )


async def _members(file: _File, document: Document, left: int) -> list[Attachment]:
    """Examine the files in a file as if each were a file of the task."""
    found: list[Attachment] = []
    for number, each in enumerate(document.files):
        member = f"{file.name}/{one_line(each.name)}"
        if len(file.inner) >= MAX_IN_ALL:
            read = f"only {number:,} of the {len(document.files):,} files in it were read"
            note = f"{file.name}: {read}: at most {MAX_IN_ALL:,} nested files are read in all."
            found.append(Attachment(member, Kind.UNREADABLE, "", member, note=note))
            break
        file.inner.append(member)
        try:
            inner = replace(
                file, url=member, name=member, fetched=Fetched(each.content, each.declared), most=max(left, 0)
            )
            items = await _examined(replace(inner, depth=file.depth + 1))
        except UnreadableError as cause:
            note = f"{member} could not be read: {cause}."
            items = (Attachment(member, Kind.UNREADABLE, "", member, note=note),)
        found += items
        left -= sum(each.size for each in items)
    return found


def _as_it_is(file: _File, found: ClassifiedFile, why: str) -> Attachment:
    """Attach an unconverted document as plain text if it is text; otherwise as a note."""
    item = replace(_attachment(file, found), kind=Kind.OTHER)
    if found.encoding is None:
        return replace(item, note=f"{file.name} could not be attached: {why}.")
    mislabelled = _mislabelled(file, found.media_type)
    as_it_is = f"{file.name} is included unconverted: {why}."
    note = _joined([*([mislabelled] if mislabelled else []), as_it_is, *_of_encoding(file.name, found)])
    return replace(item, kind=Kind.TEXT, note=note)


def _remarks(file: _File, found: ClassifiedFile) -> str | None:
    if found.kind is Kind.OTHER:
        return f"{file.name} could not be attached: {found.media_type} is not a type that can be read."
    if found.kind is not Kind.TEXT:
        return None
    mislabelled = _mislabelled(file, found.media_type) or _no_such_text(file, found.media_type)
    return _joined([*([mislabelled] if mislabelled else []), *_of_encoding(file.name, found)])


def _of_encoding(name: str, found: ClassifiedFile) -> list[str]:
    """Return notes on how a text was decoded."""
    encoding, notes = found.encoding, list[str]()
    if encoding is not None and encoding.is_guess:
        notes.append(f"{name} does not declare its encoding; it was read as {encoding.spoken}, which is a guess.")
    if encoding is not None and encoding.replaced:
        count = "1 place" if encoding.replaced == 1 else f"{encoding.replaced:,} places"
        notes.append(f"{name}: {count} could not be decoded as {encoding.spoken}: shown as \ufffd.")
    return notes


def _mislabelled(file: _File, media_type: str) -> str | None:
    name, declared = file.name, file.fetched.declared
    claimed, named = claims(declared, name), type_of_name(name)
    if media_type == HTML and _is_no_page(named, declared):
        often = "" if named in EXPORTED else " (perhaps a sign-in or error page)"
        return f"{name} is named like {named} but contains text/html{often}, which is included as text."
    if media_type != claimed and _claims_binary(claimed):
        return f"{name} is labeled {claimed} but contains {media_type}, which is included as text."
    if media_type == HTML and _asks_password(file):
        return f"{name} is a page that asks for a password, perhaps in place of the intended file."
    return None


def _asks_password(file: _File) -> bool:
    is_fetched = file.depth == 0 and file.url.lower().startswith(("http:", "https:"))
    return is_fetched and PASSWORD.search(file.fetched.content[:FORM_WITHIN]) is not None


def _no_such_text(file: _File, media_type: str) -> str | None:
    """Return a note if a text is no file of the type that its name says, such as an error in JSON or in words."""
    named, is_json = type_of_name(file.name), media_type == JSON and file.fetched.content.lstrip(BLANK)[:1] == b"{"
    if not (_claims_binary(named) or named.startswith(PACKED) or (named in TABLE_TYPES and is_json)):
        return None
    return f"{file.name} is named like {named} but contains {media_type}, which is included as text."


def _is_no_page(named: str, declared: str) -> bool:
    """Return whether a name implies a format that is not HTML; texts may contain it, unless a server declares it."""
    main, _, rest = named.partition("/")
    if named in {"", "application/octet-stream"} or rest in PAGES:
        return False
    return main != "text" or rest in TABLES or claims(declared, "") == HTML


def _claims_binary(claimed: str) -> bool:
    if claimed.endswith(("+xml", "mpegurl", "bitmap", "pixmap", "anymap", "graymap")):  # these formats may be text
        return False
    return claimed == "application/pdf" or claimed.startswith(("image/", "audio/", "video/"))


def _joined(notes: list[str]) -> str | None:
    return " ".join(notes) or None
