"""Removal of secrets from texts: known secrets by their value, and others by their form.

Every error message that others than the run may read passes through here: results, events, logs, traces.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

from worker.settings import Settings
from worker.words.classification import message_of
from worker.words.secrets import MAX_TEXTS, texts_of

HIDDEN = "***"
MIN_CHARACTERS = 8  # a shorter value may be any word, and hiding it everywhere would make lines unreadable

MARGIN = 1_000  # characters read beyond the last one shown, at least: a secret may begin before it and end there
MESSAGE_CHARACTERS = 100_000  # of an error's message, which may be a whole file
URL_SAFE = ("", "/", "!#$%&'()*+,/:;=?@[]~")  # characters that clients leave as they are in a URL; which, differs

SECRET_NAMES = re.compile(r"(?:KEY|SECRET|TOKEN|PASSWORD|CREDENTIALS?)$")
"""Names of environment variables whose values must not be logged, above all providers' keys."""

# A URL is one match from its scheme to its end, whatever is in it, so that a long hostile text is read once.
_FORMS = re.compile(
    r"""
    (?P<scheme>\b[a-z][a-z0-9+.-]{0,20}://)
        (?P<user>[^\s/?\#@"'\\]*@)?                             # user and password
        (?P<place>[^\s?"'<>\\]*)
        (?P<query>\?[^\s"'<>\\)]*)?                             # signed URLs are signed here
    | (?P<header>\b(?:authorization|x-api-key|api[_-]?key|cookie)\b\\?["']?\s*(?::|=|,)\s*(?:b(?=["']))?\\?["']?)
        (?:(?:bearer|basic)\s+)?[^\s"',}\])\\]+                 # a header, however it is written
    | (?P<bearer>\bbearer\s+)[\w.~+/=-]{8,}
    | \b(?:whsec_|wk_|sk-)[\w+/=-]{16,}                         # keys that say what they are
    """,
    re.IGNORECASE | re.VERBOSE,
)


_MARKS = ("://", "authorization", "api", "cookie", "bearer", "whsec_", "wk_", "sk-")
"""Every text that ``_FORMS`` matches contains one of these: a quick check, since most lines contain none."""


_held: Counter[str] = Counter()  # secrets of current tasks, with the number of runs that hold each


@contextmanager
def holding(value: Any) -> Generator[None]:
    """Make every redactor of this process hide secrets while a run holds them.

    Args:
        value: A text, or a container of texts, such as a task's ``user_tokens``. Beyond a thousand, which a platform
            refuses, they are not hidden.
    """
    forms = [form for text in islice(texts_of(value), MAX_TEXTS) for form in _forms(text)]
    _held.update(forms)
    try:
        yield
    finally:
        _held.subtract(forms)
        for form in forms:
            if not _held[form]:
                del _held[form]


def _forms(secret: str) -> set[str]:
    """Return the forms of a secret in a text: plain, within JSON, in a URL. One too short to be recognized has none."""
    if len(secret) < MIN_CHARACTERS:
        return set()
    in_urls = (quote(secret, safe, errors="replace") for safe in URL_SAFE)
    return {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote_plus(secret, errors="replace"), *in_urls}


class Redactor:
    """Removes secrets from texts.

    Args:
        secrets: Values that are secret wherever they occur; short ones are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for each in secrets for form in _forms(each)}
        self._known = sorted(known, key=len, reverse=True)  # one secret may be part of another

    @classmethod
    def of(cls, settings: Settings, environment: Mapping[str, str]) -> "Redactor":
        """Return a redactor for the settings' secrets, and for environment variables with the names of secrets."""
        return cls([*_secrets_of(settings), *(v for n, v in environment.items() if SECRET_NAMES.search(n.upper()))])

    def beginning(self, text: str, characters: int) -> str:
        """Return the first characters of a text, without secrets, and how many follow; it is quick for any length."""
        margin = max([MARGIN, *map(len, dict(_held)), *map(len, self._known[:1])])
        shown = self(text[: characters + margin])[:characters]
        return shown if len(text) <= characters else f"{shown}… [{len(text) - characters:,} characters more]"

    def __call__(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in [*sorted(dict(_held), key=len, reverse=True), *self._known]:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        lower = text.lower()
        return _FORMS.sub(_hidden, text) if any(mark in lower for mark in _MARKS) else text


@cache
def of_this_process() -> Redactor:
    """Return the redactor for the secrets of this process's settings and environment."""
    return Redactor.of(Settings(), os.environ)


def message_to_show(error: BaseException, characters: int = MESSAGE_CHARACTERS) -> str:
    """Return the beginning of an error's message, without secrets."""
    return of_this_process().beginning(message_of(error), characters)


def _secrets_of(settings: Settings) -> Iterable[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if not isinstance(value, SecretStr):
            continue
        secret = value.get_secret_value()
        yield secret
        yield from secret.split()  # the value may be a list of secrets
        try:
            password = urlsplit(secret).password
        except ValueError:
            continue
        if password:
            yield from {password, unquote(password)}


def _hidden(match: re.Match[str]) -> str:
    if match["scheme"]:
        user = f"{HIDDEN}@" if match["user"] else ""
        query = f"?{HIDDEN}" if match["query"] else ""
        return f"{match['scheme']}{user}{match['place']}{query}"
    return f"{match['header'] or match['bearer'] or ''}{HIDDEN}"
