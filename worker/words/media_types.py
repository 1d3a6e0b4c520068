"""Media types."""

import re

UNKNOWN = "application/octet-stream"

_PLAIN = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}", re.ASCII)


def is_media_type(text: str) -> bool:
    """Return whether a text is a media type without parameters, such as ``image/png``."""
    return _PLAIN.fullmatch(text) is not None
