"""The table of document types: their names for people, their readers, and their form in a message.

A new type needs one row here and one reader in ``worker.inputs.readers``. Types are detected in ``classify`` (by first
bytes) and ``readers.containers`` (by table of contents).
"""

from dataclasses import dataclass
from importlib.util import find_spec

_OPEN = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."

WORD = f"{_OPEN}wordprocessingml.document"
EXCEL = f"{_OPEN}spreadsheetml.sheet"
POWERPOINT = f"{_OPEN}presentationml.presentation"
EXCEL_BINARY = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"
OPEN_TEXT = f"{_ODF}text"
OPEN_SPREADSHEET = f"{_ODF}spreadsheet"
OPEN_PRESENTATION = f"{_ODF}presentation"
OPEN_DRAWING = f"{_ODF}graphics"
OPEN_DOCUMENTS = (OPEN_TEXT, OPEN_SPREADSHEET, OPEN_PRESENTATION, OPEN_DRAWING)
EPUB = "application/epub+zip"
OLD_WORD = "application/msword"
OLD_EXCEL = "application/vnd.ms-excel"
OLD_POWERPOINT = "application/vnd.ms-powerpoint"
OUTLOOK = "application/vnd.ms-outlook"
RTF = "application/rtf"
EXCEL_XML = "application/vnd.ms-excel+xml"
WORD_XML = "application/vnd.ms-word+xml"
FLAT_PACKAGE = "application/vnd.ms-package+xml"
FICTION_BOOK = "application/x-fictionbook+xml"
VISIO = "application/vnd.ms-visio.drawing"
XPS = "application/oxps"
IWORK = "application/vnd.apple.iwork"
MAILBOX = "application/mbox"
NOTEBOOK = "application/x-ipynb+json"
HTML = "text/html"
EMAIL = "message/rfc822"
WEB_ARCHIVE = "multipart/related"
ZIP = "application/zip"
TAR = "application/x-tar"
GZIP = "application/gzip"
BZIP2 = "application/x-bzip2"
XZ = "application/x-xz"
COMPOUND = "application/x-ole-storage"
UNREAD = {
    "application/x-hwp": "a Hangul document",
    "application/vnd.visio": "a Visio drawing from before 2013",
    "application/vnd.ms-publisher": "a Publisher document",
    "application/vnd.ms-works": "a Works document",
    "application/vnd.ms-project": "a Project plan",
    "application/vnd.stardivision": "a StarOffice document",
    "application/vnd.ms-powerpoint.4": "a PowerPoint presentation from before 1997",
}
"""Documents that are recognized but cannot be read, with their names for people."""

ENCRYPTED = "application/encrypted"
"""The type of a container whose contents need a password."""


@dataclass(frozen=True)
class FileType:
    """A type of file that a child process converts to text, along with the files inside it.

    Args:
        media_type: The media type.
        words: The name for people, with an article.
        reader: A function in ``worker.inputs.readers`` as ``module:function``; None if no reader exists.
        library: The module that the reader needs, if it belongs to the extra ``files``.
        becomes: The model's view of the file, for the documentation.
    """

    media_type: str
    words: str
    reader: str | None
    library: str | None = None
    becomes: str = "text"

    @property
    def is_readable(self) -> bool:
        """Whether the file can be read here: a reader exists and its library is installed."""
        return self.reader is not None and (self.library is None or find_spec(self.library) is not None)


