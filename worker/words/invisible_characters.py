"""Invisible characters, which make one text look like another."""

import re

_JOINERS = r"\u00ad\u200c\u200d"  # kept in texts, since Persian and some emoji need them
_INVISIBLE = (
    r"\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction, separators
    r"\U000e0000-\U000e007f"  # tags, which can spell out whole sentences
    r"\ud800-\udfff"  # surrogates
)

UNSEEN = re.compile(rf"[\x00-\x1f\x7f-\x9f{_JOINERS}{_INVISIBLE}]+")
"""Control, direction and tag characters, line breaks included: for names."""

UNSEEN_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_INVISIBLE}]")
"""Like ``UNSEEN``, but without line breaks, tabs and joiners: for texts."""


def name_of(text: str) -> str:
    """Return a text as a one-line name, without invisible characters."""
    return UNSEEN.sub("", text).strip()


def line_of(text: str) -> str:
    """Return a text as one line in which invisible characters are escaped."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def escaped(text: str) -> str:
    r"""Return a text with invisible characters escaped as in JSON: ``\u202e``."""
    return text if text.isascii() and text.isprintable() else UNSEEN_IN_LINES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
