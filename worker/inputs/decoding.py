"""Detection of text and its encoding: byte-order mark, the file's own declaration, the server's, then the bytes.

The order is that of the web (WHATWG, *Encoding* and *Determining the character encoding*), with one difference: a file
that is entirely valid UTF-8 is read as UTF-8 even if a Western charset is declared. Nearly any bytes are valid Latin-1,
so that declaration proves nothing, while other text is hardly ever valid UTF-8 by accident.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

_PIECE = 256 * 1024  # bytes processed at a time, to avoid holding a large file twice and blocking other threads
_SAMPLE = 64 * 1024  # bytes of lines with non-ASCII letters passed to the detector; more adds nothing
_HEAD = 4096  # bytes searched for a declaration; browsers read 1024, but some pages begin with comments
_MARKS = (  # longest first, since the mark of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x1b$)C", "iso2022_kr"),  # RFC 1557, 2
)
_WIDE = frozenset({"utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})
_WESTERN = frozenset({"cp1252", "iso8859-1", "iso8859-15"})
_GUESSED = (  # the detector's allowed results, by its own names; others are rare, or confused with these
    *("cp437", "cp850", "cp852", "cp855", "cp866", "cp874", "cp932", "cp949", "johab"),
    *(f"cp{number}" for number in range(1250, 1259)),
    *(f"iso8859-{number}" for number in (2, 5, 6, 7, 8, 15, 16)),
    *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "gb18030", "big5hkscs", "euc_jis_2004", "iso2022_jp_2"),
)
# Charsets that may be declared: those of the web (WHATWG), by Python's names, and those that may be guessed. Never
# codecs such as zlib, nor ASCII, since content that is not ASCII needs another charset. Some have a wider variant with
# the characters of vendors, which declarations do not mention.
_DECLARED = {
    *_GUESSED,
    *("utf-8", "utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
    *(f"iso8859-{number}" for number in (1, 3, 4, 9, 10, 13, 14)),
    *("gbk", "gb2312", "big5", "euc_jp", "shift_jis", "iso2022_jp", "euc_kr", "tis-620", "hz", "mac-cyrillic"),
}
_WIDER = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "euc_jp": "euc_jis_2004",
    "iso2022_jp": "iso2022_jp_2",
}
_WINDOWS = re.compile(r"(?:x-cp|win-?|cp-)(\d{3,4})")
_LABELS = {  # labels that Python does not know, from WHATWG, *Encoding*, 4.2, and from programs
    **dict.fromkeys(("windows-31j", "x-sjis"), "cp932"),
    **dict.fromkeys(("windows-874", "dos-874", "iso-8859-11"), "cp874"),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e", "logical", "visual"), "iso8859-8"),
    **dict.fromkeys(("x-mac-cyrillic", "x-mac-ukrainian"), "mac-cyrillic"),
    **dict.fromkeys(("x-x-big5", "cn-big5"), "big5"),
    **dict.fromkeys(("koi", "koi8"), "koi8-r"),
    "koi8-ru": "koi8-u",
    "x-mac-roman": "mac-roman",
    "windows-949": "cp949",
    "x-gbk": "gbk",
    "gb_2312-80": "gb2312",
    "x-euc-jp": "euc_jp",
    "unicode": "utf-16",
    "unicode-1-1-utf-8": "utf-8",
}
_SELF_DECLARATIONS = (  # XML 1.0, 4.3.3; HTML, ``<meta charset>`` and its older form; PEP 263; CSS Syntax, 3.2
    re.compile(rb"""\A\s*<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([\w.:-]{1,40})["']""", re.IGNORECASE),
    re.compile(rb"""<meta\s[^>]{0,300}?\bcharset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE),
    re.compile(rb"""\A(?:[^\n]{0,200}\n)?[ \t\f]*#[^\n]{0,80}?coding[:=][ \t]*([-\w.]{1,40})"""),
    re.compile(rb"""\A@charset "([\w.:-]{1,40})";"""),
)
_WIDE_UNMARKED = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_ODD = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
_OF_ANY_SCRIPT = re.compile(
    r"[\t\n\f\r -~\u00a0-\u00bf\u2000-\u206f\u20a0-\u20bf\u2100-\u27bf\u3000-\u303f\ufeff\uff00-\uffef"
    r"\U0001f000-\U0001ffff]"
)
_SCRIPTS = tuple(  # Latin, Greek, Cyrillic, Hebrew, Arabic, Indian scripts, Thai, Chinese and Japanese, Korean
    re.compile(f"[{each}]")
    for each in (
        *("A-Za-z\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff", "\u0370-\u03ff\u1f00-\u1fff", "\u0400-\u052f"),
        *("\u0590-\u05ff", "\u0600-\u06ff\u0750-\u077f", "\u0900-\u0dff", "\u0e00-\u0e7f"),
        *("\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"),
    )
)
MIN_WIDE = 8  # characters of a text without spaces and digits: fewer may be of one script by accident
COHERENT = 0.9  # the least coherence of real text; even one with two scripts and many emojis has more
_ODD_IN_WORDS = re.compile(
    r"[A-Za-z][\u0370-\u06ff]|[\u0370-\u06ff][A-Za-z]|[^\W\d_][\u00a1-\u00b6\u00b8-\u00bf\u2190-\u27ff](?=[^\W\d_])"
)
ODD_SHARE = 0.2  # of the non-ASCII characters
_SHIFTED = re.compile(rb"\+[A-Za-z0-9+/]{3,}-?")
MIN_SHIFTED = 2  # base64 runs that mean UTF-7: a single one may be an addition
_DISPLAY_NAMES = {
    "cp855": "IBM855",
    "cp866": "IBM866",
    "cp437": "IBM437",
    "cp850": "IBM850",
    "cp852": "IBM852",
    "cp874": "windows-874",
    "cp932": "Shift_JIS",
    "cp949": "EUC-KR",
    "big5hkscs": "Big5",
    "euc_jis_2004": "EUC-JP",
    "iso2022_jp_2": "ISO-2022-JP",
    "iso2022_kr": "ISO-2022-KR",
    "mac-roman": "Mac Roman",
    "johab": "Johab",
}
OF_DOS = ("cp437", "cp850", "cp852", "cp866", "cp932", "cp949", "gb18030", "big5hkscs")
"""Encodings of names in zip archives: those of DOS, which Windows still writes."""
_CONTROLS = bytes(sorted({*range(32), 127} - {*b"\t\n\f\r\x1b"}))  # escape occurs in colored logs
_HIGH = re.compile(rb"[\x80-\xff]")
_STRINGS = re.compile(rb"[A-Za-z_ ]{6,}")
STRINGS_SHARE = 0.1  # the most ASCII words in UTF-16 or UTF-32: programs have more, and byte pairs look like Chinese
CONTROL_SHARE = 0.01  # the most control characters in text; compressed data has 10 % of them
BAD_SHARE = 0.1  # the most invalid characters among the non-ASCII ones; with more, the encoding is another one


