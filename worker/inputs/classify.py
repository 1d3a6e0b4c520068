"""What a file is: by its content first, then by its declared type, then by its name."""

import mimetypes
from dataclasses import dataclass

from worker.inputs.attachments import Kind
from worker.inputs.decoding import text_encoding
from worker.inputs.office import document_type
from worker.inputs.pictures import picture_type

_HEAD = 1024  # bytes in which a PDF may begin (PDF 1.7, appendix H, note 13) and a text shows what it is
_SURE = 0.5  # of 1: below that a match is two or three bytes of luck
_SNIFFED = 8 * 1024  # bytes that the library for rarer formats sees
_BLANK = b"\xef\xbb\xbf \t\r\n\f"
# Python's own table, without the system's files, which differ from one machine to the next.
_PYTHONS = mimetypes.MimeTypes(filenames=())
# Names that it lacks, or has differently from one version to the next.
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
class Classified:
    """What a file turned out to be; `encoding` where its bytes are text, as they are in some documents."""

    kind: Kind
    media_type: str
    encoding: str | None = None


def classify(content: bytes, declared: str = "", name: str = "") -> Classified:
    """Say what a file is; never raises.

    Arguments:
        content: the whole file.
        declared: the Content-Type it came with, as it was sent.
        name: its file name.
    """
    if _begins_like_pdf(content):
        return Classified(Kind.PDF, "application/pdf")
    picture = picture_type(content)
    if picture is not None:
        return Classified(Kind.IMAGE, picture)
    document = document_type(content)
    encoding = text_encoding(content, _charset(declared))
    if document is not None:
        return Classified(Kind.DOCUMENT, document, encoding)
    if encoding is not None:
        return Classified(Kind.TEXT, _text_type(content, declared, name), encoding)
    if b"%PDF-" in content[:_HEAD]:
        return Classified(Kind.PDF, "application/pdf")
    return Classified(Kind.OTHER, _binary_type(content, declared, name))


def claims(declared: str, name: str) -> str:
    """Return the media type that a file claims to have: as declared unless that says nothing, else by its name."""
    plain = _plain_type(declared)
    return plain if plain not in _VAGUE else type_of_name(name) or plain


def _begins_like_pdf(content: bytes) -> bool:
    return content[:_HEAD].lstrip(_BLANK).startswith(b"%PDF-")


def _text_type(content: bytes, declared: str, name: str) -> str:
    by_content = _markup_type(content)
    if by_content is not None:
        return by_content
    for claimed in (_plain_type(declared), type_of_name(name)):
        if claimed not in _VAGUE and _is_text_type(claimed):
            return claimed
    return "text/plain"


def _markup_type(content: bytes) -> str | None:
    head = content[:_HEAD].replace(b"\0", b"").lstrip(_BLANK + b"\xff\xfe").lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "text/html"
    if head.startswith((b"<?xml", b"<svg", b"<!doctype svg")):
        if b"<svg" in head:
            return "image/svg+xml"
        return "text/html" if b"<html" in head else "text/xml"
    return None


def _is_text_type(media_type: str) -> bool:
    main, _, rest = media_type.partition("/")
    return main == "text" or rest.endswith(("+json", "+xml", "+yaml")) or rest in _TEXT_APPLICATIONS


def _binary_type(content: bytes, declared: str, name: str) -> str:
    # Office documents are all zip archives: there the name says more than the first bytes.
    guesses = [_sniffed_type(content), _plain_type(declared), type_of_name(name)]
    if guesses[0] == "application/zip":
        guesses = [guess for guess in (guesses[2], guesses[1], guesses[0]) if "image/" not in guess]
    return next((guess for guess in guesses if guess not in _VAGUE), "application/octet-stream")


def _sniffed_type(content: bytes) -> str:
    if content.startswith(b"PK\x03\x04"):
        return "application/zip"
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
    """Return the media type that a file's name says; empty where it says none."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    return _BY_ENDING.get(ending) or (_PYTHONS.types_map[True].get(f".{ending}", "") if ending else "")
