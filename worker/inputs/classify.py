"""Detection of file types: by content first, then by declared type, then by name."""

import mimetypes
import re
from dataclasses import dataclass

from worker.inputs.attachments import Kind
from worker.inputs.decoding import Encoding, text_encoding
from worker.inputs.kinds import (
    BZIP2,
    COMPOUND,
    EMAIL,
    EXCEL_XML,
    FICTION_BOOK,
    FLAT_PACKAGE,
    GZIP,
    MAILBOX,
    NOTEBOOK,
    OLD_EXCEL,
    OPEN_DOCUMENTS,
    RTF,
    TAR,
    TYPES,
    WEB_ARCHIVE,
    WORD_XML,
    XZ,
    ZIP,
)
from worker.inputs.pictures import picture_type
from worker.inputs.recordings import recording_type
from worker.inputs.signatures import type_by_signature

_HEAD = 1024  # bytes within which a PDF may start (PDF 1.7, appendix H, note 13) and markup identifies itself
_SURE = 0.5  # of 1: below it a match is a coincidence of two or three bytes
_SNIFFED = 8 * 1024  # bytes passed to the library for rarer formats
_HEADERS = 16 * 1024  # bytes searched for the headers of an e-mail
_SURE_HEADERS = 3  # known headers that identify an e-mail: two may occur in a text about e-mails
MESSAGE_START = re.compile(  # the first line of a message in a mailbox, RFC 4155
    rb"^From [^\n]{1,200}\d\d:\d\d[^\n]{0,100}\r?\n(?=[A-Za-z][A-Za-z0-9-]{1,60}:)", re.MULTILINE
)
_FIRST_HEADER = re.compile(rb"(?:From [^\n]+\n)?[A-Za-z][A-Za-z0-9-]{1,60}:[ \t]?[^\n]*(?:\n|\Z)")
_HEADER = re.compile(
    rb"^(From|To|Subject|Date|Message-ID|MIME-Version|Content-Type|Received|Return-Path|Delivered-To|Snapshot-Content-Location):",
    re.IGNORECASE | re.MULTILINE,
)
_STARTS = (  # APPNOTE 4.3.7 and 4.3.16; [MS-CFB] 2.2; RFC 1952; RTF 1.9.1; bzip2 and xz, 2.1.1.1
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", COMPOUND),
    (b"\x1f\x8b\x08", GZIP),
    *((b"BZh%d1AY&SY" % size, BZIP2) for size in range(1, 10)),
    (b"\xfd7zXZ\0", XZ),
    (b"{\\rtf", RTF),
    (b"\x09\x00\x04\x00", OLD_EXCEL),  # Excel 2, 3, 4, and Excel 5 without a container
    (b"\x09\x02\x06\x00", OLD_EXCEL),
    (b"\x09\x04\x06\x00", OLD_EXCEL),
    (b"\x09\x08\x08\x00\x00\x05", OLD_EXCEL),
)
_FLAT = re.compile(rb"""<office:document\s[^<>]{0,16000}?\boffice:mimetype=["']([\w./+-]{1,100})["']""")
_ROOTS = (  # the root elements of documents that are a single XML file
    (re.compile(rb"<(?:\w+:)?Workbook\b[^<>]{0,4000}urn:schemas-microsoft-com:office:spreadsheet"), EXCEL_XML),
    (re.compile(rb"<(?:\w+:)?wordDocument\b[^<>]{0,8000}schemas\.microsoft\.com/office/word/2003/wordml"), WORD_XML),
    (re.compile(rb"<(?:\w+:)?package\b[^<>]{0,4000}schemas\.microsoft\.com/office/2006/xmlPackage"), FLAT_PACKAGE),
    (re.compile(rb"<FictionBook\b"), FICTION_BOOK),
)
_PACKED = {ZIP, COMPOUND, GZIP, BZIP2, XZ, TAR, OLD_EXCEL}
_BLANK = b"\xef\xbb\xbf \t\r\n\f"
# Python's own table, without the system's files, which differ between machines.
_PYTHONS = mimetypes.MimeTypes(filenames=())
# Extensions that Python's table lacks, or maps differently between versions.
_BY_ENDING = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "ndjson": "application/jsonl",
    "xml": "text/xml",
    "html": "text/html",
    "htm": "text/html",
    "md": "text/markdown",
    "markdown": "text/markdown",
    "rst": "text/x-rst",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "ini": "text/plain",
    "cfg": "text/plain",
    "log": "text/plain",
    "txt": "text/plain",
    "py": "text/x-python",
    "js": "text/javascript",
    "ts": "text/plain",
    "css": "text/css",
    "svg": "image/svg+xml",
    "eml": "message/rfc822",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_TEXT_APPLICATIONS = {
    *("json", "jsonl", "x-ndjson", "xml", "yaml", "x-yaml", "toml", "javascript", "x-javascript", "sql", "graphql"),
    *("x-sh", "x-python", "rtf", "xhtml+xml"),
}
_VAGUE = {"", "application/octet-stream", "binary/octet-stream", "application/binary", "text/plain"}


@dataclass(frozen=True)
class ClassifiedFile:
    """The detected type of a file; ``encoding`` is set if its bytes are text, as in some documents."""

    kind: Kind
    media_type: str
    encoding: Encoding | None = None


