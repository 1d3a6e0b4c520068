"""What a file is: content first, then declared type, then name; and nothing that makes the classifier raise."""

import codecs
import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inputs.servers import pdf, picture
from worker.inputs.attachments import Attachment, Kind
from worker.inputs.classify import classify
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
        ("a.html", b"<p>hello", "text/html"),
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
        ("a", b"<!DOCTYPE html><title>x</title>", "text/html"),
        ("bmw.txt", b"BMW is a car maker from Munich.", "text/plain"),
    ],
)
def test_readable_files_are_text(name: str, content: bytes, media_type: str) -> None:
    found = classify(content, "application/octet-stream", name)
    assert (found.kind, found.media_type, found.encoding) == (Kind.TEXT, media_type, "utf-8")


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
        ("naïve".encode("latin-1"), "iso-8859-1", "iso8859-1"),
        ("日本語のテキスト".encode("shift_jis"), '"Shift_JIS"', "shift_jis"),
        ("Привет, мир".encode("cp1251"), "windows-1251", "cp1251"),
        ("日本".encode()[:-1], "", "utf-8"),
        (b"plain", "zlib", "utf-8"),
        (b"caf\xe9", "zlib", "cp1252"),
        (b"caf\xe9", "hex", "cp1252"),
        (b"caf\xe9", "no such charset", "cp1252"),
    ],
)
def test_the_encoding_of_a_text_is_found(content: bytes, charset: str, encoding: str) -> None:
    assert classify(content, f"text/plain; charset={charset}", "a.txt").encoding == encoding


def test_the_beginning_of_a_text_is_decoded_alone() -> None:
    for encoding in ("utf-8", "utf-16", "utf-32", "utf-8-sig", "shift_jis", "iso2022_jp"):
        words = "日本語のテキスト" * 100
        item = Attachment("u", Kind.TEXT, "text/plain", "a.txt", words.encode(encoding), encoding)
        assert item.beginning(20) == (words[:20], True)
        assert item.beginning(800) == (words, False)
        assert item.text == words


def zipped(name: str) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "declared", "name", "media_type"),
    [
        (zipped("a"), "", "a.zip", "application/zip"),
        (zipped("a"), "", "a.png", "application/zip"),
        (
            zipped("a"),
            "application/octet-stream",
            "a.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (b"\0" * 100, "", "a.txt", "application/octet-stream"),
        (b"text with\0 a NUL", "", "a.bin", "application/octet-stream"),
        (b"long text with a single NUL " * 100 + b"\0", "", "a.bin", "application/octet-stream"),
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
TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"]


@settings(deadline=None)  # a busy machine is not a failure
@given(st.sampled_from(STARTS), st.binary(max_size=200), st.sampled_from(TYPES))
def test_nothing_behind_a_known_beginning_makes_it_raise(start: bytes, rest: bytes, media_type: str) -> None:
    classify(start + rest, "text/plain; charset=utf-16", "a.txt")
    assert is_complete(start + rest, media_type) in {True, False}


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_every_utf_8_text_is_text(words: str) -> None:
    content = words.encode()
    if not content.lstrip(b"\xef\xbb\xbf \t").startswith((b"%PDF-", b"GIF8", b"II*", b"BM")):
        assert classify(content, "", "a.txt").kind is Kind.TEXT
