"""Where a task lives, as user code says it; whatever it leaves out comes from the settings."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from worker.settings import Settings


class Configuration(BaseModel):
    """Which platform to work against.

    Args:
        api_key: Key for a platform over HTTP; never shown.
        base_url: A platform over HTTP.
        organization_id: Whose tasks; default ``XPANDER_ORGANIZATION_ID``.
        agent_id: The agent meant where none is named; default ``XPANDER_AGENT_ID``.
        database_url: PostgreSQL to use directly; never shown, since it may hold a password.

    A field that is left out comes from the environment. One that is given decides: with a ``database_url`` given, a key
    or base URL of the environment does not count, and the other way round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: str | None = Field(default=None, repr=False)
    base_url: str | None = None
    organization_id: str = "default"
    agent_id: str | None = None
    database_url: str | None = Field(default=None, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _from_settings(cls, given: dict[str, Any]) -> dict[str, Any]:
        given = {name: _plain(value) for name, value in given.items() if value is not None}
        settings = Settings()
        known = {name: _plain(getattr(settings, name)) for name in cls.model_fields}
        if "database_url" in given:
            known |= {"api_key": None, "base_url": None}
        elif "api_key" in given or "base_url" in given:
            known["database_url"] = None
        return known | given

    def get_full_url(self) -> str:
        """The platform's address over HTTP; empty where the database is used directly."""
        return self.base_url or ""

    @property
    def place(self) -> tuple[str | None, ...]:
        """What tells one platform from another: two configurations with the same share one."""
        return (self.base_url, self.api_key, self.organization_id, self.database_url)

    @property
    def settings(self) -> Settings:
        """The settings of the environment, with what this says in their place."""
        return Settings().model_copy(
            update={
                "api_key": _secret(self.api_key),
                "base_url": self.base_url,
                "organization_id": self.organization_id,
                "agent_id": self.agent_id,
                "database_url": _secret(self.database_url),
            }
        )


def _secret(value: str | None) -> SecretStr | None:
    return None if value is None else SecretStr(value)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
