"""Types of the public protocol for settings of tasks and agents that this framework accepts but does not act on."""

from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator, model_validator

from worker.words.records import Words


class MCPServerType(StrEnum):
    """Where an MCP server runs."""

    Local = "local"
    Remote = "remote"


class MCPServerTransport(StrEnum):
    """The transport of an MCP server."""

    STDIO = "stdio"
    SSE = "sse"
    HTTP_Transport = "streamable-http"


class MCPServerAuthType(StrEnum):
    """The authentication of an MCP server."""

    APIKey = "api_key"
    OAuth2 = "oauth2"
    CustomHeaders = "custom_headers"
    SSOUser = "sso_user"
    _None = "none"


class MCPServerSSOTokenMode(StrEnum):
    """Which of a user's tokens an MCP server receives."""

    Access = "access"
    ID = "id"
    Exchange = "exchange"


class MCPServerDetails(Words):
    """An MCP server listed in a task's ``mcp_servers``. Workers never connect to it, as a note in the log states."""

    id: str | None = None
    type: MCPServerType | None = MCPServerType.Remote
    name: str | None = None
    command: str | None = None
    url: str | None = None
    transport: MCPServerTransport | None = MCPServerTransport.HTTP_Transport
    auth_type: MCPServerAuthType | None = MCPServerAuthType("none")
    api_key: str | None = None
    use_secrets_manager: bool | None = False
    client_id: str | None = None
    client_secret: str | None = None
    headers: dict[str, Any] | None = Field(default_factory=dict[str, Any])
    env_vars: dict[str, Any] | None = Field(default_factory=dict[str, Any])
    allowed_tools: list[str] | None = Field(default_factory=list[str])
    additional_scopes: list[str] | None = Field(default_factory=list[str])
    share_user_token_across_other_agents: bool | None = True
    sso_token: MCPServerSSOTokenMode | None = MCPServerSSOTokenMode.Access
    sso_audience: str | None = None

    @model_validator(mode="after")
    def _that_fits(self) -> "MCPServerDetails":
        """Adjust the transport to the type: a local server is a program, a remote one is not."""
        if self.type is MCPServerType.Local:
            self.transport = MCPServerTransport.STDIO
        elif self.transport in (MCPServerTransport.STDIO, None):
            self.transport = MCPServerTransport.HTTP_Transport
        return self


class PrincipalKind(StrEnum):
    """The channel through which a caller arrived."""

    user = "user"
    slack = "slack"
    api_key = "api_key"
    system = "system"
    anonymous = "anonymous"


class Principal(Words):
    """The caller, as described by the ``principal`` of an input."""

    kind: PrincipalKind
    id: str
    email: str | None = None
    display_name: str | None = None

    @field_validator("id")
    @classmethod
    def _plain(cls, value: str) -> str:
        value = value.strip()
        if not value or ":" in value or any(each.isspace() for each in value):
            raise ValueError("an id must not be empty or contain spaces or colons")
        return value


class AgentDeploymentType(StrEnum):
    """How an agent is deployed on other platforms; here workers serve it."""

    Serverless = "serverless"
    Container = "container"
