"""How many texts whose encoding nobody names are read right: languages, encodings, forms and lengths of all sorts."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.inputs.languages import ARTICLE_1
from worker.inputs.classify import classify
from worker.inputs.decoding import decoded

WRITTEN_IN = {
    "cp1250": "pl cs sk hu ro hr",
    "iso8859-2": "pl cs sk hu ro hr",
    "cp852": "pl cs hu",
    "cp1251": "ru uk bg",
    "koi8-r": "ru",
    "koi8-u": "uk",
    "iso8859-5": "ru bg",
    "cp866": "ru",
    "mac-cyrillic": "ru",
    "cp1252": "de fr es pt it sv da fi is",
    "iso8859-15": "fr fi et",
    "mac-roman": "de fr es sv",
    "cp437": "de fr sv",
    "cp850": "de fr pt da",
    "cp1253": "el",
    "iso8859-7": "el",
    "cp1254": "tr",
    "cp1255": "he",
    "iso8859-8": "he",
    "cp1256": "ar",
    "iso8859-6": "ar",
    "cp1257": "lt lv et",
    "cp1258": "vi",
    "cp874": "th",
    "shift_jis": "ja",
    "euc_jp": "ja",
    "iso2022_jp": "ja",
    "euc_kr": "ko",
    "gb18030": "zh",
    "big5": "zh-tw",
    "utf-16-le": "en de ru el he ar th ja ko zh",
    "utf-16-be": "en de ru el he ar th ja ko zh",
    "utf-32-le": "de ja",
    "utf-7": "de fr ru ja",
    "utf-8": "de ru ja",
}
TONES = "\u0300\u0301\u0303\u0309\u0323"


def in_windows_1258(text: str) -> str:
    """Vietnamese with its tones behind their letters: the encoding has no others."""
    apart = (unicodedata.normalize("NFD", each) for each in text)
    return "".join(
        unicodedata.normalize("NFC", "".join(c for c in each if c not in TONES))
        + "".join(c for c in each if c in TONES)
        for each in apart
    )


def files(text: str) -> Iterator[tuple[str, str]]:
    """Files of a text: names and what they hold."""
    sentences = [each.strip() for each in re.split(r"(?<=。)|(?<=\.) ", text) if each.strip()]
    first = sentences[0]
    words = first.split() if " " in first else [first[at : at + 4] for at in range(0, len(first), 4)]
    names = "\r\n".join(f"{number},{a},{b}" for number, (a, b) in enumerate(pairwise(words)))
    lines = "".join(
        f"2026-05-01 12:00:{number % 60:02} INFO request {number} took {number} ms\n" for number in range(200)
    )
    yield "short.txt", first
    yield "long.txt", "\n".join([*sentences, *sentences[::-1]])
    yield "short.csv", f"id,name,city\r\n{names}"
    yield (
        "long.csv",
        "".join(f"{number};{sentences[number % len(sentences)]};{number * 1.5}\n" for number in range(300)),
    )
    yield "page.html", f"<html><title>{words[0]}</title>{''.join(f'<p>{each}</p>' for each in sentences * 3)}</html>"
    yield "report.xml", f"<report>{''.join(f'<line>{each}</line>' for each in sentences)}</report>"
    yield (
        "film.srt",
        "".join(f"{n}\n00:00:{n:02},000 --> 00:00:{n + 1:02},000\n{each}\n\n" for n, each in enumerate(sentences)),
    )
    yield "server.log", f"{lines}2026-05-01 12:10:00 ERROR {first}\n{lines}"


def test_texts_are_read_right_whatever_they_are_written_in_and_a_wrong_guess_says_that_it_is_one() -> None:
    right, tried, silent = Counter[str](), Counter[str](), list[str]()
    for encoding, languages in WRITTEN_IN.items():
        for language in languages.split():
            text = ARTICLE_1[language]
            for name, content in files(in_windows_1258(text) if encoding == "cp1258" else text):
                seldom = encoding == "utf-7" and len(re.findall(r"[^\x00-\x7f]+", content)) < 2
                if seldom or (content.isascii() and not encoding.startswith("utf")):
                    continue
                found = classify(content.encode(encoding), "", name).encoding
                read = content.encode(encoding).decode(found.name, "replace") if found is not None else ""
                tried[encoding] += 1
                right[encoding] += read == content
                if found is not None and read != content and not found.is_guess:
                    silent.append(f"{language} in {encoding}, {name}: read as {found.name}")
    assert not silent
    assert right.total() >= 0.98 * tried.total() > 500
    assert {each: right[each] / tried[each] for each in tried if right[each] < 0.9 * tried[each]} == {}


@pytest.mark.parametrize(
    ("label", "encoding", "text"),
    [
        ("windows-31j", "cp932", "第三四半期①"),
        ("x-sjis", "cp932", "売上"),
        ("x-cp1251", "cp1251", "Да"),
        ("win-1250", "cp1250", "Łódź"),
        ("iso-8859-8-i", "iso8859-8", "שלום"),
        ("Windows-874", "cp874", "ยอด"),
        ("x-gbk", "gbk", "人人"),
        ("koi8-ru", "koi8-u", "є"),
        ("utf-16le", "utf-16-le", "ab"),
        ("utf-7", "utf-7", "Größe"),
    ],
)
def test_the_names_of_encodings_are_those_of_the_web(label: str, encoding: str, text: str) -> None:
    content = text.encode(encoding)
    found = classify(content, f"text/plain; charset={label}", "a.txt").encoding
    assert found is not None
    assert (content.decode(found.name), found.is_guess) == (text, False)


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        "すべての人間は、自由",
        "Über\r\n",
        "1;Łódź\r\n2;Kraków\r\n",
        "日本,東京\r\n",
        "Привет 👋 мир",
        "人人生而自由在尊嚴",
    ],
)
def test_two_bytes_a_character_without_a_mark_are_read_in_the_right_order(text: str, order: str) -> None:
    found = classify(text.encode(order), "", "a.txt").encoding
    assert found is not None
    assert (found.name, found.replaced) == (order, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02\x03 a program that holds texts \x04\x05\x06 and messages for people \x07\x08" * 20,
        bytes(range(256)) * 8,
        b"".join((number * 7 % 3000).to_bytes(2, "little") for number in range(3000)),
    ],
    ids=["strings", "all bytes", "samples of a sound"],
)
def test_other_data_are_not_taken_for_two_bytes_a_character(content: bytes) -> None:
    assert classify(content, "", "a.bin").encoding is None


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("width", ["utf-16", "utf-32"])
def test_a_declared_width_without_a_mark_is_read_in_the_order_that_gives_text(width: str, order: str) -> None:
    text = "Hello, this is a text. \u00dcber uns."
    classified = classify(text.encode(f"{width}-{order}"), f"text/plain; charset={width}", "a.txt")
    assert classified.encoding is not None
    assert "".join(decoded(text.encode(f"{width}-{order}"), classified.encoding.name)) == text
