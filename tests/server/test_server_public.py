"""What a server tells whom: guessable keys, links by another's name, and what others have created."""

import httpx
import pytest
from pydantic import SecretStr

from tests.server.conftest import KEY, Start
from worker.server.main import check_key_length
from worker.settings import Settings
from worker.words.errors import ConfigurationError


def test_a_short_key_is_refused_beyond_loopback() -> None:
    settings = Settings(server_key=SecretStr("0123456789abcde"))
    check_key_length("127.0.0.1", settings)
    with pytest.raises(ConfigurationError, match="at least 16"):
        check_key_length("192.0.2.1", settings)
    check_key_length("192.0.2.1", Settings(server_key=SecretStr("0123456789abcdef")))


async def test_links_lead_to_the_configured_address_whatever_the_host_header_says(start: Start) -> None:
    serving = await start(key=KEY, public_url="https://tasks.example.com/")
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        said = await client.post("/files?name=a.txt", content=b"x", headers={"host": "evil.example"})
    assert said.json()["url"].startswith("https://tasks.example.com/files/")


async def test_an_idempotency_key_tells_nobody_what_others_have_created(start: Start) -> None:
    serving = await start(key=KEY)
    made: list[str] = []
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        for agent in ("one", "two"):
            body, headers = {"input": {"text": agent}}, {"idempotency-key": "the same"}
            answer = await client.post(f"/agent-execution/{agent}", json=body, headers=headers)
            made.append(answer.raise_for_status().json()["id"])
    assert made[0] != made[1]
