"""Pictures by their first bytes, and whether the rest of them is there."""

_HEIC = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"msf1": "image/heif"}
_AVIF = {b"avif": "image/avif", b"avis": "image/avif"}
_BRANDS = {**_HEIC, **_AVIF}
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}  # sizes of the headers that BMP ever had; "BM" alone begins words too
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers that carry no length
_START_OF_SCAN = 0xDA


def picture_type(content: bytes) -> str | None:
    """Return the media type of a picture by its first bytes, None if it is no picture."""
    if content.startswith(_PNG_START):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith((b"II*\0", b"MM\0*")):
        return "image/tiff"
    if content[:2] == b"BM" and int.from_bytes(content[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12])
    return None


def is_complete(content: bytes, media_type: str) -> bool:
    """Tell whether a picture has its end; formats without a cheap way to tell are taken as complete.

    Providers answer 400 to half a picture, which would end the whole run.
    """
    match media_type:
        case "image/png":
            return _png_ends(content)
        case "image/jpeg":
            return _jpeg_ends(content)
        case "image/gif":
            return content.rstrip(b"\0").endswith(b";")
        case "image/webp":
            return int.from_bytes(content[4:8], "little") + 8 <= len(content)
        case _:
            return True


def _png_ends(content: bytes) -> bool:
    position = len(_PNG_START)
    while position + 12 <= len(content):  # a chunk: length, name, data, checksum
        if content[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(content[position : position + 4], "big")
    return False


def _jpeg_ends(content: bytes) -> bool:
    """Look for the end marker behind the first scan: a thumbnail before it has an end of its own."""
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF:  # noqa: PLR2004 - 0xFF begins every marker
        marker = content[position + 1]
        if marker == _START_OF_SCAN:
            return content.find(b"\xff\xd9", position) != -1
        alone = marker in _JPEG_ALONE or marker == 0xFF  # noqa: PLR2004 - a fill byte before a marker
        length = 0 if alone else int.from_bytes(content[position + 2 : position + 4], "big")
        position += 1 if marker == 0xFF else 2 + length  # noqa: PLR2004 - the same fill byte
    return False
