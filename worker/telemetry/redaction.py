"""Secrets out of texts: what is known to be secret by its value, and what looks like a secret by its form."""

import json
import os
import re
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from worker.settings import Settings

HIDDEN = "***"
LEAST_CHARACTERS = 8  # a shorter value may be any word, and hiding it everywhere would make lines unreadable

MARGIN = 1_000  # characters behind the last one shown that are looked at: a secret may begin before and end there

SECRET_NAMES = re.compile(r"(?:KEY|SECRET|TOKEN|PASSWORD|CREDENTIALS?)$")
"""Environment variables whose values nobody wants in a log, whoever reads them: providers' keys above all."""

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
"""One of these is in every text that ``_FORMS`` finds anything in: most lines have none, which is soon seen."""


_held: Counter[str] = Counter()  # secrets of tasks in hand, with how many runs hold each


@contextmanager
def holding(value: Any) -> Generator[None]:
    """Have every redactor of this process know secrets while a run holds them.

    Args:
        value: A text, or what holds texts, such as a task's ``user_tokens``.
    """
    forms = [form for text in _texts(value) for form in _forms(text)]
    _held.update(forms)
    try:
        yield
    finally:
        _held.subtract(forms)
        for form in forms:
            if not _held[form]:
                del _held[form]


def _texts(value: Any) -> Iterable[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in cast("dict[str, Any]", value).values():
                yield from _texts(each)
        case list() | tuple():
            for each in cast("list[Any]", value):
                yield from _texts(each)
        case _:
            return


def _forms(secret: str) -> set[str]:
    """How a secret may stand in a text: as it is, and within JSON; none where it is too short to be told apart."""
    return {secret, json.dumps(secret)[1:-1]} if len(secret) >= LEAST_CHARACTERS else set()


class Redactor:
    """Takes secrets out of texts.

    Args:
        secrets: Values that are secret wherever they stand; short ones are passed over.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for each in secrets for form in _forms(each)}
        self._known = sorted(known, key=len, reverse=True)  # one may be part of another

    @classmethod
    def of(cls, settings: Settings, environment: Mapping[str, str]) -> "Redactor":
        """A redactor for all that the settings keep secret, and the environment by its names."""
        return cls([*_secrets_of(settings), *(v for n, v in environment.items() if SECRET_NAMES.search(n.upper()))])

    def beginning(self, text: str, characters: int) -> str:
        """The first characters of a text, without secrets, and how many follow; whatever its length, quickly."""
        shown = self(text[: characters + MARGIN])[:characters]
        return shown if len(text) <= characters else f"{shown}… [{len(text) - characters:,} characters more]"

    def __call__(self, text: str) -> str:
        """A text without secrets."""
        for secret in [*sorted(dict(_held), key=len, reverse=True), *self._known]:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        lower = text.lower()
        return _FORMS.sub(_hidden, text) if any(mark in lower for mark in _MARKS) else text


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
        user = f"{HIDDEN}@" if match["user"] else ""
        query = f"?{HIDDEN}" if match["query"] else ""
        return f"{match['scheme']}{user}{match['place']}{query}"
    return f"{match['header'] or match['bearer'] or ''}{HIDDEN}"
