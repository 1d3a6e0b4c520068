"""Bedrock's wire: Converse, whose streams are binary frames with checksums."""

# ruff: noqa: ARG002 (one wire needs what another does not)

import json
import struct
import zlib
from functools import cache
from typing import Any, ClassVar

from tests.providers.answers import Finish, Says
from tests.providers.wires import Wire, call_id, joined

STRING = 7  # the type of a header's value


@cache
def _session() -> Any:
    """What has read the service's description, which takes a while."""
    from aiobotocore.session import get_session

    return get_session()


class Bedrock(Wire):
    """AWS Bedrock's Converse API."""

    name = "bedrock"
    finishes: ClassVar[dict[Finish, str]] = {
        "stop": "end_turn",
        "tool_calls": "tool_use",
        "length": "max_tokens",
        "content_filter": "guardrail_intervened",
        "context_length": "model_context_window_exceeded",
    }
    result = '"toolResult"'
    stream_type = "application/vnd.amazon.eventstream"
    comment = b""

    def model(self, url: str, **more: Any) -> Any:
        import aioboto3
        import boto3
        from agno.models.aws import AwsBedrock as Model
        from botocore.config import Config

        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "s", "region_name": "us-east-1"}
        options: Any = {"endpoint_url": url, "config": Config(retries={"max_attempts": 0}), **keys}

        class At(Model):
            """Agno gives its own clients no address."""

            def get_client(self) -> Any:
                self.client = self.client or boto3.client("bedrock-runtime", **options)
                return self.client

            def get_async_client(self) -> Any:
                return aioboto3.Session(botocore_session=_session()).client("bedrock-runtime", **options)

        made: dict[str, Any] = {"id": "m", "aws_access_key_id": url, **more}  # breakers are kept by key
        return At(**made)

    def is_streamed(self, path: str, request: Any) -> bool:
        return path.endswith("converse-stream")

    def events(self, says: Says) -> list[bytes]:
        parts: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
        index = 0
        for index, block in enumerate(self._blocks(says)):
            where = {"contentBlockIndex": index}
            if "toolUse" in block:
                use = {key: block["toolUse"][key] for key in ("toolUseId", "name")}
                parts.append(("contentBlockStart", {**where, "start": {"toolUse": use}}))
                said = json.dumps(block["toolUse"]["input"])
                parts.append(("contentBlockDelta", {**where, "delta": {"toolUse": {"input": said}}}))
            elif "reasoningContent" in block:
                parts.append(("contentBlockDelta", {**where, "delta": {"reasoningContent": {"text": says.reasoning}}}))
            else:
                parts += [("contentBlockDelta", {**where, "delta": {"text": each}}) for each in says.text]
            parts.append(("contentBlockStop", where))
        if says.reason is not None:
            parts.append(("messageStop", {"stopReason": self.finish(says.reason)}))
            parts.append(("metadata", {"usage": self._usage(says), "metrics": {"latencyMs": 1}}))
        return [framed({":event-type": kind, ":message-type": "event"}, data) for kind, data in parts]

    def body(self, says: Says) -> Any:
        message = {"role": "assistant", "content": self._blocks(says) or [{"text": joined(says)}]}
        return {
            "output": {"message": message},
            "stopReason": self.finish(says.reason),
            "usage": self._usage(says),
            "metrics": {"latencyMs": 1},
        }

    def error(self, status: int, code: str, message: str) -> Any:
        return {"message": message}

    def error_headers(self, code: str) -> dict[str, str]:
        return {"x-amzn-errortype": code}

    def error_event(self, status: int, code: str, message: str) -> bytes:
        kind = "throttlingException" if code == "ThrottlingException" else "internalServerException"
        return framed({":exception-type": kind, ":message-type": "exception"}, {"message": message})

    def _blocks(self, says: Says) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        if says.reasoning:
            blocks.append({"reasoningContent": {"reasoningText": {"text": says.reasoning}}})
        if says.text:
            blocks.append({"text": joined(says)})
        for n, each in enumerate(says.calls):
            blocks.append({"toolUse": {"toolUseId": call_id(each, n), "name": each.tool, "input": each.arguments}})
        return blocks

    def _usage(self, says: Says) -> dict[str, Any]:
        usage = says.usage
        return {
            "inputTokens": usage.fresh,
            "outputTokens": usage.output,
            "totalTokens": usage.fresh + usage.output,
            "cacheReadInputTokens": usage.read,
            "cacheWriteInputTokens": usage.written,
        }


def framed(headers: dict[str, str], data: Any) -> bytes:
    """One message of `vnd.amazon.eventstream`: lengths, their checksum, headers, payload, the checksum of it all."""
    payload = json.dumps(data).encode()
    said = b"".join(
        bytes([len(name)]) + name.encode() + struct.pack("!BH", STRING, len(value)) + value.encode()
        for name, value in (headers | {":content-type": "application/json"}).items()
    )
    lengths = struct.pack("!II", 16 + len(said) + len(payload), len(said))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + said + payload
    return message + struct.pack("!I", zlib.crc32(message))
