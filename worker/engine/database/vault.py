"""Encryption at rest: values are sealed when they are written, and opened for those who may see them.

It uses Fernet of the library `cryptography`: AES-128-CBC with an HMAC. Tokens are made with the first key and opened
with any.

The secrets of tasks are always sealed if there is a key. With ``WORKER_ENCRYPT=all``, so are a task's inputs, actions
and results. Values are sealed field by field just before they are written, except for those that SQL reads, and opened
by the connections' JSON parser. A client gains nothing by sending a sealed text from a backup: a text that looks sealed
is itself sealed, so that it is read back as it was sent.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import from_json

from worker.words.errors import ConfigurationError
from worker.words.statuses import WHOLE_TASK
from worker.words.texts import encode, plain

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

SEALED = "\x01sealed:"
"""The prefix of a sealed JSON value, before its token."""

_SEALED_JSON = '"\\u0001sealed:'
_KIND = b"value\n"
"""The prefix of the plaintext in such a token, so that no other token is mistaken for one."""

BEFORE = "_settings_before"
READABLE = frozenset(
    {
        "status",
        "execution_attempts",
        "internal_status",
        "finish_reason",
        "error_code",
        "provider_code",
        "available_at",
        "parent_execution",
        "triggering_agent_id",
        "_begun",
        "_anew",
        "_renewed",
        "_ended",
        "_worker",
        "_lost",
        "conversation_id",
        "_conversation",
        "_skipped",
        "_messages",
        "_heard",
        "_read",
        "_message_keys",
        "_secrets",  # already sealed
    }
)
"""Fields of rows and events that are never sealed, because SQL or the decisions on rows read them."""

PROBE = b"this key opens what this database holds"
OTHER_KEY = (
    "WORKER_ENCRYPTION_KEY cannot decrypt the data in this database: add the key that encrypted it after"
    " the new one, separated by a space"
)
NO_KEY = "this database contains encrypted secrets of tasks: set WORKER_ENCRYPTION_KEY to the key that encrypted them"
NEEDS_KEY = "WORKER_ENCRYPT=all requires WORKER_ENCRYPTION_KEY: generate a key with `worker key generate`"
NO_SEARCH = (
    "texts are encrypted (WORKER_ENCRYPT=all) and cannot be searched: filter by agent, status, user or time instead"
)
NO_FORM = (
    "WORKER_ENCRYPTION_KEY must be one or several keys of 32 bytes in URL-safe base64, separated by"
    " spaces: generate a key with `worker key generate`"
)


class Vault:
    """Seals and opens values.

    Args:
        keys: ``WORKER_ENCRYPTION_KEY``: one or more keys separated by spaces, of which the first seals and each opens;
            None means that nothing is sealed.
        everything: Whether all of a task's inputs, actions and results are sealed, and not only its secrets.

    Raises:
        ConfigurationError: A key is invalid, or there is none although everything is to be sealed.
    """

    def __init__(self, keys: str | None = None, *, everything: bool = False) -> None:
        self._fernets: MultiFernet | None = _fernets(keys.split()) if keys and keys.split() else None
        self.everything = everything
        if everything and self._fernets is None:
            raise ConfigurationError(NEEDS_KEY)

    @property
    def has_key(self) -> bool:
        """Whether there is a key to encrypt with."""
        return self._fernets is not None

    def seal(self, value: dict[str, Any]) -> str | dict[str, Any]:
        """Return a value as it is stored: encrypted if there is a key, otherwise unchanged."""
        if self._fernets is None:
            return value
        return self._fernets.encrypt(json.dumps(value, separators=(",", ":")).encode()).decode()

    def open(self, sealed: str | dict[str, Any]) -> dict[str, Any]:
        """Return a value that was sealed; raise ConfigurationError if no key opens it."""
        if isinstance(sealed, dict):
            return sealed
        return json.loads(self.open_bytes(sealed.encode()))

    def seal_bytes(self, value: bytes) -> bytes:
        """Encrypt bytes; raise ConfigurationError if there is no key."""
        if self._fernets is None:
            raise ConfigurationError(NO_KEY)
        return self._fernets.encrypt(value)

    def open_bytes(self, sealed: bytes) -> bytes:
        """Decrypt bytes; raise ConfigurationError if no key opens them."""
        from cryptography.fernet import InvalidToken

        if self._fernets is None:
            raise ConfigurationError(NO_KEY)
        try:
            return self._fernets.decrypt(sealed)
        except InvalidToken:
            raise ConfigurationError(OTHER_KEY) from None

    def columns(self, columns: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the columns of a task's row as they are stored."""
        if self._fernets is None:
            return columns
        return {name: self._column(name, value) for name, value in columns.items()}

    def _column(self, name: str, value: Any) -> Any:
        if name in ("settings", "state", "first_event"):
            return self.fields(value)
        return self._value(value) if name == "result" else value

    def fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return a record's fields as they are stored."""
        if self._fernets is None:
            return fields
        return {
            name: value
            if name in READABLE
            else self.fields(value)
            if name == BEFORE and isinstance(value, dict)
            else self._value(value)
            for name, value in fields.items()
        }

    def event(self, kind: str, data: Any) -> Any:
        """Return an event's data as it is stored."""
        if self._fernets is None or data is None:
            return data
        made = plain(data)
        if isinstance(made, dict) and (kind in WHOLE_TASK or not self.everything):
            return self.fields(cast("dict[str, Any]", made))
        return self._value(made)

    def entry(self, text: str) -> str:
        """Return a journal value, which is JSON, in its stored form, which is JSON too."""
        if self._fernets is None or not (self.everything or text.lstrip().startswith(_SEALED_JSON)):
            return text
        try:
            from_json(text)
        except ValueError:
            return text  # not JSON: the database refuses it
        return json.dumps(self._sealed(text.encode()))

    def opened_entry(self, text: str) -> str:
        """Return a journal value as it was given."""
        if self._fernets is None or not text.startswith(_SEALED_JSON):
            return text
        found = self._opened(json.loads(text))
        return text if found is None else found.decode()

    def marked(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return fields that belong to no task as they are stored: a value is sealed only if it looks sealed."""
        if self._fernets is None:
            return fields
        return {name: self._sealed(encode(value)) if is_sealed(value) else value for name, value in fields.items()}

    def _value(self, value: Any) -> Any:
        if not isinstance(value, str | dict | list):
            return value  # numbers and the like reveal nothing
        if self.everything or (isinstance(value, str) and value.startswith(SEALED)):
            return self._sealed(encode(value))
        return value

    def _sealed(self, inside: bytes) -> str:
        return SEALED + self.seal_bytes(_KIND + inside).decode()

    def _opened(self, text: str) -> bytes | None:
        """Return the content of a sealed text; None if it only looks like one."""
        try:
            inside = self.open_bytes(text[len(SEALED) :].encode())
        except ConfigurationError:
            return None
        return inside.removeprefix(_KIND) if inside.startswith(_KIND) else None

    def opened(self, value: Any) -> Any:
        """Return a JSON value from the database as it was given."""
        if isinstance(value, str):
            return self._opened_text(value)
        if isinstance(value, dict):
            return {
                name: self.opened(each)
                if name == BEFORE
                else self._opened_text(each)
                if isinstance(each, str) and name not in READABLE
                else each
                for name, each in cast("dict[str, Any]", value).items()
            }
        return value

    def _opened_text(self, text: str) -> Any:
        if self._fernets is None or not text.startswith(SEALED):
            return text
        found = self._opened(text)
        return text if found is None else from_json(found)


def is_sealed(value: Any) -> bool:
    """Return whether a value is still sealed, because the key is missing or another one."""
    return isinstance(value, str) and value.startswith(SEALED)


def new_key() -> str:
    """Return a new key for ``WORKER_ENCRYPTION_KEY``."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _fernets(keys: Sequence[str]) -> "MultiFernet":
    from cryptography.fernet import Fernet, MultiFernet

    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ConfigurationError(NO_FORM) from None
