"""Signatures of file types that cannot be read here, so that a note can name the type."""

_STARTS = (
    (b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (b"\x01\x00\x09\x00\x00\x03", "image/wmf"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"DDS ", "image/vnd.ms-dds"),
    (b"\x01\xda", "image/x-sgi"),
    (b"qoif", "image/qoi"),
    (b"BPG\xfb", "image/bpg"),
    (b"AC10", "image/vnd.dwg"),
    (b"icns", "image/x-icns"),
    (b"\xc5\xd0\xd3\xc6", "application/postscript"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "application/onenote"),
    (b"\xffWPC", "application/vnd.wordperfect"),
    (b"\x31\xbe\0\0", "application/x-mswrite"),
    (b"\xdb\xa5-\0", "application/msword"),
    (b"!BDN", "application/vnd.ms-outlook-pst"),
    (b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"MSCF", "application/vnd.ms-cab-compressed"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x04\x22\x4d\x18", "application/x-lz4"),
    (b"\x1f\x9d", "application/x-compress"),
    (b"ITSF", "application/vnd.ms-htmlhelp"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"ARROW1", "application/vnd.apache.arrow.file"),
    (b"Obj\x01", "application/vnd.apache.avro"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-elf"),
    (b"\xca\xfe\xba\xbe", "application/java-vm"),
    (b"\0\x01\0\0\0", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
)
_EMF, _EMF_AT = b" EMF", 40  # [MS-EMF] 2.2.9
_SIGNED = (
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"  # the start of the type of a signed or encrypted message, RFC 5652, 3
)


def type_by_signature(content: bytes) -> str:
    """Return the media type of a file by its first bytes; empty if they are unknown."""
    if content.startswith(b"\1\0\0\0") and content[_EMF_AT : _EMF_AT + 4] == _EMF:
        return "image/emf"
    if content.startswith(b"\x30") and _SIGNED in content[:20]:
        return "application/pkcs7-mime"
    return next((media_type for start, media_type in _STARTS if content.startswith(start)), "")
