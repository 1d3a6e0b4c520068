"""Documents as passages: within sections, under their headings, with their pages, none too long, nothing lost."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.knowledge import Text, divided
from worker.knowledge.chunks import MOST, OVERLAP, WANTED
from worker.words.knowledge import Chunk
from worker.words.search_texts import searchable

HANDBOOK = """# Handbook

Welcome.

## Security

Keys and tokens.

```
# no heading, but a comment
```

Billing
=======

Invoices are sent.

### Details ###

In two weeks.
"""


def passages(content: str, *, has_pages: bool = False, is_markdown: bool = True) -> list[Chunk]:
    return list(divided(Text(content, has_pages=has_pages, is_markdown=is_markdown)))


def test_a_passage_has_the_headings_above_it() -> None:
    assert [(each.heading, each.content.split("\n")[0]) for each in passages(HANDBOOK)] == [
        ("Handbook", "Welcome."),
        ("Handbook > Security", "Keys and tokens."),
        ("Billing", "Invoices are sent."),
        ("Billing > Details", "In two weeks."),
    ]
    assert "# no heading" in passages(HANDBOOK)[1].content


def test_plain_text_has_no_headings() -> None:
    (chunk,) = passages("# a comment\nvalue = 1\n=======\n", is_markdown=False)
    assert (chunk.heading, chunk.content) == (None, "# a comment\nvalue = 1\n=======")


def test_a_file_in_another_is_the_outermost_heading() -> None:
    (chunk,) = divided(Text("## Rules\n\nBe kind.", name="mail.zip/rules.md"))
    assert chunk.heading == "mail.zip/rules.md > Rules"


def test_a_passage_knows_its_page() -> None:
    text = "[page 1 of 3]\nFirst.\n\n[page 3 of 3]\nThird, " + "and so on. " * 200
    chunks = passages(text, has_pages=True, is_markdown=False)
    assert chunks[0].page == 1
    assert [each.page for each in chunks[1:]] == [3] * (len(chunks) - 1)
    assert not any("[page" in each.content for each in chunks)
    assert passages("[page 1 of 3]\nFirst.")[0].content.startswith("[page 1")  # of a text that has none


def test_what_was_extracted_does_not_say_so_in_each_passage() -> None:
    assert passages("[text extracted from a.docx]\n\nBody.")[0].content == "Body."


def test_the_rows_of_a_long_table_stand_under_its_head() -> None:
    head = "| region | sales |\n|---|---|"
    rows = "\n".join(f"| region {number} | {number} |" for number in range(200))
    chunks = passages(f"{head}\n{rows}")
    assert len(chunks) > 1
    assert all(each.content.startswith(head) for each in chunks)
    found = re.findall(r"\| region (\d+) \|", "\n".join(each.content for each in chunks))
    assert list(dict.fromkeys(found)) == [str(number) for number in range(200)]


def test_the_end_of_a_passage_begins_the_next_one() -> None:
    chunks = passages("\n\n".join(f"Paragraph {number}. " + "It goes on and on. " * 20 for number in range(8)))
    for before, after in pairwise(chunks):
        assert after.content.split("\n\n")[0].strip() in before.content
        assert 0 < len(after.content.split("\n\n")[0]) <= OVERLAP


@given(st.text(alphabet=st.sampled_from("ab .\n#|-=`[]。x"), max_size=6_000))
def test_nothing_is_lost_and_nothing_is_too_long(content: str) -> None:
    chunks = passages(content, is_markdown=False)
    assert all(each.content.strip() and len(each.content) <= WANTED + MOST + OVERLAP + 2 for each in chunks)
    letters = set(re.findall(r"[abx]+", content))
    kept = "".join(each.content for each in chunks)
    assert all(each[:WANTED] in kept or len(each) > WANTED for each in letters)


@pytest.mark.parametrize(
    "hostile",
    [
        "# " + " #" * 500_000 + "x",
        "a\n" + "-" * 1_000_000 + "x",
        "|a|\n|" + "-:" * 500_000 + "x\n",
        "|" * 1_000_000,
        ". " * 500_000,
        "#" * 1_000_000,
        "\n".join(["# a"] * 100_000),
        " " * 1_000_000,
        "x" * 2_000_000,
        "`" * 1_000_000,
        "。" * 500_000,
    ],
    ids=["hashes", "underline", "rule", "bars", "sentences", "level", "headings", "blanks", "word", "fence", "stops"],
)
def test_a_text_that_is_made_for_it_takes_no_longer(hostile: str) -> None:
    began = time.thread_time()
    chunks = passages(hostile)
    assert sum(len(each.content) for each in chunks) <= 3 * len(hostile)
    assert time.thread_time() - began < 5  # one takes half a second; what is quadratic takes minutes


def test_texts_are_compared_in_one_form() -> None:
    assert searchable("Ａﬃne É") == "affine é"  # noqa: RUF001 - wide letters, and a ligature
    assert searchable("https://example.com/max_top-k it's").split() == [
        "https",
        "example",
        "com",
        "max",
        "top",
        "k",
        "it",
        "s",
    ]
    assert searchable("हिंदी भाषा") == "हिंदी भाषा"
    assert searchable("知识库 x").split() == ["知识", "识库", "x"]
    assert searchable("ไทย").split() == ["ไท", "ทย"]
