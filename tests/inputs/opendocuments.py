"""OpenDocuments as LibreOffice writes them, in short."""

from tests.inputs.documents import zipped

SPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{space}:1.0"'
    for name, space in {
        **{each: each for each in ("office", "text", "table", "style", "presentation", "chart")},
        "draw": "drawing",
        "svg": "svg-compatible",
    }.items()
)
LINKS = 'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'


def xml(root: str, inside: str, attributes: str = "") -> str:
    return f'<?xml version="1.0"?>\n<office:{root} {SPACES} {LINKS} {attributes}>{inside}</office:{root}>'


def packed(kind: str, body: str, *, styles: str = "", parts: dict[str, bytes] | None = None) -> bytes:
    """A packed document of a kind: text, spreadsheet or presentation."""
    content = f"{styles}<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}".encode(),
            "content.xml": xml("document-content", content).encode(),
            **(parts or {}),
        }
    )


def flat(kind: str, body: str) -> bytes:
    """The same as one file."""
    media_type = f'office:mimetype="application/vnd.oasis.opendocument.{kind}"'
    return xml("document", f"<office:body><office:{kind}>{body}</office:{kind}></office:body>", media_type).encode()
