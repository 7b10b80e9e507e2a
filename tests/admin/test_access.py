"""Who may ask the admin listener, by the headers of a request."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localctl.admin.access import means_us, proves


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9188", "localhost", "LocalHost:9188", "localhost.", "[::1]:9188", "::1", "192.168.1.4", ""]
)
def test_who_means_us(host: str) -> None:
    """An address or localhost, with and without a port; and no name at all, as no browser asks."""
    assert means_us(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:9188", "127.0.0.1.evil.example", "localhost.evil.example", "[evil]", ":", "."],
)
def test_who_means_another(host: str) -> None:
    """Any other name may be somebody's that resolves to us."""
    assert not means_us(host)


def _basic(user: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_the_right_password() -> None:
    """The user admin with the password, in UTF-8; the scheme in either case."""
    assert proves(_basic("admin", "gehöim:0815"), "gehöim:0815")
    assert proves(_basic("admin", "x", "basic"), "x")


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "Basic",
        "Basic !",
        "Bearer x",
        _basic("admin", "other"),
        _basic("admin", ""),
        _basic("root", "x"),
        _basic("Admin", "x"),
        _basic("admin", "xx"),
        "Basic " + "A" * 10**6,
    ],
)
def test_anything_else(sent: str) -> None:
    """Is not it."""
    assert not proves(sent, "x")


@given(st.text(), st.text())
def test_whatever_is_sent_is_judged(host: str, authorization: str) -> None:
    """Nothing of a stranger's raises."""
    assert means_us(host) in {True, False}
    assert not proves(authorization, "a password that nobody guesses")
