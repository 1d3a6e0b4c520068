"""Protocols of other providers than OpenAI, as the stand-in speaks them: how each asks. How each answers is known to
``tests.providers.wires``."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.agno_suite.answers import JSON, Answer, Question, text_in
from tests.providers.answers import Says
from tests.providers.wires import Anthropic, Cohere, Gemini, Mistral, Ollama, Wire
from worker.testing import Call

GEMINI = re.compile(r"/models/([^/:]+):(?:generateContent|streamGenerateContent)$")
MISTRAL = "api.mistral.ai"
"""Its path is OpenAI's."""


def wire_of(path: str, host: str) -> tuple[Wire, Callable[[str, JSON], Question]] | None:
    """The protocol that has an address, and how its requests are read; None if it is none of these.

    Args:
        path: Of the address.
        host: Of the address, as the client has it.
    """
    if host == MISTRAL:
        return Mistral(), lambda _, body: chat_question(body)
    if GEMINI.search(path):
        return Gemini(), _gemini_question
    return next((found for end, found in _BY_END.items() if path.endswith(end)), None)


def says(answer: Answer, pieces: Sequence[str]) -> Says:
    """An answer as the wires take it.

    Args:
        answer: The answer.
        pieces: Its text, as it is streamed.
    """
    if answer.calls:
        return Says(calls=[Call(name, given, made) for made, name, given in answer.calls])
    return Says(text=pieces)


def chat_question(body: JSON) -> Question:
    """A request of OpenAI's chat protocol."""
    messages = body["messages"]
    last = max((index for index, each in enumerate(messages) if each["role"] == "user"), default=-1)
    form = body.get("response_format") or {}
    tools = [each["function"] for each in body.get("tools") or [] if each.get("type") == "function"]
    return Question(
        " ".join(text_in(each.get("content")) for each in messages if each["role"] in ("system", "developer")),
        [text_in(each.get("content")) for each in messages if each["role"] == "user"],
        [text_in(each.get("content")) for each in messages[last + 1 :] if each["role"] == "tool"],
        [] if body.get("tool_choice") == "none" else [(each["name"], each.get("parameters") or {}) for each in tools],
        (form.get("json_schema") or {}).get("schema") if form.get("type") == "json_schema" else None,
        body["model"],
    )


def _anthropic_question(_: str, body: JSON) -> Question:
    messages = body["messages"]
    texts = [(index, _without_results(each["content"])) for index, each in enumerate(messages)]
    said = [(index, text) for index, text in texts if text is not None and messages[index]["role"] == "user"]
    last = said[-1][0] if said else -1
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    tools = [(each["name"], each["input_schema"]) for each in body.get("tools") or [] if "input_schema" in each]
    return Question(
        text_in(body.get("system")),
        [text for _, text in said],
        [text_in(each.get("content")) for message in messages[last:] for each in _results(message["content"])],
        [] if (body.get("tool_choice") or {}).get("type") == "none" else tools,
        form.get("schema"),
        body["model"],
    )


def _without_results(content: Any) -> str | None:
    """What is said; None if there are only results of tools."""
    if not isinstance(content, list):
        return text_in(content)
    said = [each for each in content if each.get("type") != "tool_result"]
    return text_in(said) if said else None


def _results(content: Any) -> list[JSON]:
    return [each for each in content if each.get("type") == "tool_result"] if isinstance(content, list) else []


def _gemini_question(path: str, body: JSON) -> Question:
    contents = [(each.get("role"), each.get("parts") or []) for each in body.get("contents") or []]
    said = [
        (index, text_in(parts))
        for index, (role, parts) in enumerate(contents)
        if role == "user" and not any("functionResponse" in each for each in parts)
    ]
    last = said[-1][0] if said else -1
    form = body.get("generationConfig") or {}
    schema = form.get("responseJsonSchema") or form.get("responseSchema")
    declared = [each for tool in body.get("tools") or [] for each in tool.get("functionDeclarations") or []]
    mode = ((body.get("toolConfig") or {}).get("functionCallingConfig") or {}).get("mode")
    given = [(each["name"], each.get("parametersJsonSchema") or each.get("parameters") or {}) for each in declared]
    found = GEMINI.search(path)
    return Question(
        text_in((body.get("systemInstruction") or {}).get("parts")),
        [text for _, text in said],
        [
            str(each["functionResponse"].get("response"))
            for _, parts in contents[last + 1 :]
            for each in parts
            if "functionResponse" in each
        ],
        [] if mode == "NONE" else [(name, _lowered(each)) for name, each in given],
        _lowered(schema) if schema else None,
        found.group(1) if found else "",
    )


def _lowered(schema: Any) -> Any:
    """A JSON Schema with its types written as they are elsewhere."""
    if isinstance(schema, list):
        return [_lowered(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: each.lower() if key == "type" and isinstance(each, str) else _lowered(each) for key, each in schema.items()
    }


def _message_question(_: str, body: JSON) -> Question:
    """Of protocols whose messages are like OpenAI's, and their schemas bare."""
    messages = body["messages"]
    last = max((index for index, each in enumerate(messages) if each["role"] == "user"), default=-1)
    form = body.get("format") or body.get("response_format")
    schema = form.get("json_schema") or form.get("schema") or form if isinstance(form, dict) else None
    tools = [each["function"] for each in body.get("tools") or []]
    return Question(
        " ".join(text_in(each.get("content")) for each in messages if each["role"] == "system"),
        [text_in(each.get("content")) for each in messages if each["role"] == "user"],
        [text_in(each.get("content")) for each in messages[last + 1 :] if each["role"] == "tool"],
        [(each["name"], each.get("parameters") or {}) for each in tools],
        schema if schema and "properties" in schema else None,
        body["model"],
    )


_BY_END: dict[str, tuple[Wire, Callable[[str, JSON], Question]]] = {
    "/messages": (Anthropic(), _anthropic_question),
    "/v2/chat": (Cohere(), _message_question),
    "/api/chat": (Ollama(), _message_question),
}
