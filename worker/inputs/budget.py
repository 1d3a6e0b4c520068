"""How much of each text goes into a message: what the model's context has room for, shared out fairly."""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.inputs.attachments import Attachment
from worker.inputs.limits import Limits
from worker.words.models import ModelCapabilities

MOST_CHARACTERS = 1_000_000  # of all files where no setting says otherwise: some 250,000 tokens, which cost money
SAMPLE = 8_000  # characters by which it is estimated how many tokens a text takes
_PIECE = 64 * 1024  # bytes decoded at a time, so that a large file is not held twice
_LIGHT = re.compile(r"[A-Za-z ]")


@dataclass(frozen=True, slots=True)
class Length:
    """How long a text is.

    Arguments:
        characters: of all of it.
        lines: line ends, and what stands behind the last.
        rows: the same, without line ends in quotation marks: rows of a table. -1 where the marks do not match.
        density: tokens a character, estimated from above.
    """

    characters: int
    lines: int
    rows: int
    density: float


def estimated_tokens(text: str) -> float:
    """Estimate from above how many tokens a text takes, without the model's tokenizer.

    A digit, a mark and a line end count one each, as in tokenizers that split numbers into digits; a letter of ASCII
    and a blank 0.4 (English has about 0.25 a character); anything else two, since byte-level tokenizers fall back to
    bytes. 12,000 characters of CSV were measured to take 9,800 tokens of SmolLM2, 0.82 a character.
    """
    light = len(_LIGHT.findall(text))
    foreign = sum(not character.isascii() for character in text)
    return 0.4 * light + 2.0 * foreign + 1.0 * (len(text) - light - foreign)


def most_characters(capabilities: ModelCapabilities, limits: Limits) -> int:
    """Return how many characters of one text a message can have at most, whatever there is besides."""
    total = MOST_CHARACTERS if limits.total_characters is None else limits.total_characters
    one = total if limits.file_characters is None else limits.file_characters
    return max(0, min(int(capabilities.text_tokens / estimated_tokens("a")), total, one))


def measured(item: Attachment) -> Length:
    """Measure a text, in pieces."""
    characters = ends = in_quotes = quotes = 0
    last = "\n"
    for text in pieces(item):
        characters += len(text)
        ends += text.count("\n")
        for position, part in enumerate(text.split('"')):
            in_quotes += part.count("\n") if (quotes + position) % 2 else 0
        quotes += text.count('"')
        last = text[-1]
    open_line = int(last != "\n")
    beginning = item.beginning(SAMPLE)[0]
    density = estimated_tokens(beginning) / len(beginning) if beginning else 1.0
    return Length(characters, ends + open_line, -1 if quotes % 2 else ends - in_quotes + open_line, density)


def pieces(item: Attachment) -> Iterator[str]:
    """Yield a text piece by piece, none of them empty."""
    if item.encoding is None:
        return
    decoder = codecs.getincrementaldecoder(item.encoding)("replace")
    view = memoryview(item.content)
    for start in range(0, max(len(view), 1), _PIECE):
        text = decoder.decode(view[start : start + _PIECE], start + _PIECE >= len(view))
        if text:
            yield text


def rooms(lengths: Sequence[Length], capabilities: ModelCapabilities, limits: Limits) -> list[int]:
    """Return how many characters each text may have: short ones are whole, long ones get equal parts.

    Tokens are shared out first, and characters then where the settings bound them.
    """
    total = MOST_CHARACTERS if limits.total_characters is None else limits.total_characters
    one = total if limits.file_characters is None else limits.file_characters
    wanted = [min(each.characters, one) for each in lengths]
    tokens = [int(each * length.density) + 1 for each, length in zip(wanted, lengths, strict=True)]
    given = _share_out(tokens, max(capabilities.text_tokens, 0))
    fitting = [
        want if share == token else min(want, int(share / length.density))
        for want, token, share, length in zip(wanted, tokens, given, lengths, strict=True)
    ]
    return _share_out(fitting, max(total, 0))


def _share_out(wanted: list[int], total: int) -> list[int]:
    rooms = [0] * len(wanted)
    shortest_first = sorted(range(len(wanted)), key=wanted.__getitem__)
    for position, index in enumerate(shortest_first):
        rooms[index] = min(wanted[index], total // (len(wanted) - position))
        total -= rooms[index]
    return rooms
