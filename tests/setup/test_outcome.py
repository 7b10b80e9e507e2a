"""What becomes of answers."""

import pytest

from localctl.setup.interview import interview, taken
from localctl.setup.outcome import applied, beyond, complaint, doubts, faults, outcome
from localctl.setup.place import Answers, Place
from localctl.setup.questions import QUESTIONS

NOWHERE = Place({}, "gw", ("192.0.2.1",), low_ports=False)
PASSWORD = "/etc/localctl/csms-password"
SITE = {"csms_url": "ws://csms/ocpp", "identity": "LC-7", "profile": "0"}


def made(place: Place = NOWHERE, **answers: str | bool) -> tuple[dict[str, str], tuple[str, ...]]:
    """The outcome of a whole interview, defaults for all else."""
    whole = interview({**SITE, **answers}, place, lambda question, so_far: taken(question, so_far, place))
    found = outcome(whole, place, PASSWORD)
    return dict(found.values), found.closed


def wrong(name: str, answers: Answers, place: Place = NOWHERE) -> str:
    """What is wrong with the answer of that name."""
    [question] = [each for each in QUESTIONS if each.name == name]
    return complaint(question, answers, place)


def test_the_least() -> None:
    """URL, identity and profile make a site that relays, and serves over HTTP and FTP."""
    values, closed = made()
    assert {key: value for key, value in values.items() if value} == {
        "csms.url": "ws://csms/ocpp",
        "controller.identity": "LC-7",
        "stations.ws.listen": "0.0.0.0:8887",
        "publish.http.listen": "0.0.0.0:8080",
        "publish.ftp.listen": "0.0.0.0:2121",
    }
    assert set(closed) == {"stations.wss", "publish.https"}


def test_everything() -> None:
    """A site with certificates on both legs, its firmware on the ports of the protocols themselves."""
    values, closed = made(
        csms_url="wss://csms", profile="3", csms_ca="/r", csms_cert="/c", csms_key="/k", host="10.0.0.1",
        wss_cert="/sc", wss_key="/sk", client_ca="/sr", low_ports=True, https_cert="/pc", https_key="/pk",
    )  # fmt: skip
    assert closed == ("stations.ws",)
    assert {key: value for key, value in values.items() if value} == {
        "csms.url": "wss://csms", "csms.ca_file": "/r", "csms.cert_file": "/c", "csms.key_file": "/k",
        "controller.identity": "LC-7", "publish.host": "10.0.0.1",
        "stations.wss.listen": "0.0.0.0:8443", "stations.wss.cert_file": "/sc", "stations.wss.key_file": "/sk",
        "stations.wss.client_ca_file": "/sr", "publish.http.listen": "0.0.0.0:80", "publish.ftp.listen": "0.0.0.0:21",
        "publish.https.listen": "0.0.0.0:443", "publish.https.cert_file": "/pc", "publish.https.key_file": "/pk",
    }  # fmt: skip


def test_a_password_takes_the_place_of_what_proved_it_before() -> None:
    """A new password is named by its file, and neither an inline one nor a certificate stays beside it."""
    csms = {"url": "wss://csms", "basic_auth_password": "old-old-old", "cert_file": "/c", "key_file": "/k"}
    place = Place({"csms": csms}, "", (), low_ports=False)
    values, _ = made(place, csms_url="wss://csms", profile="2", password="geheim-0815")
    assert values["csms.basic_auth_password_file"] == PASSWORD
    assert [values[f"csms.{key}"] for key in ("basic_auth_password", "cert_file", "key_file")] == ["", "", ""]
    assert "geheim-0815" not in str(values)


def test_a_password_that_is_kept_is_not_touched() -> None:
    """Empty is: as it is; of profile 0 no password stays."""
    place = Place({"csms": {"url": "ws://csms", "basic_auth_password": "old"}}, "", (), low_ports=False)
    assert not [key for key in made(place, profile="1")[0] if "password" in key]
    assert made(place, profile="0")[0]["csms.basic_auth_password"] == ""


def test_a_listener_keeps_its_address() -> None:
    """Only the port is asked for; where the site listens on one interface, it goes on to."""
    place = Place(
        {"csms": {"url": "ws://x"}, "stations": {"ws": {"listen": "[fd00::1]:9000"}}, "publish": {"http": {}}},
        "", (), low_ports=False,
    )  # fmt: skip
    values, closed = made(place, stations_port="9001")
    assert values["stations.ws.listen"] == "[fd00::1]:9001"
    assert "publish.ftp" in closed  # the site had none


