"""Who may pass, and what one side sees of the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localctl.relay import policy
from localctl.relay.policy import Ending


@pytest.mark.parametrize(
    ("target", "identity"),
    [
        ("/CS-1", "CS-1"),
        ("/ocpp/a//b/CS-1", "CS-1"),
        ("/ocpp/CS%2D1", "CS-1"),
        ("/ocpp/CS%252D1", "CS%2D1"),
        ("/ocpp/a%2Fb", "a/b"),
        ("/ocpp/CS-1?token=/x/y", "CS-1"),
        ("/ocpp/CS;p=1", "CS;p=1"),
        ("/ocpp/S%C3%A4ule", "Säule"),
        ("/ocpp/%FF", "\\xff"),
        ("/ocpp/%", "%"),
        ("/ocpp/..", ".."),
        ("/", ""),
        ("/ocpp/", ""),
        ("/ocpp/?CS-1", ""),
        ("", ""),
        ("*", ""),
        ("http://elsewhere/CS-1", ""),
        ("/ocpp/CS-1#x", ""),
        ("/ocpp/CS-1\r", ""),
        ("/ocpp/CS\x001", ""),
    ],
)
def test_identity_is_the_last_raw_segment(target: str, identity: str) -> None:
    """Part 4 §6.2: the last raw path segment, percent-decoded once; none where the target is no plain path."""
    assert policy.identity_of(target) == identity


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_any_target_has_an_identity_or_none(target: str) -> None:
    """No target upsets it."""
    assert isinstance(policy.identity_of(target), str)


@pytest.mark.parametrize(
    ("identity", "allowed", "refusal"),
    [
        ("CS-1", (), None),
        ("CS-1", ("X*", "CS-?"), None),
        ("cs-1", ("CS-*",), policy.NOT_ALLOWED),
        ("CS-11", ("CS-?",), policy.NOT_ALLOWED),
        ("", (), policy.NO_IDENTITY),
        ("LC-0001", (), policy.OWN_IDENTITY),
        ("lc-0001", (), policy.OWN_IDENTITY),
        ("LC-0001", ("CS-*",), policy.OWN_IDENTITY),
    ],
)
def test_judge(identity: str, allowed: tuple[str, ...], refusal: policy.Refusal | None) -> None:
    """Part 4 §3.2 and §6.2: any identity, or those that the globs allow; never none and never our own."""
    assert policy.judge(identity, "LC-0001", allowed) == refusal


def test_refusals_of_ours_say_little() -> None:
    """404s without a body, for some stations take it for an image; 503 says when to come back."""
    assert (policy.NO_IDENTITY.status, policy.NOT_ALLOWED.status, policy.OWN_IDENTITY.status) == (404, 404, 403)
    assert not any(refusal.body for refusal in (policy.NO_IDENTITY, policy.NOT_ALLOWED, policy.OWN_IDENTITY))
    for refusal in (policy.FULL, policy.LEAVING, policy.unreachable("why")):
        assert refusal.status == 503
        assert dict(refusal.headers)["Retry-After"] == "30"


def test_the_offer_goes_on_in_its_order() -> None:
    """Part 4 §6.2: less what ocpp_versions leaves out, and without what is no OCPP version."""
    offer = ("ocpp1.6", "chat", "ocpp2.1", "OCPP2.0.1", "ocpp2.0.1", "ocpp1.5")
    assert policy.offer(offer, ("2.1", "2.0.1", "1.6")) == ("ocpp1.6", "ocpp2.1", "ocpp2.0.1")
    assert policy.offer(offer, ("2.0.1",)) == ("ocpp2.0.1",)
    assert policy.offer(("soap",), ("1.6",)) == ()


def test_version_of_a_subprotocol() -> None:
    """As the status page names it."""
    assert [policy.ocpp_version(name) for name in ("ocpp1.6", "ocpp2.0.1", None)] == ["1.6", "2.0.1", ""]


def test_headers_of_one_connection_stay_with_it() -> None:
    """RFC 9110 §7.6.1: hop-by-hop headers, those that Connection names, and the WebSocket's own do not go on."""
    given_headers = (
        ("Host", "controller"),
        ("Connection", "keep-alive, Upgrade, X-Hop"),
        ("x-hop", "1"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "k"),
        ("Sec-WebSocket-Protocol", "ocpp1.6"),
        ("Content-Length", "0"),
        ("AUTHORIZATION", "Basic eA=="),
        ("User-Agent", "station/1"),
        ("X-Serial", "a"),
        ("X-Serial", "b"),
    )
    assert policy.passed_on(given_headers) == given_headers[7:]


def test_the_csms_s_refusal_goes_on() -> None:
    """Part 4 §6.1: status, words, headers and body of the CSMS; a redirect too, for the station to decide."""
    headers = (("WWW-Authenticate", "Basic"), ("Transfer-Encoding", "chunked"))
    refusal = policy.refused_by_csms(401, "Go Away", headers, b"no")
    assert (refusal.status, refusal.phrase, refusal.headers, refusal.body) == (401, "Go Away", headers[:1], b"no")
    redirect = policy.refused_by_csms(307, "", (("Location", "wss://elsewhere/"),), b"")
    assert (redirect.status, redirect.headers) == (307, (("Location", "wss://elsewhere/"),))


@pytest.mark.parametrize("status", [100, 103, 200, 204])
def test_a_handshake_answered_with_success_is_nonsense(status: int) -> None:
    """What neither accepts nor refuses is 502."""
    assert policy.refused_by_csms(status, "", (), b"").status == 502


@pytest.mark.parametrize(
    ("received", "failed", "expected"),
    [
        ((1000, ""), None, Ending("station", 1000, "")),
        ((1001, "moving"), None, Ending("station", 1001, "moving")),
        ((1012, "restart"), None, Ending("station", 1012, "restart")),
        ((3000, "x"), None, Ending("station", 3000, "x")),
        ((4999, "é"), None, Ending("station", 4999, "é")),
        ((1005, ""), None, Ending("station", 1000, "")),
        ((1006, ""), None, Ending("station", 1001, "")),
        ((1015, ""), None, Ending("station", 1001, "")),
        ((1004, "x"), None, Ending("station", 1001, "")),
        ((2999, "x"), None, Ending("station", 1001, "")),
        (None, None, Ending("station", 1001, "")),
        (None, 1009, Ending("oversize", 1001, "")),
        ((1009, "echo"), 1009, Ending("oversize", 1001, "")),
        (None, 1007, Ending("invalid", 1001, "")),
        (None, 1008, Ending("certificate", 1001, "")),
        (None, 1011, Ending("timeout", 1001, "")),
    ],
)
def test_close_codes_pass_on(received: tuple[int, str] | None, failed: int | None, expected: Ending) -> None:
    """Part 4 §6.3: code and reason as received; 1005 as 1000, 1006 and 1015 as 1001, what may not be sent as 1001."""
    assert policy.ending("station", received, failed) == expected
