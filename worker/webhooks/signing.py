"""Signatures as Standard Webhooks requires: HMAC-SHA256 over id, time and body, one for each current secret.

This takes ten lines with the standard library; the package ``standardwebhooks`` would add five dependencies. The tests
check against the specification's own example.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from worker.words.errors import ConfigurationError

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64  # of a secret, as the specification requires

HOW_TO_MAKE_ONE = 'echo "whsec_$(openssl rand -base64 32)"'


def secrets_of(text: str) -> list[bytes]:
    """Parse secrets, each ``whsec_`` and base64, separated by spaces. The first is the newest, and all of them sign.

    Raises:
        ConfigurationError: A secret is invalid; the message does not contain it.
    """
    return [_secret(each) for each in text.split()]


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not MIN_BYTES <= len(secret) <= MAX_BYTES:
        raise ConfigurationError(
            f"WORKER_WEBHOOK_SECRET must be one or several secrets of {PREFIX} and {MIN_BYTES} to {MAX_BYTES}"
            f" bytes as base64; generate one with {HOW_TO_MAKE_ONE}"
        )
    return secret


def headers(message_id: str, seconds: int, body: bytes, secrets: Sequence[bytes]) -> Mapping[str, str]:
    """Return the headers of a message.

    Args:
        message_id: The id, the same for every try, by which a receiver detects duplicates.
        seconds: The time of this try, in seconds since 1970; receivers reject old messages.
        body: The body of the message.
        secrets: At least one secret; during a rotation both.
    """
    signed = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    signatures = (base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
