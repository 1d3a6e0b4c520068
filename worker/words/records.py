"""What every record shares."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Words(BaseModel):
    """What every record shares: unknown fields are accepted and dropped, since the wire grows."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    def model_dump_safe(self, **options: Any) -> dict[str, Any]:
        """Dump it as JSON has it: enumerations as their texts, times as ISO text; options as of ``model_dump``."""
        return self.model_dump(mode="json", **options)
