"""What Heroku Postgres allows: connections by plan, as its documentation lists them."""

import re
from difflib import get_close_matches

PLANS = {
    "essential-0": 20,
    "essential-1": 20,
    "essential-2": 40,
    "standard-0": 120,
    "standard-2": 400,
    "standard-3": 500,
}
"""Connections at once. Premium, private and shield plans have those of the standard plan of their number."""

_SAME_AS_STANDARD = re.compile(r"(?:premium|private|shield)-(?:l-|xl-)?(\d)")
LARGEST = 500  # of every plan above those listed


def connections(plan: str) -> int | None:
    """How many connections a plan allows at once; None means there is no such plan."""
    name = plan.lower().removeprefix("heroku-postgresql:")
    name = _SAME_AS_STANDARD.sub(r"standard-\1", name)
    if name in PLANS:
        return PLANS[name]
    return LARGEST if re.fullmatch(r"standard-(?:l-|xl-)?[4-9]", name) else None


def nearest(plan: str) -> str:
    """The plan that was meant, as a hint."""
    near = get_close_matches(plan.lower(), PLANS, n=1)
    return f"did you mean {near[0]}?" if near else f"one of {', '.join(PLANS)} …"
