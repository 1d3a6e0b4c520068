"""Archives: a listing of their contents, and the files, within limits on number, size and compression ratio."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from worker.bounded import Refused
from worker.inputs.decoding import OF_DOS, text_encoding
from worker.inputs.kinds import BZIP2, GZIP, MAX_MEMBERS, TYPES, XZ
from worker.inputs.names import file_name, one_line, size_words
from worker.inputs.readers.answer import Inner, ReaderLimits, ReadText, too_large
from worker.inputs.readers.containers import BROKEN, ENTRIES, opened

LISTED = 200  # file names listed; of further files only the number is given
RATIO = 200  # the maximum ratio of unpacked to packed size; text compresses to a fiftieth at best
MEMORY = 256 * 1024 * 1024  # bytes that unpacking may use
LEAST = 1024 * 1024  # unpacked bytes always allowed, whatever the ratio
_UNSEEN = ("__MACOSX/", ".DS_Store", "Thumbs.db")
_FLAG_ENCRYPTED, _FLAG_UTF_8 = 1, 0x800  # of an entry, APPNOTE 4.4.4
_FAULTS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    KeyError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
)


def _of_xz(content: bytes, most: int) -> bytes:
    unpacker = lzma.LZMADecompressor(memlimit=MEMORY)
    data = unpacker.decompress(content, most)
    if len(data) < most and not unpacker.eof:
        raise EOFError
    return data


_PACKERS: dict[str, tuple[Callable[[bytes, int], bytes], str, str]] = {  # with the file name extensions
    GZIP: (lambda content, most: gzip.GzipFile(fileobj=io.BytesIO(content)).read(most), ".gz", ".tgz"),
    BZIP2: (lambda content, most: bz2.BZ2File(io.BytesIO(content)).read(most), ".bz2", ".tbz2"),
    XZ: (_of_xz, ".xz", ".txz"),
}

Entry = tuple[str, int, Callable[[int], bytes]]
"""A file in an archive: its path, its size, and a function that reads up to a number of its bytes."""


def read_zip(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a zip archive."""
    archive = opened(content)
    infos = [each for each in archive.infolist() if not each.is_dir()]
    named = _names(infos)
    if infos and all(each.flag_bits & _FLAG_ENCRYPTED for each in infos):
        names = [(name, each.file_size) for name, each in zip(named, infos, strict=True)]
        return ReadText(_listing("zip", names), notes=["its files are encrypted and need a password"])

    def reader(info: object) -> Callable[[int], bytes]:
        def take(most: int) -> bytes:
            with archive.open(info) as member:  # pyright: ignore[reportArgumentType, reportCallIssue]
                return member.read(most)

        return take

    entries: list[Entry] = [(name, each.file_size, reader(each)) for name, each in zip(named, infos, strict=True)]
    return _answer("zip", entries, len(content), limits.most)


def _names(infos: list[zipfile.ZipInfo]) -> list[str]:
    """Return the names of the files, decoded from the archiver's legacy encoding unless they are marked as UTF-8."""
    raw = [b"" if each.flag_bits & _FLAG_UTF_8 else each.filename.encode("cp437", "replace") for each in infos]
    found = text_encoding(b"\n".join(raw), among=OF_DOS)
    if found is None:
        return [each.filename for each in infos]
    return [
        each.filename if name.isascii() else name.decode(found.name, "replace")
        for name, each in zip(raw, infos, strict=True)
    ]


def read_tar(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a tar archive, compressed or not."""
    entries: list[Entry] = []
    try:
        archive = tarfile.open(fileobj=io.BytesIO(content))  # noqa: SIM115 - its members are read later
        for info in archive:
            if len(entries) >= ENTRIES:
                raise Refused(f"it holds more than {ENTRIES:,} files")
            if info.isfile():
                entries.append((_tar_name(info), info.size, _member(archive, info)))
    except _FAULTS:
        if not entries:
            raise Refused(BROKEN) from None
    return _answer("tar", entries, len(content), limits.most)


def read_packed(content: bytes, limits: ReaderLimits) -> ReadText:
    """Read a gzip, bzip2 or xz file, which contains a tar archive or a single file."""
    unpacked, ending, short = _PACKERS[limits.media_type]
    most = min(limits.most, max(LEAST, RATIO * len(content)))
    try:
        data = unpacked(content, most + 1)
    except _FAULTS:
        raise Refused(BROKEN) from None
    if len(data) > most:
        raise Refused(f"it unpacks to more than {size_words(most)}")
    if data[257:262] == b"ustar":
        return read_tar(data, limits)
    name = file_name(limits.name)
    inner = name[: -len(ending)] if name.lower().endswith(ending) else f"{name} unpacked"
    if name.lower().endswith(short):
        inner = name[: -len(short)] + ".tar"
    return ReadText(
        f"{TYPES[limits.media_type].words} ({size_words(len(data))} unpacked)",
        files=[Inner(inner, data)] if data else [],
    )


def _tar_name(info: tarfile.TarInfo) -> str:
    raw = info.name.encode("utf-8", "surrogateescape")
    found = text_encoding(raw)
    return raw.decode(found.name if found is not None else "utf-8", "replace")


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[int], bytes]:
    def take(most: int) -> bytes:
        member = archive.extractfile(info)
        return member.read(most) if member is not None else b""

    return take


def _answer(what: str, entries: list[Entry], packed: int, most: int) -> ReadText:
    seen = [each for each in entries if not any(part in each[0] for part in _UNSEEN)]
    answer = ReadText(_listing(what, [(name, size) for name, size, _ in seen]))
    left = min(most, max(LEAST, RATIO * packed))
    for name, size, take in seen[:MAX_MEMBERS]:
        shown = one_line(name)
        try:
            data = take(left + 1) if size <= left else None
        except _FAULTS:
            answer.notes.append(f"{shown} in it could not be unpacked")
            continue
        if data is None or len(data) > left:
            answer.notes.append(f"{shown} in it {too_large(size, left)}")
            continue
        left -= len(data)
        if data:
            answer.files.append(Inner(shown, data))
    if len(seen) > MAX_MEMBERS:
        answer.notes.append(f"only the first {MAX_MEMBERS} of its {len(seen):,} files were read")
    return answer


def _listing(what: str, names: list[tuple[str, int]]) -> str:
    lines = [f"- {one_line(name)} ({size_words(size)})" for name, size in names[:LISTED]]
    more = [f"- and {len(names) - LISTED:,} more"] if len(names) > LISTED else []
    count = "1 file" if len(names) == 1 else f"{len(names):,} files"
    return "\n".join([f"a {what} archive ({count})", *lines, *more])
