"""What is wanted of a result, and whether what came is that."""

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
"""What a model is told of the form that is wanted."""

FENCE = "```"


class UnfitResult(Exception):  # noqa: N818 - a finding about a result, not yet an error of the run
    """A result does not have the form that is wanted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The form that a task wants of its result.

    Args:
        format: What the task asks for; None means as the agent likes.
        schema: A JSON Schema, the task's own or else the agent's.
        model: The agent's pydantic class, where no schema of the task takes its place.
    """

    format: OutputFormat | None = None
    schema: dict[str, Any] | None = None
    model: "type[BaseModel] | None" = None

    @property
    def is_json(self) -> bool:
        """Whether only JSON will do."""
        return self.schema is not None or self.model is not None or self.format is OutputFormat.Json

    async def check(self) -> None:
        """Let pass a schema that is one. Raises: ValidationError, Unavailable."""
        if self.schema is not None:
            await check(self.schema)

    async def text_of(self, content: Any) -> str:
        """The result as text, JSON text where JSON is wanted.

        Raises:
            Unfit: It does not have the form that is wanted.
            ValidationError: The schema cannot be applied.
            Unavailable: No process could be started to apply it in.
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
    """What a task wants of an agent's result.

    Args:
        agent: Which may have a form of its own.
        record: The task, whose form comes first.
        given: The form that the handler asks for, in place of the agent's.
    """
    setting = record.output_schema or given or getattr(agent, "output_schema", None)
    if setting is None:
        return Wanted(record.output_format)
    if isinstance(setting, dict):
        return Wanted(record.output_format, inner(setting))
    return Wanted(record.output_format, model=setting if hasattr(setting, "model_validate") else None)


def as_text(content: Any) -> str:
    """Any content of an Agno run as text: text as it is, else JSON."""
    if content is None:
        return ""
    return content if isinstance(content, str) else json.dumps(plain(content), ensure_ascii=False)


def unfenced(text: str) -> str:
    """A model's answer without the code fence around it; as it is where there is none."""
    bare = text.strip()
    if not bare.startswith(FENCE) or not bare.endswith(FENCE):
        return text
    language, end, inside = bare[len(FENCE) : -len(FENCE)].partition("\n")
    is_fence = bool(end) and all(each.isalnum() or each in "_-" for each in language.rstrip(" \t"))
    return inside if is_fence else text


def repair_request(problem_text: str) -> str:
    """What a model is told when its answer did not fit."""
    return (
        f"Your answer does not have the form that was asked for: {problem_text}\n"
        "Give the whole answer again, with the same content, in the right form and without any other text."
    )


def _by_class(model: "type[BaseModel]", text: str) -> str:
    from pydantic import ValidationError as ClassMismatch

    try:
        return encode(model.model_validate(json.loads(text))).decode()
    except ClassMismatch as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = "/".join(str(part) for part in first["loc"])
        raise UnfitResult(f"{first['msg']} (at {where})" if where else first["msg"]) from error
