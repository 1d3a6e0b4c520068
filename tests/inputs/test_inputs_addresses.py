"""Which addresses are refused, in all the forms that they come in."""

import pytest

from worker.inputs.addresses import resolve
from worker.words.addresses import refusal


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - an address to refuse, nothing binds to it
        ("::", "unspecified"),
        ("0.1.2.3", "private"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fd00::1", "private"),
        ("fec0::1", "private"),
        ("198.18.0.1", "private"),
        ("192.0.2.1", "private"),
        ("100.64.0.1", "shared"),
        ("100.127.255.255", "shared"),
        ("169.254.169.254", "link-local"),
        ("169.254.170.2", "link-local"),
        ("168.63.129.16", "metadata"),
        ("::ffff:168.63.129.16", "metadata"),
        ("100.100.100.200", "shared"),
        ("fe80::1", "link-local"),
        ("fe80::1%1", "link-local"),
        ("fd00:ec2::254", "private"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("240.0.0.1", "private"),
        ("255.255.255.255", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::127.0.0.1", "reserved"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a00:1", "private"),
        ("64:ff9b:1::808:808", "private"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::1", "link-local"),
        ("2001:0:7f00:1::f7f7:f7f7", "private"),
        ("2001:0:808:808::80ff:fffe", "private"),
        ("2001:db8::1", "private"),
        ("2600::5efe:10.0.0.1", "private"),
        ("not an address", "invalid"),
        ("", "invalid"),
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str, reason: str) -> None:
    assert refusal(address) == reason


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "fe80::a9fe:a9fe",
        "::ffff:100.100.100.200",
        "64:ff9b::6464:64c8",
        "2002:a9fe:a9fe::1",
    ],
)
def test_what_hands_out_a_machines_credentials_is_refused_even_where_private_addresses_are_allowed(
    address: str,
) -> None:
    assert refusal(address, allow_private=True) == "metadata"
    assert refusal(address) is not None


@pytest.mark.parametrize("address", ["192.0.0.192", "192.0.0.8", "192.88.99.1", "100::1", "3fff::1", "5f00::1"])
def test_what_the_registries_do_not_call_global_is_refused_on_every_python(address: str) -> None:
    assert refusal(address) in {"private", "reserved"}
    if "." in address:
        assert refusal(f"::ffff:{address}") in {"private", "reserved"}


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.63.255.255", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_a_public_address_is_fine(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "127.0.0.1", "::ffff:127.0.0.1", "localhost"])
async def test_odd_forms_of_loopback_resolve_to_what_they_mean(host: str) -> None:
    found = await resolve(host, 80)
    assert found
    assert all(refusal(address) == "loopback" for address in found)
