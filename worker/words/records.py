"""The base class of all records."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Words(BaseModel):
    """The base of all records. Unknown fields are dropped, since the wire format grows."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    def model_dump_safe(self, **options: Any) -> dict[str, Any]:
        """Return the record as JSON values: enumerations as text, times as ISO text. Options as for ``model_dump``."""
        return self.model_dump(mode="json", **options)
