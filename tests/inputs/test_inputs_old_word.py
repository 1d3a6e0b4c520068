"""Word documents of before 2007: what people see in them, and nothing else."""

import random
from contextlib import suppress

import pytest

from tests.inputs.old_word import old_word
from tests.inputs.test_inputs_kinds import read_all, text
from worker.bounded import Refused
from worker.inputs.causes import UnreadableError
from worker.inputs.kinds import OLD_WORD
from worker.inputs.readers import oldword
from worker.inputs.readers.answer import ReaderLimits

LIMITS = ReaderLimits(OLD_WORD, "a.doc", None, 1_000_000, 1_000_000)


async def test_of_an_old_document_people_see_all_and_nothing_else() -> None:
    said = await text(old_word(), "a.doc")
    assert said.partition("\n\n")[2] == (
        "# Offer\n\n"
        "## Größe und Preis\n\n"
        "Good day[^1], see [here](https://example.com/a)[^e1]. [comment 1]\n\n"
        "kept and Привет 日本語\n\n"
        "- one\n\n"
        "- two\n\n"
        "| City |  | Boxes |\n| --- | --- | --- |\n| Leeds (north) |  | 37 |\n\n"
        "Behind it.\n\n"
        "in a box\n\n"
        "[^1]: At noon.\n\n"
        "[^e1]: In the end.\n\n"
        "[comment 1] Until when?\n\n"
        "Headers and footers:\n\nCONFIDENTIAL\n\nPage footer"
    )


async def test_one_that_is_encrypted_says_so() -> None:
    content = bytearray(old_word())
    start = content.index(b"\xec\xa5")
    content[start + 0x0B] |= 1
    with pytest.raises(UnreadableError, match="it is encrypted and needs a password"):
        await read_all(bytes(content), "a.doc")


def test_what_is_damaged_is_read_as_far_as_it_goes_or_refused() -> None:
    whole, chance, read = old_word(), random.Random(7), 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(30):
            content[chance.randrange(512, len(content))] = chance.randrange(256)
        with suppress(Refused):
            read += bool(oldword.read(bytes(content), LIMITS).text)
    assert read > 100
