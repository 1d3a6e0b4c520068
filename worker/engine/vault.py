"""What is encrypted at rest: sealed when it is written, opened for whoever may see it.

Fernet of the library `cryptography`: AES-128-CBC with an HMAC, each token made under the first key, opened under any.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from worker.words.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

PROBE = b"this key opens what this database holds"
OTHER_KEY = (
    "WORKER_ENCRYPTION_KEY does not open what this database holds: name the key that it was encrypted with too,"
    " behind the new one and a space"
)
NO_KEY = "this database holds encrypted secrets of tasks: set WORKER_ENCRYPTION_KEY, as where they were created"
NO_FORM = (
    "WORKER_ENCRYPTION_KEY must be one or several keys of 32 bytes as URL-safe base64, with spaces between:"
    " `worker key generate` makes one"
)


class Vault:
    """Seals and opens.

    Args:
        keys: ``WORKER_ENCRYPTION_KEY``: one or several with spaces between, of which the first seals and each opens;
            none: nothing is sealed.

    Raises:
        ConfigurationError: They are no keys.
    """

    def __init__(self, keys: str | None = None) -> None:
        self._fernets: MultiFernet | None = _fernets(keys.split()) if keys and keys.split() else None

    @property
    def has_key(self) -> bool:
        """Whether what is sealed is encrypted."""
        return self._fernets is not None

    def seal(self, value: dict[str, Any]) -> str | dict[str, Any]:
        """A value as it is stored: encrypted where there is a key, else as it is."""
        if self._fernets is None:
            return value
        return self._fernets.encrypt(json.dumps(value, separators=(",", ":")).encode()).decode()

    def open(self, sealed: str | dict[str, Any]) -> dict[str, Any]:
        """What was sealed. Raises: ConfigurationError."""
        if isinstance(sealed, dict):
            return sealed
        return json.loads(self.open_bytes(sealed.encode()))

    def seal_bytes(self, value: bytes) -> bytes:
        """The same for bytes. Raises: ConfigurationError."""
        if self._fernets is None:
            raise ConfigurationError(NO_KEY)
        return self._fernets.encrypt(value)

    def open_bytes(self, sealed: bytes) -> bytes:
        """What was sealed. Raises: ConfigurationError."""
        from cryptography.fernet import InvalidToken

        if self._fernets is None:
            raise ConfigurationError(NO_KEY)
        try:
            return self._fernets.decrypt(sealed)
        except InvalidToken:
            raise ConfigurationError(OTHER_KEY) from None


def new_key() -> str:
    """A key for ``WORKER_ENCRYPTION_KEY``."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _fernets(keys: Sequence[str]) -> "MultiFernet":
    from cryptography.fernet import Fernet, MultiFernet

    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ConfigurationError(NO_FORM) from None
