"""Pages, Numbers and Keynote documents: the preview that Apple's programs store in them, as a separate file."""

from worker.bounded import Refused
from worker.inputs.names import size_words
from worker.inputs.readers.answer import Inner, ReaderLimits, ReadText
from worker.inputs.readers.containers import opened

PREVIEWS = ("QuickLook/Preview.pdf", "preview.pdf", "preview.jpg", "QuickLook/Thumbnail.jpg")  # best first


def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a document."""
    archive = opened(content)
    for name in PREVIEWS:
        if name not in archive.namelist():
            continue
        try:
            with archive.open(name) as member:
                preview = member.read(limits.most + 1)
        except Exception:  # noqa: BLE001, S112 - encrypted or broken: another preview may be readable
            continue
        if 0 < len(preview) <= limits.most:
            what = "a PDF of all of it" if name.endswith(".pdf") else "a picture of its first page"
            listing = f"an iWork document, with a preview: {name} ({size_words(len(preview))})"
            note = f"only its preview can be read ({what}); to read all of it, export it as a PDF from Apple's app"
            return ReadText(listing, notes=[note], files=[Inner(name.rpartition("/")[2], preview)])
    raise Refused("it is an iWork document, which only Apple's programs can read; export it as a PDF")
