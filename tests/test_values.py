"""The kinds of value of a configuration."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localctl.values import (
    Address,
    check_csms_url,
    check_identity,
    check_path,
    check_published_host,
    check_serials,
    check_versions,
    parse_address,
    parse_optional_address,
    parse_ports,
    parse_size,
    parse_window,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("0.0.0.0:8080", "0.0.0.0", 8080),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::]:8080", "::", 8080),
        ("[::1]:65535", "::1", 65535),
        ("localhost:80", "localhost", 80),
        ("gw-1.example.com:80", "gw-1.example.com", 80),
    ],
)
def test_address_is_read_and_written_back(text: str, host: str, port: int) -> None:
    """An address is the host without brackets and the port, and its text is what was read."""
    address = parse_address(text)
    assert address == Address(host, port)
    assert str(address) == text
    assert parse_address(address) is address


@pytest.mark.parametrize(
    "value",
    [
        8080, True, None, "", ":", "8080", ":8080", "host", "host:", "host:x", "host:-1", "host:65536", "host:²",
        "host:" + "1" * 5000, "::1:80", "[::1]", "[]:80", "[host]:80", "[::1:80", "*:80", "my host:80", "http://h:80",
        "h/x:80", "host:8080 ", "-:80", "ho\nst:80",
        "192.168..1:80", "a" * 64 + ".example:80",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(value: object) -> None:
    """A port alone, a host alone, a URL, a name that is none: each is a ValueError."""
    with pytest.raises(ValueError, match=r"^(is|does|has) "):
        parse_address(value)


def test_optional_address_may_be_empty() -> None:
    """Empty is no listener."""
    assert parse_optional_address("") is None
    assert parse_optional_address(None) is None
    assert parse_optional_address("127.0.0.1:1") == Address("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0), (17, 17), ("0", 0), ("17", 17), ("17B", 17), ("1KiB", 1024), ("1 MiB", 2**20), ("2GiB", 2**31),
        ("1KB", 1000), ("1MB", 10**6), ("1GB", 10**9), (" 1KiB ", 1024),
    ],
)  # fmt: skip
def test_size_is_bytes_or_text_with_a_unit(value: object, size: int) -> None:
    """Binary and decimal units, and none."""
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value", [-1, 1.5, True, None, "", "2G", "2gib", "GiB", "-1", "1.5GiB", "1e3", "٣", "1" * 5000, "2GiBs"]
)
def test_what_is_no_size_is_refused(value: object) -> None:
    """A unit that could be meant either way, a fraction, less than nothing: each is a ValueError."""
    with pytest.raises(ValueError, match=r"^is "):
        parse_size(value)


@pytest.mark.parametrize(
    ("value", "ports"),
    [("50000-50199", range(50000, 50200)), ("1-1", range(1, 2)), ("1-65535", range(1, 65536)), ("", None)],
)
def test_ports_are_first_and_last(value: str, ports: range | None) -> None:
    """Both ends belong to the range; empty is any port."""
    assert parse_ports(value) == ports
    assert parse_ports(ports) == ports


@pytest.mark.parametrize("value", [50000, "50000", "2-1", "0-5", "1-65536", "1:2", "a-b", "1-", "-1", True])
def test_what_is_no_range_of_ports_is_refused(value: object) -> None:
    """One port, the larger one first, port 0: each is a ValueError."""
    with pytest.raises(ValueError, match=r"^is "):
        parse_ports(value)


@pytest.mark.parametrize("value", ["LC-0001", "x", "x" * 48, "a@b", "Säule-1", "50%", "*-_=+|@."])
def test_identity_is_kept(value: str) -> None:
    """1 to 48 characters without colon, slash or space (Part 1 §8.3)."""
    assert check_identity(value) == value


@pytest.mark.parametrize("value", ["", "x" * 49, "a:b", "a/b", "a b", "a\tb", "a\x00", "a\x7f", "a\u00a0b", "a\n"])
def test_what_is_no_identity_is_refused(value: str) -> None:
    """A colon would end the user name of Basic authentication, a slash the identity in the URL."""
    with pytest.raises(ValueError, match="is not an identity"):
        check_identity(value)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("ws://host", "ws://host"),
        ("wss://host:443/", "wss://host:443"),
        ("wss://host/a/b%2Fc/", "wss://host/a/b%2Fc"),
        ("ws://[::1]:8080/ocpp", "ws://[::1]:8080/ocpp"),
        ("WSS://Host/Ocpp", "wss://Host/Ocpp"),
    ],
)
def test_csms_url_is_kept_but_for_its_ends(value: str, url: str) -> None:
    """The path is kept byte for byte; the scheme is compared with, and the identity is put behind one slash."""
    assert check_csms_url(value) == url


@pytest.mark.parametrize(
    "value",
    [
        "", "host", "host:80", "http://host", "https://host", "ws:host", "ws://", "ws:///ocpp", "ws://:80",
        "ws://host:0", "ws://host:x", "ws://host:65536", "ws://[::1", "ws://u@host", "ws://u:p@host", "ws://:p@host",
        "ws://host?a", "ws://host/a#b", "ws://ho st", "ws://host/a b", " ws://host", "ws://host\n", "ws://host/\x00",
    ],
)  # fmt: skip
def test_what_is_no_csms_url_is_refused(value: str) -> None:
    """Another scheme, no host, a user, a query, a space: each is a ValueError."""
    with pytest.raises(ValueError, match=r"^(is|carries) "):
        check_csms_url(value)


@pytest.mark.parametrize("value", ["", "192.168.1.5", "fd00::5", "gateway", "gw.example.com", "localhost"])
def test_published_host_is_kept(value: str) -> None:
    """An address or a name; empty leaves the choice to us."""
    assert check_published_host(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "0.0.0.0",
        "::",
        "[::1]",
        "1.2.3.4:80",
        "http://1.2.3.4",
        "gw/x",
        "a b",
        ".",
        "-",
        "*",
        "gw.",
        "a" * 254,
        "gw..lan",
    ],
)
def test_what_no_station_can_reach_is_refused(value: str) -> None:
    """A port, a scheme, brackets or the wildcard address would make published URIs useless."""
    with pytest.raises(ValueError, match=r"^is "):
        check_published_host(value)


def test_path_is_printable() -> None:
    """A NUL or a line's end in a path is no path."""
    assert check_path("") == ""
    assert check_path("/etc/localctl/schlüssel 1.pem") == "/etc/localctl/schlüssel 1.pem"
    with pytest.raises(ValueError, match="is not a path"):
        check_path("/etc/\x00")


