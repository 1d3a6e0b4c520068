"""Routes for admins to create, list and revoke keys."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from worker.contracts import Key
from worker.server.identity.access import Access
from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers, service_of
from worker.server.service import Service
from worker.wire.bodies import OwnBody
from worker.words.errors import NotFound, ValidationError
from worker.words.ids import FORM
from worker.words.roles import Role

router = APIRouter(tags=["keys"], route_class=JsonRoute)

LONGEST_SECONDS = 100 * 365 * 86_400.0


class KeyBody(OwnBody):
    """A key to create."""

    name: str = Field(default="", max_length=200, description="What the key is for.")
    role: Role = Role.Client
    agents: list[Annotated[str, Field(json_schema_extra={"pattern": f"^{FORM}$"})]] | None = Field(
        default=None, max_length=1000, description="Agents that the key can access; null means all."
    )
    expires_in: float | None = Field(
        default=None, gt=0, le=LONGEST_SECONDS, description="Seconds until the key expires; null means never."
    )


class NewKey(Key):
    """A new key; ``key``, its secret value, is returned only this once."""

    key: str


@router.get("/keys", response_model=list[Key], responses=documented())
async def list_keys(request: Request, access: Admitted) -> Response:
    """List the keys of the organization, including expired and revoked ones, without their secret values."""
    found = await keys_within(service_of(request), access)
    return answers(list[Key], list(found))


@router.post("/keys", response_model=NewKey, responses=documented())
async def create(request: Request, access: Admitted, body: KeyBody) -> Response:
    """Create a key of the organization. Its secret value is returned only this once, since only a digest is stored."""
    text, key = await make_key(service_of(request), access, body)
    return answers(NewKey, NewKey(key=text, **key.model_dump()))


@router.post("/keys/{key_id}/revoke", response_model=Key, responses=documented(404))
async def revoke(request: Request, access: Admitted, key_id: Annotated[str, Field(max_length=200)]) -> Response:
    """Revoke a key. The streams, sessions and workers that use it end."""
    return answers(Key, await revoke_key(service_of(request), access, key_id))


async def keys_within(service: Service, access: Access) -> Sequence[Key]:
    """Return the organization's keys whose permissions do not exceed the caller's."""
    return [key for key in await service.host.keys.list(access.organization.organization_id) if _is_within(key, access)]


async def make_key(service: Service, access: Access, body: KeyBody) -> tuple[str, Key]:
    """Create a key whose permissions do not exceed the caller's, and return its secret value and its record.

    Raises:
        ValidationError: The key would reach more agents than the caller's key.
    """
    agents = sorted(set(body.agents or ()))
    if access.agents is not None and not (agents and access.agents.issuperset(agents)):
        reached = ", ".join(sorted(access.agents))
        raise ValidationError(
            f"your key can only create keys for its own agents: name some of {reached}", field="agents"
        )
    return await service.host.keys.create(
        access.organization.organization_id, role=body.role, name=body.name, agents=agents, seconds=body.expires_in
    )


async def revoke_key(service: Service, access: Access, key_id: str) -> Key:
    """Revoke a key whose permissions do not exceed the caller's.

    Raises:
        NotFound: There is no such key.
    """
    if not any(key.id == key_id for key in await keys_within(service, access)):
        raise NotFound(f"There is no key {key_id!r}.")
    key = await service.host.keys.revoke(key_id)
    service.keyring.forget()  # takes effect here with the next request; other processes are notified
    return key


def _is_within(key: Key, access: Access) -> bool:
    return access.agents is None or (key.agents is not None and access.agents.issuperset(key.agents))
