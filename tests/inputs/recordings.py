"""Recordings made here: as short as their formats allow, and real."""

import io
import struct
import wave

MP3_FRAME = bytes.fromhex("fffb9064") + bytes(413)  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz: silence
ADTS_FRAME = bytes.fromhex("fff150800d7ffc") + bytes(100)  # AAC LC, 44.1 kHz, 107 bytes


def wav(seconds: float = 0.1, rate: int = 8_000) -> bytes:
    """Silence."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * int(seconds * rate)))
    return target.getvalue()


def mp3(*, tagged: bool = False) -> bytes:
    """Silence; tagged as most files are."""
    tag = b"ID3\x04\0\0\0\0\x01\0" + bytes(128) if tagged else b""
    return tag + 3 * MP3_FRAME


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of MP4."""
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def mp4(*tracks: bytes, brand: bytes = b"isom", is_whole: bool = True) -> bytes:
    """A film, or sound alone, by the handlers of its tracks; its table of contents at its end, as telephones do."""
    handlers = (box(b"trak", box(b"mdia", box(b"hdlr", bytes(8), track, bytes(13)))) for track in tracks)
    movie = box(b"moov", *handlers)
    content = box(b"ftyp", brand, bytes(4)) + box(b"mdat", bytes(200)) + movie
    return content if is_whole else content[: -len(movie) - 50]


def matroska(document: bytes, *codecs: bytes) -> bytes:
    """WebM or Matroska, as far as its tracks are named."""
    names = b"".join(b"\x86" + bytes([0x80 | len(codec)]) + codec for codec in codecs)
    return b"\x1a\x45\xdf\xa3\x9f\x42\x82" + bytes([0x80 | len(document)]) + document + names + bytes(50)


RECORDINGS: dict[str, tuple[bytes, str]] = {
    "a.wav": (wav(), "audio/wav"),
    "a.mp3": (mp3(), "audio/mpeg"),
    "tagged.mp3": (mp3(tagged=True), "audio/mpeg"),
    "a.aac": (3 * ADTS_FRAME, "audio/aac"),
    "a.ogg": (b"OggS\0\x02" + bytes(22) + b"\x01vorbis" + bytes(30), "audio/ogg"),
    "a.opus": (b"OggS\0\x02" + bytes(22) + b"OpusHead" + bytes(30), "audio/ogg"),
    "a.ogv": (b"OggS\0\x02" + bytes(22) + b"\x80theora" + bytes(30), "video/ogg"),
    "a.flac": (b"fLaC\0\0\0\x22" + bytes(60), "audio/flac"),
    "a.aiff": (b"FORM\0\0\0\x20AIFFCOMM" + bytes(40), "audio/aiff"),
    "a.m4a": (mp4(b"soun", brand=b"M4A "), "audio/mp4"),
    "voice.mp4": (mp4(b"soun", brand=b"mp42"), "audio/mp4"),
    "a.mp4": (mp4(b"vide", b"soun"), "video/mp4"),
    "a.mov": (mp4(b"vide", brand=b"qt  "), "video/quicktime"),
    "a.3gp": (mp4(b"vide", brand=b"3gp4"), "video/3gpp"),
    "a.webm": (matroska(b"webm", b"V_VP9", b"A_OPUS"), "video/webm"),
    "sound.webm": (matroska(b"webm", b"A_OPUS"), "audio/webm"),
    "a.mkv": (matroska(b"matroska", b"V_MPEG4/ISO/AVC"), "video/x-matroska"),
    "a.avi": (b"RIFF\x80\0\0\0AVI LIST" + bytes(40), "video/x-msvideo"),
    "a.mpg": (b"\0\0\x01\xba\x44" + bytes(40), "video/mpeg"),
    "a.flv": (b"FLV\x01\x05\0\0\0\x09" + bytes(40), "video/x-flv"),
}
"""By name: content and media type."""
