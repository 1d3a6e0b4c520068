"""Detection of URLs whose host is a cloud's metadata service, which hands out a machine's credentials."""

import ipaddress
import re
from urllib.parse import urlsplit

_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})
AZURE = ipaddress.ip_address("168.63.129.16")  # a public address, but the one where Azure serves a machine's secrets
_METADATA = frozenset(  # beyond the link-local addresses, which all of them are
    ipaddress.ip_address(each)
    for each in (
        str(AZURE),
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS, credentials of a pod
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
    )
)
_PART = re.compile(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,11}")
_PARTS = 4  # the most parts of an IPv4 address; with fewer, the last one fills the remaining bytes


def is_metadata_host(url: str) -> bool:
    """Return whether a URL's host, as written, is link-local or a cloud's metadata service; no name is resolved."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if host in _METADATA_NAMES:
        return True
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_link_local or address in _METADATA:
            return True
        address = address.ipv4_mapped or address.sixtofour or ipaddress.IPv4Address(address.packed[12:])
    return address is not None and (address.is_link_local or address in _METADATA)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse a host as an address, including the odd forms of C libraries (``0xa9fea9fe``, ``169.254.43518``)."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    parts = host.split(".")
    if len(parts) > _PARTS or not all(_PART.fullmatch(part) for part in parts):
        return None
    *first, last = (_number(part) for part in parts)
    bits = 8 * (_PARTS - len(first))
    if any(part > 255 for part in first) or last >= 1 << bits:  # noqa: PLR2004 - a byte
        return None
    number = 0
    for part in first:
        number = number << 8 | part
    return ipaddress.IPv4Address(number << bits | last)


def _number(part: str) -> int:
    if part[:2].lower() == "0x":
        return int(part, 16)
    is_octal = part.startswith("0") and part.strip("01234567") == ""
    return int(part, 8) if is_octal else int(part)
