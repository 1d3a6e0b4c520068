"""Keys of a server, looked after over HTTP."""

import pytest

from tests.remote.stories import OpenRemote
from tests.server.conftest import KEY, Start, start
from worker.remote.remote import Remote
from worker.testing import StandIn
from worker.words.errors import ModuleException, NotFound, Unsupported, ValidationError
from worker.words.roles import Role

__all__ = ["start"]


async def test_keys_are_made_listed_and_revoked(start: Start, open_remote: OpenRemote) -> None:
    serving = await start(key=KEY)
    remote = await open_remote(serving.base, KEY)
    text, key = await remote.keys.create("default", role=Role.Viewer, name="ci", agents=["mine"], seconds=3600)
    assert (key.role, key.name, key.agents, key.revoked_at) == (Role.Viewer, "ci", ("mine",), None)
    assert await remote.keys.list() == [key]
    theirs = await open_remote(serving.base, text)
    assert await theirs.tasks.list_agents() == []
    with pytest.raises(ModuleException) as refused:
        await theirs.keys.list()
    assert refused.value.status_code == 403
    assert (await remote.keys.revoke(key.id)).revoked_at is not None
    with pytest.raises(NotFound):
        await remote.keys.revoke("nobody's")
    with pytest.raises(ValidationError, match="XPANDER_ORGANIZATION_ID"):
        await remote.keys.create("others")


async def test_a_bare_platform_has_none(remote: Remote, platform: StandIn) -> None:
    with pytest.raises(Unsupported):
        await remote.keys.list()
