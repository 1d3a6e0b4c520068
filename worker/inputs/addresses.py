"""The addresses of a host that a file may come from; words/addresses.py says which may be connected to."""

import socket
from collections.abc import Awaitable, Callable

from worker.inputs.threads import look_up

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Turns a host name and a port into addresses; raises OSError if there are none."""


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host as the system knows them, in its order of preference.

    Odd forms of an address (`127.1`, `0x7f.1`, `2130706433`) come out as the address they mean.
    """
    found = await look_up(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
