import pytest

from worker.remote.http.addresses import Addresses
from worker.words.errors import ConfigurationError


@pytest.mark.parametrize(
    ("base", "calls", "streams"),
    [
        (None, "https://inbound.xpander.ai", "https://agent-controller.xpander.ai/org"),
        ("https://inbound.xpander.ai/", "https://inbound.xpander.ai", "https://agent-controller.xpander.ai/org"),
        ("https://agent-controller.x.ai", "https://agent-controller.x.ai/org", "https://agent-controller.x.ai/org"),
        ("http://localhost:9016", "http://localhost:9016/org", "http://localhost:9016/org"),
        ("https://x.ai/agent-controller", "https://x.ai/agent-controller/org", "https://x.ai/agent-controller/org"),
        ("https://agent-controller.x.ai/org", "https://agent-controller.x.ai/org", "https://agent-controller.x.ai/org"),
        ("http://localhost:8085", "http://localhost:8085", "http://localhost:9016/org"),
        ("http://127.0.0.1:8085", "http://127.0.0.1:8085", "http://127.0.0.1:9016/org"),
        ("http://[::1]:8085", "http://[::1]:8085", "http://[::1]:9016/org"),
        ("https://x.ai:8085", "https://x.ai:8085", "https://x.ai:8085/org"),
        ("https://x.ai/base/", "https://x.ai/base", "https://x.ai/base/org"),
    ],
)
def test_where_requests_go(base: str | None, calls: str, streams: str) -> None:
    addresses = Addresses.of(base, "org")
    assert (addresses.calls, addresses.streams) == (calls, streams)


def test_an_organization_with_a_hostile_name_stays_one_segment() -> None:
    assert Addresses.of("http://x", "a/../b?c").streams == "http://x/a%2F..%2Fb%3Fc"


def test_a_password_in_the_url_is_not_shown() -> None:
    assert Addresses.of("https://me:secret@x.ai/base", "org").shown == "https://x.ai/base"


@pytest.mark.parametrize("base", ["x.ai", "ftp://x.ai", "http://", "http://x:port", "http://[::1", "/tmp"])
def test_what_is_no_http_url_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError, match="XPANDER_BASE_URL must be a URL"):
        Addresses.of(base, "org")
