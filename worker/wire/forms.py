"""Common parts of native workers' verbs: their fields with bounds, and how a verb is read."""

from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from worker.words.errors import ValidationError
from worker.words.ids import FORM

POLL_SECONDS = 25.0
MOST = 10_000  # tasks or deliveries in one request
YEAR_SECONDS = 31_536_000

Count = Annotated[int, Field(ge=0, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=POLL_SECONDS)]
Delay = Annotated[float, Field(ge=0, le=YEAR_SECONDS)]
Attempt = Annotated[int, Field(ge=0, le=2**31 - 1)]
Sequence = Annotated[int, Field(ge=1, le=2**40 - 1)]
Id = Annotated[str, Field(pattern=f"^{FORM}$")]


class Form(BaseModel):
    """The fields of a verb. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")


class TaskForm(Form):
    """A verb about a task."""

    task_id: str


class RunForm(TaskForm):
    """A verb of a run. ``sequence`` grows with every write of the run, so that a repeated write is recognized."""

    attempt: Attempt
    sequence: Sequence | None = None


Reference = Annotated[str, Field(max_length=2000, pattern=r"^worker:[0-9a-f]{64}(/[\x21-\x7e]*)?$")]
"""The reference of a stored file."""


Asked = TypeVar("Asked", bound=Form)


def read(form: type[Asked], verb: dict[str, Any]) -> Asked:
    """Read a verb.

    Raises:
        ValidationError: A field is invalid; the error names it.
    """
    try:
        return form.model_validate(verb)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "verb"
        raise ValidationError(f"{field}: {first['msg']}", field=field) from None
