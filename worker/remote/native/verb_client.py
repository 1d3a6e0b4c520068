"""Requests of verbs to our own server: batches to ``POST /{org}/work``, with an outcome per verb."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.remote.http.batches import Batches
from worker.remote.http.refusals import NOTHING, Subject, refusal
from worker.remote.http.transport import Repeat, Transport
from worker.wire.records import UnreadableRecord, decode
from worker.words.texts import encode

SPARE_SECONDS = 15.0  # timeout of the response, beyond the verb's own wait


class Verb:
    """A verb of a batch, encoded.

    Args:
        body: The verb as a JSON object.
        subject: The subject of the verb, for errors.
    """

    def __init__(self, body: Mapping[str, Any], subject: Subject = NOTHING) -> None:
        self.content = encode(body)
        self.subject = subject


class VerbClient:
    """Sends verbs to a server, and returns their outcomes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.url = f"{transport.addresses.organization}/work"
        self.worker_id: str | None = None
        self.server_version = 1
        self._batches = Batches(self._send, lambda verb: len(verb.content))

    async def batched(self, verb: Verb) -> Any:
        """Send a verb in the next batch, in order, and return its outcome."""
        return await self._batches.ask(verb)

    async def single(self, verb: Verb, worker_id: str, repeat: Repeat = Repeat.ALWAYS, seconds: float = 0) -> Any:
        """Send a verb that may wait, in its own request, and return its outcome.

        Args:
            verb: The verb.
            worker_id: The worker that sends it.
            repeat: When the request may be retried.
            seconds: How long the verb may wait on the server.
        """
        (outcome,) = await self._request([verb], worker_id, repeat, seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self) -> None:
        """Stop sending."""
        await self._batches.close()

    async def _send(self, verbs: Sequence[Verb]) -> list[Any]:
        return await self._request(verbs, self.worker_id, Repeat.ALWAYS)

    async def _request(
        self, verbs: Sequence[Verb], worker_id: str | None, repeat: Repeat, seconds: float = 0
    ) -> list[Any]:
        content = b'{"worker_id":%b,"verbs":[%b]}' % (encode(worker_id), b",".join(verb.content for verb in verbs))
        answer = await self._transport.call(
            "POST",
            self.url,
            content=content,
            headers={"content-type": "application/json"},
            repeat=repeat,
            seconds=seconds + SPARE_SECONDS,
        )
        answered = decode(answer.content, "an answer")
        results = results_of(answered, len(verbs))
        self.server_version = version_of(answered)
        return [self._outcome(result, verb.subject) for result, verb in zip(results, verbs, strict=True)]

    def _outcome(self, result: Mapping[str, Any], subject: Subject) -> Any:
        error = result.get("error")
        if not isinstance(error, dict):
            return result.get("value")
        status = error.get("status_code")
        return refusal(
            status if isinstance(status, int) else 500,
            error,
            subject,
            self._transport.addresses.shown,
        )


def version_of(answer: Any) -> int:
    """Return the version of a server's verbs; the first version does not send it."""
    version = answer.get("version")
    return version if isinstance(version, int) else 1


def results_of(answer: Any, count: int) -> list[dict[str, Any]]:
    """Return the results in a response.

    Raises:
        UnreadableRecord: There are none, or not ``count``.
    """
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
        raise UnreadableRecord("an answer", "it has no results")
    if len(results) != count:
        raise UnreadableRecord("an answer", f"it has {len(results)} results for {count} verbs")
    return results
