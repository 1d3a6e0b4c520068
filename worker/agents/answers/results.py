"""The form that is wanted of a result, and the check that a result has it."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.agents.answers.schemas import check, fitted, inner
from worker.agents.event_buffer import plain
from worker.words.statuses import OutputFormat
from worker.words.tasks import TaskRecord
from worker.words.texts import encode

if TYPE_CHECKING:
    from pydantic import BaseModel

FORMATS = {
    OutputFormat.Text: "Answer in plain text, without Markdown or HTML.",
    OutputFormat.Json: "Answer with valid JSON alone, without any other text and without a code fence.",
    OutputFormat.Markdown: "Answer in Markdown.",
    OutputFormat.Html: "Answer with HTML alone, without any other text and without a code fence.",
    OutputFormat.Voice: "The answer will be read aloud: plain spoken sentences, no lists, tables, links or markup.",
}
"""The instruction that asks a model for each format."""

FENCE = "```"


class UnfitResult(Exception):  # noqa: N818 - a finding about a result, not yet an error of the run
    """A result does not have the wanted form."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The form that a task wants for its result.

    Args:
        format: The format that the task asks for; None leaves it to the agent.
        schema: A JSON Schema: the task's own, or else the agent's.
        model: The agent's pydantic class, unless a schema of the task replaces it.
    """

    format: OutputFormat | None = None
    schema: dict[str, Any] | None = None
    model: "type[BaseModel] | None" = None

    @property
    def is_json(self) -> bool:
        """Whether the result has to be JSON."""
        return self.schema is not None or self.model is not None or self.format is OutputFormat.Json

    async def check(self) -> None:
        """Check that the schema, if any, is a valid JSON Schema.

        Raises:
            ValidationError: The schema is not valid, or checking it takes too long.
            Unavailable: No child process could be started for the check.
        """
        if self.schema is not None:
            await check(self.schema)

    async def text_of(self, content: Any) -> str:
        """Return the result as text: JSON text if JSON is wanted.

        Raises:
            UnfitResult: The result does not have the wanted form.
            ValidationError: The schema cannot be applied.
            Unavailable: No child process could be started to apply the schema.
        """
        if not self.is_json:
            return as_text(content)
        if self.model is not None and isinstance(content, self.model):
            return encode(content).decode()
        text = unfenced(content) if isinstance(content, str) else json.dumps(plain(content), ensure_ascii=False)
        found, wrong = await fitted(text, self.schema if self.model is None else None)
        if found is None:
            raise UnfitResult(wrong)
        return found if self.model is None else _by_class(self.model, found)


def wanted(agent: Any, record: TaskRecord, given: Any = None) -> Wanted:
    """Return the form that a task wants for an agent's result.

    Args:
        agent: The agent, which may have a form of its own.
        record: The task, whose form takes precedence.
        given: The form that the handler asks for, instead of the agent's.
    """
    setting = record.output_schema or given or getattr(agent, "output_schema", None)
    if setting is None:
        return Wanted(record.output_format)
    if isinstance(setting, dict):
        return Wanted(record.output_format, inner(setting))
    return Wanted(record.output_format, model=setting if hasattr(setting, "model_validate") else None)


def as_text(content: Any) -> str:
    """Return the content of an Agno run as text: text unchanged, anything else as JSON."""
    if content is None:
        return ""
    return content if isinstance(content, str) else json.dumps(plain(content), ensure_ascii=False)


def unfenced(text: str) -> str:
    """Remove the code fence around a model's answer, if there is one."""
    bare = text.strip()
    if not bare.startswith(FENCE) or not bare.endswith(FENCE):
        return text
    language, end, inside = bare[len(FENCE) : -len(FENCE)].partition("\n")
    is_fence = bool(end) and all(each.isalnum() or each in "_-" for each in language.rstrip(" \t"))
    return inside if is_fence else text


def repair_request(problem_text: str) -> str:
    """Return the prompt that asks a model to repair an answer that did not have the wanted form."""
    return (
        f"Your answer does not have the requested form: {problem_text}\n"
        "Give the whole answer again, with the same content, in the requested form and without any other text."
    )


def _by_class(model: "type[BaseModel]", text: str) -> str:
    from pydantic import ValidationError as ClassMismatch

    try:
        return encode(model.model_validate(json.loads(text))).decode()
    except ClassMismatch as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = "/".join(str(part) for part in first["loc"])
        raise UnfitResult(f"{first['msg']} (at {where})" if where else first["msg"]) from error
