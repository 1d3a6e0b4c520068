"""E-books: their chapters in order, converted like web pages (EPUB 3.3)."""

import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from worker.inputs.decoding import text_encoding
from worker.inputs.names import one_line
from worker.inputs.readers import office, web, within
from worker.inputs.readers.answer import ReaderLimits, ReadText
from worker.inputs.readers.containers import UNPACKED_BYTES, opened
from worker.inputs.readers.markup import parse_xml

_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html")


@office.reads_the_rest  # since it repairs some books
def read(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read an e-book."""
    book = _Book(opened(content))
    answer = book.read(limits.characters)
    within.take(answer, book.pictures(), limits.pictures, limits.most)
    return answer


class _Book:
    """A book being read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = {unquote(each): each for each in archive.namelist()}
        container = self._parsed(_CONTAINER)
        self._package = next(str(each.get("full-path")) for each in _elements(container, "rootfile"))
        self._root = self._parsed(self._package)
        self._items = {str(each.get("id")): each for each in _elements(self._root, "item")}

    def read(self, characters: int) -> ReadText:
        """Return its title, author and chapters, up to about the given number of characters."""
        named = {what: next(_elements(self._root, what), None) for what in ("title", "creator")}
        said = [one_line(each.text) for each in named.values() if each is not None and each.text]
        parts, length, is_cut = [f"# {', by '.join(said)}"] if said else list[str](), 0, False
        for reference in _elements(self._root, "itemref"):
            if length > characters:
                is_cut = True
                break
            text = self._chapter(self._items.get(str(reference.get("idref"))))
            parts += [text] if text.strip() else []
            length += len(text)
        return ReadText("\n\n".join(parts), is_cut=is_cut)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Iterate over its pictures."""
        for item in self._items.values():
            name = self._name(item)
            if str(item.get("media-type")).startswith("image/") and name is not None:
                yield name, self._bytes(name)

    def _chapter(self, item: Any) -> str:
        name = self._name(item) if item is not None and item.get("media-type") in _PAGES else None
        if name is None:
            return ""
        content = self._bytes(name)
        found = text_encoding(content)
        return web.markdown(content.decode(found.name, "replace"), titled=False) if found is not None else ""

    def _name(self, item: Any) -> str | None:
        """Return the name in the archive of an item's file; the package gives a relative, percent-encoded path."""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self._package), unquote(str(item.get("href")))))
        return self._names.get(path)

    def _parsed(self, name: str) -> Any:
        return parse_xml(self._bytes(name))

    def _bytes(self, name: str) -> bytes:
        with self._archive.open(name) as member:
            return member.read(UNPACKED_BYTES)


def _elements(root: Any, name: str) -> Iterator[Any]:
    return (each for each in root.iter() if str(each.tag).rpartition("}")[2] == name)