@dataclass(frozen=True)
class Encoding:
    """The encoding of a text.

    Args:
        name: Python's name of the encoding.
        is_guess: Whether it was guessed: neither declared nor proven by the bytes.
        replaced: The number of invalid places, each of which becomes U+FFFD.
    """

    name: str
    is_guess: bool = False
    replaced: int = 0

    @property
    def spoken(self) -> str:
        """The encoding's usual name for people."""
        name = self.name.removesuffix("-sig")
        if name.startswith("cp125"):
            return f"windows-{name[2:]}"
        return _DISPLAY_NAMES.get(name) or name.replace("iso8859", "iso-8859").upper()


def text_encoding(content: bytes, charset: str = "", among: tuple[str, ...] = _GUESSED) -> Encoding | None:
    """Return the encoding of a text; None if the content is not text.

    Args:
        content: The whole file.
        charset: The charset declared by the server or ``data:`` URL; used only if the bytes agree.
        among: The encodings to guess from if nothing else determines the encoding.
    """
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    if marked is not None:
        return _fitting(content, marked)
    if _share(content, _CONTROLS) > CONTROL_SHARE:
        return _wide(content, charset)
    is_utf8 = _misfits(content, "utf-8") == 0
    for said in (_self_declared_encoding(content), charset):
        name = _declared_encoding(said)
        if name is not None and name not in _WIDE and not (is_utf8 and name in _WESTERN):
            found = _fitting(content, name)
            if found is not None:
                return found
    if is_utf8:
        return _of_seven_bits(content)
    return _fitting(content, "utf-8") or _guessed(content, among)


