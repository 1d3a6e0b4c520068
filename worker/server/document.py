"""The OpenAPI document, made true where types alone do not tell what the routes accept."""

from typing import Any

from fastapi import FastAPI

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
"""Bodies of which a field that is null counts as one that is not there: the public client sends all it knows."""

SOMETHING = [
    {"required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
    {"required": ["files"], "properties": {"files": {"type": "array", "minItems": 1}}},
]
"""An input has text or files."""

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
"""Whoever has deliveries tried once more says which."""

MADE = {"/agent-execution/{agent_id}", "/agent-execution/{agent_id}/report_task", "/agents/{agent_id}"}
"""Where an agent's id is written down, and not just looked for."""


class Application(FastAPI):
    """An application whose document is true."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if not self.openapi_schema:
            self.openapi_schema = _made_true(super().openapi())
        return self.openapi_schema


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
    """A parameter that is not there has no value; no request can say that it is null."""
    kinds = [each for each in schema.get("anyOf", ()) if each != NULL]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **kinds[0]} if len(kinds) == 1 else schema


SAID = ("title", "description")
"""What a schema says of a field, whatever the field takes."""


def _accept_null(schema: Schema) -> None:
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        if name not in required and NULL not in each.get("anyOf", ()) and each:
            said = {key: each[key] for key in SAID if key in each}
            rest = {key: value for key, value in each.items() if key not in SAID}
            schema["properties"][name] = {"anyOf": [rest, NULL], **said}
