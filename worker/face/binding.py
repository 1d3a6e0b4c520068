"""A class method that, called on an instance, works where that instance came from."""

from functools import wraps
from typing import Any, TypeVar, cast

T = TypeVar("T")


class _Bound(classmethod):  # type: ignore[type-arg] - it stands in for one below, with that one's types
    """Fills ``configuration`` with the instance's own where the call leaves it out."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        method = super().__get__(None, owner)
        if instance is None:
            return method

        @wraps(method)
        def on_instance(*arguments: Any, **named: Any) -> Any:
            if not arguments and not named.keys() - {"configuration"}:
                arguments = (instance.id,)  # itself, anew
            if len(arguments) < 2:  # noqa: PLR2004 - the configuration would be the second
                named.setdefault("configuration", instance.origin)
            return method(*arguments, **named)

        return on_instance


def bound(method: T) -> T:
    """Have a class method ``(id, configuration=None)``, called on an instance, use that one's configuration."""
    return cast("T", _Bound(cast("Any", method).__func__))
