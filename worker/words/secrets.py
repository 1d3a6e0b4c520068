"""A task's secrets: the tokens of the user for whom it runs, and their limits.

A worker hides them from all that it writes while it runs the task, so many or long ones would slow it down.
"""

from collections.abc import Iterable
from typing import Any, cast

from worker.words.errors import ValidationError

MAX_TEXTS = 1_000
MAX_CHARACTERS = 262_144  # of all together; a token has some thousand


def texts_of(value: Any) -> Iterable[str]:
    """Iterate over the texts within containers, such as a task's ``user_tokens``."""
    match value:
        case str():
            yield value
        case dict():
            for each in cast("dict[str, Any]", value).values():
                yield from texts_of(each)
        case list() | tuple():
            for each in cast("list[Any]", value):
                yield from texts_of(each)
        case _:
            return


def check_secrets(user_tokens: Any, user_oidc_token: str | None) -> None:
    """Check that a task has neither too many secrets nor too long ones.

    Raises:
        ValidationError: It has.
    """
    for field, value in (("user_tokens", user_tokens), ("user_oidc_token", user_oidc_token)):
        lengths = [len(each) for each in texts_of(value)]
        if len(lengths) > MAX_TEXTS or sum(lengths) > MAX_CHARACTERS:
            most = f"{MAX_TEXTS:,} values with {MAX_CHARACTERS:,} characters in all"
            raise ValidationError(f"a task may have at most {most}", field=field)
