"""Rules on which network addresses may be fetched: only public ones, and none that embeds a private one."""

import ipaddress
from collections.abc import Iterable

from worker.words.hosts import AZURE, is_metadata_host

CONNECT_SECONDS = 5.0  # per address, so that a host with unreachable IPv6 leaves time to try its IPv4

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SHARED = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598, carrier-grade NAT
_NOT_GLOBAL = tuple(  # from the IANA registries; Python knows some of them only since 3.11.10, and others not at all
    ipaddress.ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "100::/64", "3fff::/20", "5f00::/16")
)
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")  # RFC 4291, deprecated but still routed by some stacks
_IPV4_TRANSLATED = ipaddress.ip_network("::ffff:0:0:0/96")  # RFC 7915
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")  # RFC 8215, used only inside private networks
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")  # RFC 5214, the bytes before the IPv4 address


def refusal(address: str, *, allow_private: bool = False) -> str | None:
    """Return the reason not to connect to an address, in one word; None if it is allowed.

    Args:
        address: An IP address as a name lookup returns it.
        allow_private: Whether to allow private addresses; link-local ones and cloud metadata services stay refused.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "invalid"
    if allow_private:
        return (
            "metadata" if is_metadata_host(f"http://[{address}]" if ":" in address else f"http://{address}") else None
        )
    return _judge(parsed)


def _judge(address: _Address) -> str | None:
    if isinstance(address, ipaddress.IPv4Address):
        return _own_refusal(address)
    hidden, speaks_for_all = _embedded(address)
    own = "private" if address in _LOCAL_NAT64 else _own_refusal(address)
    reasons = [] if speaks_for_all else [own]
    reasons += [_own_refusal(inner) for inner in hidden]
    if address.sixtofour is not None:
        reasons.reverse()  # Python 3.13 calls all of 6to4 private, so the embedded address gives the better reason
    return next((reason for reason in reasons if reason), None)


def _embedded(address: ipaddress.IPv6Address) -> tuple[list[ipaddress.IPv4Address], bool]:
    """Return the embedded IPv4 addresses, and whether they alone decide where a packet goes."""
    packed = address.packed
    last = ipaddress.IPv4Address(packed[12:])
    if address.ipv4_mapped is not None or address in _IPV4_TRANSLATED or address in _NAT64:
        return [last], True
    if address.sixtofour is not None:
        return [address.sixtofour], False
    if address.teredo is not None:
        return list(address.teredo), False
    if packed[8:12] in _ISATAP or address in _IPV4_COMPATIBLE:
        return [last], False
    return [], False


def _own_refusal(address: _Address) -> str | None:
    if address.is_unspecified:
        return "unspecified"
    if address.is_loopback:
        return "loopback"
    if address == AZURE:
        return "metadata"
    if address.is_link_local:  # includes 169.254.169.254, the metadata service of most clouds
        return "link-local"
    if address.is_multicast:
        return "multicast"
    if address in _SHARED:
        return "shared"
    if address.is_private or (isinstance(address, ipaddress.IPv6Address) and address.is_site_local):
        return "private"
    if address.is_reserved or not address.is_global or any(address in network for network in _NOT_GLOBAL):
        return "reserved"
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host, given by name or address, can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def first_refusal(host: str, addresses: Iterable[str], *, allow_private: bool) -> str | None:
    """Return a sentence that says why connections to a host are refused; None if all its addresses are allowed.

    Args:
        host: The host name, as given.
        addresses: All addresses that the name resolves to. A single address that is not allowed refuses the host.
        allow_private: See ``refusal``.
    """
    for address in addresses:
        reason = refusal(address, allow_private=allow_private)
        if reason is not None:
            setting = "" if allow_private else " (WORKER_ALLOW_PRIVATE_URLS)"
            return f"{host} has a {reason} address, which is not allowed{setting}"
    return None


def connect_limit(timeout: float | None) -> float:
    """Return the seconds to spend on one of a host's addresses, given the timeout of the whole request."""
    return CONNECT_SECONDS if timeout is None else min(timeout, CONNECT_SECONDS)
