"""Connection limits of Heroku Postgres by plan, from Heroku's documentation."""

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
"""Connection limits. Premium, private and shield plans have that of the standard plan with their number."""

_SAME_AS_STANDARD = re.compile(r"(?:premium|private|shield)-(?:l-|xl-)?(\d)")
LARGEST = 500  # the limit of every larger plan


def connections(plan: str) -> int | None:
    """Return a plan's connection limit; None means that there is no such plan."""
    name = plan.lower().removeprefix("heroku-postgresql:")
    name = _SAME_AS_STANDARD.sub(r"standard-\1", name)
    if name in PLANS:
        return PLANS[name]
    return LARGEST if re.fullmatch(r"standard-(?:l-|xl-)?[4-9]", name) else None


def nearest(plan: str) -> str:
    """Return a hint with the plan that was probably meant."""
    near = get_close_matches(plan.lower(), PLANS, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(PLANS)} …"
