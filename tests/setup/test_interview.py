"""The interview: who is asked what."""

import pytest

from localctl.setup.interview import WrongAnswer, interview, proposed, taken
from localctl.setup.place import Answer, Answers, Place
from localctl.setup.questions import QUESTIONS, Question

NOWHERE = Place({}, "gw", ("192.0.2.1", "10.0.0.1"), low_ports=False)
SITE: Answers = {"csms_url": "ws://csms", "identity": "LC", "profile": "0"}
BY_NAME = {question.name: question for question in QUESTIONS}


def unattended(given: Answers, place: Place = NOWHERE) -> dict[str, Answer]:
    """An interview where nobody is there."""
    return interview(given, place, lambda question, answers: taken(question, answers, place))


def test_a_person_is_asked_only_what_has_a_meaning() -> None:
    """What a flag says, what is quiet, and what does not go with the answers before is not asked."""
    asked: list[str] = []

    def answer(question: Question, answers: Answers) -> Answer:
        asked.append(question.name)
        told: dict[str, Answer] = {"identity": "LC", "profile": "0", "wss_cert": "/c", "wss_key": "/k"}
        told["host"] = "192.0.2.1"
        return told.get(question.name, proposed(question, answers, NOWHERE) or "")

    answers = interview({"csms_url": "ws://csms", "ftp": False}, NOWHERE, answer)
    assert asked == ["identity", "profile", "host", "wss_cert", "wss_key", "client_ca", "ws", "low_ports", "https_cert"]
    assert (answers["host"], answers["wss_port"], answers["http_port"]) == ("192.0.2.1", "8443", "8080")
    assert "stations_port" not in answers  # all stations have TLS
    assert "ftp_port" not in answers


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "--csms-url is missing: URL of the CSMS"),
        ({"csms_url": "ws://x"}, "--identity is missing"),
        ({"csms_url": "ws://x", "identity": "LC"}, "--profile is missing"),
        ({**SITE, "profile": "1"}, "--password-file is missing"),
        ({**SITE, "csms_url": "wss://x", "profile": "3"}, "--csms-cert is missing"),
        ({**SITE, "wss_cert": "/c"}, "--wss-key is missing"),
        ({**SITE, "password": "x"}, "--password-file is of no use so: it goes with --profile 1 or 2"),
        ({**SITE, "csms_ca": "/r"}, "--csms-ca is of no use so: it goes with a wss:// URL"),
        ({**SITE, "ftp": False, "ftp_port": "21"}, "--ftp-port is of no use so: it goes with --ftp"),
        ({**SITE, "wss_cert": "/c", "wss_key": "/k", "stations_port": "1"}, "it goes with --ws"),
        ({**SITE, "identity": "a b"}, "--identity: controller.identity: "),
        ({**SITE, "http_port": "http"}, "--http-port: publish.http.listen: "),
    ],
)
def test_a_flag_that_is_wrong_or_missing_is_named(given: Answers, words: str) -> None:
    """Whoever wrote the command finds the flag in what is said."""
    with pytest.raises(WrongAnswer) as caught:
        unattended(given)
    assert words in str(caught.value)


def test_what_was_set_up_is_taken_again() -> None:
    """A second time nothing has to be said: every answer is in the file."""
    tree = {
        "controller": {"identity": "LC-7"},
        "csms": {"url": "wss://csms", "cert_file": "/c", "key_file": "/k"},
        "stations": {"wss": {"listen": "0.0.0.0:9443", "cert_file": "/sc", "key_file": "/sk"}},
        "publish": {"host": "gw.site", "http": {"listen": "0.0.0.0:80"}},
    }
    answers = unattended({}, Place(tree, "", (), low_ports=False))
    assert (answers["profile"], answers["csms_cert"], answers["wss_port"]) == ("3", "/c", "9443")
    assert (answers["ftp"], answers["http_port"], answers["ws"], answers["host"]) == (False, "80", False, "gw.site")


def test_what_is_proposed_is_the_default_or_what_is_offered() -> None:
    """What the file says comes before what the machine is called."""
    assert proposed(BY_NAME["identity"], {}, NOWHERE) == "gw"
    assert (
        proposed(BY_NAME["identity"], {}, Place({"controller": {"identity": "LC"}}, "gw", (), low_ports=False)) == "LC"
    )
    for addresses, offered in (((), "auto"), (("10.0.0.1",), "10.0.0.1"), (("203.0.113.1", "10.0.0.1"), None)):
        assert proposed(BY_NAME["host"], {}, Place({}, "", addresses, low_ports=False)) == offered
    assert proposed(BY_NAME["wss_cert"], {}, NOWHERE) == ""
    assert proposed(BY_NAME["csms_url"], {}, NOWHERE) is None
    assert proposed(BY_NAME["profile"], {"csms_url": "wss://x"}, NOWHERE) == "2"
