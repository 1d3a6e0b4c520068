"""Database errors that are caused by concurrent access to the same rows."""


def locked() -> tuple[type[Exception], ...]:
    """Return the errors raised when a lock is held for long, for example by a migration or an administrator."""
    from psycopg import errors

    return errors.LockNotAvailable, errors.QueryCanceled


def collisions() -> tuple[type[Exception], ...]:
    """Return the errors caused by a concurrent transaction, such as one that removes a subscription."""
    from psycopg import errors

    return errors.DeadlockDetected, errors.SerializationFailure, errors.ForeignKeyViolation