TYPES: dict[str, FileType] = {
    each.media_type: each
    for each in (
        FileType(WORD, "a Word document", "word:read", "docx", "Markdown: headings, lists, tables, boxes, footnotes"),
        FileType(EXCEL, "an Excel workbook", "workbook:read", "openpyxl", "one table per sheet, cells as displayed"),
        FileType(
            POWERPOINT,
            "a PowerPoint presentation",
            "slides:read",
            "pptx",
            "text, tables, charts and notes",
        ),
        FileType(
            EXCEL_BINARY,
            "a binary Excel workbook",
            "binarybook:read",
            "openpyxl",
            "one table per sheet, cells as displayed",
        ),
        FileType(OPEN_TEXT, "an OpenDocument text", "opendocument:read", None, "Markdown, as for Word documents"),
        FileType(
            OPEN_SPREADSHEET,
            "an OpenDocument spreadsheet",
            "opendocument:read",
            None,
            "one table per sheet, as displayed",
        ),
        FileType(
            OPEN_PRESENTATION,
            "an OpenDocument presentation",
            "opendocument:read",
            None,
            "text, tables and notes",
        ),
        FileType(OPEN_DRAWING, "an OpenDocument drawing", "opendocument:read", None, "text of each page"),
        FileType(EPUB, "an e-book", "ebook:read", None, "Markdown, as for web pages"),
        FileType(OLD_WORD, "a Word document from before 2007", "oldword:read", None, "Markdown, as for newer ones"),
        FileType(
            OLD_EXCEL,
            "an Excel workbook from before 2007",
            "oldbook:read",
            "xlrd",
            "one table per sheet, cells as displayed",
        ),
        FileType(
            OLD_POWERPOINT,
            "a PowerPoint presentation from before 2007",
            "oldslides:read",
            None,
            "text, tables and notes",
        ),
        FileType(
            OUTLOOK,
            "an Outlook message",
            "outlook:read",
            None,
            "headers and body; attachments as separate files",
        ),
        FileType(RTF, "a rich text", "office:read", "kreuzberg", "Markdown"),
        FileType(EXCEL_XML, "an Excel 2003 workbook in XML", "flat:read_workbook", None, "one table per sheet"),
        FileType(WORD_XML, "a Word 2003 document in XML", "flat:read_word", "docx", "Markdown, as for newer ones"),
        FileType(
            FLAT_PACKAGE, "an Office document in XML", "flat:read_package", "docx", "Markdown, as for zipped ones"
        ),
        FileType(FICTION_BOOK, "a FictionBook e-book", "office:read", "kreuzberg", "Markdown"),
        FileType(VISIO, "a Visio drawing", "pages:read", None, "text of each page"),
        FileType(XPS, "an XPS document", "pages:read", None, "text of each page"),
        FileType(IWORK, "an iWork document (Pages, Numbers, Keynote)", "iwork:read", None, "its embedded preview"),
        FileType(NOTEBOOK, "a notebook", "notebook:read", None, "its cells and their output"),
        FileType(HTML, "a web page", "web:read", None, "Markdown: title, headings, lists, tables, links"),
        FileType(EMAIL, "an e-mail", "mail:read", None, "headers and body; attachments as separate files"),
        FileType(MAILBOX, "a mailbox", "mailbox:read", None, "its messages; attachments as separate files"),
        FileType(WEB_ARCHIVE, "a saved web page", "mail:read", None, "Markdown"),
        FileType(ZIP, "a zip archive", "archive:read_zip", None, "a listing; the files in it as separate files"),
        FileType(TAR, "a tar archive", "archive:read_tar", None, "a listing; the files in it as separate files"),
        FileType(GZIP, "a gzip file", "archive:read_packed", None, "the file in it"),
        FileType(BZIP2, "a bzip2 file", "archive:read_packed", None, "the file in it"),
        FileType(XZ, "an xz file", "archive:read_packed", None, "the file in it"),
        *(FileType(media_type, words, None) for media_type, words in UNREAD.items()),
        FileType(COMPOUND, "an OLE file of an unknown program", None),
    )
}
"""File types by media type."""

MAX_MEMBERS = 50
"""Files of one archive or e-mail that become separate files; further ones are only listed."""

MAX_IN_ALL = 100
"""Files in a file, at any depth, that become separate files."""

DEEPEST = 3
"""The maximum nesting of archives, e-mails and attachments."""
