"""Characters that nobody sees, and that make a text look like another one."""

import re

_JOINERS = r"\u00ad\u200c\u200d"  # which Persian and some emoji are written with: in a text they stay
_INVISIBLE = (
    r"\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction, separators
    r"\U000e0000-\U000e007f"  # tags: a whole sentence may be written in them
    r"\ud800-\udfff"  # halves of characters
)

UNSEEN = re.compile(rf"[\x00-\x1f\x7f-\x9f{_JOINERS}{_INVISIBLE}]+")
"""Control, direction and tag characters, line ends among them."""

UNSEEN_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_INVISIBLE}]")
"""The same, but for line ends, tabs and joiners: for texts rather than names."""


def name_of(text: str) -> str:
    """A text as a name, which is one line of what people see."""
    return UNSEEN.sub("", text).strip()


def line_of(text: str) -> str:
    """A text as one line, in which whatever nobody sees is written out."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


def escaped(text: str) -> str:
    r"""A text in which unseen characters are written out, as JSON does: ``\u202e``."""
    return text if text.isascii() and text.isprintable() else UNSEEN_IN_LINES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
