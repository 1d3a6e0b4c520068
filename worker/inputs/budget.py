"""The budget of text in a message: the model's context, divided fairly among the files."""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.inputs.attachments import Attachment
from worker.inputs.limits import Limits
from worker.words.models import ModelCapabilities

MAX_CHARACTERS = 1_000_000  # the default for all files together: about 250,000 tokens, which cost money
SAMPLE = 8_000  # characters from which the number of tokens is estimated
_PIECE = 64 * 1024  # bytes decoded at a time, to avoid holding a large file twice
_LIGHT = re.compile(r"[A-Za-z ]")


@dataclass(frozen=True, slots=True)
class Length:
    """The length of a text.

    Args:
        characters: The number of characters.
        lines: The number of lines, an unterminated last one included.
        rows: The number of table rows: lines, not counting breaks within quotation marks; -1 if the marks are
            unbalanced.
        density: Tokens per character, estimated from above.
    """

    characters: int
    lines: int
    rows: int
    density: float


def estimated_tokens(text: str) -> float:
    """Estimate from above how many tokens a text takes, without the model's tokenizer.

    A digit, a punctuation mark and a line break count one each, as in tokenizers that split numbers into digits; an
    ASCII letter or a space 0.4 (English has about 0.25 per character); anything else two, since byte-level tokenizers
    fall back to bytes. 12,000 characters of CSV were measured at 9,800 tokens of SmolLM2, 0.82 per character.
    """
    light = len(_LIGHT.findall(text))
    foreign = sum(not character.isascii() for character in text)
    return 0.4 * light + 2.0 * foreign + 1.0 * (len(text) - light - foreign)


def most_characters(capabilities: ModelCapabilities, limits: Limits) -> int:
    """Return the largest number of characters of one text that any message can contain."""
    total = MAX_CHARACTERS if limits.total_characters is None else limits.total_characters
    one = total if limits.file_characters is None else limits.file_characters
    return max(0, min(int(capabilities.text_tokens / estimated_tokens("a")), total, one))


def measured(item: Attachment) -> Length:
    """Return the length of a text, measured in chunks."""
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
    """Iterate over a text in non-empty chunks."""
    if item.encoding is None:
        return
    decoder = codecs.getincrementaldecoder(item.encoding)("replace")
    view = memoryview(item.content)
    for start in range(0, max(len(view), 1), _PIECE):
        text = decoder.decode(view[start : start + _PIECE], start + _PIECE >= len(view))
        if text:
            yield text


def rooms(lengths: Sequence[Length], capabilities: ModelCapabilities, limits: Limits) -> list[int]:
    """Return the number of characters granted to each text: short texts fit whole, long ones share equally.

    Tokens are divided first, then characters within the limits of the settings.
    """
    total = MAX_CHARACTERS if limits.total_characters is None else limits.total_characters
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
