"""The trusted certificates, loaded once per process, since loading takes longer than many a command."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext


@cache
def trusted() -> "SSLContext":
    """Return a context with httpx's trusted certificates; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` may name others."""
    import httpx

    return httpx.create_ssl_context()
