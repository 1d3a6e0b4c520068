"""Where requests go: from a base URL and an organization to the bases of calls and of event streams."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, quote, urlsplit

from worker.words.errors import ConfigurationError

DEFAULT_BASE = "https://inbound.xpander.ai"
STREAMS_OF_DEFAULT = "https://agent-controller.xpander.ai"
CONTROLLER = "agent-controller"
CONTROLLER_PORT = 9016
GATEWAY_PORT = 8085  # on loopback its streams are the controller's


@dataclass(frozen=True, slots=True)
class Addresses:
    """The bases of a platform's URLs, none ending in a slash.

    Args:
        calls: Of ordinary calls.
        organization: Of the calls that always name the organization.
        streams: Of event streams and of what workers report.
        shown: For people: no user, no password.
    """

    calls: str
    organization: str
    streams: str
    shown: str

    @classmethod
    def of(cls, base_url: str | None, organization_id: str) -> "Addresses":
        """Apply the protocol's rules to a base URL.

        Args:
            base_url: The platform's; None means xpander's cloud.
            organization_id: Whose tasks.

        Raises:
            ConfigurationError: It is no HTTP URL.
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
    if parts.port == GATEWAY_PORT and _is_loopback(host):
        return urlsplit(organization)._replace(netloc=f"{_bracketed(host)}:{CONTROLLER_PORT}").geturl()
    return organization


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
