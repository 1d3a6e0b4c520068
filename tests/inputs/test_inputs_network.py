"""Where a file may come from: schemes, addresses, redirects, names and certificates, on real sockets."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.inputs.servers import ok, redirect, serving
from tests.support import wait_until
from worker.inputs import Attachment, Kind, Limits, Reader

OPEN = Limits(allow_private=True, seconds=10)
NOT_ALLOWED = "which is not allowed (WORKER_ALLOW_PRIVATE_URLS)"


class Names:
    """A resolver with a fixed table, answers used one after the other; it counts who asked."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(rounds) for name, rounds in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        del port
        self.asked.append(host)
        rounds = self.answers.get(host)
        if rounds is None:
            raise OSError("no such host")
        return rounds.pop(0) if len(rounds) > 1 else rounds[0]


async def read_one(url: str, reader: Reader) -> Attachment:
    try:
        (item,) = (await reader.read([url])).items
    finally:
        await reader.aclose()
    return item


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "etc/passwd",
        "ftp://example.com/a.txt",
        "gopher://example.com/",
        "C:\\secrets.txt",
        "",
        "javascript:alert(1)",
        "//127.0.0.1/x",
        " http://127.0.0.1/x",
    ],
)
async def test_other_schemes_and_local_paths_are_not_read(url: str) -> None:
    item = await read_one(url, Reader(OPEN))
    assert item.kind is Kind.UNREADABLE
    assert item.note is not None
    assert "only http:, https: and data: URLs and uploaded files can be read" in item.note


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "localhost", "0"])
async def test_loopback_is_refused_in_every_form_before_a_connection(host: str) -> None:
    async with serving() as site:
        site.routes["/secret.txt"] = ok(b"secret")
        item = await read_one(site.url("/secret.txt", host), Reader())
        assert item.kind is Kind.UNREADABLE
        assert item.note is not None
        assert item.note.startswith("secret.txt could not be read: ")
        assert NOT_ALLOWED in item.note
        assert site.heads == []


async def test_octal_loopback_is_no_valid_url() -> None:
    async with serving() as site:
        item = await read_one(site.url("/secret.txt", "0177.0.0.1"), Reader())
        assert item.note == "secret.txt could not be read: its URL is not valid."
        assert site.heads == []


async def test_a_trailing_dot_does_not_open_the_door() -> None:
    async with serving() as site:
        item = await read_one(
            site.url("/secret.txt", "inside.test."), Reader(resolve=Names(inside_test_=[["127.0.0.1"]]))
        )
        assert item.note is not None
        assert NOT_ALLOWED in item.note
        assert site.heads == []


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "100.64.0.1", "64:ff9b::7f00:1", "::1"])
async def test_a_name_with_a_private_address_is_refused_even_beside_a_public_one(address: str) -> None:
    names = Names(inside_test=[["8.8.8.8", address]])
    item = await read_one("http://inside.test/a.txt", Reader(resolve=names))
    assert item.note is not None
    assert NOT_ALLOWED in item.note
    assert address not in item.note


async def test_private_addresses_can_be_allowed() -> None:
    async with serving() as site:
        site.routes["/a.txt"] = ok(b"hello", "text/plain")
        item = await read_one(site.url("/a.txt"), Reader(OPEN))
        assert (item.kind, item.text, item.note) == (Kind.TEXT, "hello", None)


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    async with serving() as site:
        site.routes["/a.txt"] = ok(b"hello")
        names = Names(rebinding_test=[["127.0.0.1"], ["192.0.2.1"]])
        item = await read_one(site.url("/a.txt", "rebinding.test"), Reader(OPEN, resolve=names))
        assert item.text == "hello"
        assert names.asked == ["rebinding.test"]
        assert f"host: rebinding.test:{site.port}" in site.heads[0].lower()


async def test_a_name_that_answers_differently_the_second_time_is_checked_again() -> None:
    async with serving() as site:
        site.routes["/secret.txt"] = ok(b"secret")
        names = Names(rebinding_test=[["203.0.113.7", "8.8.8.8"], ["127.0.0.1"]])
        reader = Reader(Limits(seconds=5), resolve=names)
        for _ in range(2):
            item = await read_one(site.url("/secret.txt", "rebinding.test"), reader)
            assert item.note is not None
            assert NOT_ALLOWED in item.note
        assert names.asked == ["rebinding.test", "rebinding.test"]
        assert site.heads == []


async def test_an_unknown_host_and_a_closed_port_are_named() -> None:
    async with serving() as site:
        closed = site.url("/a.txt", "gone.test")
    names = Names(gone_test=[["127.0.0.1"]])
    refused = await read_one(closed, Reader(OPEN, resolve=names))
    unknown = await read_one("http://nowhere.test/a.txt", Reader(OPEN, resolve=names))
    assert refused.note == "a.txt could not be read: gone.test does not accept connections."
    assert unknown.note == "a.txt could not be read: the host nowhere.test is not known."


async def test_the_next_address_is_tried_when_the_first_is_dead() -> None:
    async with serving() as site:
        site.routes["/a.txt"] = ok(b"hello")
        names = Names(two_test=[["::1", "127.0.0.1"]])
        assert (await read_one(site.url("/a.txt", "two.test"), Reader(OPEN, resolve=names))).text == "hello"


