"""What a file is: content first, then declared type, then name; and nothing that makes the classifier raise."""

import codecs
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inputs.servers import pdf, picture
from worker.inputs.attachments import Attachment, Kind
from worker.inputs.classify import classify
from worker.inputs.decoding import Encoding
from worker.inputs.kinds import TYPES
from worker.inputs.pictures import is_complete


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
    ],
)
def test_pictures_are_known_by_content_whatever_they_are_called(form: str, media_type: str) -> None:
    found = classify(picture(form), "text/csv", "figures.csv")
    assert (found.kind, found.media_type) == (Kind.IMAGE, media_type)


def test_a_pdf_is_known_by_content() -> None:
    for content in (pdf("hello"), b"\xef\xbb\xbf\r\n" + pdf("hello"), b"\xff\x00junk" + pdf("hello")):
        assert classify(content, "text/html", "page.html").kind is Kind.PDF


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.txt", b"hello", "text/plain"),
        ("a.csv", b"a,b\n1,2\n", "text/csv"),
        ("a.tsv", b"a\tb\n", "text/tab-separated-values"),
        ("a.json", b'{"a": 1}', "application/json"),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}\n', "application/jsonl"),
        ("a.xml", b"<?xml version='1.0'?><a/>", "text/xml"),
        ("a.md", b"# Title", "text/markdown"),
        ("a.rst", b"Title\n=====", "text/x-rst"),
        ("a.yaml", b"a: 1", "application/yaml"),
        ("a.toml", b"a = 1", "application/toml"),
        ("a.ini", b"[a]\nb=1", "text/plain"),
        ("a.log", b"\x1b[31mERROR\x1b[0m at 12:00", "text/plain"),
        ("a.py", b"print('hello')", "text/x-python"),
        ("a.rs", b"fn main() {}", "text/plain"),
        ("Makefile", b"all:\n\ttrue\n", "text/plain"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        ("a.svg", b"<?xml version='1.0'?>\n<svg/>", "image/svg+xml"),
        ("bmw.txt", b"BMW is a car maker from Munich.", "text/plain"),
    ],
)
def test_readable_files_are_text(name: str, content: bytes, media_type: str) -> None:
    found = classify(content, "application/octet-stream", name)
    assert (found.kind, found.media_type, found.encoding) == (Kind.TEXT, media_type, Encoding("utf-8"))


def test_a_declared_type_beats_the_name_and_content_beats_both() -> None:
    assert classify(b"a;b\n", "text/csv; charset=utf-8", "export.txt").media_type == "text/csv"
    assert classify(b"<html><body>Please log in", "application/pdf", "report.pdf").media_type == "text/html"
    assert classify(b"plain words", "application/pdf", "report.pdf").media_type == "text/plain"


@pytest.mark.parametrize(
    ("content", "charset", "encoding"),
    [
        ("naïve café".encode(), "", "utf-8"),
        (codecs.BOM_UTF8 + "naïve".encode(), "", "utf-8-sig"),
        ("naïve".encode("utf-16"), "", "utf-16"),
        (codecs.BOM_UTF16_BE + "naïve".encode("utf-16-be"), "", "utf-16"),
        ("naïve".encode("utf-32"), "", "utf-32"),
        ("naïve".encode("utf-16-le"), "utf-16le", "utf-16-le"),
        ("naïve café, “quoted”, 5 €".encode("cp1252"), "", "cp1252"),
        ("naïve".encode("latin-1"), "iso-8859-1", "cp1252"),
        ("“naïve”".encode("cp1252"), "iso-8859-1", "cp1252"),
        (b"na\x81ve", "iso-8859-1", "iso8859-1"),
        ("日本語のテキスト".encode("shift_jis"), '"Shift_JIS"', "cp932"),
        ("판매는 3분기에 증가했습니다.".encode("iso2022_kr"), "", "iso2022_kr"),
        ("Привет, мир".encode("cp1251"), "windows-1251", "cp1251"),
        ("日本".encode()[:-1], "", "utf-8"),
        (b"plain", "zlib", "utf-8"),
        (b"caf\xe9", "zlib", "cp1252"),
        (b"caf\xe9", "hex", "cp1252"),
        (b"caf\xe9", "no such charset", "cp1252"),
    ],
)
def test_the_encoding_of_a_text_is_found(content: bytes, charset: str, encoding: str) -> None:
    found = classify(content, f"text/plain; charset={charset}", "a.txt").encoding
    assert found is not None
    assert found.name == encoding


