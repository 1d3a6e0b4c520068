"""Base URLs of calls and event streams, derived from a base URL and an organization."""

from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from worker.words.addresses import is_loopback
from worker.words.errors import ConfigurationError

DEFAULT_BASE = "https://inbound.xpander.ai"
STREAMS_OF_DEFAULT = "https://agent-controller.xpander.ai"
CONTROLLER = "agent-controller"
CONTROLLER_PORT = 9016
GATEWAY_PORT = 8085  # on loopback, streams use the controller's port instead


@dataclass(frozen=True, slots=True)
class Addresses:
    """The base URLs of a platform, without a final slash.

    Args:
        calls: The base of ordinary calls.
        organization: The base of calls that always name the organization.
        streams: The base of event streams and of workers' reports.
        shown: The base URL for logs and messages, without user and password.
    """

    calls: str
    organization: str
    streams: str
    shown: str

    @classmethod
    def of(cls, base_url: str | None, organization_id: str) -> "Addresses":
        """Return the base URLs of a platform, by the protocol's rules.

        Args:
            base_url: The platform's base URL; None means xpander's cloud.
            organization_id: The organization that owns the tasks.

        Raises:
            ConfigurationError: The base URL is not an HTTP URL.
        """
        parts = _split(base_url or DEFAULT_BASE)
        base = parts.geturl().rstrip("/")
        named = quote(organization_id, safe="")
        inside = parts.path.rstrip("/").rpartition("/")[2] == named
        organization = base if inside else f"{base}/{named}"
        return cls(
            calls=organization if _is_controller(parts) else base,
            organization=organization,
            streams=_streams(parts, organization, named),
            shown=parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/"),
        )


def _split(base_url: str) -> SplitResult:
    wrong = ConfigurationError("XPANDER_BASE_URL must be a URL like https://inbound.xpander.ai")
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise wrong from None
    if not usable:
        raise wrong
    return parts._replace(query="", fragment="")


def _is_controller(parts: SplitResult) -> bool:
    first = parts.path.strip("/").partition("/")[0]
    return CONTROLLER in (parts.hostname or "") or parts.port == CONTROLLER_PORT or first == CONTROLLER


def _streams(parts: SplitResult, organization: str, named: str) -> str:
    host = parts.hostname or ""
    if host == urlsplit(DEFAULT_BASE).hostname:
        return f"{STREAMS_OF_DEFAULT}/{named}"
    if parts.port == GATEWAY_PORT and is_loopback(host):
        bracketed = f"[{host}]" if ":" in host else host
        return urlsplit(organization)._replace(netloc=f"{bracketed}:{CONTROLLER_PORT}").geturl()
    return organization
