"""What a zip archive or an OLE file is, by its table of contents: never by searching its bytes."""

import io
import re
import zipfile
from xml.etree import ElementTree as ET

from worker.bounded import Refused
from worker.inputs.kinds import (
    COMPOUND,
    ENCRYPTED,
    EPUB,
    EXCEL,
    EXCEL_BINARY,
    OLD_EXCEL,
    OLD_POWERPOINT,
    OLD_WORD,
    OPEN_DOCUMENTS,
    OUTLOOK,
    POWERPOINT,
    WORD,
    ZIP,
)

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
}
_STREAMS = {  # [MS-DOC], [MS-XLS], [MS-PPT], [MS-OXMSG], [MS-OFFCRYPTO]
    "encryptedpackage": ENCRYPTED,
    "worddocument": OLD_WORD,
    "workbook": OLD_EXCEL,
    "book": OLD_EXCEL,
    "powerpoint document": OLD_POWERPOINT,
    "__properties_version1.0": OUTLOOK,
}
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
        raise Refused("it is empty: there is no file in it" if content.startswith(b"PK\x05\x06") else BROKEN)
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
    """An Office document in the form that libraries know.

    That is neither the strict one (ISO/IEC 29500-1), nor a slide show, a template or an add-in, nor with backslashes in
    the names of its parts, as some programs write them.
    """
    archive = opened(content)
    types = _bytes_of(archive, _TYPES)
    is_strict = b"purl.oclc.org" in _bytes_of(archive, "_rels/.rels")
    if not is_strict and not _RARE.search(types) and not any("\\" in each.orig_filename for each in archive.infolist()):
        return content
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for entry in archive.infolist():
            part = archive.read(entry)
            if is_strict and entry.filename.endswith((".xml", ".rels")):
                part = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/\2", part)
            if entry.filename == _TYPES:
                part = _RARE.sub(lambda found: _COMMON[found.group(1)], part)
            written.writestr(entry.filename, part)
    return target.getvalue()


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
    return EPUB if "META-INF/container.xml" in names else ZIP


def _open_package(archive: zipfile.ZipFile) -> str | None:
    """Return the type by the content type of the main part, which the package's relations name (ECMA-376, part 2)."""
    main = next(
        (
            each.get("Target", "").lstrip("/")
            for each in _elements(archive, "_rels/.rels", "Relationship")
            if each.get("Type", "").endswith("/officeDocument")
        ),
        None,
    )
    if main is None:
        return None
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
        root = ET.fromstring(_bytes_of(archive, member))  # noqa: S314 - expat bounds entities (2.4.1)
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
