"""Texts as they are searched: the same for what is stored and for what is asked."""

import re
import unicodedata

# Scripts that put no blanks between words: every two characters that follow one another are a word.
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
    """What is no part of a word becomes a blank: else a path, an address and a name in it would be different words."""

    def __missing__(self, code: int) -> int:
        kind = unicodedata.category(chr(code))
        self[code] = ord(" ") if kind[0] in "PSZC" else code
        return self[code]


_BLANKS = _Blanks()


def searchable(text: str) -> str:
    """A text in the one form in which words are compared: composed, of small letters, with blanks between words."""
    plain = unicodedata.normalize("NFKC", text).lower().translate(_BLANKS)
    return _UNBROKEN.sub(_pairs, plain)


def words_of(text: str, most: int) -> list[str]:
    """The first words of a text, as often as they stand in it."""
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
