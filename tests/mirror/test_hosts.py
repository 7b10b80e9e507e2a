"""Which origins may be asked: every spelling of an inward address that a URL can carry."""

import pytest
from yarl import URL

from localctl.mirror.hosts import address_allowed, host_allowed

ANY: tuple[str, ...] = ()
INWARD = [
    "127.0.0.1",
    "127.255.255.254",
    "127.0.0.1.",
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "::1",
    "[::1]",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::FFFF:169.254.1.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "anything.localhost",
]
ODD = [
    "2130706433",
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "127.0.0.0x1",
    "0X7F.1",
    "0x",
    "1.2.3.4.5",
    "256.1.1.1",
    "10.0.0.1.2130706433",
    "::ffff:127.1",
    "1:2",
]


@pytest.mark.parametrize("host", INWARD)
def test_no_inward_host_is_asked_unless_it_is_named(host: str) -> None:
    """``allowed_origins`` empty: any host but loopback and link-local ones, however they are spelt."""
    assert not host_allowed(host, ANY)


@pytest.mark.parametrize("host", ODD)
@pytest.mark.parametrize("globs", [ANY, ("*",), ("127.0.0.1",)])
def test_an_odd_spelling_of_an_address_is_no_host(host: str, globs: tuple[str, ...]) -> None:
    """What inet_aton would read as an address is refused, as no resolver would be asked about it."""
    assert not host_allowed(host, globs)


@pytest.mark.parametrize("url", ["http://127。0。0。1/", "http://１２７.0.0.1/", "http://LocalHost/"])  # noqa: RUF001
def test_a_host_is_judged_as_the_client_reads_it(url: str) -> None:
    """Full-width digits and dots, and capitals, are what they are mapped to."""
    assert not host_allowed(URL(url).host or "", ANY)


@pytest.mark.parametrize(
    "host", ["files.example.com", "FILES.example.com.", "10.0.0.7", "192.168.1.1", "fd00::7", "a1"]
)
def test_any_other_host_is_asked(host: str) -> None:
    """Names and addresses of the site and of the world need not be named."""
    assert host_allowed(host, ANY)


@pytest.mark.parametrize(
    ("host", "globs", "allowed"),
    [
        ("files.example.com", ("*.example.com",), True),
        ("FILES.Example.COM.", ("*.example.com",), True),
        ("files.example.com", ("*.EXAMPLE.com.",), True),
        ("example.com", ("*.example.com",), False),
        ("files.example.com.evil.org", ("*.example.com",), False),
        ("10.1.2.3", ("10.1.*",), True),
        ("10.2.2.3", ("10.1.*",), False),
        ("10.1.2.3", ("*.example.com",), False),
        ("127.0.0.1", ("127.0.0.1",), True),
        ("::ffff:127.0.0.1", ("127.0.0.1",), True),
        ("127.0.0.1", ("localhost",), False),
        ("localhost", ("localhost",), True),
        ("localhost", ("*.example.com",), False),
        ("fd00::7", ("fd00::*",), True),
    ],
)
def test_globs_name_hosts(host: str, globs: tuple[str, ...], allowed: bool) -> None:  # noqa: FBT001
    """With ``allowed_origins`` only what a glob names is asked, and a loopback address where one names it."""
    assert host_allowed(host, globs) is allowed


@pytest.mark.parametrize(
    ("address", "globs", "allowed"),
    [
        ("127.0.0.1", (), False),
        ("127.0.0.1", ("files.example.com",), False),
        ("127.0.0.1", ("localhost",), True),
        ("127.0.0.1", ("local*",), False),
        ("127.0.0.1", ("127.0.0.*",), True),
        ("169.254.169.254", ("localhost",), False),
        ("169.254.169.254", ("files.example.com",), False),
        ("0.0.0.0", (), False),
        ("::ffff:127.0.0.1", (), False),
        ("fe80::1%2", (), False),
        ("10.0.0.7", ("files.example.com",), True),
        ("2001:db8::1", (), True),
        ("not an address", ("*",), False),
    ],
)
def test_a_name_cannot_lead_inward(address: str, globs: tuple[str, ...], allowed: bool) -> None:  # noqa: FBT001
    """An address that a name resolved to is refused where it is inward and not named."""
    assert address_allowed(address, globs) is allowed
