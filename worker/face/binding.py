"""Records that remember their platform, and class methods that use it when they are called on an instance."""

from functools import wraps
from typing import Any, Self, TypeVar, cast

from pydantic import BaseModel, PrivateAttr

from worker.face.configuration import Configuration

T = TypeVar("T")


class OnPlatform(BaseModel):
    """A record that is bound to its platform."""

    _configuration: Configuration | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, record: BaseModel, configuration: Configuration | None = None) -> Self:
        """Bind a record to its platform, without validating it again.

        Args:
            record: A record whose class this one extends.
            configuration: The platform; None means the default one.
        """
        bound = cls.model_construct(record.model_fields_set, **record.__dict__)
        bound._configuration = configuration  # noqa: SLF001 - its own class
        return bound

    @property
    def configuration(self) -> Configuration | None:
        """The record's platform; None means the default one."""
        return self._configuration


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
