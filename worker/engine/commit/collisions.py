"""Errors of the database that say: somebody else was at the same rows."""


def locked() -> tuple[type[Exception], ...]:
    """Errors that come of a lock which somebody else holds for long, as a migration does, or an administrator."""
    from psycopg import errors

    return errors.LockNotAvailable, errors.QueryCanceled


def collisions() -> tuple[type[Exception], ...]:
    """Errors that come of what somebody else did at the same moment, such as giving up a subscription."""
    from psycopg import errors

    return errors.DeadlockDetected, errors.SerializationFailure, errors.ForeignKeyViolation
