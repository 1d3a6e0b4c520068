"""The platform that user code works against. Fields that are left out come from the settings."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from worker.settings import Settings


class Configuration(BaseModel):
    """The platform to work against.

    Args:
        api_key: Key for a platform over HTTP; never shown.
        base_url: Base URL of a platform over HTTP.
        organization_id: The organization that owns the tasks; default ``XPANDER_ORGANIZATION_ID``.
        agent_id: The agent to use if a call names none; default ``XPANDER_AGENT_ID``.
        database_url: PostgreSQL to use directly; never shown, since the URL may hold a password.

    Fields that are left out come from the environment. A given ``database_url`` disables the environment's key and base
    URL, and a given key or base URL disables the environment's ``database_url``.
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
        """Return the platform's base URL; empty if the database is used directly."""
        return self.base_url or ""

    @property
    def place(self) -> tuple[str | None, ...]:
        """The platform's identity: configurations with equal places share one platform."""
        return (self.base_url, self.api_key, self.organization_id, self.database_url)

    @property
    def settings(self) -> Settings:
        """The environment's settings, overridden by this configuration."""
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
