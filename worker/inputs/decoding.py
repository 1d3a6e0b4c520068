"""Is it text, and in which encoding: the bytes decide, a byte-order mark first, a declared charset last."""

import codecs

_PIECE = 64 * 1024  # bytes decoded at a time, so that a large file is not held twice
_MARKS = (  # longest first: UTF-32's mark begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Charsets that a server may declare: the ones of the web (WHATWG), by Python's names. Never codecs such as zlib.
_DECLARED = {
    *(f"cp{number}" for number in (866, 874, 932, 949, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)),
    *(f"iso8859-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    *("koi8-r", "koi8-u", "mac-roman", "gbk", "gb2312", "gb18030", "big5", "euc_jp", "shift_jis", "iso2022_jp"),
    *("euc_kr", "utf-16-le", "utf-16-be"),
}
_CONTROLS = bytes(sorted({*range(32), 127} - {*b"\t\n\f\r\x1b"}))  # escape: colours in a log
_HIGH = bytes(range(128, 256))
CONTROL_SHARE = 0.01  # a stray form feed or bell is still text; compressed data has 10 % of them
HIGH_SHARE = 0.3  # Western European prose has under 10 % of letters with accents; compressed data has 50 %


def text_encoding(content: bytes, charset: str = "") -> str | None:
    """Return the encoding in which content is text, None if it is not text.

    Arguments:
        content: the whole file.
        charset: what the server or the `data:` URL declared; believed only if the bytes agree.
    """
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    if marked is not None:
        return marked if _decodes(content, marked) else None
    declared = _declared_encoding(charset)
    if declared in {"utf-16-le", "utf-16-be"} and _decodes(content, declared):
        return declared
    if _share(content, _CONTROLS) > CONTROL_SHARE:
        return None
    if _decodes(content, "utf-8"):
        return "utf-8"
    if declared is not None and _decodes(content, declared):
        return declared
    return "cp1252" if _share(content, _HIGH) <= HIGH_SHARE and _decodes(content, "cp1252") else None


def _declared_encoding(charset: str) -> str | None:
    try:
        name = codecs.lookup(charset.strip().strip("\"'")).name
    except (LookupError, ValueError):
        return None
    return name if name in _DECLARED else None


def _share(content: bytes, chosen: bytes) -> float:
    return 1 - len(content.translate(None, chosen)) / len(content) if content else 0.0


def _decodes(content: bytes, encoding: str) -> bool:
    """Tell whether content decodes, and to no NUL.

    A character that is cut off at the very end is forgiven where others like it are whole: a lone accented letter
    at the end of ASCII is rather one of an older encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    view = memoryview(content)
    try:
        for start in range(0, len(view), _PIECE):
            if "\0" in decoder.decode(bytes(view[start : start + _PIECE])):
                return False
    except UnicodeError:
        return False
    cut_off = decoder.getstate()[0]
    return not cut_off or not content[: -len(cut_off)].isascii()
