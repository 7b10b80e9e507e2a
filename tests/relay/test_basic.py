"""The password in a station's handshake."""

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.relay.basic import password_of


def header(sent: bytes, scheme: str = "Basic") -> str:
    """The Authorization header that carries these bytes."""
    return f"{scheme} {base64.b64encode(sent).decode()}"


@pytest.mark.parametrize(
    ("identity", "sent", "password"),
    [
        ("CS-1", b"CS-1:geheim", b"geheim"),
        ("cs-1", b"CS-1:geheim", b"geheim"),
        ("CS-1", b"CS-1:with:colons:", b"with:colons:"),
        ("CS-1", b"CS-1:" + bytes(range(256)), bytes(range(256))),
        ("CS-1", "CS-1:pässword".encode(), "pässword".encode()),
        ("CS-1", "CS-1:pässword".encode("latin-1"), b"p\xe4ssword"),
        ("CS-1", b"CS-1:", b""),
        ("CS:1", b"CS:1:geheim", b"geheim"),
        ("Säule", "Säule:geheim".encode(), b"geheim"),
        ("Säule", "Säule:geheim".encode("latin-1"), b"geheim"),
    ],
)
def test_the_password_is_what_stands_behind_the_identity(identity: str, sent: bytes, password: bytes) -> None:
    """A00.FR.204, FR.205: bytes, as they came."""
    assert password_of(header(sent), identity) == password


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic ", " Basic"])
def test_the_scheme_is_read_kindly(scheme: str) -> None:
    """RFC 9110, 11.1: in either case; and padding that is left out is no fault."""
    assert password_of(header(b"CS-1:12", scheme), "CS-1") == b"12"
    assert password_of(header(b"CS-1:12", scheme).rstrip("="), "CS-1") == b"12"


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        (None, "sent no password"),
        ("", "sent no password"),
        ("Bearer x", "sent no password"),
        ("Digest username=CS-1", "sent no password"),
        ("Basic", "user name"),
        ("Basic !", "not in base64"),
        ("Basic Säule", "not in base64"),
        (header(b"CS-2:geheim-0815"), "user name"),
        (header(b"CS-1"), "user name"),
        (header(b"CS-11:geheim-0815"), "user name"),
        (header(b":geheim-0815"), "user name"),
    ],
)
def test_why_there_is_none(authorization: str | None, why: str) -> None:
    """A half sentence for the log, that repeats nothing of the header."""
    with pytest.raises(ValueError, match=why) as caught:
        password_of(authorization, "CS-1")
    assert "0815" not in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=20))
def test_nothing_upsets_it(token: str, identity: str) -> None:
    """A password, or ValueError."""
    with contextlib.suppress(ValueError):
        assert isinstance(password_of(f"Basic {token}", identity), bytes)
