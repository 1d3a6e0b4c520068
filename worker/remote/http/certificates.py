"""The certificates that connections trust, read once a process: reading them takes longer than many a command."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext


@cache
def trusted() -> "SSLContext":
    """Those that httpx trusts; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` may name others."""
    import httpx

    return httpx.create_ssl_context()
