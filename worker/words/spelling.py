"""Misspelled names of fields in requests. Clients may send what means nothing here, so only similar names count."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice

SIMILAR = 0.8  # of 1, from which on a name is probably a misspelling
MAX_NAMES = 20  # that are examined: a request may have thousands, and each takes a fraction of a millisecond


def misspelled(names: Iterable[str], known: Collection[str], *, within: str = "") -> list[str]:
    """Return the names that are probably misspelled, each with the name that it is similar to, for people.

    Args:
        names: The names given; known ones are skipped.
        known: The names of the fields.
        within: The field that they belong to.
    """
    unknown = islice((each for each in names if each not in known), MAX_NAMES)
    close = {name[:100]: get_close_matches(name[:100], known, 1, SIMILAR) for name in unknown}
    place = f"{within}." if within else ""
    return [f"{place + name!r} (similar to {place + found[0]!r})" for name, found in close.items() if found]