def _wide(content: bytes, charset: str) -> Encoding | None:
    """Detect UTF-16 and UTF-32 without a byte-order mark, in which most characters have NUL or high bytes.

    The detector confuses the byte orders of short texts; only the right order yields text of a single script.
    """
    if sum(map(len, _STRINGS.findall(content[:_SAMPLE]))) > STRINGS_SHARE * len(content[:_SAMPLE]):
        return None
    declared = _declared_encoding(charset)
    names = [each for each in _WIDE_UNMARKED if declared not in _WIDE or each.startswith(declared or "")]
    tried = [_Wide.of(content[:_SAMPLE], each) for each in names]
    best = max(tried, key=lambda each: each.coherence + each.shared)  # since pairs of ASCII bytes look like Chinese
    if best.coherence < COHERENT:
        return None
    odd = replaced = length = 0
    for text in decoded(content, best.name):
        odd += len(_ODD.findall(text))
        replaced += text.count("\ufffd")
        length += len(text)
    return Encoding(best.name, replaced=replaced) if odd + replaced <= CONTROL_SHARE * length else None


@dataclass(frozen=True, slots=True)
class _Wide:
    """The appearance of a text in an encoding of two or four bytes per character.

    Args:
        name: Python's name of the encoding.
        shared: The share of characters common to all scripts, such as spaces and digits.
        coherence: That share plus the share of the most common script.
    """

    name: str
    shared: float
    coherence: float

    @classmethod
    def of(cls, sample: bytes, name: str) -> "_Wide":
        text = sample[: len(sample) // 4 * 4 or len(sample)].decode(name, "replace")
        left = _OF_ANY_SCRIPT.sub("", text)
        if not text or len(left) == len(text) < MIN_WIDE:
            return cls(name, 0.0, 0.0)
        common = max(len(left) - len(script.sub("", left)) for script in _SCRIPTS)
        shared = 1 - len(left) / len(text)
        return cls(name, shared, shared + common / len(text))


def _guessed(content: bytes, among: tuple[str, ...]) -> Encoding | None:
    sample = _lines_beyond_ascii(content)
    name = _detected(sample, among)
    if name is None and _detected(content[:_SAMPLE], None) is None:
        return None  # not text: the detector recognizes many kinds of binary files
    if name is not None and sample.decode(name, "replace") == sample.decode("cp1252", "replace"):
        name = "cp1252"  # the more common of two encodings with the same result
    for each in (name, "cp1252"):
        if each is not None and _misfits(content, each) <= BAD_SHARE * len(content):
            return Encoding(each, is_guess=True, replaced=_misfits(content, each))
    return None


def _lines_beyond_ascii(content: bytes) -> bytes:
    """Return the first lines with non-ASCII letters, up to the size of the sample."""
    lines, length, at = list[bytes](), 0, 0
    while length < _SAMPLE and at < len(content):
        found = _HIGH.search(content, at, at + _PIECE)
        if found is None:
            at += _PIECE
            continue
        start = max(content.rfind(b"\n", at, found.start()) + 1, at, found.start() - _SAMPLE)
        end = content.find(b"\n", found.start(), found.start() + _SAMPLE)
        at = end + 1 if end >= 0 else min(found.start() + _SAMPLE, len(content))
        lines.append(content[start:at].rstrip(b"\r\n"))
        length += len(lines[-1])
    return b"\n".join(lines)[:_SAMPLE]


def _detected(sample: bytes, among: tuple[str, ...] | None) -> str | None:
    import chardet

    found = chardet.detect_all(
        sample, ignore_threshold=True, max_bytes=_SAMPLE, compat_names=False, include_encodings=among
    )
    names = [each["encoding"] for each in found if each["encoding"] is not None]
    plausible = (each for each in names if among is None or _is_plausible(sample.decode(each, "replace")))
    return next(plausible, names[0] if names else None)


def _is_plausible(text: str) -> bool:
    """Return whether words are of one script each and contain no symbols, unlike those of most wrong guesses."""
    odd = len(_ODD_IN_WORDS.findall(text))
    return odd <= ODD_SHARE * (len(text) - len(text.encode("ascii", "ignore")))


def _of_seven_bits(content: bytes) -> Encoding:
    if _is_iso_2022_jp(content):
        return Encoding("iso2022_jp_2")
    return Encoding("utf-7", is_guess=True) if _is_utf_7(content) else Encoding("utf-8")


def _is_utf_7(content: bytes) -> bool:
    """Return whether every plus sign starts base64-encoded letters (RFC 2152) of a single script."""
    head = content[:_SAMPLE].rpartition(b"\n")[0] if len(content) > _SAMPLE else content
    runs, rest = _SHIFTED.findall(head), _SHIFTED.sub(b"", head)
    if len(runs) < MIN_SHIFTED or b"+" in rest.replace(b"+-", b"") or not content.isascii():
        return False
    try:
        beyond_ascii = "".join(each for each in head.decode("utf-7") if not each.isascii())
    except UnicodeError:
        return False
    left = _OF_ANY_SCRIPT.sub("", beyond_ascii)
    scripts = _SCRIPTS if len(beyond_ascii) >= 2 * len(runs) else _SCRIPTS[:1]  # single letters are accented ones
    return bool(left) and any(not script.sub("", left) for script in scripts)


def _is_iso_2022_jp(content: bytes) -> bool:
    return b"\x1b" in content and (b"\x1b$B" in content or b"\x1b$@" in content)  # the first test is fast


def _self_declared_encoding(content: bytes) -> str:
    head = content[:_HEAD]
    said = next((found for pattern in _SELF_DECLARATIONS if (found := pattern.search(head))), None)
    return said.group(1).decode("ascii", "replace") if said else ""


def _declared_encoding(charset: str) -> str | None:
    said = charset.strip().strip("\"'").lower()
    windows = _WINDOWS.fullmatch(said)
    try:
        name = codecs.lookup(f"cp{windows[1]}" if windows else _LABELS.get(said, said)).name
    except (LookupError, ValueError):
        return None
    return name if name in _DECLARED else None


def _share(content: bytes, chosen: bytes) -> float:
    left = sum(len(piece.translate(None, chosen)) for piece in pieces(content))
    return 1 - left / len(content) if content else 0.0


def pieces(content: bytes) -> Iterator[bytes]:
    """Iterate over content in chunks: processing a large file in one step would block other threads for too long."""
    return (content[start : start + _PIECE] for start in range(0, len(content), _PIECE))


def decoded(content: bytes, name: str) -> Iterator[str]:
    """Decode a text in chunks; invalid bytes become U+FFFD."""
    decoder = codecs.getincrementaldecoder(name)("replace")
    yield from (decoder.decode(piece) for piece in pieces(content))
    yield decoder.decode(b"", final=True)


def _fitting(content: bytes, name: str) -> Encoding | None:
    """Return the encoding or its wider variant if the content decodes in it, with at most a few invalid places."""
    wider = _WIDER.get(name)  # as on the web, where texts declared as ISO-8859-1 have quotation marks of windows-1252
    if wider is not None and (not _misfits(content, wider) or _misfits(content, name)):
        name = wider
    replaced = _misfits(content, name)
    if not replaced:
        return Encoding(name)
    beyond_ascii = sum(len(text) - len(text.encode("ascii", "ignore")) for text in decoded(content, name))
    return Encoding(name, replaced=replaced) if replaced <= BAD_SHARE * (beyond_ascii - replaced) else None


def _misfits(content: bytes, name: str) -> int:
    """Return the number of places that are invalid in an encoding.

    A character cut off at the very end is forgiven if similar characters before it are complete: a single accented
    letter at the end of ASCII text rather belongs to an older encoding.
    """
    decoder = codecs.getincrementaldecoder(name)()
    try:
        for piece in pieces(content):
            decoder.decode(piece)
    except UnicodeError:
        replaced = sum(text.count("\ufffd") for text in decoded(content, name))
        return max(1, replaced - sum(piece.count("\ufffd".encode()) for piece in pieces(content)))
    cut_off = decoder.getstate()[0]
    return 1 if cut_off and content[: -len(cut_off)].isascii() else 0
