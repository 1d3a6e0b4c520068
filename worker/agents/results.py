"""What is wanted of a result, and whether what came is that."""

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from worker.agents.event_buffer import plain
from worker.agents.schemas import inner, problem, validator
from worker.words.statuses import OutputFormat
from worker.words.tasks import TaskRecord

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from pydantic import BaseModel

FORMATS = {
    OutputFormat.Text: "Answer in plain text, without Markdown or HTML.",
    OutputFormat.Json: "Answer with valid JSON alone, without any other text and without a code fence.",
    OutputFormat.Markdown: "Answer in Markdown.",
    OutputFormat.Html: "Answer with HTML alone, without any other text and without a code fence.",
    OutputFormat.Voice: "The answer will be read aloud: plain spoken sentences, no lists, tables, links or markup.",
}
"""What a model is told of the form that is wanted."""

_FENCE = re.compile(r"\A\s*```[\w-]*[ \t]*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


class Unfit(Exception):  # noqa: N818 - a finding about a result, not yet an error of the run
    """A result does not have the form that is wanted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The form that a task wants of its result.

    Args:
        format: What the task asks for; none: as the agent likes.
        schema: A JSON Schema, the task's own or else the agent's.
        checker: Of that schema.
        model: The agent's pydantic class, where no schema of the task takes its place.
    """

    format: OutputFormat | None = None
    schema: dict[str, Any] | None = None
    checker: "Validator | None" = None
    model: "type[BaseModel] | None" = None

    @property
    def is_json(self) -> bool:
        """Whether only JSON will do."""
        return self.schema is not None or self.model is not None or self.format is OutputFormat.Json

    def text_of(self, content: Any) -> str:
        """The result as text, JSON text where JSON is wanted.

        Raises:
            Unfit: It does not have the form that is wanted.
            ValidationError: The schema cannot be applied.
        """
        if not self.is_json:
            return as_text(content)
        if self.model is not None and isinstance(content, self.model):
            return content.model_dump_json()
        value = parsed(content) if isinstance(content, str) else plain(content)
        if self.model is not None:
            return _by_class(self.model, value)
        wrong = problem(self.checker, value) if self.checker is not None else None
        if wrong is not None:
            raise Unfit(wrong)
        return json.dumps(value, ensure_ascii=False)


def wanted(agent: Any, record: TaskRecord) -> Wanted:
    """What a task wants of an agent's result.

    Raises:
        ValidationError: The schema is no JSON Schema.
    """
    setting = record.output_schema or getattr(agent, "output_schema", None)
    if setting is None:
        return Wanted(record.output_format)
    if isinstance(setting, dict):
        schema = inner(setting)
        return Wanted(record.output_format, schema, validator(schema))
    return Wanted(record.output_format, model=setting if hasattr(setting, "model_validate") else None)


def as_text(content: Any) -> str:
    """Any content of an Agno run as text: text as it is, else JSON."""
    if content is None:
        return ""
    return content if isinstance(content, str) else json.dumps(plain(content), ensure_ascii=False)


def parsed(text: str) -> Any:
    """The JSON value in a model's answer, with or without a code fence around it.

    Raises:
        Unfit: It is not JSON.
    """
    fenced = _FENCE.match(text)
    try:
        return json.loads(fenced.group(1) if fenced else text, parse_constant=_refuse)
    except ValueError as error:
        raise Unfit(f"it is not valid JSON: {error}") from error


def repair_request(problem_text: str) -> str:
    """What a model is told when its answer did not fit."""
    return (
        f"Your answer does not have the form that was asked for: {problem_text}\n"
        "Give the whole answer again, with the same content, in the right form and without any other text."
    )


def _by_class(model: "type[BaseModel]", value: Any) -> str:
    from pydantic import ValidationError as ClassMismatch

    try:
        return model.model_validate(value).model_dump_json()
    except ClassMismatch as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = "/".join(str(part) for part in first["loc"])
        raise Unfit(f"{first['msg']} (at {where})" if where else first["msg"]) from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