async def test_redirects_are_followed_up_to_the_limit() -> None:
    async with serving() as site:
        for number in range(6):
            site.routes[f"/{number}"] = redirect(f"/{number + 1}", (301, 302, 303, 307, 308)[number % 5])
        site.routes["/6"] = ok(b"at last")
        reached = await read_one(site.url("/1"), Reader(OPEN))
        too_many = await read_one(site.url("/0"), Reader(OPEN))
        assert reached.text == "at last"
        assert reached.url == site.url("/1")
        assert too_many.note == "0 could not be read: the server redirected more than 5 times."


async def test_a_redirect_to_a_private_address_is_refused() -> None:
    async with serving() as site:
        site.routes["/a.txt"] = redirect("http://169.254.169.254/latest/meta-data/")
        names = Names(outside_test=[["8.8.8.8"]], **{"169_254_169_254": [["169.254.169.254"]]})
        reader = Reader(resolve=names)
        client = reader._open_client()
        network = client._transport._pool._network_backend  # type: ignore[attr-defined]  # only the door is replaced: 8.8.8.8 leads to the test's server
        connect = network._network.connect_tcp
        reached: list[str] = []

        async def to_the_test_server(address: str, port: int, *rest: object) -> object:
            reached.append(address)
            return await connect("127.0.0.1", port, *rest)

        network._network.connect_tcp = to_the_test_server
        item = await read_one(site.url("/a.txt", "outside.test"), reader)
        assert item.note is not None
        assert "169.254.169.254 has a link-local address" in item.note
        assert reached == ["8.8.8.8"]
        assert names.asked == ["outside.test", "169.254.169.254"]


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://a.test/x", "http://", "http://[::1", "http://a.test:99999/", "http:a", "https:x"],
)
async def test_a_redirect_elsewhere_than_http_is_refused(location: str) -> None:
    async with serving() as site:
        site.routes["/a.txt"] = redirect(location)
        item = await read_one(site.url("/a.txt"), Reader(OPEN))
        assert item.kind is Kind.UNREADABLE
        assert item.note is not None
        assert "redirected" in item.note
        assert "passwd" not in item.note


async def test_credentials_stay_with_the_host_they_are_for() -> None:
    async with serving() as first, serving() as second:
        first.routes["/a.txt"] = redirect("/b.txt")
        first.routes["/b.txt"] = redirect(second.url("/c.txt"))
        second.routes["/c.txt"] = ok(b"hello")
        item = await read_one(first.url("/a.txt", "someone:secret@127.0.0.1"), Reader(OPEN))
        assert item.text == "hello"
        assert ["authorization: basic" in head.lower() for head in first.heads] == [True, True]
        assert "authorization" not in second.heads[0].lower()


async def test_nothing_is_carried_from_one_request_to_the_next() -> None:
    async with serving() as site:
        site.routes["/a.txt"] = ok(b"hello", "text/plain", "Set-Cookie: who=someone; Path=/")
        reader = Reader(OPEN)
        await reader.read([site.url("/a.txt")])
        await read_one(site.url("/a.txt"), reader)
        assert len(site.heads) == 2
        assert not any("cookie" in head.lower() or "referer" in head.lower() for head in site.heads)


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as site, serving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        site.routes["/a.txt"] = ok(b"hello")
        names = Names(direct_test=[["127.0.0.1"]])
        assert (await read_one(site.url("/a.txt", "direct.test"), Reader(OPEN, resolve=names))).text == "hello"
        assert proxy.heads == []


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for files.test that vouches for itself, and a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "files.test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("files.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = tmp_path / "certificate.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = tmp_path / "key.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, private)
    return chain, server


async def test_tls_is_for_the_name_though_the_connection_goes_to_an_address(
    authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, tls = authority
    asked_for: list[str | None] = []

    def note_name(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: object) -> None:
        del connection, context
        asked_for.append(name)

    tls.set_servername_callback(note_name)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    names = Names(files_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]])
    async with serving(tls) as site:
        site.routes["/a.txt"] = ok(b"hello")
        good = await read_one(site.url("/a.txt", "files.test", "https"), Reader(OPEN, resolve=names))
        wrong = await read_one(site.url("/a.txt", "other.test", "https"), Reader(OPEN, resolve=names))
    assert good.text == "hello"
    assert asked_for == ["files.test", "other.test"]
    assert wrong.note == "a.txt could not be read: the server's certificate could not be verified."


async def test_an_unknown_certificate_and_plain_http_on_a_tls_port_are_named(
    authority: tuple[Path, ssl.SSLContext],
) -> None:
    names = Names(files_test=[["127.0.0.1"]])
    async with serving(authority[1]) as secure, serving() as plain:
        unknown = await read_one(secure.url("/a.txt", "files.test", "https"), Reader(OPEN, resolve=names))
        patience = Limits(allow_private=True, seconds=0.5)
        not_tls = await read_one(plain.url("/a.txt", "files.test", "https"), Reader(patience, resolve=names))
        assert unknown.note == "a.txt could not be read: the server's certificate could not be verified."
        assert not_tls.note == "a.txt could not be read: it did not arrive within 0.5 seconds."
        await wait_until(lambda: plain.open_connections == 0, "the connection of the cut-off handshake is closed")


async def test_a_redirect_from_https_to_http_is_refused(
    authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    names = Names(files_test=[["127.0.0.1"]])
    async with serving(authority[1]) as secure, serving() as plain:
        secure.routes["/a.txt"] = redirect(plain.url("/a.txt"))
        item = await read_one(secure.url("/a.txt", "files.test", "https"), Reader(OPEN, resolve=names))
        assert item.note == "a.txt could not be read: the server redirected from https to http."
        assert plain.heads == []
