"""Resolution of host names; ``words/addresses.py`` decides which addresses are allowed."""

import socket
from collections.abc import Awaitable, Callable

from worker.inputs.threads import look_up

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""A function that resolves a host name and a port to addresses, and raises OSError if there are none."""


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host from the system's resolver, in its order of preference.

    Odd forms of an address (``127.1``, ``0x7f.1``, ``2130706433``) are returned as the address they mean.
    """
    found = await look_up(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
