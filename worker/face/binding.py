"""Class methods that, when called on an instance, use the instance's own platform."""

from functools import wraps
from typing import Any, TypeVar, cast

T = TypeVar("T")


class _Bound(classmethod):  # type: ignore[type-arg] - cast below to the type of the method that it replaces
    """Fills in the instance's own ``configuration`` if a call on an instance omits it."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        method = super().__get__(None, owner)
        if instance is None:
            return method

        @wraps(method)
        def on_instance(*arguments: Any, **named: Any) -> Any:
            if not arguments and not named.keys() - {"configuration"}:
                arguments = (instance.id,)  # load the instance's own record again
            if len(arguments) < 2:  # noqa: PLR2004 - the configuration would be the second
                named.setdefault("configuration", instance.origin)
            return method(*arguments, **named)

        return on_instance


def bound(method: T) -> T:
    """Make a class method ``(id, configuration=None)`` use the instance's configuration when called on an instance."""
    return cast("T", _Bound(cast("Any", method).__func__))