@pytest.mark.parametrize(
    ("name", "answers", "words"),
    [
        ("csms_url", {"csms_url": "https://x"}, "is not a WebSocket URL"),
        ("csms_url", {"csms_url": "ws://me:geheim@x"}, "carries a user or password"),
        ("identity", {"identity": "a:b"}, 'allowed: 1 to 48 characters, no ":"'),
        ("profile", {"csms_url": "ws://x", "profile": "2"}, "profile 2 needs a wss:// URL"),
        ("profile", {"csms_url": "wss://x", "profile": "1"}, "allowed with this one: 0, 2 or 3"),
        ("profile", {"csms_url": "wss://x", "profile": "4"}, "is no security profile"),
        ("password", {"password": "a\nb"}, "one line of text"),
        ("password", {"password": ""}, "is needed"),
        ("csms_cert", {"csms_cert": ""}, "is needed"),
        ("host", {"host": "0.0.0.0"}, "is no address that a station can reach"),
        ("stations_port", {"stations_port": "70000"}, "does not end in a port from 0 to 65535"),
        ("http_port", {"ws": True, "stations_port": "8887", "http_port": "8887"}, "is taken by stations.ws.listen"),
        ("https_port", {"ftp_port": "443", "https_cert": "/c", "https_key": "/k", "https_port": "443"}, "is taken by"),
        ("http_port", {"http_port": "9188"}, "is taken by publish.http.listen"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be(name: str, answers: Answers, words: str) -> None:
    """It is refused at once, in the words of the configuration, without a password in them."""
    told = wrong(name, answers)
    assert words in told
    assert "geheim" not in told


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("csms_url", {"csms_url": "ws://x"}),
        ("profile", {"csms_url": "wss://x", "profile": "0"}),
        ("password", {"csms_url": "ws://x", "profile": "1", "password": "gehéim mit Leerzeichen"}),
        ("csms_cert", {"csms_url": "wss://x", "profile": "3", "csms_cert": "/c"}),
        ("wss_cert", {"csms_url": "wss://x", "profile": "0", "wss_cert": "/c"}),
        ("host", {"host": "auto"}),
    ],
)
def test_an_answer_that_can_be(name: str, answers: Answers) -> None:
    """What is still to be asked is not held against it."""
    assert wrong(name, answers) == ""


def test_the_admin_listener_s_address_is_taken() -> None:
    """No other may have it, wherever the site has put it."""
    place = Place({"admin": {"listen": "0.0.0.0:9000"}}, "", (), low_ports=False)
    assert "taken" in wrong("stations_port", {"stations_port": "9000"}, place)
    assert wrong("stations_port", {"stations_port": "9188"}, place) == ""


def test_applied_changes_nothing_else() -> None:
    """Other keys stay, sections that are not wanted go, and what was handed in is not touched."""
    stations = {"max_stations": 3, "ws": {"listen": "x"}}
    tree = {"stations": stations, "log": {"level": "debug"}}
    found = outcome({"wss_cert": "/c", "wss_key": "/k", "ws": False}, NOWHERE, PASSWORD)
    assert applied(tree, found) == {
        "stations": {"max_stations": 3, "wss": {"cert_file": "/c", "key_file": "/k"}},
        "log": {"level": "debug"},
    }
    assert "ws" in stations


def test_faults_are_the_configuration_s() -> None:
    """A line a fault, each beginning with its key; none where nothing is wrong."""
    assert faults({"csms": {"url": "x"}})[0].startswith("controller: is missing")
    assert faults({"controller": {"identity": "LC"}, "csms": {"url": "ws://x"}}) == ()


def test_what_no_answer_mends_is_told_apart() -> None:
    """A key of a section that nobody is asked about; what the questions are about is theirs."""
    tree = {
        "csms": {"url": 7, "cert_file": "/c"},
        "stations": {"wss": {}},
        "firmware": {"retires": 3},
        "log": {"level": 1},
    }
    assert [line.partition(":")[0] for line in beyond(tree)] == ["firmware.retires", "log.level"]
    assert beyond({}) == ()


def test_what_is_weak_is_told() -> None:
    """A short password and one without TLS are allowed, with a word about it."""
    assert "A00.FR.205" in next(doubts({"profile": "2", "password": "short"}))
    assert list(doubts({"profile": "2", "password": "x" * 16})) == []
    assert "VPN" in next(doubts({"profile": "1", "password": ""}))
