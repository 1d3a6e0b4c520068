"""Secrets out of texts: what is known to be secret by its value, and what looks like a secret by its form."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from worker.settings import Settings

HIDDEN = "***"
LEAST_CHARACTERS = 8  # a shorter value may be any word, and hiding it everywhere would make lines unreadable

SECRET_NAMES = re.compile(r"(?:KEY|SECRET|TOKEN|PASSWORD|CREDENTIALS?)$")
"""Environment variables whose values nobody wants in a log, whoever reads them: providers' keys above all."""

_FORMS = re.compile(
    r"""
    (?P<scheme>\b[a-z][a-z0-9+.-]{0,20}://)[^\s/?\#@"'\\]*@         # user and password of a URL
    | (?P<url>\bhttps?://[^\s?"'<>\\]*)\?[^\s"'<>\\)]+              # a query string: signed URLs are signed there
    | (?P<header>\b(?:authorization|x-api-key|api[_-]?key|cookie)\b\\?["']?\s*(?::|=|,)\s*(?:b(?=["']))?\\?["']?)
      (?:(?:bearer|basic)\s+)?[^\s"',}\])\\]+                       # a header, however it is written
    | (?P<bearer>\bbearer\s+)[\w.~+/=-]{8,}
    | \b(?:whsec_|wk_|sk-)[\w+/=-]{16,}                             # keys that say what they are
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Redactor:
    """Takes secrets out of texts.

    Args:
        secrets: Values that are secret wherever they stand; short ones are passed over.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for each in secrets if len(each) >= LEAST_CHARACTERS for form in (each, json.dumps(each)[1:-1])}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    @classmethod
    def of(cls, settings: Settings, environment: Mapping[str, str]) -> "Redactor":
        """A redactor for all that the settings keep secret, and the environment by its names."""
        return cls([*_secrets_of(settings), *(v for n, v in environment.items() if SECRET_NAMES.search(n.upper()))])

    def __call__(self, text: str) -> str:
        """A text without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _FORMS.sub(_hidden, text)


@cache
def of_this_process() -> Redactor:
    """The redactor for what this process's environment keeps secret."""
    return Redactor.of(Settings(), os.environ)


def _secrets_of(settings: Settings) -> Iterable[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if not isinstance(value, SecretStr):
            continue
        secret = value.get_secret_value()
        yield secret
        yield from secret.split()  # several secrets, of which each is one
        try:
            password = urlsplit(secret).password
        except ValueError:
            continue
        if password:
            yield from {password, unquote(password)}


def _hidden(match: re.Match[str]) -> str:
    if match["scheme"]:
        return f"{match['scheme']}{HIDDEN}@"
    if match["url"]:
        return f"{match['url']}?{HIDDEN}"
    return f"{match['header'] or match['bearer'] or ''}{HIDDEN}"
