"""``POST /work``: a batch of a native worker's verbs, each with its own result."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import Response

from worker.server.authorization import claims_of
from worker.server.identity.access import Unauthorized
from worker.server.limits.failures import documented, error_json
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.bodies import WorkBody
from worker.server.routes.common import JSON, Admitted, base_of, service_of
from worker.server.verbs.runner import POLLS, VerbRunner
from worker.server.verbs.workers import VERSION
from worker.words.errors import ModuleException, Unavailable, ValidationError

router = APIRouter(tags=["work"], route_class=JsonRoute)


class WorkAnswer(BaseModel):
    """A value or an error for each verb, in order."""

    results: list[dict[str, Any]]
    version: int


@router.post("/work", response_model=WorkAnswer, responses=documented(404, 409))
async def work(request: Request, access: Admitted, body: WorkBody) -> Response:
    """Carry out verbs: those about one task in order, those about different tasks concurrently.

    Writes of a run carry a `sequence`, so a batch whose response was lost may be sent again, to any server process.
    """
    names = [verb.get("verb") for verb in body.verbs]
    waits = any(name in POLLS for name in names)
    if waits and len(names) > 1:
        raise ValidationError("a request for assignments or deliveries must contain no other verb", field="verbs")
    service = service_of(request)
    claims = claims_of(service, request.scope, access, worker_id=body.worker_id, names_worker=True)
    runner = VerbRunner(
        service, access, claims, lambda error: service.refusals.note(request.scope, error, access), base_of(request)
    )
    if not waits:
        return _answer(await _all(runner, body.verbs))
    invalid = asyncio.Event()
    watching = [asyncio.create_task(each) for each in (_leaves(request, runner), _loses_its_key(invalid, runner))]
    try:
        with service.keyring.watch(access, invalid):
            result = await _one(runner, body.verbs[0])
        if runner.gone:  # the client has disconnected
            await runner.take_back(result)
        if invalid.is_set():
            raise Unauthorized(description="Your key has been revoked or has expired.")
        return _answer([result])
    finally:
        for each in watching:
            each.cancel()


async def _leaves(request: Request, runner: VerbRunner) -> None:
    """Watch for the client's disconnection, after which nothing may be claimed for it."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    runner.leave()


async def _loses_its_key(invalid: asyncio.Event, runner: VerbRunner) -> None:
    """Watch for the revocation of the client's key, after which nothing may be claimed for it."""
    await invalid.wait()
    runner.leave()


async def _all(runner: VerbRunner, verbs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    chains: dict[str, list[int]] = {}
    for index, verb in enumerate(verbs):
        chains.setdefault(_subject(verb), []).append(index)
    results: list[dict[str, Any]] = [{}] * len(verbs)

    async def carry_out(indices: list[int]) -> None:
        broken: dict[str, Any] | None = None
        for index in indices:
            if broken is not None and "sequence" in verbs[index]:
                results[index] = broken  # its higher sequence would make a repeat of the failed write look written
                continue
            results[index] = await _one(runner, verbs[index])
            if results[index].get("error", {}).get("status_code") == Unavailable.status:
                broken = results[index]

    own = chains.pop("", None)  # verbs about no task, such as ``register``, come first
    if own is not None:
        await carry_out(own)
    await asyncio.gather(*(carry_out(indices) for indices in chains.values()))
    return results


def _subject(verb: dict[str, Any]) -> str:
    delivery = verb.get("delivery")
    subject = delivery.get("task_id") if isinstance(delivery, dict) else verb.get("task_id")
    return subject if isinstance(subject, str) else ""


async def _one(runner: VerbRunner, verb: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": await runner.carry_out(verb)}
    except ModuleException as error:
        return {"error": error_json(error)}


def _answer(results: list[dict[str, Any]]) -> Response:
    return Response(to_json({"results": results, "version": VERSION}, inf_nan_mode="null"), media_type=JSON)
