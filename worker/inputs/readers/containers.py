"""What a zip archive or an OLE file is, by its table of contents: never by searching its bytes."""

import io
import posixpath
import re
import zipfile
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from worker.bounded import Refused
from worker.inputs.kinds import (
    COMPOUND,
    ENCRYPTED,
    EPUB,
    EXCEL,
    EXCEL_BINARY,
    IWORK,
    OLD_EXCEL,
    OLD_POWERPOINT,
    OLD_WORD,
    OPEN_DOCUMENTS,
    OUTLOOK,
    POWERPOINT,
    VISIO,
    WORD,
    XPS,
    ZIP,
)
from worker.inputs.readers.markup import parse_xml

ENTRIES = 10_000  # per archive; the largest real documents have a few thousand
UNPACKED_BYTES = 256 * 1024 * 1024  # the maximum total size of a document's entries, as declared by them
TABLE_BYTES = 4 * 1024 * 1024  # of a member that describes the others
BROKEN = "it is truncated or broken"

_ENCRYPTED_FLAG = 1  # a flag of an entry, APPNOTE 4.4.4
_MAIN_PARTS = {  # ECMA-376 and [MS-OFFMACRO]: types by a substring of the content type
    "wordprocessingml": WORD,
    "ms-word": WORD,
    "sheet.binary": EXCEL_BINARY,
    "spreadsheetml": EXCEL,
    "ms-excel": EXCEL,
    "presentationml": POWERPOINT,
    "ms-powerpoint": POWERPOINT,
    "ms-visio": VISIO,
}
_STREAMS = {  # [MS-DOC], [MS-XLS], [MS-PPT], [MS-OXMSG], [MS-OFFCRYPTO]
    "encryptedpackage": ENCRYPTED,
    "worddocument": OLD_WORD,
    "workbook": OLD_EXCEL,
    "book": OLD_EXCEL,
    "powerpoint document": OLD_POWERPOINT,
    "__properties_version1.0": OUTLOOK,
    "bodytext/section0": "application/x-hwp",
    "viewtext/section0": "application/x-hwp",
    "visiodocument": "application/vnd.visio",
    "quill/quillsub/contents": "application/vnd.ms-publisher",
    "matost": "application/vnd.ms-works",
    "mn0": "application/vnd.ms-works",
    "pp40": "application/vnd.ms-powerpoint.4",
    **{f"props{number}": "application/vnd.ms-project" for number in ("", 9, 12, 14)},
    **{f"star{what}": "application/vnd.stardivision" for what in ("writerdocument", "calcdocument", "drawdocument3")},
}
_OF_IWORK = {
    "Index/Document.iwa",
    "Index.zip",
    "index.apxl",
    "index.apxl.gz",
    "QuickLook/Preview.pdf",
    "buildVersionHistory.plist",
}
_RELATIONSHIP = re.compile(
    rb"""<(?:\w+:)?Relationship\s[^<>]*?\bId\s*=\s*["']([^"'<>]*)["'][^<>]*(?:/>|>\s*</(?:\w+:)?Relationship\s*>)"""
)
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(\w+)")
_TYPES = "[Content_Types].xml"
_RARE = re.compile(
    rb"(?<=[.-])((?:presentationml|powerpoint)\.(?:slideshow|template)|excel\.addin)(?=\.(?:main|macroEnabled))"
)
_COMMON = {
    b"excel.addin": b"excel.sheet",
    **{
        b"%b.%b" % (each, kind): b"%b.presentation" % each
        for each in (b"presentationml", b"powerpoint")
        for kind in (b"slideshow", b"template")
    },
}
_ALL_FAULTS = (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError, KeyError)


def opened(content: bytes) -> zipfile.ZipFile:
    """Open a zip archive.

    Raises:
        Refused: It is broken, empty, or has too many files.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except _ALL_FAULTS:
        raise Refused(BROKEN) from None
    if not archive.infolist():
        raise Refused("it is empty: it contains no file" if content.startswith(b"PK\x05\x06") else BROKEN)
    if len(archive.infolist()) > ENTRIES:
        raise Refused(f"it holds more than {ENTRIES:,} files")
    for each in archive.infolist():
        if "\\" in each.filename:  # forbidden by APPNOTE 4.4.17
            each.filename = each.filename.replace("\\", "/")
            archive.NameToInfo[each.filename] = each
    return archive


def zip_type(content: bytes) -> str:
    """Return the type of a zip archive: a document, or just an archive.

    Raises:
        Refused: It is broken or too large.
    """
    archive = opened(content)
    found = _document_type(archive)
    if found == ZIP:
        return ZIP
    entries = archive.infolist()
    if any(each.flag_bits & _ENCRYPTED_FLAG for each in entries) or _is_encrypted(archive):
        return ENCRYPTED
    if sum(each.file_size for each in entries) > UNPACKED_BYTES:
        raise Refused("it unpacks to more than is allowed")
    return found


def plain(content: bytes) -> bytes:
    """Convert an Office document to the form that libraries know.

    They do not know the strict form (ISO/IEC 29500-1), slide shows, templates and add-ins, part names with backslashes,
    which some programs write, and references to missing parts.
    """
    archive = opened(content)
    types = _bytes_of(archive, _TYPES)
    is_strict = b"purl.oclc.org" in _bytes_of(archive, "_rels/.rels")
    lists = {
        each: mended for each in archive.namelist() if each.endswith(".rels") and (mended := _mended(archive, each))
    }
    is_odd = bool(_RARE.search(types)) or any("\\" in each.orig_filename for each in archive.infolist())
    if not is_strict and not lists and not is_odd:
        return content
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for entry in archive.infolist():
            part = lists.get(entry.filename) or archive.read(entry)
            if is_strict and entry.filename.endswith((".xml", ".rels")):
                part = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/\2", part)
            if entry.filename == _TYPES:
                part = _RARE.sub(lambda found: _COMMON[found.group(1)], part)
            written.writestr(entry.filename, part)
    return target.getvalue()


def _mended(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a list of relationships without those to missing parts; empty if no part is missing."""
    folder = name.rpartition("_rels/")[0]
    content = _bytes_of(archive, name)
    names = {each.lower() for each in archive.namelist()}
    missing = {
        each.get("Id", "").encode()
        for each in _elements(archive, name, "Relationship")
        if each.get("TargetMode") != "External" and _target(folder, each.get("Target", "")).lower() not in names
    }
    return _RELATIONSHIP.sub(lambda found: b"" if found[1] in missing else found[0], content) if missing else b""


