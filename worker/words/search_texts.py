"""Normalization of texts for search, applied alike to stored texts and to queries."""

import re
import unicodedata

# Scripts without spaces between words, in which every pair of adjacent characters counts as a word.
_UNBROKEN = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u3040-\u30ff"  # Japanese syllables
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese characters
    "\U00020000-\U0002fa1f"
    "]+"
)
_WORD = re.compile(r"[^\W\d_]+")


class _Blanks(dict[int, int]):
    """A translation table from punctuation and symbols to spaces, so that paths and addresses split into words."""

    def __missing__(self, code: int) -> int:
        kind = unicodedata.category(chr(code))
        self[code] = ord(" ") if kind[0] in "PSZC" else code
        return self[code]


_BLANKS = _Blanks()


def searchable(text: str) -> str:
    """Return a text in the form in which words are compared: composed, lower-case, with spaces between words."""
    plain = unicodedata.normalize("NFKC", text).lower().translate(_BLANKS)
    return _UNBROKEN.sub(_pairs, plain)


def words_of(text: str, most: int) -> list[str]:
    """Return the first words of a text, repetitions included."""
    found: list[str] = []
    for match in _WORD.finditer(text):
        found.append(match[0])
        if len(found) == most:
            break
    return found


def _pairs(match: re.Match[str]) -> str:
    run = match[0]
    if len(run) == 1:
        return f" {run} "
    return f" {' '.join(run[at : at + 2] for at in range(len(run) - 1))} "
