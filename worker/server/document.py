"""The OpenAPI document, corrected where the types alone do not describe what the routes accept."""

import threading
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from worker.words import changes
from worker.words.statuses import AgentExecutionStatus

Schema = dict[str, Any]

ID = {"type": "string", "pattern": r"^[A-Za-z0-9._:-]{1,128}$"}
STATUSES = [*AgentExecutionStatus]
STATUS_LIST = f"^(({'|'.join(STATUSES)})(,|$))*$"
NULL: Schema = {"type": "null"}

NULL_IS_ABSENT = (
    "AllowanceBody",
    "CreateBody",
    "MetricsBody",
    "PushedEvent",
    "ReportBody",
    "RetryBody",
    "WorkerReport",
)
"""Bodies whose null fields count as missing, because the public client sends every field."""

SOMETHING = [
    {"required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
    {"required": ["files"], "properties": {"files": {"type": "array", "minItems": 1}}},
]
"""An input must have text or files."""

FILES = {
    "type": ["array", "null"],
    "items": {"type": "string", "pattern": "^([Hh][Tt][Tt][Pp][Ss]?|[Dd][Aa][Tt][Aa]|[Ww][Oo][Rr][Kk][Ee][Rr]):"},
}

WEBHOOK = {"type": "string", "pattern": r"^https://[A-Za-z0-9.-]+(/[A-Za-z0-9._/-]*)?$"}

MEANT = [
    *(
        {"required": [name], "properties": {name: {"type": "string", "minLength": 1}}}
        for name in ("handler", "task_id", "agent_id")
    ),
    {"required": ["ids"], "properties": {"ids": {"type": "array", "minItems": 1}}},
    {"required": ["all"], "properties": {"all": {"const": True}}},
]
"""A retry of deliveries must select some."""

MADE = {"/agent-execution/{agent_id}", "/agent-execution/{agent_id}/report_task", "/agents/{agent_id}"}
"""Paths that may create an agent with the given id, which must therefore be valid."""


class Application(FastAPI):
    """A FastAPI application with the corrected document."""

    _creating = threading.Lock()

    def setup(self) -> None:
        """Serve the document, from a thread: creating it takes about a second, and no key is needed to ask for it."""
        self.add_route("/openapi.json", self._document, include_in_schema=False)

    def openapi(self) -> dict[str, Any]:
        """Return the document, which is created once."""
        with self._creating:
            if not self.openapi_schema:
                self.openapi_schema = _made_true(super().openapi())
            return self.openapi_schema

    def _document(self, _: Request) -> JSONResponse:
        return JSONResponse(self.openapi())


def _made_true(document: dict[str, Any]) -> dict[str, Any]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _never_null(parameter["schema"])
                if parameter["name"] == "agent_id" and path in MADE and method in ("post", "put"):
                    parameter["schema"] |= ID
                if parameter["name"] == "status":
                    parameter["schema"]["pattern"] = STATUS_LIST
    schemas: dict[str, Schema] = document["components"]["schemas"]
    for name in NULL_IS_ABSENT:
        _accept_null(schemas[name])
    schemas["AgentExecutionInput"]["anyOf"] = SOMETHING
    schemas["AgentExecutionInput"]["properties"]["files"] = FILES
    schemas["Changes"]["properties"] = changes.schema()
    schemas["RetryBody"]["anyOf"] = MEANT
    schemas["AgentBody"]["properties"]["id"] = ID
    if "webhook_url" in schemas["CreateBody"]["properties"]:
        schemas["CreateBody"]["properties"]["webhook_url"]["anyOf"] = [WEBHOOK, NULL]
    for name in ("CreateBody", "ReportBody"):
        schemas[name]["properties"]["id"] = {"anyOf": [ID, NULL]}
    return document


def _never_null(schema: Schema) -> Schema:
    """Return a parameter's schema without null, which a request cannot express."""
    kinds = [each for each in schema.get("anyOf", ()) if each != NULL]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **kinds[0]} if len(kinds) == 1 else schema


SAID = ("title", "description")
"""Keys of a schema that describe a field but do not restrict its values."""


def _accept_null(schema: Schema) -> None:
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        if name not in required and NULL not in each.get("anyOf", ()) and each:
            said = {key: each[key] for key in SAID if key in each}
            rest = {key: value for key, value in each.items() if key not in SAID}
            schema["properties"][name] = {"anyOf": [rest, NULL], **said}