def test_versions_stand_once() -> None:
    """A subprotocol offered twice is no valid handshake (RFC 6455, 4.1)."""
    assert check_versions(("2.1", "1.6")) == ("2.1", "1.6")
    with pytest.raises(ValueError, match="twice"):
        check_versions(("2.1", "1.6", "2.1"))


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.text())))
def test_nothing_but_value_errors_leaves_a_parser(value: object) -> None:
    """A ValueError is what pydantic turns into a fault: whatever stands in the file, nothing else is raised."""
    for parser in (parse_address, parse_optional_address, parse_size, parse_ports):
        with contextlib.suppress(ValueError):
            parser(value)


@pytest.mark.parametrize("text", ["01:00-05:00", "22:00-04:30", "00:00-23:59", "23:59-00:00"])
def test_window_is_read_and_written_back(text: str) -> None:
    """A download window is two times of day, across midnight or not, and its text is what was read."""
    window = parse_window(text)
    assert str(window) == text
    assert parse_window(window) is window


def test_window_may_be_empty() -> None:
    """Empty is any time."""
    assert parse_window("") is None
    assert parse_window(None) is None


@pytest.mark.parametrize(
    "value",
    [
        1, True, [], "-", "01:00", "01:00-", "1:00-5:00", "01:00-24:00", "01:60-05:00", "01:00 - 05:00", "01:00/05:00",
        "01:00-05:00\n", "²1:00-05:00", "01:00-05:00,06:00-07:00", "01:00:00-05:00:00", "03:00-03:00",
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused(value: object) -> None:
    """Other ways to write a time, and a window that ends when it begins, which might mean a day or nothing."""
    with pytest.raises(ValueError, match=r"^(is not HH:MM-HH:MM|ends when it begins)"):
        parse_window(value)


def test_serials_are_a_table() -> None:
    """Any identity, a serial number of up to 64 characters (RFC 5280, ub-common-name)."""
    table = {"CS-1": "SN-1", "CS/2": "x" * 64}
    assert check_serials(table) == table
    assert check_serials({}) == {}


@pytest.mark.parametrize("table", [{"": "SN-1"}, {"CS-1": ""}, {"CS-1": "x" * 65}])
def test_serials_are_neither_empty_nor_too_long(table: dict[str, str]) -> None:
    """An empty one would be everybody's."""
    with pytest.raises(ValueError, match="empty or too long"):
        check_serials(table)


def test_serials_of_one_identity_are_refused() -> None:
    """OCPP's identities ignore case, so two that differ in it alone are one."""
    with pytest.raises(ValueError, match="names an identity twice"):
        check_serials({"CS-1": "SN-1", "cs-1": "SN-2"})
