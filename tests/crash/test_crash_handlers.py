"""Handlers that are made up at random, killed at every write (`make crash`)."""

import asyncio

import pytest

from tests.agents.made_up import resumes_wherever_it_dies
from tests.crash.chance import chance_of, scaled, told

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

EVERY_WRITE = 1000  # more than any of them has


def test_made_up_handlers_resume_wherever_they_die() -> None:
    chance, handlers, deaths = chance_of("made-up handlers"), scaled(500), 0
    for _ in range(handlers):
        deaths += asyncio.run(resumes_wherever_it_dies(chance.randrange(10**9), most_deaths=EVERY_WRITE))
    told(f"{handlers} handlers died {deaths} times, and each went on from there")
