"""PowerPoint presentations of before 2007: what people see on each slide, as it was saved last."""

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.inputs.old_slides import old_slides
from tests.inputs.test_inputs_kinds import read_all, text
from worker.bounded import Refused
from worker.inputs.causes import UnreadableError
from worker.inputs.kinds import OLD_POWERPOINT
from worker.inputs.readers import oldslides
from worker.inputs.readers.answer import ReaderLimits

LIMITS = ReaderLimits(OLD_POWERPOINT, "a.ppt", None, 100_000, 100_000)


async def test_text_tables_links_notes_comments_and_footers_as_they_were_saved_last() -> None:
    assert await text(old_slides(), "a.ppt") == (
        "[text extracted from a.ppt]\n\n## Slide 1: Results\n\nTurnover\ngrew\n\nsee [here](https://example.com/a)\n\n"
        "| Year | Boxes |\n| --- | --- |\n| 2026 | 37 |\n\nComment: Is that so?\n\nConfidential\n\n"
        "Notes: Say it slowly."
    )


async def test_one_that_needs_a_password_is_called_so() -> None:
    with pytest.raises(UnreadableError, match="needs a password"):
        await read_all(old_slides(encrypted=True), "a.ppt")


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_one_is_a_text_or_a_cause(seed: int) -> None:
    chance, content = random.Random(seed), bytearray(old_slides())
    for _ in range(30):
        content[chance.randrange(512, len(content))] = chance.randrange(256)
    with suppress(Refused):
        assert isinstance(oldslides.read(bytes(content), LIMITS).text, str)


def test_no_more_slides_are_read_than_there_is_room_for() -> None:
    read = oldslides.read(old_slides(copies=50), replace(LIMITS, characters=1_000))
    assert read.is_cut
    assert read.text.count("## Slide") < 15
