"""Signatures as Standard Webhooks wants them: HMAC-SHA256 over id, time and body, one for each secret in use.

Ten lines of the standard library; the package ``standardwebhooks`` would bring five more for the same (the tests check
against the specification's own example).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from worker.words.errors import ConfigurationError

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64  # of a secret; the specification's own bounds

HOW_TO_MAKE_ONE = 'echo "whsec_$(openssl rand -base64 32)"'


def secrets_of(text: str) -> list[bytes]:
    """Read secrets: ``whsec_`` and base64 each, with spaces between; the first is the newest, all of them sign.

    Raises:
        ConfigurationError: One is none; its text is not told.
    """
    return [_secret(each) for each in text.split()]


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        raise ConfigurationError(
            f"WORKER_WEBHOOK_SECRET: each is {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes as base64;"
            f" make one with {HOW_TO_MAKE_ONE}"
        )
    return secret


def headers(message_id: str, seconds: int, body: bytes, secrets: Sequence[bytes]) -> Mapping[str, str]:
    """Make the headers of a message.

    Args:
        message_id: The same at every try, so that a receiver knows what it has seen.
        seconds: The time of this try, since 1970; a receiver refuses what is too old.
        body: What is sent.
        secrets: At least one; while a secret is exchanged, both.
    """
    signed = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    signatures = (base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