def _target(folder: str, said: str) -> str:
    """Return the name of the part that a relationship refers to (ECMA-376, part 2, 9.3)."""
    path = unquote(said.partition("#")[0])
    return path.lstrip("/") if path.startswith("/") else posixpath.normpath(posixpath.join(folder, path))


def compound_type(content: bytes) -> str:
    """Return the type of an OLE file.

    Raises:
        Refused: It is broken.
    """
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(content)) as storage:
            names = {"/".join(each).lower() for each in storage.listdir()}
    except Exception:  # noqa: BLE001 - a broken file makes it raise almost anything
        raise Refused(BROKEN) from None
    return next((kind for stream, kind in _STREAMS.items() if stream in names), COMPOUND)


def _document_type(archive: zipfile.ZipFile) -> str:
    names = set(archive.namelist())
    if _TYPES in names:
        return _open_package(archive) or ZIP
    declared = _text_of(archive, "mimetype").strip() if "mimetype" in names else ""
    if not declared and "META-INF/manifest.xml" in names:
        declared = _root_of_manifest(archive)
    for each in (*OPEN_DOCUMENTS, EPUB):
        if declared.startswith(each):  # includes templates
            return each
    if names & _OF_IWORK:
        return IWORK
    return EPUB if "META-INF/container.xml" in names else ZIP


def _open_package(archive: zipfile.ZipFile) -> str | None:
    """Return the type by the content type of the main part, which the package's relations name (ECMA-376, part 2)."""
    main = next(
        (
            each.get("Target", "").lstrip("/")
            for each in _elements(archive, "_rels/.rels", "Relationship")
            if each.get("Type", "").endswith(("/officeDocument", "/visio/2010/relationships/document"))
        ),
        None,
    )
    if main is None:
        return XPS if any(each.lower().endswith(".fdseq") for each in archive.namelist()) else None
    kinds = {each.get("PartName", "").lstrip("/"): each.get("ContentType", "") for each in _types(archive, "Override")}
    endings = {each.get("Extension", "").lower(): each.get("ContentType", "") for each in _types(archive, "Default")}
    declared = kinds.get(main) or endings.get(main.rpartition(".")[2].lower(), "")
    return next((kind for part, kind in _MAIN_PARTS.items() if part in declared), None)


def _types(archive: zipfile.ZipFile, name: str) -> list[ET.Element]:
    return _elements(archive, _TYPES, name)


def _root_of_manifest(archive: zipfile.ZipFile) -> str:
    for each in _elements(archive, "META-INF/manifest.xml", "file-entry"):
        attributes = {name.rpartition("}")[2]: value for name, value in each.attrib.items()}
        if attributes.get("full-path") == "/":
            return attributes.get("media-type", "")
    return ""


def _is_encrypted(archive: zipfile.ZipFile) -> bool:
    """Return whether an OpenDocument's manifest declares encryption, which its entries do not."""
    return "META-INF/manifest.xml" in archive.namelist() and bool(
        _elements(archive, "META-INF/manifest.xml", "encryption-data")
    )


def _elements(archive: zipfile.ZipFile, member: str, name: str) -> list[ET.Element]:
    try:
        root = parse_xml(_bytes_of(archive, member))
    except ET.ParseError:
        return []
    return [each for each in root.iter() if str(each.tag).rpartition("}")[2] == name]


def _text_of(archive: zipfile.ZipFile, member: str) -> str:
    return _bytes_of(archive, member).decode("ascii", "replace")


def _bytes_of(archive: zipfile.ZipFile, member: str) -> bytes:
    try:
        with archive.open(member) as opened_member:
            return opened_member.read(TABLE_BYTES)
    except _ALL_FAULTS:
        return b""
