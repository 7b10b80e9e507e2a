"""Whether a PublishFirmware can be taken on, by what it says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.mirror.admission import redacted, refusal

MD5 = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    "location",
    [
        "http://files.example.com/fw.bin",
        "HTTPS://Files.Example.COM:8443/a/b.bin?token=x#part",
        "http://user:p%40ss@files.example.com/fw.bin",
        "http://10.0.0.7",
        "http://[fd00::7]:8080/fw.bin",
    ],
)
@pytest.mark.parametrize("checksum", [MD5, MD5.upper()])
def test_an_ordinary_request_is_taken_on(location: str, checksum: str) -> None:
    """L03.FR.05: an MD5 in either case and a URL that we fetch, with user and password if need be."""
    assert refusal(location, checksum, ()) is None


@pytest.mark.parametrize("checksum", ["", MD5[:-1], MD5 + "0", "g" * 32, f" {MD5[:-1]}", f"{MD5[:-1]}\n", "٣" * 32])
def test_a_checksum_that_is_no_md5_is_invalid(checksum: str) -> None:
    """Faults, row 19: Rejected/InvalidValue."""
    reason = refusal("http://files.example.com/fw.bin", checksum, ())
    assert reason is not None
    assert reason[0] == "InvalidValue"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("", "scheme"),
        ("fw.bin", "scheme"),
        ("//files.example.com/fw.bin", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("sftp://files.example.com/fw.bin", "scheme"),
        ("gopher://files.example.com/", "scheme"),
        ("javascript:alert(1)", "scheme"),
        ("http://", "host"),
        ("http:///fw.bin", "host"),
        ("http://user@/fw.bin", "host"),
        ("http://files.example.com:0/fw.bin", "host"),
        ("http://files.example.com:99999/fw.bin", "not a URL"),
        ("http://files.example.com:port/fw.bin", "not a URL"),
        ("http://[::1/fw.bin", "not a URL"),
        ("http://files.example.com/a b.bin", "percent-encode"),
        (" http://files.example.com/fw.bin", "percent-encode"),
        ("http://files.example.com/fw.bin\n", "percent-encode"),
        ("http://files.example.com/\tfw.bin", "percent-encode"),
        ("http://files.example.com/\x00fw.bin", "percent-encode"),
        ("http://files.example.com/\x7ffw.bin", "percent-encode"),
        ("http://files.example.com/é.bin", "percent-encode"),
        ("http://127。0。0。1/fw.bin", "percent-encode"),
        ("http://127.0.0.1/fw.bin", "allowed origins"),
        ("http://localhost:8080/fw.bin", "allowed origins"),
        ("http://user@[::1]/fw.bin", "allowed origins"),
        ("http://169.254.169.254/latest/meta-data", "allowed origins"),
        ("http://2130706433/fw.bin", "allowed origins"),
        ("http://0x7f.1/fw.bin", "allowed origins"),
        ("http://files.example.com@127.0.0.1/fw.bin", "allowed origins"),
        ("http://127.0.0.1\\@files.example.com:80@127.0.0.1/", "allowed origins"),
    ],
)
def test_a_location_that_cannot_be_fetched_is_invalid(location: str, words: str) -> None:
    """Requirements, reason codes: InvalidURL, with what is wrong."""
    reason = refusal(location, MD5, ())
    assert reason is not None
    assert reason[0] == "InvalidURL"
    assert words in reason[1]


def test_only_allowed_origins_are_taken_on() -> None:
    """``[firmware] allowed_origins`` decides; user information is no way round it."""
    assert refusal("http://files.example.com/fw.bin", MD5, ("*.example.com",)) is None
    assert refusal("http://files.example.com@evil.org/fw.bin", MD5, ("*.example.com",)) is not None
    assert refusal("http://127.0.0.1:1/fw.bin", MD5, ("127.0.0.1",)) is None
    assert refusal("ftp://files.example.com/fw.bin", MD5, ("*.example.com",)) is None
    assert refusal("ftps://user:secret@127.0.0.1/fw.bin", MD5, ()) is not None


@settings(deadline=None)
@given(st.text(max_size=60) | st.text(max_size=40).map(lambda rest: f"http://{rest}"), st.text(max_size=40))
def test_nothing_that_is_sent_can_break_it(location: str, checksum: str) -> None:
    """Whatever a CSMS sends is taken on or refused in words, and can be logged; a reason code has 20 characters."""
    for given_checksum in (checksum, MD5):
        reason = refusal(location, given_checksum, ())
        assert reason is None or (0 < len(reason[0]) <= 20 and reason[1])
    redacted(location)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("http://user:secret@files.example.com:81/fw.bin?sig=secret#secret", "http://files.example.com:81/fw.bin?…"),
        ("http://user:sec@ret@files.example.com/fw.bin", "http://files.example.com/fw.bin"),
        ("https://files.example.com/fw.bin", "https://files.example.com/fw.bin"),
        ("http://user:secret@[::1/fw.bin", "(not a URL)"),
    ],
)
def test_no_secret_of_a_location_is_shown(location: str, shown: str) -> None:
    """User, password, query and fragment may be credentials."""
    assert redacted(location) == shown
