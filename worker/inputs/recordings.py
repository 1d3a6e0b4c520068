"""Detection of audio and video by content, according to the formats' specifications."""

import re
from collections.abc import Iterator
from itertools import islice

_HEAD = 64 * 1024  # bytes within which Matroska lists its tracks, and Ogg its streams
_MAX_BOXES = 10_000  # outermost boxes examined; fragmented videos have their table of contents near the start
_MAX_TRACKS = 100
_EBML = b"\x1a\x45\xdf\xa3"
_CODEC = re.compile(rb"\x86.([AV])_[A-Z]", re.DOTALL)  # RFC 9559: the element CodecID, its length, its first letters
_STARTS = (
    (b"fLaC", "audio/flac"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b"#!AMR", "audio/amr"),
    (b"FLV\x01", "video/x-flv"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"\0\0\x01\xb3", "video/mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c", "video/x-ms-asf"),
)
_FORMS = {
    (b"RIFF", b"WAVE"): "audio/wav",
    (b"RIFF", b"AVI "): "video/x-msvideo",
    (b"FORM", b"AIFF"): "audio/aiff",
    (b"FORM", b"AIFC"): "audio/aiff",
}
_BRANDS = {b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"qt  ": "video/quicktime"}  # ISO 14496-12; any other is MP4
_OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC")  # the start of their first packets, RFC 5334
_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s of layer III, ISO 11172-3
_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # ISO 13818-3
_RATES = (44_100, 48_000, 32_000)  # Hz in MPEG 1; MPEG 2 has half of each, MPEG 2.5 a quarter
_LAYER_3 = 1
_ADTS_HEADER = 7  # bytes


def recording_type(content: bytes) -> str | None:
    """Return the media type of a recording by its content; None for other content."""
    for start, media_type in _STARTS:
        if content.startswith(start):
            return media_type
    form = _FORMS.get((content[:4], content[8:12]))
    if form is not None:
        return form
    if content[4:8] == b"ftyp":
        return _mp4_type(content)
    if content.startswith(b"OggS\0"):
        return _ogg_type(content[:_HEAD])
    if content.startswith(_EBML):
        return _matroska_type(content[:_HEAD])
    return _mpeg_audio_type(content)


def has_its_tracks(content: bytes) -> bool:
    """Return whether a recording is playable: MP4 needs its table of contents, which is often at the file's end."""
    return content[4:8] != b"ftyp" or any(kind == b"moov" for kind, _, _ in _boxes(content))


def _mp4_type(content: bytes) -> str | None:
    brand = content[8:12]
    if brand.startswith(b"3g"):
        return "video/3gpp"
    known = _BRANDS.get(brand)
    if known is not None:
        return known
    movies = (content[start:end] for kind, start, end in _boxes(content) if kind == b"moov")
    tracks = set(_tracks(next(movies, b"")))
    return "audio/mp4" if b"soun" in tracks and b"vide" not in tracks else "video/mp4"


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Iterate over the complete outermost boxes: type, start and end of the content of each (ISO 14496-12, 4.2)."""
    position = 0
    for _ in range(_MAX_BOXES):
        size, header = int.from_bytes(content[position : position + 4]), 8
        if size == 1:
            size, header = int.from_bytes(content[position + 8 : position + 16]), 16
        elif size == 0:
            size = len(content) - position
        if size < header or position + size > len(content):
            return
        yield content[position + 4 : position + 8], position + header, position + size
        position += size


def _tracks(movie: bytes) -> Iterator[bytes]:
    """Iterate over the types of a movie's tracks, taken from their handlers (ISO 14496-12, 8.4.3)."""
    for found in islice(re.finditer(b"hdlr", movie), _MAX_TRACKS):
        yield movie[found.start() + 12 : found.start() + 16]


def _ogg_type(head: bytes) -> str | None:
    if b"\x80theora" in head:
        return "video/ogg"
    return "audio/ogg" if any(each in head for each in _OGG_AUDIO) else None


def _matroska_type(head: bytes) -> str | None:
    is_webm = b"webm" in head[:64]
    if not is_webm and b"matroska" not in head[:64]:
        return None
    tracks = {found.group(1) for found in _CODEC.finditer(head)}
    main = "audio" if tracks == {b"A"} else "video"
    return f"{main}/{'webm' if is_webm else 'x-matroska'}"


def _mpeg_audio_type(content: bytes) -> str | None:
    """Return the type of MP3 or AAC: consecutive frames, or a tag before them (id3.org, ID3v2.4 3.1)."""
    tag = content[:10]
    if tag[:3] == b"ID3" and len(tag) == 10 and 2 <= tag[3] <= 4 and all(each < 128 for each in tag[6:]):  # noqa: PLR2004 - as the format is
        after = content[10 + sum(each << shift for each, shift in zip(tag[6:], (21, 14, 7, 0), strict=True)) :][:4]
        if after == b"fLaC":
            return "audio/flac"
        return "audio/aac" if _adts_length(after + b"\0\0\0") is not None else "audio/mpeg"
    for length_of, media_type in ((_mp3_length, "audio/mpeg"), (_adts_length, "audio/aac")):
        first = length_of(content[:_ADTS_HEADER])
        if first is not None and first > 0 and length_of(content[first : first + _ADTS_HEADER]) is not None:
            return media_type
    return None


def _mp3_length(header: bytes) -> int | None:
    """Return the length of a layer III frame in bytes; None if the header is invalid."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:  # noqa: PLR2004 - by the format
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate, sampling, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer != _LAYER_3 or rate in {0, 15} or sampling == 3:  # noqa: PLR2004 - reserved values
        return None
    is_first = version == 3  # noqa: PLR2004
    kilobits = (_MPEG_1 if is_first else _MPEG_2)[rate - 1]
    hertz = _RATES[sampling] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if is_first else 72) * kilobits * 1000 // hertz + padding


def _adts_length(header: bytes) -> int | None:
    """Return the length of an AAC frame of an ADTS stream in bytes (ISO 13818-7, 6.2); None for an invalid header."""
    if len(header) < _ADTS_HEADER or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:  # noqa: PLR2004 - by the format
        return None
    if header[2] >> 2 & 15 > 12:  # noqa: PLR2004 - higher sampling rate indexes are reserved
        return None
    return (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
