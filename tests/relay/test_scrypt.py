"""Passwords that cannot be read back."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.relay.scrypt import SALT_BYTES, Hash, decoy, hashed, parse

# What the documentation of passlib gives for "password".
PASSLIB = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
CHEAP = "$scrypt$ln=4,r=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"


def test_what_others_write_is_understood() -> None:
    """A line of passlib's proves its password, and is written again as it was."""
    stored = parse(PASSLIB)
    assert stored.proves(b"password")
    assert not stored.proves(b"passwort")
    assert str(stored) == PASSLIB


def test_vector_of_the_rfc() -> None:
    """RFC 7914, 12: password "password", salt "NaCl", N 1024, r 8, p 16."""
    digest = bytes.fromhex("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")
    digest += bytes.fromhex("2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640")
    assert Hash(10, 8, 16, b"NaCl", digest).proves(b"password")


@pytest.mark.parametrize("password", [b"geheim-0815-geheim", bytes(range(256)), "pässword".encode(), b"x"])
def test_a_new_one_proves_its_password_alone(password: bytes) -> None:
    """Any bytes: OCPP 1.6 has passwords that are no text."""
    stored = hashed(password, bytes(SALT_BYTES))
    assert parse(str(stored)) == stored
    assert stored.proves(password)
    assert not stored.proves(password + b".")
    assert not stored.proves(b"")


def test_one_password_twice_looks_different() -> None:
    """The salt sees to it, and stands in the line."""
    one, other = (hashed(b"same", salt * SALT_BYTES) for salt in (b"a", b"b"))
    assert one.digest != other.digest
    assert other.proves(b"same")


def test_the_cost_is_known() -> None:
    """What a line says it costs is what is spent: its memory is 128 * r * 2**ln bytes (RFC 7914, 2)."""
    stored = hashed(b"x", bytes(SALT_BYTES))
    assert (128 * stored.r << stored.ln, stored.p) == (4 * 2**20, 1)
    assert stored.cost > parse(CHEAP).cost
    assert parse(CHEAP.replace("p=1", "p=2")).cost == 2 * parse(CHEAP).cost


@pytest.mark.parametrize(
    "text",
    [
        "",
        "geheim-0815",
        PASSLIB + "=",
        PASSLIB.replace("scrypt", "argon2id"),
        PASSLIB.replace("ln=16", "ln=-1"),
        PASSLIB.replace("r=8,p=1", "p=1,r=8"),
        PASSLIB.replace("$aM15713r3Xsvxbi31lqr1Q", "$aM15"),
        PASSLIB[:-30],
        PASSLIB.replace("1Q$", "$") + "\n",
        CHEAP.replace("c2FsdHNhbHQ", "c2FsdHNhb"),
    ],
)
def test_anything_else_is_no_phc_string(text: str) -> None:
    """And is not repeated in the error: it may be a password."""
    with pytest.raises(ValueError, match=r"^is no PHC string of scrypt$"):
        parse(text)


@pytest.mark.parametrize("cost", ["ln=0,r=8,p=1", "ln=4,r=0,p=1", "ln=4,r=8,p=0", "ln=4,r=8,p=17", "ln=17,r=8,p=1"])
def test_no_line_takes_more_than_a_gateway_has(cost: str) -> None:
    """More than 64 MiB, or numbers that scrypt does not take."""
    with pytest.raises(ValueError, match="asks for what scrypt cannot do here"):
        parse(PASSLIB.replace("ln=16,r=8,p=1", cost))


@pytest.mark.parametrize("like", [None, parse(CHEAP), parse(PASSLIB)])
def test_a_decoy_proves_nothing_at_the_same_cost(like: Hash | None) -> None:
    """Who is unknown waits as long as who is known."""
    stand_in = decoy(like)
    assert stand_in.cost == (like or hashed(b"", bytes(SALT_BYTES))).cost
    assert not stand_in.proves(b"")


@settings(deadline=None)
@given(st.text(max_size=120))
def test_nothing_upsets_it(text: str) -> None:
    """ValueError, whatever stands there."""
    with pytest.raises(ValueError, match="scrypt"):
        parse("$scrypt$ln=" + text)


def test_python_s_own_scrypt_agrees() -> None:
    """The parameters are passed on as they are named."""
    expected = hashlib.scrypt(b"x", salt=b"saltsalt", n=16, r=1, p=1, dklen=16)
    assert Hash(4, 1, 1, b"saltsalt", expected).proves(b"x")
