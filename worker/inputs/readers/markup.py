"""XML of other people's documents."""

from typing import Any
from xml.etree import ElementTree as ET


def parse_xml(content: bytes) -> Any:
    """Return the root element of an XML document.

    Expat bounds how far entities expand (since 2.4.1), and external entities are not loaded.

    Raises:
        ElementTree.ParseError: It is not well-formed XML. ValueError, LookupError: Its encoding is not known.
    """
    return ET.fromstring(content)  # noqa: S314 - bounded, as said above
