"""From the bytes of a file to an attachment: what it is, whether it is whole, and what must be said of it."""

from dataclasses import replace

from worker.inputs.attachments import Attachment, Fetched, Kind
from worker.inputs.causes import UnreadableError
from worker.inputs.classify import Classified, claims, classify, type_of_name
from worker.inputs.names import display_url, is_data_url, name_of
from worker.inputs.office import NAMES, can_convert, convert, is_encrypted
from worker.inputs.pdfs import check_pdf
from worker.inputs.pictures import is_complete
from worker.inputs.threads import examine

BLANK = b" \t\r\n\f\v\0\xef\xbb\xbf\xfe\xff"  # with what makes up the marks and the second halves of wider encodings
LEAST_TEXT = 64 * 1024  # bytes that the text of a document may have, however large the document is
HTML = "text/html"
PAGES = frozenset({"html", "xhtml+xml", "xml", "svg+xml", "rfc822", "related"})
TABLES = frozenset({"csv", "tab-separated-values"})
MARKS = 1000  # bytes for what is said before and behind the text of a document


async def examined(url: str, fetched: Fetched, most: int) -> Attachment:
    """Look into what came for a URL, and make of it what a task can hold, in at most `most` bytes.

    Raises UnreadableError, with the cause.
    """
    name = fetched.name or name_of(url)
    if not fetched.content:
        raise UnreadableError("it is empty (0 bytes)")
    found = await examine(lambda: classify(fetched.content, fetched.declared, name))
    if found.kind is Kind.DOCUMENT:
        return await _converted(url, fetched, found, most)
    if is_encrypted(fetched.content):
        raise UnreadableError("it is encrypted and needs a password")
    if found.kind is Kind.PDF:
        await check_pdf(fetched.content)
    if found.kind is Kind.IMAGE and not is_complete(fetched.content, found.media_type):
        raise UnreadableError("it is truncated: its end is missing")
    if found.kind is Kind.TEXT and not fetched.content.translate(None, BLANK):
        raise UnreadableError("it is empty: there is nothing in it but blanks")
    return Attachment(
        url=shown(url),
        kind=found.kind,
        media_type=found.media_type,
        name=name,
        content=fetched.content,
        encoding=found.encoding,
        note=_remark(name, found, fetched.declared),
    )


async def _converted(url: str, fetched: Fetched, found: Classified, most: int) -> Attachment:
    """A document as its text; one that is text itself, such as a notebook, at worst as it is."""
    name, what = fetched.name or name_of(url), NAMES[found.media_type]
    item = Attachment(shown(url), Kind.OTHER, found.media_type, name, fetched.content)
    if not can_convert(found.media_type):
        return _as_it_is(item, found, f"it is {what}, and reading those needs `pip install 'agno-worker[office]'`")
    try:
        converted = await convert(fetched.content, found.media_type, max(most - item.size - MARKS, LEAST_TEXT))
    except UnreadableError as cause:
        if found.encoding is None:
            raise
        return _as_it_is(item, found, f"it is {what} that cannot be converted, {cause}")
    end = f"\n[cut here after {len(converted.text):,} characters: the document is longer]" if converted.is_cut else ""
    text = f"[text extracted from {name}]\n\n{converted.text}{end}"
    return replace(
        item,
        kind=Kind.TEXT,
        media_type="text/markdown",
        content=text.encode("utf-8", "replace"),
        encoding="utf-8",
        original=fetched.content,
        note=_mislabelled(name, found.media_type, fetched.declared),
    )


def shown(url: str) -> str:
    """Return a URL as messages cite it: the task's own, except that a `data:` URL is only described."""
    return display_url(url) if is_data_url(url) else url


def _as_it_is(item: Attachment, found: Classified, why: str) -> Attachment:
    """A document that is not converted: attached as the text that it is, or not at all."""
    if found.encoding is None:
        return replace(item, note=f"{item.name} could not be attached: {why}.")
    note = f"{item.name} is included as it is: {why}."
    return replace(item, kind=Kind.TEXT, encoding=found.encoding, note=note)


def _remark(name: str, found: Classified, declared: str) -> str | None:
    if found.kind is Kind.OTHER:
        return f"{name} could not be attached: {found.media_type} is not a type that can be read."
    return _mislabelled(name, found.media_type, declared) if found.kind is Kind.TEXT else None


def _mislabelled(name: str, media_type: str, declared: str) -> str | None:
    claimed, named = claims(declared, name), type_of_name(name)
    if media_type == HTML and _is_no_page(named):
        return (
            f"{name} is not {named} as its name says: it holds text/html, a page such as those of signing in or of an"
            " error, which is included as text."
        )
    if media_type != claimed and _claims_binary(claimed):
        return f"{name} is not {claimed} as it claims to be: it holds {media_type}, which is included as text."
    return None


def _is_no_page(named: str) -> bool:
    """Whether a name promises something that is never written as HTML."""
    main, _, rest = named.partition("/")
    return named != "" and rest not in PAGES and (main != "text" or rest in TABLES)


def _claims_binary(claimed: str) -> bool:
    return claimed == "application/pdf" or (claimed.startswith("image/") and not claimed.endswith("+xml"))
