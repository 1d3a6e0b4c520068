"""How much of each file reaches a model: what its context has room for, and of what is cut what is useful."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.inputs import documents
from worker.inputs import Attachment, Attachments, Kind, Limits, compose_message, fit_texts
from worker.inputs.attachments import Fetched
from worker.inputs.budget import estimated_tokens, measured
from worker.inputs.examining import examined
from worker.inputs.kinds import WORD
from worker.words.models import ModelCapabilities

PROSE = "The quick brown fox jumps over the lazy dog.\n"
MOST = 20_000_000


def file(name: str, content: str, media_type: str = "text/plain", source: str = "") -> Attachment:
    url, encoded = f"https://a.test/{name}", content.encode()
    return Attachment(url, Kind.TEXT, media_type, name, encoded, "utf-8", source=source)


def taking(tokens: int) -> ModelCapabilities:
    return ModelCapabilities(prompt_tokens=tokens)


def fitted(
    *items: Attachment, limits: Limits | None = None, takes: ModelCapabilities | None = None
) -> list[Attachment]:
    return list(fit_texts(Attachments(items), takes, limits).items)


def text_of(item: Attachment) -> str:
    return item.text or ""


@pytest.mark.parametrize(
    ("takes", "whole"),
    [
        (ModelCapabilities(context=1_000_000), 1_000_000),
        (ModelCapabilities(context=200_000), 200_000),
        (ModelCapabilities(context=8_192), 8_000),
        (ModelCapabilities(), 30_000),  # nobody knows it
        (taking(1_500), 3_000),
    ],
    ids=["a million tokens", "200,000", "8,192", "unknown", "as its user says"],
)
def test_the_budget_follows_the_models_context(takes: ModelCapabilities, whole: int) -> None:
    text = PROSE * (whole // len(PROSE))
    (item,) = fitted(file("a.txt", text), takes=takes)
    assert item == file("a.txt", text)
    (item,) = fitted(file("a.txt", text * 3), takes=takes)
    kept, total = len(text_of(item).rpartition("\n[cut here")[0]), 3 * len(text)
    assert whole <= kept + len(PROSE)
    assert item.note == f"a.txt is cut: the message contains its first {kept:,} of {total:,} characters."
    assert item.is_cut


def test_settings_are_caps_and_what_there_is_room_for_is_shared_out_fairly() -> None:
    limits = Limits(file_characters=100, total_characters=150)
    first, second, third = fitted(file("a", "x" * 500), file("b", "short"), file("c", "é" * 100), limits=limits)
    assert text_of(first) == "x" * 72 + "\n[cut here: this is its first 72 of 500 characters]"
    assert second == file("b", "short")
    assert text_of(third) == "é" * 73 + "\n[cut here: this is its first 73 of 100 characters]"
    (alone,) = fitted(file("a", "x" * 101), limits=limits)
    assert text_of(alone).startswith("x" * 100 + "\n[cut here")
    assert fitted(file("a", "x" * 100), limits=limits) == [file("a", "x" * 100)]
    (none,) = fitted(file("a", "x"), limits=Limits(total_characters=0))
    assert text_of(none) == "\n[cut here: this is its first 0 of 1 characters]"


def test_tokens_are_what_is_shared_so_figures_get_fewer_characters_than_prose() -> None:
    figures = file("a.csv", "2024-01-31,1234.56,78\n" * 1000, "text/csv")
    prose = file("a.txt", PROSE * 1000)
    both = fitted(figures, prose, takes=taking(3_000))
    lengths = [len(text_of(each).rpartition("\n[cut here")[0]) for each in both]
    assert 1_400 <= lengths[0] <= 1_830  # 1,500 tokens at the measured 0.82 a character
    assert 3_000 <= lengths[1] <= 4_500


def test_a_table_keeps_its_head_and_whole_rows_and_says_how_many_there_are() -> None:
    rows = [f'{number},"Łódź, and\nmore",{number * 3}' for number in range(500)]
    table = "\n".join(["id,city,boxes", *rows]) + "\n"
    (item,) = fitted(file("stock.csv", table, "text/csv"), limits=Limits(file_characters=1_000))
    text = text_of(item)
    said = text.rpartition("\n")[2]
    shown = text.removesuffix("\n" + said)
    kept = shown.count('"') // 2
    assert shown == "\n".join(["id,city,boxes", *rows[:kept]])
    assert said == f"[cut here: this is its header and the first {kept:,} of 500 rows; its 3 columns: id, city, boxes]"
    assert item.note == f"stock.csv is cut: the message contains its header and the first {kept:,} of 500 rows."


def test_rows_of_json_are_whole() -> None:
    lines = "".join(json.dumps({"id": number}) + "\n" for number in range(100))
    (item,) = fitted(file("a.jsonl", lines, "application/jsonl"), limits=Limits(file_characters=100))
    assert text_of(item).endswith('{"id": 9}\n[cut here: this is its first 10 of 100 rows]')


async def test_a_workbook_keeps_the_first_rows_of_every_sheet() -> None:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    for name, count in (("Data", 3_000), ("Summary", 2), ("More", 1_000)):
        sheet = book.create_sheet(name)
        sheet.append(["id", "city"])
        for number in range(count):
            sheet.append([number, f"City {number}"])
    (item,) = await examined("https://a.test/book.xlsx", Fetched(documents.saved(book)), MOST)
    (cut,) = fitted(item, limits=Limits(file_characters=2_000))
    text = text_of(cut)
    assert len(text) < 2_300
    assert "Sheets: Data, Summary, More" in text
    assert "\n| 20 | City 20 |" in text
    assert " rows of 3,000]" in text
    assert "## Summary\n\n| id | city |\n| --- | --- |\n| 0 | City 0 |\n| 1 | City 1 |\n\n## More\n" in text
    assert " rows of 1,000]" in text
    kept = "the first rows of 2 of its 3 sheets, and the other sheets completely"
    assert cut.note == f"book.xlsx is cut: the message contains {kept}."


@pytest.mark.parametrize("name", ["server.log", "server.txt"])
def test_a_log_keeps_its_beginning_and_its_end(name: str) -> None:
    lines = [f"2026-05-01 12:00:{number % 60:02} INFO request {number}" for number in range(2_000)]
    (item,) = fitted(file(name, "\n".join(lines) + "\n"), limits=Limits(file_characters=3_000))
    text = text_of(item)
    shown = text.split("\n")
    gap = next(place for place, line in enumerate(shown) if line.startswith("["))
    first, last = shown[:gap], shown[gap + 1 : -1]
    assert first == lines[: len(first)]
    assert last == lines[-len(last) :]
    assert len(first) > 15
    assert len(last) > 40
    assert shown[gap] == f"[{2_000 - len(first) - len(last):,} lines omitted]"
    kept = f"its first {len(first)} and its last {len(last)} of 2,000 lines"
    assert item.note == f"{name} is cut: the message contains {kept}."


def test_a_document_keeps_its_beginning_and_the_headings_of_the_rest() -> None:
    text = "\n\n".join(f"## Chapter {number}\n\n{PROSE * 5}" for number in range(40))
    (item,) = fitted(file("a.docx", text, "text/markdown", source=WORD), limits=Limits(file_characters=2_000))
    shown = text_of(item)
    begun, _, rest = shown.partition("\n\n[the headings of the rest:]\n")
    assert text.startswith(begun)
    left_out = [f"## Chapter {number}" for number in range(40) if f"## Chapter {number}\n" not in begun + "\n"]
    assert rest.split("\n")[:5] == left_out[:5]
    assert "\n[and " in rest
    assert len(shown) < 2_200
    assert rest.endswith(f" of {len(text):,} characters, and the headings of the rest]")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp932", "iso2022_jp_2", "gb18030"])
def test_lengths_are_those_of_the_decoded_text(encoding: str) -> None:
    text = '名前,"年\n齢",住所\n' * 9_000  # several pieces of 64 KB
    item = replace(file("a.csv", ""), content=text.encode(encoding), encoding=encoding)
    length = measured(item)
    assert (length.characters, length.lines, length.rows) == (len(text), 18_000, 9_000)
    assert length.density == pytest.approx(estimated_tokens(text[:8_000]) / 8_000)


def test_marks_that_do_not_match_leave_lines_the_rows() -> None:
    table = 'size;name\n12";pipe\n' + "9;rod\n" * 100
    (item,) = fitted(file("a.csv", table, "text/csv"), limits=Limits(file_characters=100))
    assert text_of(item).endswith("of 101 rows; its 2 columns: size, name]")


def test_how_the_rest_is_read_is_said_where_something_was_cut() -> None:
    cut = fit_texts(Attachments((file("a", "x" * 10),)), limits=Limits(file_characters=5))
    whole = Attachments((file("a", "x"),))
    tell: Callable[[Attachments], str] = lambda each: compose_message("?", [], each, how_to_read="Call read_file.")  # noqa: E731
    assert tell(cut).endswith("characters.\n- Call read_file.")
    assert "read_file" not in tell(whole)
