"""What is known before anybody is asked."""

import pytest

from localctl.setup.place import (
    Answers,
    Place,
    at,
    default_low_ports,
    default_plain,
    default_port,
    default_profile,
    without_placeholders,
)

NOWHERE = Place({}, "gw", ("192.0.2.1",), low_ports=True)
URL = {"csms": {"url": "wss://csms"}}


def there(**sections: object) -> Place:
    """A place that was set up before."""
    return Place({**URL, **sections}, "", (), low_ports=False)


def test_the_example_s_site_is_nobody_s_answer() -> None:
    """Identity and URL of the example count as not said; those of a site stay."""
    example = {"controller": {"identity": "LC-0001"}, "csms": {"url": "ws://example"}}
    packaged = {"controller": {"identity": "LC-0001", "model": "x"}, "csms": {"url": "ws://mine"}}
    assert without_placeholders(packaged, example) == {"controller": {"model": "x"}, "csms": {"url": "ws://mine"}}
    assert packaged["controller"]["identity"] == "LC-0001"
    assert without_placeholders({"csms": "nonsense"}, example) == {"csms": "nonsense"}


@pytest.mark.parametrize(
    ("place", "answers", "profile"),
    [
        (NOWHERE, {"csms_url": "ws://x"}, None),
        (NOWHERE, {"csms_url": "ws://x", "password": "x"}, "1"),
        (NOWHERE, {"csms_url": "WSS://x", "password": "x"}, "2"),
        (NOWHERE, {"csms_url": "wss://x", "csms_cert": "/c"}, "3"),
        (there(), {"csms_url": "wss://x"}, "0"),
        (there(csms={**URL["csms"], "basic_auth_password_file": "/p"}), {"csms_url": "wss://x"}, "2"),
        (there(csms={**URL["csms"], "basic_auth_password": "p"}), {"csms_url": "ws://x"}, "1"),
        (there(csms={**URL["csms"], "cert_file": "/c"}), {"csms_url": "wss://x"}, "3"),
        (there(csms={**URL["csms"], "cert_file": "/c"}), {"csms_url": "ws://x"}, "0"),
    ],
)
def test_profile_follows_from_what_is_known(place: Place, answers: Answers, profile: str | None) -> None:
    """A flag tells it, else the configuration that is there; else somebody has to say it."""
    assert default_profile(answers, place) == profile


def test_ports_stay_unless_another_kind_is_wanted() -> None:
    """A port that the site has chosen stays; one below 1024 gives way where low ports are not wanted, and back."""
    place = there(publish={"http": {"listen": "10.0.0.1:8088"}, "ftp": {"listen": "nonsense"}})
    ports = [default_port("publish.http", "80", "8080", {"low_ports": low}, place) for low in (False, True)]
    assert ports == ["8088", "80"]
    assert default_port("publish.https", "443", "8444", {"low_ports": False}, place) == "8444"


def test_low_ports_as_they_are_else_where_systemd_hands_them_over() -> None:
    """What was set up stays; a new site has them where systemd can hand them over, whatever the example says."""
    assert default_low_ports({}, NOWHERE)
    assert not default_low_ports({}, there(publish={"http": {"listen": "0.0.0.0:8080"}}))
    assert default_low_ports({}, there(publish={"ftp": {"listen": "0.0.0.0:21"}}))
    packaged = Place({"publish": {"http": {"listen": "0.0.0.0:80"}}}, "", (), low_ports=False)
    assert not default_low_ports({}, packaged)


def test_stations_keep_coming_without_tls_where_they_do() -> None:
    """A site that moves to TLS loses no station; a new one begins with TLS alone."""
    assert default_plain({}, there(stations={"ws": {}}))
    assert not default_plain({}, there())
    assert not default_plain({}, Place({"stations": {"ws": {}}}, "", (), low_ports=False))


def test_a_place_that_says_nonsense_says_nothing() -> None:
    """Values of the wrong kind are no answers."""
    place = Place({"csms": {"url": 7}, "publish": "x"}, "", (), low_ports=False)
    assert (place.text("csms.url"), place.port("publish.http"), place.has("publish.http")) == ("", "", False)
    assert not place.is_set_up
    assert at({"a": {"b": 1}}, "a.b.c") is None