SENTENCES = {
    "windows-1250": "Tržby vzrostly o dvanáct procent, náklady klesly; Łódź, Győr, Zażółć gęślą jaźń.",
    "iso-8859-2": "Tržby vzrostly o dvanáct procent, náklady klesly; Łódź, Győr, Zażółć gęślą jaźń.",
    "windows-1251": "Отчёт за третий квартал: выручка выросла на 12 %, расходы снизились.",
    "koi8-r": "Склад закрыт до понедельника, заказы принимаются по телефону.",
    "koi8-u": "Склад зачинено до понеділка, замовлення приймаються телефоном, є знижки.",
    "iso-8859-5": "Склад закрыт до понедельника, заказы принимаются по телефону.",
    "cp866": "Склад закрыт до понедельника, заказы принимаются по телефону.",
    "cp855": "Склад закрыт до понедельника, заказы принимаются по телефону.",
    "windows-1252": "Le café coûte 3 € — déjà vu, garçon; Äpfel und Öl für Jürgen, größer.",
    "iso-8859-15": "Le café coûte trois francs, déjà vu, garçon; Äpfel und Öl für Jürgen, größer.",
    "windows-1253": "Οι πωλήσεις αυξήθηκαν κατά δώδεκα τοις εκατό το τρίτο τρίμηνο.",  # noqa: RUF001
    "windows-1254": "Satışlar yüzde on iki arttı, giderler düştü; İstanbul, Eskişehir, Ağrı.",  # noqa: RUF001
    "windows-1255": "המכירות עלו בשנים עשר אחוזים ברבעון השלישי של השנה.",
    "windows-1256": "ارتفعت المبيعات بنسبة اثني عشر بالمئة في الربع الثالث من العام.",
    "windows-1257": "Pardavimai trečiąjį ketvirtį išaugo dvylika procentų, išlaidos sumažėjo.",
    "shift_jis": "第三四半期の売上高は十二パーセント増加しました。",
    "euc_jp": "第三四半期の売上高は十二パーセント増加しました。",
    "iso2022_jp": "第三四半期の売上高は十二パーセント増加しました。",
    "euc-kr": "삼분기 매출은 십이 퍼센트 증가했습니다.",
    "johab": "삼분기 매출은 십이 퍼센트 증가했습니다.",
    "big5": "第三季度的銷售額增長了百分之十二。",
    "gb18030": "第三季度的销售额增长了百分之十二。",
    "tis-620": "ยอดขายไตรมาสที่สามเพิ่มขึ้นร้อยละสิบสอง",
    "utf-16-le": "Sales rose by twelve percent in the third quarter; Łódź.",
    "utf-16-be": "Umsätze stiegen um zwölf Prozent im dritten Quartal.",
}


def decoded(content: bytes, declared: str = "", name: str = "a.csv") -> tuple[str, Encoding]:
    found = classify(content, declared, name).encoding
    assert found is not None, "it is text"
    return content.decode(found.name, "replace"), found


@pytest.mark.parametrize("lines", [1, 12, 400])
@pytest.mark.parametrize("encoding", SENTENCES)
def test_an_encoding_that_nobody_names_is_found_all_the_same(encoding: str, lines: int) -> None:
    words = "\n".join(f"{number};{SENTENCES[encoding]}" for number in range(lines))
    text, found = decoded(words.encode(encoding))
    assert text == words
    assert found.is_guess == (encoding not in {"iso2022_jp", "utf-16-le", "utf-16-be"})


@pytest.mark.parametrize("encoding", [each for each in SENTENCES if not each.startswith("utf-16")])
@pytest.mark.parametrize(
    ("form", "name"),
    [
        ('<?xml version="1.0" encoding="{}"?>\n<report>{}</report>', "a.xml"),
        ("<?xml version='1.0' standalone='yes' encoding='{}'?>\n<report>{}</report>", "a.xml"),
        ("<!doctype html><html><head><meta charset={}></head><body>{}</body></html>", "a.html"),
        (
            '<html><head><title>x</title><META http-equiv="Content-Type" content="text/html; charset={}"></head>{}',
            "a.html",
        ),
        ("#!/usr/bin/python\n# -*- coding: {} -*-\nprint('{}')", "a.py"),
        ('@charset "{}";\nbody::after {{ content: "{}" }}', "a.css"),
    ],
    ids=["xml", "xml, single quotes", "meta charset", "http-equiv", "python", "css"],
)
def test_a_file_is_believed_what_it_says_of_itself(form: str, name: str, encoding: str) -> None:
    words = form.format(encoding, SENTENCES[encoding])
    text, found = decoded(words.encode(encoding), "text/plain; charset=utf-8", name)
    assert (text, found.is_guess) == (words, False)


