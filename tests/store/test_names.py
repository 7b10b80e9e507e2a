"""Names of files and addresses of firmware: whatever comes in, the promise holds (faults, row 37)."""

import re
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from localctl.store.names import FALLBACK, is_checksum, is_name, published_path, published_uri, safe_name

PROMISE = re.compile(r"[A-Za-z0-9._-]{1,100}")  # interface.md, Published URIs
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
PIECES = st.sampled_from(
    ["..", ".", "/", "\\", "%2e", "%2E%2e", "%2f", "%5c", "%00", "%", "\0", "\n", "\x7f", "?", "#", ":", "//", " ", "ü"]
)
LOCATIONS = st.one_of(
    st.text(),
    st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=30).map("".join),
    st.binary(max_size=200).map(lambda data: "http://origin.example/" + quote(data)),
    st.text(min_size=101, max_size=400).map(lambda name: f"ftp://origin.example/{name}"),
)


@given(location=LOCATIONS)
@example(location="http://[::1/x.bin")
@example(location="http://origin.example/" + "a" * 400 + ".bin")
@example(location="." * 400)
@example(location="http://origin.example/a." + "b" * 400)
def test_every_name_keeps_the_promise(location: str) -> None:
    """1 to 100 letters, digits, dots, underscores and hyphens; never hidden, never a way up."""
    name = safe_name(location)
    assert PROMISE.fullmatch(name)
    assert is_name(name)
    assert not name.startswith(".")


@given(location=LOCATIONS)
def test_made_safe_twice_is_made_safe_once(location: str) -> None:
    """A safe name is its own safe name, so that a restart finds the file it left."""
    name = safe_name(location)
    assert safe_name(name) == name
    assert safe_name(f"http://origin.example/{name}") == name


@given(location=LOCATIONS, host=st.sampled_from(["192.168.1.5", "fd00::5", "gateway"]), port=st.integers(1, 65535))
def test_every_published_uri_is_a_plain_url(location: str, host: str, port: int) -> None:
    """What stations get has one way to be read: scheme, host, port, path."""
    name = safe_name(location)
    parts = urlsplit(published_uri("http", host, port, MD5, name))
    assert (parts.scheme, parts.hostname, parts.port or 80) == ("http", host, port)
    assert parts.path == f"/firmware/{MD5}/{name}"
    assert not parts.query
    assert not parts.fragment


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("https://origin.example/fw/charger-1.2.3.bin", "charger-1.2.3.bin"),
        ("https://origin.example/fw/charger.bin?token=geheim#x", "charger.bin"),
        ("ftp://user:geheim@origin.example/a/b_c.tar.gz", "b_c.tar.gz"),
        ("/media/stick/Firmware v2 (final).bin", "Firmware_v2_final_.bin"),
        ("https://origin.example/fw/%C3%BCber.bin", "_ber.bin"),
        ("https://origin.example/", FALLBACK),
        ("https://origin.example", FALLBACK),
        ("", FALLBACK),
        ("https://origin.example/..", FALLBACK),
        ("https://origin.example/%2e%2e", FALLBACK),
        ("https://origin.example/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "passwd"),
        ("https://origin.example/..%5c..%5cboot.ini", "boot.ini"),
        ("https://origin.example/.hidden", "hidden"),
        ("https://origin.example/a%00b.bin", "a_b.bin"),
        ("https://origin.example/a%0d%0ab.bin", "a_b.bin"),
        ("https://origin.example/---", FALLBACK),
        ("http://[::1/x.bin", FALLBACK),
    ],
)
def test_name_is_the_last_segment_made_safe(location: str, name: str) -> None:
    """The name that the origin gave is kept as far as it is safe, without query and secrets."""
    assert safe_name(location) == name


@pytest.mark.parametrize("ending", ["bin", "tar.gz", "x" * 16])
def test_long_name_keeps_its_ending(ending: str) -> None:
    """An odd station looks at the ending: it outlives the cut to 100 characters."""
    name = safe_name(f"https://origin.example/{'a' * 400}.{ending}")
    assert len(name) == 100
    assert name.endswith("." + ending.rpartition(".")[2])


@pytest.mark.parametrize("text", [MD5, MD5.upper(), "0" * 32])
def test_checksum_is_32_digits_of_either_case(text: str) -> None:
    """The MD5 of PublishFirmwareRequest (faults, row 19)."""
    assert is_checksum(text)


@pytest.mark.parametrize("text", ["", MD5[:-1], MD5 + "0", "g" * 32, MD5 + "\n", " " + MD5[1:], "٣" * 32])
def test_anything_else_is_no_checksum(text: str) -> None:
    """Too short, too long, other letters, digits of other scripts, a line's end."""
    assert not is_checksum(text)


@pytest.mark.parametrize(
    "text", ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "a\n", "a%2eb", "a\0", "ü", "a" * 101]
)
def test_what_no_file_is_published_as_is_no_name(text: str) -> None:
    """Asked for such a name, nothing has to be looked up."""
    assert not is_name(text)


@pytest.mark.parametrize(
    ("scheme", "port", "shown"),
    [
        ("http", 80, ""), ("https", 443, ""), ("ftp", 21, ""),
        ("http", 8080, ":8080"), ("https", 80, ":80"), ("ftp", 2121, ":2121"),
    ],
)  # fmt: skip
def test_port_is_left_out_where_it_is_the_schemes_own(scheme: str, port: int, shown: str) -> None:
    """L03.FR.04: short URIs, for stations with short buffers."""
    assert published_uri(scheme, "10.0.0.1", port, MD5, "a.bin") == f"{scheme}://10.0.0.1{shown}/firmware/{MD5}/a.bin"


def test_ipv6_host_stands_in_brackets() -> None:
    """RFC 3986, 3.2.2."""
    assert published_uri("http", "fd00::5", 8080, MD5, "a.bin") == f"http://[fd00::5]:8080/firmware/{MD5}/a.bin"


def test_path_is_the_same_over_every_protocol() -> None:
    """What FTP walks through is what HTTP asks for."""
    assert published_path(MD5, "a.bin") == f"/firmware/{MD5}/a.bin"