def classify(content: bytes, declared: str = "", name: str = "") -> ClassifiedFile:
    """Detect the type of a file; never raises.

    Args:
        content: The whole file.
        declared: The Content-Type as sent.
        name: The file name.
    """
    if content[:_HEAD].lstrip(_BLANK).startswith(b"%PDF-"):
        return ClassifiedFile(Kind.PDF, "application/pdf")
    picture = picture_type(content)
    if picture is not None:
        return ClassifiedFile(Kind.IMAGE, picture)
    recording = recording_type(content)
    if recording is not None:
        return ClassifiedFile(Kind.AUDIO if recording.startswith("audio/") else Kind.VIDEO, recording)
    container = _container_type(content) or _message_type(content, declared, name)
    encoding = text_encoding(content, _charset(declared)) if container not in _PACKED else None
    if container is not None:
        return ClassifiedFile(Kind.DOCUMENT, container, encoding)
    if encoding is not None:
        text_type = NOTEBOOK if _is_notebook(content) else _text_type(content, declared, name)
        return ClassifiedFile(Kind.DOCUMENT if text_type in TYPES else Kind.TEXT, text_type, encoding)
    if b"%PDF-" in content[:_HEAD]:
        return ClassifiedFile(Kind.PDF, "application/pdf")
    return ClassifiedFile(Kind.OTHER, _binary_type(content, declared, name))


def claims(declared: str, name: str) -> str:
    """Return the media type that a file claims: the declared one if it is specific, else that of its name."""
    plain = _plain_type(declared)
    return plain if plain not in _VAGUE else type_of_name(name) or plain


def _container_type(content: bytes) -> str | None:
    """Return the type of a container by its first bytes; its table of contents is examined later."""
    for start, media_type in _STARTS:
        if content.startswith(start):
            return media_type
    return TAR if content[257:262] == b"ustar" else None  # POSIX 1003.1, ustar


def _message_type(content: bytes, declared: str, name: str) -> str | None:
    """Return the type of an e-mail or saved page, recognized by its headers (RFC 5322, RFC 2557); None for others."""
    head = content[:_HEADERS].lstrip(_BLANK).replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    if not _FIRST_HEADER.match(head):
        return None
    found = {each.group(1).lower() for each in _HEADER.finditer(head)}
    claimed = claims(declared, name)
    least = 1 if claimed == EMAIL or name.lower().endswith((".mht", ".mhtml")) else _SURE_HEADERS
    if len(found) < least:
        return None
    if content.startswith(b"From ") and MESSAGE_START.match(content) and MESSAGE_START.search(content, 1):
        return MAILBOX
    return WEB_ARCHIVE if b"snapshot-content-location" in head.lower() or name.lower().endswith(".mht") else EMAIL


def _is_notebook(content: bytes) -> bool:
    return content[:_HEAD].lstrip().startswith(b"{") and b'"nbformat"' in content and b'"cells"' in content


def _text_type(content: bytes, declared: str, name: str) -> str:
    by_content = _markup_type(content)
    if by_content is not None:
        return by_content
    for claimed in (_plain_type(declared), type_of_name(name)):
        if claimed not in _VAGUE and _is_text_type(claimed):
            return claimed
    return "text/plain"


def _markup_type(content: bytes) -> str | None:
    flat = _FLAT.search(content[:_HEADERS])
    if flat is not None and (found := _flat_type(flat.group(1).decode("ascii"))):
        return found
    begun = content[:_HEADERS] if b"<?xml" in content[:_HEAD] else b""
    root = next((kind for pattern, kind in _ROOTS if pattern.search(begun)), None)
    if root is not None:
        return root
    head = content[:_HEAD].replace(b"\0", b"").lstrip(_BLANK + b"\xff\xfe").lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "text/html"
    if head.startswith((b"<?xml", b"<svg", b"<!doctype svg")):
        if b"<svg" in head:
            return "image/svg+xml"
        return "text/html" if b"<html" in head else "text/xml"
    return None


def _flat_type(media_type: str) -> str | None:
    """Return the type of an OpenDocument stored as a single XML file (ISO/IEC 26300-1, 3.1), templates included."""
    return next((each for each in OPEN_DOCUMENTS if media_type.startswith(each)), None)


def _is_text_type(media_type: str) -> bool:
    main, _, rest = media_type.partition("/")
    return main == "text" or rest.endswith(("+json", "+xml", "+yaml")) or rest in _TEXT_APPLICATIONS


def _binary_type(content: bytes, declared: str, name: str) -> str:
    guesses = [type_by_signature(content), _sniffed_type(content), _plain_type(declared), type_of_name(name)]
    return next((guess for guess in guesses if guess not in _VAGUE), "application/octet-stream")


def _sniffed_type(content: bytes) -> str:
    import puremagic

    try:
        found = puremagic.magic_string(content[:_SNIFFED])
    except (puremagic.PureError, ValueError):
        return ""
    confidence, media_type = max((float(match.confidence), str(match.mime_type)) for match in found)
    return media_type.lower() if confidence >= _SURE else ""


def _plain_type(declared: str) -> str:
    plain = declared.partition(";")[0].strip().lower()
    return plain if plain.isascii() and plain.isprintable() and plain.count("/") == 1 and " " not in plain else ""


def _charset(declared: str) -> str:
    for parameter in declared.split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return value
    return ""


def type_of_name(name: str) -> str:
    """Return the media type that a file name implies; empty if it implies none."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return _BY_ENDING.get(ending) or (_PYTHONS.types_map[True].get(f".{ending}", "") if ending else "")