def test_utf_8_is_not_given_up_for_one_bad_byte() -> None:
    words = "".join(f"{number} Übergröße für Jürgen\n" for number in range(50)).encode()
    text, found = decoded(words[:600] + b"\xff" + words[600:], "", "a.log")
    assert (found.name, found.replaced, found.is_guess) == ("utf-8", 1, False)
    assert text.count("\ufffd") == 1


def test_one_nul_in_a_log_is_still_a_log() -> None:
    content = b"12:00 all is well\n" * 100 + b"\0" + b"12:01 all is well\n" * 100
    assert decoded(content, "", "a.log")[0] == content.decode()


def test_a_page_that_claims_latin_1_and_is_utf_8_is_read_as_utf_8() -> None:
    words = "<html><head><meta charset=iso-8859-1></head><body>größer</body></html>"
    assert decoded(words.encode(), "text/html; charset=iso-8859-1", "a.html")[0] == words


@pytest.mark.parametrize(
    ("name", "spoken"),
    [("cp1251", "windows-1251"), ("iso8859-2", "ISO-8859-2"), ("cp932", "Shift_JIS"), ("utf-8-sig", "UTF-8")],
)
def test_an_encoding_has_the_name_that_people_know(name: str, spoken: str) -> None:
    assert Encoding(name).spoken == spoken


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=500, max_size=2000))
def test_what_is_compressed_is_not_taken_for_text(content: bytes) -> None:
    packed = zlib.compress(content + bytes(range(256)), 9)
    assert classify(packed, "", "a").kind is not Kind.TEXT


def test_the_beginning_of_a_text_is_decoded_alone() -> None:
    for encoding in ("utf-8", "utf-16", "utf-32", "utf-8-sig", "shift_jis", "iso2022_jp"):
        words = "日本語のテキスト" * 100
        item = Attachment("u", Kind.TEXT, "text/plain", "a.txt", words.encode(encoding), encoding)
        assert item.beginning(20) == (words[:20], True)
        assert item.beginning(800) == (words, False)
        assert item.text == words


@pytest.mark.parametrize(
    ("content", "declared", "name", "media_type"),
    [
        (b"\0" * 100, "", "a.txt", "application/octet-stream"),
        (b"text with\0 a NUL", "", "a.bin", "application/octet-stream"),
        (bytes(range(256)) * 4, "application/x-thing", "a", "application/x-thing"),
        (b"\xfe\xed\xfa\xce", "", "a", "application/octet-stream"),
        (b"OggS\0\x02" + b"\0" * 50, "", "a.txt", "application/ogg"),
    ],
)
def test_binary_files_are_other(content: bytes, declared: str, name: str, media_type: str) -> None:
    found = classify(content, declared, name)
    assert found.kind is Kind.OTHER
    assert found.media_type == media_type


@pytest.mark.parametrize(
    ("form", "media_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("GIF", "image/gif"), ("WEBP", "image/webp")],
)
def test_half_a_picture_is_noticed(form: str, media_type: str) -> None:
    whole = picture(form)
    assert is_complete(whole, media_type)
    assert not is_complete(whole[: len(whole) // 2], media_type)


@settings(deadline=None)  # a busy machine is not a failure
@given(st.binary(max_size=300), st.text(max_size=60), st.text(max_size=60))
def test_the_classifier_never_raises(content: bytes, declared: str, name: str) -> None:
    found = classify(content, declared, name)
    assert (found.encoding is not None) == (found.kind is Kind.TEXT) or found.kind is Kind.DOCUMENT
    assert found.kind is not Kind.DOCUMENT or found.media_type in TYPES
    assert found.media_type


STARTS = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"RIFF\0\0\0\0WEBP",
    b"BM",
    b"PK\x03\x04",
    b"\xff\xfe",
    b"ID3",
]
PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"]


@settings(deadline=None)  # a busy machine is not a failure
@given(st.sampled_from(STARTS), st.binary(max_size=200), st.sampled_from(PICTURES))
def test_nothing_behind_a_known_beginning_makes_it_raise(start: bytes, rest: bytes, media_type: str) -> None:
    classify(start + rest, "text/plain; charset=utf-16", "a.txt")
    assert is_complete(start + rest, media_type) in {True, False}


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_every_utf_8_text_is_text(words: str) -> None:
    content = words.encode()
    if not content.lstrip(b"\xef\xbb\xbf \t").startswith((b"%PDF-", b"GIF8", b"II*", b"BM")):
        assert classify(content, "", "a.txt").kind is Kind.TEXT
